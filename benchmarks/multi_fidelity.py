"""Searches that train most configurations only a little, at an equal total cost of training, beside recorded peers.

    ./dev bench multi_fidelity --seeds 5

Needs the data folder `hpo-bench` (see `tuners.py`). On its seven problems whose peers are on record, each search
goes on until it has cost as much as 20 full trainings. Where the fidelity is the epoch, a training that goes on costs
the epochs that are added; where it is the share of the data, each one costs its share. What counts is the loss, in
full, of the best configuration among those trained furthest. Prints its mean normalised regret x 1000 after 5, 10
and 20 trainings' cost.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from multiprocessing import Pool
from typing import Any

import numpy as np

from tuners import problems, search_space, shared

UNITS = (5, 10, 20)
PROBLEMS = (
    "lcbench/189873/val_accuracy",
    "lcbench/126026/val_accuracy",
    "lcbench/168330/val_cross_entropy",
    "lcbench/167190/val_balanced_accuracy",
    "rbv2_xgboost/16/acc",
    "rbv2_ranger/375/logloss",
    "rbv2_super/1053/mmce",
)


def run(task: tuple[str, str, str, int]) -> tuple[str, str, list[float]]:
    """Return search, problem, and the full loss of the best configuration after each of `UNITS` trainings' cost."""
    from tunewell.tuners import create

    warnings.simplefilter("ignore")
    algorithm, rule, name, seed = task
    problem = next(problem for problem in problems() if problem.id == name)
    high, by_epochs = problem.fidelity["high"], problem.fidelity["integer"]
    if rule == "promotion" and not by_epochs:
        rule = "data-promotion"
    epochs = int(high) if by_epochs else None
    tuner = create(
        algorithm, search_space(problem), goal="minimize", seed=seed, early_stopping=rule, resumable=True, epochs=epochs
    )
    spent, furthest, best, full, losses = 0.0, 0.0, math.inf, math.inf, []
    while len(losses) < len(UNITS):
        suggestion: Any = tuner.ask()
        share = suggestion.fidelity
        fidelity = max(1, round(share * high)) if by_epochs else max(problem.fidelity["low"], share * high)
        loss = float(problem(suggestion.parameters, fidelity=fidelity))
        before = tuner.suggestions[suggestion.resume_from].fidelity if suggestion.resume_from else 0.0
        spent += share - before
        while len(losses) < len(UNITS) and spent > UNITS[len(losses)] + 1e-9:
            losses.append(full)
        if share > furthest or (share == furthest and loss < best):
            furthest, best, full = share, loss, float(problem(suggestion.parameters))
        tuner.tell(suggestion.outcome(loss))
    return f"tunewell {algorithm}, {task[1]}", name, losses


def recorded() -> dict[str, dict[str, list[list[float]]]]:
    """Return peer → problem → full losses after each of `UNITS`, a list a seed."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for path in sorted((shared() / "peers").glob("*.mf.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            losses = [
                ([loss for cost, loss in row["trace"] if cost <= unit + 1e-9] or [math.inf])[-1] for unit in UNITS
            ]
            found.setdefault(row["opt"], {}).setdefault(row["problem"], []).append(losses)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--searches", default="random off,random promotion,bayesian off,bayesian promotion")
    arguments = parser.parse_args()
    reference = json.loads((shared() / "reference.json").read_text())
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    searches = [search.split() for search in arguments.searches.split(",")]
    tasks = [(algorithm, rule, name, seed) for algorithm, rule in searches for name in PROBLEMS for seed in seeds]
    found = recorded()
    with Pool(arguments.processes) as pool:
        for search, name, losses in pool.imap(run, tasks):
            found.setdefault(search, {}).setdefault(name, []).append(losses)
    print(f"{'search':32}" + "".join(f"{f'@{unit}':>8}" for unit in UNITS) + "   seeds")
    for search, by_problem in found.items():
        regrets = []
        for name in PROBLEMS:
            scale = reference[name]
            values = (np.array(by_problem[name]) - scale["best"]) / (scale["median"] - scale["best"])
            regrets.append(np.clip(values, 0, 2).mean(axis=0))
        count = len(by_problem[PROBLEMS[0]])
        print(f"{search:32}" + "".join(f"{1000 * mean:8.0f}" for mean in np.mean(regrets, axis=0)) + f"{count:8}")


if __name__ == "__main__":
    main()
