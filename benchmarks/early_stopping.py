"""What early stopping is worth: searches over learning curves at an equal total of training.

    ./dev bench early_stopping --seeds 5

Needs the data folder `hpo-bench` (see `tuners.py`). On its problems that have epochs, each search trains until it has
used as many epochs as 10, 20 and 40 full trainings have. Prints the mean normalised regret x 1000 of the best finished
trial then, and how many trials were begun.
"""

from __future__ import annotations

import argparse
import json
import warnings
from typing import Any

import numpy as np

from tuners import problems, search_space, shared

UNITS = (10, 20, 40)
ALGORITHMS = ("random", "tpe", "bayesian")
RULES = ("off", "median", "halving")


def run(problem: Any, algorithm: str, rule: str, seed: int) -> tuple[list[float], list[int]]:
    """Return the lowest loss of a full training, and the trials begun, after each of `UNITS` full trainings' cost."""
    from tunewell.spec.states import TrialState
    from tunewell.tuners import create
    from tunewell.tuners.contract import Outcome

    epochs = int(problem.fidelity["high"])
    options = {"max_trials": 200, "early_stopping": rule}
    tuner = create(algorithm, search_space(problem), goal="minimize", seed=seed, **options)
    spent, best, losses, begun = 0, float("inf"), [], []
    while len(losses) < len(UNITS):
        suggestion: Any = tuner.ask()
        curve: dict[int, float] = {}
        for epoch in range(1, epochs + 1):
            curve[epoch] = float(problem(suggestion.parameters, fidelity=epoch))
            spent += 1
            if tuner.judge(suggestion.number, dict(curve)) == "prune":
                break
        finished = len(curve) == epochs
        state = TrialState.SUCCEEDED if finished else TrialState.PRUNED
        tuner.tell(Outcome(suggestion.number, state, curve[max(curve)], curve=curve))
        best = min(best, curve[epochs]) if finished else best
        while len(losses) < len(UNITS) and spent >= UNITS[len(losses)] * epochs:
            losses.append(best)
            begun.append(suggestion.number)
    return losses, begun


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    reference = json.loads((shared() / "reference.json").read_text())
    chosen = [p for p in problems() if p.fidelity and p.fidelity["name"] == "epoch"]
    heads = "".join(f"{f'@{unit}':>8}" for unit in UNITS)
    print(f"{'search':20}{heads}   trials {heads}")
    for algorithm in ALGORITHMS:
        for rule in RULES:
            regrets, counts = [], []
            for problem in chosen:
                scale = reference[problem.id]
                for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                    losses, begun = run(problem, algorithm, rule, seed)
                    regrets.append([(x - scale["best"]) / (scale["median"] - scale["best"]) for x in losses])
                    counts.append(begun)
            means = "".join(f"{1000 * mean:8.1f}" for mean in np.mean(regrets, axis=0))
            numbers = "".join(f"{number:8.1f}" for number in np.mean(counts, axis=0))
            print(f"{algorithm + ' ' + rule:20}{means}          {numbers}", flush=True)


if __name__ == "__main__":
    main()
