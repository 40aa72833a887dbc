"""A 20-trial Bayesian search on photographs of hand signs against the network's default hyperparameters.

    ./dev bench sign_digits --epochs 4 --image-size 32

Needs the data set `sign_digits` (in TUNEWELL_SHARED, or `../shared`, below `datasets`). Also tells how long a trial
takes from being scheduled to its first batch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path


def main() -> None:
    """Run the search; print what it gained and how quickly trials start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="small-cnn")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, help="default: the network's")
    parser.add_argument("--image-size", type=int, help="default: searched")
    parser.add_argument("--sampling", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "datasets" / "sign_digits"
    if not data.is_dir():
        sys.exit(f"{data}: the data set is not there; set TUNEWELL_SHARED to the folder that holds datasets")
    fixed = {"epochs": arguments.epochs, "image_size": arguments.image_size}
    spec = {
        "name": "signs",
        "task": "image-classification",
        "data": str(data),
        "network": arguments.network,
        "algorithm": "bayesian",
        "max_trials": arguments.trials,
        "sampling": arguments.sampling,
        "seed": arguments.seed,
        "parameters": {name: value for name, value in fixed.items() if value is not None},
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        file = Path(folder) / "signs.yaml"
        file.write_text(json.dumps(spec))
        started = time.monotonic()
        result = json.loads(tunewell("search", str(file), "--home", str(home), "--json"))
        seconds = time.monotonic() - started
        trials = json.loads(tunewell("export", "signs", "--home", str(home), "--format", "json"))["trials"]
        starts = [first_batch(home, trial) for trial in trials[1:]]
        evaluation = json.loads((home / "experiments" / "signs" / "evaluation.json").read_text())
    default, best = result["default"], result["best"]
    print(f"{arguments.network}, {arguments.trials} trials in {seconds:.0f} s: {result['trials']}")
    print(f"validation accuracy: default {default['value']:.4f}, best {best['value']:.4f} (trial {best['number']})")
    tests = {number: found["test"]["accuracy"] for number, found in evaluation.items() if found.get("test")}
    print(f"test accuracy of the five best: {tests}")
    print(f"scheduled to first batch: median {statistics.median(starts):.2f} s, longest {max(starts):.2f} s")


def tunewell(*arguments: str) -> str:
    """Run a command; return what it printed."""
    program = [sys.executable, "-m", "tunewell", *arguments]
    return subprocess.run(program, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def first_batch(home: Path, trial: dict[str, object]) -> float:
    """Return the seconds from a trial's start on record to its first batch."""
    folder = home / "experiments" / "signs" / "trials" / str(trial["number"]) / str(trial["attempts"])
    timing = json.loads((folder / "timing.json").read_text())
    return float(timing["first_batch"]) - datetime.fromisoformat(str(trial["start"])).timestamp()


if __name__ == "__main__":
    main()
