"""Evolutionary search against random and Bayesian search on photographs of hand signs, at an equal total of epochs.

    ./dev bench evolution --seeds 5

Needs the data set `sign_digits` (see `sign_digits.py`). Each search trains `--members` x `--epochs` epochs of the small
network in all: the population a round an epoch, the others `--members` full trainings. `--searches "evolutionary,ray
population"` compares with Ray Tune's population-based training, if it is installed. Prints the best validation
accuracy, and the accuracy of that trial's model on test pictures that no search saw.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sign_digits import tunewell

SEARCHES: dict[str, Any] = {
    "random": "random",
    "bayesian": "bayesian",
    "bayesian promotion": "bayesian",
    "evolutionary": {"name": "evolutionary"},
    "evolutionary cross": {"name": "evolutionary", "explore": "cross"},
    "evolutionary pshe2": {"name": "evolutionary", "explore": "pshe2"},
    "evolutionary asynchronous": {"name": "evolutionary", "asynchronous": True},
}
#: Ray Tune's, which must be installed.
PEER = "ray population"


def run(data: Path, name: str, seed: int, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Run one search; return validation and test accuracy of its best trial, and its seconds."""
    search, promoted = SEARCHES.get(name, "random"), name.endswith("promotion")
    populated = isinstance(search, dict)
    size = {"population_size": arguments.members, "rounds": arguments.epochs}
    spec = {
        "name": "signs",
        "task": "image-classification",
        "data": str(data),
        "network": "small-cnn",
        "algorithm": {**search, **size} if populated else search,
        "early_stopping": "promotion" if promoted else "off",
        "sampling": arguments.sampling,
        "seed": seed,
        "parameters": {"epochs": arguments.epochs, "image_size": 32},
    }
    if name == PEER:
        from ray_population import run as run_peer

        return run_peer(spec, seed, arguments)
    if not populated:
        spec["max_trials"] = promoted_trials(arguments) if promoted else arguments.members
    with tempfile.TemporaryDirectory() as folder:
        home, file = Path(folder) / "home", Path(folder) / "signs.yaml"
        file.write_text(json.dumps(spec))
        started = time.monotonic()
        result = json.loads(tunewell("search", str(file), "--home", str(home), "--json"))
        seconds = time.monotonic() - started
        evaluation = json.loads((home / "experiments" / "signs" / "evaluation.json").read_text())
    best = result["best"]
    return best["value"], evaluation[str(best["number"])]["test"]["accuracy"], seconds


def promoted_trials(arguments: argparse.Namespace) -> int:
    """Return how many trials cost as many epochs as all members together, the default configuration in full first."""
    from tunewell.tuners.promotion import ETA, rungs

    shares = rungs(arguments.epochs)
    added = [share - below for below, share in zip((0.0, *shares), shares, strict=False)]
    begun = 0
    while 1 + sum(share * (begun // ETA**rung) for rung, share in enumerate(added)) < arguments.members:
        begun += 1
    return 1 + sum(begun // ETA**rung for rung in range(len(shares)))


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--sampling", type=float, default=0.25)
    parser.add_argument("--searches", default=",".join(SEARCHES), help="which, separated by commas")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "datasets" / "sign_digits"
    if not data.is_dir():
        sys.exit(f"{data}: the data set is not there; set TUNEWELL_SHARED to the folder that holds datasets")
    print(f"{'search':28}{'validation':>16}{'test':>16}{'seconds':>10}")
    for name in arguments.searches.split(","):
        runs = [run(data, name, arguments.first_seed + seed, arguments) for seed in range(arguments.seeds)]
        validation, test = ([found[place] for found in runs] for place in (0, 1))
        cells = [f"{statistics.mean(side):.3f} ± {_spread(side):.3f}" for side in (validation, test)]
        print(f"{name:28}{cells[0]:>16}{cells[1]:>16}{statistics.mean(found[2] for found in runs):10.0f}", flush=True)


if __name__ == "__main__":
    main()
