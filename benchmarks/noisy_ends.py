"""The best of a search whose values are partly luck: by its value, by what the model expects, and trained again.

    ./dev bench noisy_ends --seeds 3

`bayesian`, 50 trials, on every second problem of hpo-bench, to whose losses normal noise is added: 0, 0.05 and 0.2 of
the distance between the best known loss and a median random one. Prints the mean normalised regret x 1000, noise left
out, of the trial with the lowest loss observed; of that with the lowest loss expected by the model; of the best by the
mean of four more trainings, among the five best observed, and among the five best expected; and of the best of all
trials.

Needs what `tuners.py` needs.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from multiprocessing import Pool
from typing import Any

import numpy as np

from tuners import extent, problems, search_space

TRIALS = 50
LEVELS = (0.0, 0.05, 0.2)
#: How many are trained again, and how often.
BEST, TRAININGS = 5, 4
HEADS = ("observed", "expected", "again", "exp., again", "best")


def expected(tuner: Any, points: Any) -> Any:
    """Return what a Bayesian tuner expects at points (n, d), in the units of its models."""
    surrogate = tuner._model(points[:0]).surrogate
    predictions = surrogate._prior.predict(points)
    return sum(
        member.probability * (model.predict(points)[0] + member.trend(predictions))
        for member, model, _ in surrogate._models
    )


def run(task: tuple[int, int, float]) -> list[float]:
    """Return the regrets of one search, in the order of `HEADS`."""
    from tunewell.tuners.catalogue import create

    warnings.simplefilter("ignore")
    place, seed, level = task
    problem = problems()[place]
    lowest, median = extent(problem, "hpo-bench")
    generator = np.random.default_rng([place, seed])
    tuner: Any = create("bayesian", search_space(problem), goal="minimize", seed=seed, max_trials=TRIALS)
    points, regrets, observed = [], [], []
    for _ in range(TRIALS):
        suggestion = tuner.ask()
        regrets.append((float(problem(suggestion.parameters)) - lowest) / (median - lowest))
        observed.append(regrets[-1] + level * generator.standard_normal())
        tuner.tell(suggestion.outcome(observed[-1]))
        points.append(tuner._points[suggestion.number])
    again = np.array(regrets) + level * generator.standard_normal((TRAININGS, TRIALS)).mean(axis=0)
    orders = np.argsort(observed), np.argsort(expected(tuner, np.array(points)))
    chosen = [order[0] for order in orders] + [min(order[:BEST], key=lambda trial: again[trial]) for order in orders]
    return [*(regrets[trial] for trial in chosen), min(regrets)]


def main() -> None:
    """Print a line for each level of noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(f"{'noise':>8}" + "".join(f"{head:>14}" for head in HEADS) + f"{'expected - observed':>24}{'again':>16}")
    with Pool(arguments.processes) as pool:
        for level in LEVELS:
            tasks = itertools.product(range(0, len(problems()), 2), seeds, [level])
            found = 1000 * np.array(pool.map(run, tasks))
            line = "".join(f"{mean:14.0f}" for mean in found.mean(axis=0))
            gains = found[:, [1, 3]] - found[:, [0, 2]]
            errors = gains.std(axis=0) / np.sqrt(len(gains))
            told = [f"{mean:+.0f} ± {error:.0f}" for mean, error in zip(gains.mean(axis=0), errors, strict=True)]
            print(f"{level:8.2f}{line}{told[0]:>24}{told[1]:>16}", flush=True)


if __name__ == "__main__":
    main()
