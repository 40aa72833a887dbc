"""How busy searches keep the slots of a Ray cluster, while trials are left to start.

A node of 8 pretended cores, and trials that sleep 20 s +- 10 %, one core each. Busy is a slot while a trial's own
program runs, so that starting it, ending it and proposing the next one all count as idle. Between the first trial and
the last one to start; then slots stay empty for want of trials.

    ./dev bench ray_slots --trials 160
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.schedulers.ray_cluster import REPOSITORY, running_cluster

SLOTS = 8
#: What a trial runs: it takes note of when it began and ended, and has a checkpoint from which a population goes on.
TRIAL = """
import os, random, sys, time
began, number = time.time(), os.environ["TUNEWELL_TRIAL"]
book, seconds, x = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
time.sleep(seconds * random.Random(number).uniform(0.9, 1.1))
open(os.environ["TUNEWELL_CHECKPOINT_DIR"] + "/state", "w").write(number)
print(f"objective={x + random.Random(number).gauss(0.0, 0.1)}", flush=True)
with open(book, "a") as file:
    file.write(f"{began} {time.time()}\\n")
"""


def algorithms(trials: int) -> dict[str, dict[str, Any]]:
    """Return name → fields of the spec."""
    population = {"name": "evolutionary", "population_size": SLOTS, "rounds": max(2, trials // SLOTS)}
    return {
        "random": {"algorithm": "random"},
        "bayesian": {"algorithm": "bayesian"},
        "evolutionary": {"algorithm": population, "resumable": True},
        "asynchronous": {"algorithm": {**population, "asynchronous": True}, "resumable": True},
    }


def busy_share(folder: Path, address: str, fields: dict[str, Any], trials: int, seconds: float) -> tuple[float, int]:
    """Search; return the share of the slots' time in which trials ran, and how many there were."""
    book, program = folder / "book", folder / "program"
    program.mkdir(parents=True)
    (program / "trial.py").write_text(TRIAL)
    spec = {
        "name": "slots",
        "command": ["python", "-S", "trial.py", str(book), str(seconds), "{x}"],
        "working_directory": str(program),
        "objective": {"metric": "objective", "goal": "maximize"},
        "parameters": {
            "x": {"low": 0.0, "high": 1.0},
            "rate": {"low": 1e-5, "high": 0.1, "log": True},
            "layers": {"low": 1, "high": 8, "type": "int"},
            "kind": ["a", "b", "c"],
        },
        "max_trials": trials,
        "max_concurrency": SLOTS,
        "early_stopping": "off",
        "seed": 0,
        **fields,
    }
    file = folder / "spec.json"
    file.write_text(json.dumps(spec))
    command = [sys.executable, "-m", "tunewell", "search", str(file), "--home", str(folder / "home"), "--ray", address]
    done = subprocess.run([*command, "--no-details", "--json"], capture_output=True, text=True, cwd=REPOSITORY)
    if done.returncode:
        sys.exit(done.stderr)
    times = [tuple(map(float, line.split())) for line in book.read_text().splitlines()]
    first, last = min(began for began, _ in times), max(began for began, _ in times)
    busy = sum(min(ended, last) - began for began, ended in times)
    return busy / (SLOTS * (last - first)), len(times)


def main() -> None:
    """Print a line an algorithm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--seconds", type=float, default=20.0, help="mean duration of a trial")
    parser.add_argument("--algorithms", default=",".join(algorithms(1)), help="which, separated by commas")
    arguments = parser.parse_args()
    for name in arguments.algorithms.split(","):
        fields = algorithms(arguments.trials)[name]
        with tempfile.TemporaryDirectory() as root, running_cluster(num_cpus=SLOTS) as cluster:
            share, trials = busy_share(Path(root), cluster.address, fields, arguments.trials, arguments.seconds)
        print(f"{name:14}{trials} trials: slots busy {100 * share:.1f} %", flush=True)


if __name__ == "__main__":
    main()
