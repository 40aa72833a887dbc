"""How often `stop_when_converged` stops too early, and what it saves: replays of searches on hpo-bench.

    ./dev bench converged --seeds 2

Needs what `tuners.py` needs. Each search runs its trials as if nothing stopped it. Where the rule would have stopped
it, what came within the next 50 and 100 trials is compared with the least gain that the rule looked for. Prints the
share of searches that were stopped (with 50, or 100, more trials on record), the median trial of the stop, the share of
stops that such a gain followed (false stops), the mean gain that was missed, as normalised regret x 1000, and the share
of all trials that the rule saves.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuners import problems, search_space, shared

HORIZONS = (50, 100)


@dataclass(frozen=True)
class Replay:
    """What became of one search."""

    #: Losses of all trials, and the trials after which the rule held first; None: never.
    losses: list[float]
    stop: int | None
    least_gain: float
    #: Regret of a median configuration.
    unit: float

    def missed(self, horizon: int) -> float:
        """Return by how much the trials after the stop improved on those before it."""
        assert self.stop is not None
        return min(self.losses[: self.stop]) - min(self.losses[: self.stop + horizon])


def replay(problem: Any, algorithm: str, seed: int, trials: int) -> Replay:
    """Run a search to its end; note when it converged."""
    from tunewell.controller.convergence import examine
    from tunewell.tuners import create
    from tunewell.tuners.contract import Suggestion

    space = search_space(problem)
    tuner = create(algorithm, space, goal="minimize", seed=seed, max_trials=trials)
    varying = sum(parameter.size != 1 for parameter in space)
    losses: list[float] = []
    stop, least_gain = None, 0.0
    while len(losses) < trials and (stop is None or len(losses) < stop + max(HORIZONS)):
        suggestion = tuner.ask()
        if not isinstance(suggestion, Suggestion):
            break
        losses.append(float(problem(suggestion.parameters)))
        tuner.tell(suggestion.outcome(losses[-1]))
        figures = examine(losses, varying, tuner.probability_of_gain) if stop is None else None
        if figures is not None:
            stop, least_gain = len(losses), figures.least_gain
    scale = json.loads((shared() / "reference.json").read_text())[problem.id]
    return Replay(losses, stop, least_gain, scale["median"] - scale["best"])


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--every", type=int, default=1, help="take every n-th problem")
    parser.add_argument("--algorithms", default="bayesian,tpe,random")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(f"{'algorithm':12}{'horizon':>8}{'searches':>9}{'stopped':>9}{'at':>6}{'false':>8}{'missed':>8}{'saved':>8}")
    for algorithm in arguments.algorithms.split(","):
        chosen = problems()[:: arguments.every]
        runs = [replay(problem, algorithm, seed, arguments.trials) for problem in chosen for seed in seeds]
        for horizon in HORIZONS:
            stopped = [r for r in runs if r.stop is not None and r.stop + horizon <= len(r.losses)]
            stops = [r.stop for r in stopped if r.stop is not None]
            missed = [r.missed(horizon) / r.unit for r in stopped]
            false = [r.missed(horizon) > r.least_gain for r in stopped]
            saved = sum(arguments.trials - stop for stop in stops) / (arguments.trials * len(runs))
            share = len(stopped) / len(runs)
            print(f"{algorithm:12}{horizon:8}{len(runs):9}{share:9.0%}", end="")
            if stopped:
                print(f"{np.median(stops):6.0f}{np.mean(false):8.0%}{1000 * np.mean(missed):8.1f}{saved:8.0%}", end="")
            print(flush=True)


if __name__ == "__main__":
    main()
