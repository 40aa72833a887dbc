"""What earlier searches are worth: Bayesian search on hpo-bench with and without a source of another data set.

    ./dev bench warm_start --seeds 3

For each problem whose scenario has several data sets, the source is a search of 50 trials (half of them random, half
Bayesian) on the next data set. Three searches of 50 trials are compared: cold (without it), warm (with it) and misled
(with its losses negated). Prints, for each scenario and over all, the number of trials that the warm search needs to
be as good as the cold one at its end (median), and the mean normalised regrets x 1000 after 10, 20 and 50 trials.

Needs the data folder `hpo-bench` (in TUNEWELL_SHARED, or `../shared`) and onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import defaultdict
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuners import problems, search_space, shared

TRIALS = 50
MARKS = (10, 20, 50)
SEARCHES = ("cold", "warm", "misled")

Trials = list[tuple[int, dict[str, Any], float]]


def trials(problem: Any, algorithm: str, count: int, seed: int, sources: Any = ()) -> Trials:
    """Return (number, configuration, loss) of the trials of a search."""
    from tunewell.tuners.catalogue import create
    from tunewell.tuners.sources import starts

    space = search_space(problem)
    initial = starts(space, sources, count)
    tuner = create(algorithm, space, goal="minimize", seed=seed, max_trials=count, initial=initial, sources=sources)
    found: Trials = []
    for _ in range(count):
        suggestion: Any = tuner.ask()
        loss = float(problem(suggestion.parameters))
        tuner.tell(suggestion.outcome(loss))
        found.append((suggestion.number, suggestion.parameters, loss))
    return found


def pairs() -> list[tuple[int, int]]:
    """Return places of (target, source) among the problems: each with the next one of its scenario."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, problem in enumerate(problems()):
        places[scenario(problem)].append(place)
    return [
        (target, group[(turn + 1) % len(group)])
        for group in places.values()
        if len(group) > 1
        for turn, target in enumerate(group)
    ]


def scenario(problem: Any) -> str:
    """Return the name of a problem's scenario."""
    return str(problem.id).partition("/")[0]


def run(task: tuple[int, int, int]) -> tuple[str, dict[str, list[float]]]:
    """Compare the searches on one target; return the scenario and the best regret after each trial of each search."""
    from tunewell.tuners.sources import make_source

    warnings.simplefilter("ignore")
    target, other, seed = task
    everything = problems()
    problem, source_problem = everything[target], everything[other]
    reference = json.loads((shared() / "reference.json").read_text())[problem.id]
    half = TRIALS // 2
    known = trials(source_problem, "random", half, seed + 1000)
    known += [
        (half + number, parameters, loss)
        for number, parameters, loss in trials(source_problem, "bayesian", half, seed + 1000)
    ]
    space = search_space(problem)
    sources = {
        "cold": (),
        "warm": (make_source("source", space, known),),
        "misled": (make_source("source", space, [(number, parameters, -loss) for number, parameters, loss in known]),),
    }
    regrets = {}
    for name in SEARCHES:
        losses = [loss for *_, loss in trials(problem, "bayesian", TRIALS, seed, sources[name])]
        best = np.minimum.accumulate(losses)
        regrets[name] = ((best - reference["best"]) / (reference["median"] - reference["best"])).tolist()
    return scenario(problem), regrets


def trials_needed(warm: list[float], cold: list[float]) -> int:
    """Return the first trial at which a search is as good as another one at its end; one more than all if none is."""
    reached = np.flatnonzero(np.array(warm) <= cold[-1])
    return int(reached[0]) + 1 if len(reached) else TRIALS + 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--scenarios", default="", help="which, separated by commas; default: all")
    arguments = parser.parse_args()
    everything, wanted = problems(), [name for name in arguments.scenarios.split(",") if name]
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    tasks = [
        (target, other, seed)
        for target, other in pairs()
        if not wanted or scenario(everything[target]) in wanted
        for seed in seeds
    ]
    found: dict[str, list[dict[str, list[float]]]] = defaultdict(list)
    with Pool(arguments.processes) as pool:
        for name, regrets in pool.imap(run, tasks):
            found[name].append(regrets)
            found["all"].append(regrets)
    columns = [f"{name}@{mark}" for name in SEARCHES for mark in MARKS]
    print(f"{'scenario':14}{'needed':>7}" + "".join(f"{column:>10}" for column in columns))
    for name in [*(name for name in found if name != "all"), "all"]:
        runs = found[name]
        needed = np.median([trials_needed(entry["warm"], entry["cold"]) for entry in runs])
        means = [1000 * np.mean([entry[kind][mark - 1] for entry in runs]) for kind in SEARCHES for mark in MARKS]
        print(f"{name:14}{needed:7.1f}" + "".join(f"{mean:10.1f}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
