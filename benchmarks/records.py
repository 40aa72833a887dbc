"""A search beside the recorded runs of other optimisers on hpo-bench, 24 real tuning problems.

    ./dev bench records --seeds 5 --first-seed 200

Needs what `tuners.py` needs; the records are in the folder `hpo-bench`, too (`peers/`). Each optimiser counts that has
runs of 100 trials on all problems. Prints, after 10, 30, 50 and 100 trials, one after another: the mean normalised
regret x 1000 of each, and the mean over problems of its rank (1: the best); then, over all and with `--by-scenario` for
each scenario, the regret of the search, the least one of the others (`--others`: of these), and its share of that.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from multiprocessing import Pool
from typing import Any

import numpy as np

from tuners import MARKS, SEARCHES, TRIALS, problems, run, shared

#: Regrets x 1000 at the marks, of the runs on each problem.
Regrets = dict[str, list[Sequence[float]]]


def recorded() -> dict[str, Regrets]:
    """Return the regrets of all optimisers that have runs on all problems, by name."""
    reference = json.loads((shared() / "reference.json").read_text())
    found: dict[str, Regrets] = {}
    for path in sorted((shared() / "peers").glob("*.seq.jsonl")):
        regrets: Regrets = defaultdict(list)
        for entry in map(json.loads, path.read_text().splitlines()):
            if len(entry["loss"]) < TRIALS:
                continue
            about = reference[entry["problem"]]
            best = np.minimum.accumulate(entry["loss"])[[mark - 1 for mark in MARKS]]
            regrets[entry["problem"]].append(1000 * (best - about["best"]) / (about["median"] - about["best"]))
        if len(regrets) == len(reference):
            found[path.name.partition(".")[0]] = regrets
    return found


def means(regrets: Regrets, scenario: str = "") -> Any:
    """Return the mean regrets (4,) over problems, of one scenario if any is named."""
    chosen = [runs for problem, runs in regrets.items() if problem.startswith(scenario)]
    return np.mean([np.mean(runs, axis=0) for runs in chosen], axis=0)


def ranks(everything: dict[str, Regrets]) -> dict[str, Any]:
    """Return the mean ranks (4,) by name; those who have the same regret share theirs."""
    names = list(everything)
    by_problem = np.array(
        [[np.mean(everything[name][problem.id], axis=0) for problem in problems()] for name in names]
    )  # (optimisers, problems, marks)
    better = (by_problem[:, None] > by_problem[None]).sum(axis=1)
    alike = (by_problem[:, None] == by_problem[None]).sum(axis=1)
    return dict(zip(names, (better + (alike + 1) / 2).mean(axis=1), strict=True))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--search", choices=SEARCHES, default="tunewell bayesian")
    parser.add_argument("--others", default="", help="which optimisers, separated by commas; default: all")
    parser.add_argument("--by-scenario", action="store_true", help="print a line for each scenario, too")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    tasks = [(arguments.search, "hpo-bench", place, seed, 1) for place in range(len(problems())) for seed in seeds]
    own: Regrets = defaultdict(list)
    with Pool(arguments.processes) as pool:
        for (_, _, place, _, _), (_, _, regrets, _) in zip(tasks, pool.imap(run, tasks), strict=True):
            own[problems()[place].id].append([1000 * regret for regret in regrets])
    wanted = arguments.others.split(",") if arguments.others else None
    others = {name: regrets for name, regrets in recorded().items() if wanted is None or name in wanted}
    everything = {arguments.search: own, **others}
    found = ranks(everything)
    print(f"{'':24}" + "".join(f"{f'@{mark}':>8}" for mark in MARKS) + "".join(f"{f'rank @{m}':>11}" for m in MARKS))
    for name in sorted(everything, key=lambda name: float(means(everything[name])[-1])):
        line = "".join(f"{one:8.0f}" for one in means(everything[name])) + "".join(
            f"{one:11.1f}" for one in found[name]
        )
        print(f"{name:24}{line}")
    scenarios = [""] + (sorted({f"{problem.scenario}/" for problem in problems()}) if arguments.by_scenario else [])
    print("Regret of the search, of the best other one, and its share of that")
    for scenario in scenarios:
        mine, theirs = means(own, scenario), np.min([means(one, scenario) for one in others.values()], axis=0)
        line = "".join(f"{m:8.0f} {t:5.0f} {m / t:6.2f}" for m, t in zip(mine, theirs, strict=True))
        print(f"{scenario.rstrip('/') or 'all':16}{line}")


if __name__ == "__main__":
    main()
