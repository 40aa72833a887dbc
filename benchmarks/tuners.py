"""Search algorithms on tuning problems, beside Optuna's TPE: same problems, seeds and run.

    ./dev bench tuners --seeds 5
    ./dev bench tuners --problems generated --by-scenario

Problems are those of hpo-bench, 24 real ones, for which the data folder `hpo-bench` (in TUNEWELL_SHARED, or
`../shared`) and onnxruntime are needed, or those of `generated_problems.py`. Prints the mean normalised regret x 1000
after 10, 30, 50 and 100 trials, and the CPU time of a proposal with its outcome. `--workers 8`: so many trials run at
once, of different lengths (simulated, the same for all searches), so that outcomes arrive late and in another order.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

MARKS = (10, 30, 50, 100)
TRIALS = 100


def shared() -> Path:
    """Return the folder with the problems; end with a message if it is not there."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")) / "hpo-bench"
    if not folder.is_dir():
        sys.exit(f"{folder}: the problems are not there; set TUNEWELL_SHARED to the folder that holds hpo-bench")
    return folder


@cache
def problems(kind: str = "hpo-bench") -> list[Any]:
    """Return all problems of a kind."""
    if kind == "generated":
        import generated_problems

        return list(generated_problems.problems())
    sys.path.insert(0, str(shared()))
    from hpo_bench import load_problems

    return list(load_problems())


def extent(problem: Any, kind: str) -> tuple[float, float]:
    """Return the lowest loss of a problem, and the median of configurations drawn at random."""
    if kind == "generated":
        return problem.best, problem.median
    reference = json.loads((shared() / "reference.json").read_text())[problem.id]
    return reference["best"], reference["median"]


def tunewell(
    problem: Any, seed: int, algorithm: str, **options: Any
) -> Iterator[tuple[dict[str, Any], Callable[[float], None]]]:
    """Yield configurations of a Tunewell tuner, each with the function that takes its loss."""
    from tunewell.tuners import create

    space = search_space(problem)
    tuner = create(algorithm, space, goal="minimize", seed=seed, max_trials=TRIALS, **options)
    while True:
        suggestion: Any = tuner.ask()
        yield suggestion.parameters, lambda loss, s=suggestion: tuner.tell(s.outcome(loss))


def search_space(problem: Any) -> Any:
    """Return the search space of a problem."""
    from tunewell.spec.space import Choice, Condition, Numeric, SearchSpace

    parameters: list[Any] = []
    for entry in problem.space:
        when = tuple(Condition(parent, tuple(values)) for parent, values in entry.get("when", ()))
        if entry["type"] in ("cat", "ord"):
            values = tuple(entry.get("choices") or entry["values"])
            parameters.append(Choice(entry["name"], values, entry["type"] == "ord", when))
        else:
            integer, log = entry["type"] == "int", bool(entry.get("log"))
            parameters.append(Numeric(entry["name"], entry["low"], entry["high"], integer, log, None, when))
    return SearchSpace(tuple(parameters))


def differential_evolution(
    problem: Any, seed: int, population: int = 10
) -> Iterator[tuple[dict[str, Any], Callable[[float], None]]]:
    """Yield configurations of DE/rand/1/bin in the unit cube (Storn, Price 1997; F = 0.5, CR = 0.9), as above."""
    space, generator = search_space(problem), np.random.default_rng(seed)
    points, losses = generator.random((population, len(space))), np.full(population, np.inf)
    for turn in range(sys.maxsize):
        target, trial = turn % population, points[turn % population]
        if turn >= population:
            a, b, c = points[generator.choice(population, 3, replace=False)]
            crossed = generator.random(len(space)) < 0.9
            crossed[generator.integers(len(space))] = True
            trial = np.where(crossed, np.clip(a + 0.5 * (b - c), 0, 1), trial)

        def tell(loss: float, target: int = target, trial: Any = trial) -> None:
            if loss <= losses[target]:
                points[target], losses[target] = trial, loss

        yield space.from_unit(dict(zip(space.names, trial.tolist(), strict=True))), tell


def optuna_tpe(problem: Any, seed: int, grouped: bool) -> Iterator[tuple[dict[str, Any], Callable[[float], None]]]:
    """Yield configurations of Optuna's TPE sampler, each with the function that takes its loss."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=grouped, group=grouped)
    study = optuna.create_study(sampler=sampler)
    while True:
        trial, configuration = ask_optuna(study, problem)
        yield configuration, lambda loss, t=trial: study.tell(t, loss)


def ask_optuna(study: Any, problem: Any) -> tuple[Any, dict[str, Any]]:
    """Return the next trial of an Optuna study with its configuration of a problem."""
    trial = study.ask()
    configuration: dict[str, Any] = {}
    for entry in problem.space:
        if all(configuration.get(parent) in values for parent, values in entry.get("when", ())):
            configuration[entry["name"]] = _suggest(trial, entry)
    return trial, configuration


def _suggest(trial: Any, entry: dict[str, Any]) -> Any:
    name, kind = entry["name"], entry["type"]
    if kind == "cat":
        return trial.suggest_categorical(name, list(entry["choices"]))
    if kind == "ord":
        return entry["values"][trial.suggest_int(name, 0, len(entry["values"]) - 1)]
    suggest = trial.suggest_int if kind == "int" else trial.suggest_float
    return suggest(name, entry["low"], entry["high"], log=bool(entry.get("log")))


SEARCHES: dict[str, Callable[[Any, int], Iterator[Any]]] = {
    "tunewell bayesian": lambda problem, seed: tunewell(problem, seed, "bayesian"),
    "tunewell tpe": lambda problem, seed: tunewell(problem, seed, "tpe"),
    "tunewell pshe2": lambda problem, seed: tunewell(problem, seed, "pshe2"),
    "tunewell pshe2 faithful": lambda problem, seed: tunewell(problem, seed, "pshe2", faithful=True),
    "tunewell cmaes": lambda problem, seed: tunewell(problem, seed, "cmaes"),
    "tunewell random": lambda problem, seed: tunewell(problem, seed, "random"),
    "tunewell random sobol": lambda problem, seed: tunewell(problem, seed, "random", sequence="sobol"),
    "differential evolution": differential_evolution,
    "optuna tpe": lambda problem, seed: optuna_tpe(problem, seed, grouped=False),
    "optuna tpe grouped": lambda problem, seed: optuna_tpe(problem, seed, grouped=True),
}


def run(task: tuple[str, str, int, int, int]) -> tuple[str, str, list[float], float]:
    """Run one search on one problem; return its name, the scenario, regrets at the marks, CPU milliseconds a trial."""
    import warnings

    warnings.simplefilter("ignore")
    name, kind, index, seed, workers = task
    problem = problems(kind)[index]
    lowest, median = extent(problem, kind)
    search, best, regrets, spent = SEARCHES[name](problem, seed), float("inf"), [], 0.0
    lengths = np.random.default_rng([index, seed]).lognormal(0.0, 0.5, TRIALS)
    running: list[tuple[float, int, float, Callable[[float], None]]] = []
    now = 0.0
    for ended in range(1, TRIALS + 1):
        while len(running) < workers and ended - 1 + len(running) < TRIALS:
            number = ended - 1 + len(running)
            started = time.process_time()
            configuration, tell = next(search)
            spent += time.process_time() - started
            heapq.heappush(running, (now + lengths[number], number, float(problem(configuration)), tell))
        now, _, loss, tell = heapq.heappop(running)
        best = min(best, loss)
        started = time.process_time()
        tell(loss)
        spent += time.process_time() - started
        if ended in MARKS:
            regrets.append((best - lowest) / (median - lowest))
    return name, problem.scenario, regrets, 1000 * spent / TRIALS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="trials at once")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--problems", choices=("hpo-bench", "generated"), default="hpo-bench", help="which kind")
    parser.add_argument("--by-scenario", action="store_true", help="print a line for each scenario, too")
    parser.add_argument("--searches", default=",".join(SEARCHES), help="which, separated by commas")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    names = arguments.searches.split(",")
    runs_at = [(index, seed) for index in range(len(problems(arguments.problems))) for seed in seeds]
    tasks = [(name, arguments.problems, index, seed, arguments.workers) for name in names for index, seed in runs_at]
    found: dict[tuple[str, str], list[tuple[list[float], float]]] = defaultdict(list)
    with Pool(arguments.processes) as pool:
        for name, scenario, regrets, milliseconds in pool.imap_unordered(run, tasks):
            for group in ("", scenario) if arguments.by_scenario else ("",):
                found[group, name].append((regrets, milliseconds))
    print(f"{'':16}{'search':24}" + "".join(f"{f'@{mark}':>8}" for mark in MARKS) + f"{'ms/trial':>10}")
    for (group, name), runs in sorted(found.items(), key=lambda one: (one[0][0], names.index(one[0][1]))):
        regrets = 1000 * np.mean([run[0] for run in runs], axis=0)
        milliseconds = np.mean([run[1] for run in runs])
        print(f"{group or 'all':16}{name:24}" + "".join(f"{one:8.1f}" for one in regrets) + f"{milliseconds:10.2f}")


if __name__ == "__main__":
    main()
