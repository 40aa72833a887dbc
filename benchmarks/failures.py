"""Search algorithms where part of the space fails: hpo-bench with regions that end in failures, the same every time.

    ./dev bench failures --seeds 3

Needs what `tuners.py` needs. Each of 14 problems gets one rule under which about 30, 45 or 60 % of its random
configurations fail:

- `memory` (`gpu_oom`): the sum of the size-like parameters' positions in their (log) ranges is above a quantile.
- `divergence` (`non_finite`): a learning rate is too large for its momentum (learning rate / (1 - momentum)) or batch
  size (learning rate / batch size).
- `combinations` (`invalid_parameters`): some pairs of values of two categories are refused, drawn once.

Prints, of 60 trials, the mean number of failures after the 20th, and the mean normalised regret x 1000 of the best
success after 20, 40 and 60 trials (0: the best success known, 1000: a median random success; none yet counts as 2000).
"""

from __future__ import annotations

import argparse
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuners import ask_optuna, problems, search_space

TRIALS = 60
MARKS = (20, 40, 60)
SHARES = (0.3, 0.45, 0.6)
#: Random configurations by which quantiles are set, and rounds of local search for the best success.
SAMPLES = 2000
ROUNDS = 60
WITHOUT_SUCCESS = 2.0
#: Loss that stands for a failure in the searches that know losses only, in medians above the median.
PENALTY = 2.0

#: (rule, problem, parameters that it looks at).
CASES = (
    ("memory", "lcbench/189873/val_accuracy", ("batch_size", "max_units", "num_layers")),
    ("memory", "lcbench/167190/val_balanced_accuracy", ("batch_size", "max_units", "num_layers")),
    ("memory", "hpobench/vehicle/val_acc", ("batch_size", "depth", "width")),
    ("memory", "hpolib/protein_structure/val_loss", ("batch_size", "n_units_1", "n_units_2")),
    ("memory", "rbv2_ranger/16/acc", ("num.trees", "sample.fraction")),
    ("memory", "rbv2_xgboost/16/acc", ("nrounds", "max_depth")),
    ("divergence", "lcbench/126026/val_accuracy", ("learning_rate", "momentum")),
    ("divergence", "lcbench/168330/val_cross_entropy", ("learning_rate", "momentum")),
    ("divergence", "hpobench/segment/val_acc", ("learning_rate_init", "batch_size")),
    ("divergence", "hpolib/naval_propulsion/val_loss", ("init_lr", "batch_size")),
    ("combinations", "nasbench201/cifar10/val_acc", ("Op0", "Op1", "Op2", "Op3", "Op4", "Op5")),
    ("combinations", "nasbench201/cifar100/val_acc", ("Op0", "Op1", "Op2", "Op3", "Op4", "Op5")),
    ("combinations", "iaml_ranger/1489/logloss", ("splitrule", "respect.unordered.factors", "replace")),
    ("combinations", "rbv2_super/1053/mmce", ("learner", "num.impute.selected.cpo")),
)
CAUSES = {"memory": "gpu_oom", "divergence": "non_finite", "combinations": "invalid_parameters"}

Configuration = dict[str, Any]
#: A configuration and the function that takes its loss, None for a failure.
Step = tuple[Configuration, Callable[[float | None], None]]


@dataclass(frozen=True)
class FailingProblem:
    """A problem part of whose configurations fail."""

    problem: Any
    cause: str
    fails: Callable[[Configuration], bool]
    #: Share of random configurations that fail.
    share: float
    #: Loss of the best success known, and of a median random one.
    best: float
    median: float

    def __call__(self, configuration: Configuration) -> float | None:
        """Return the loss, None for a failure."""
        return None if self.fails(configuration) else float(self.problem(configuration))


def failing_problem(rule: str, problem: Any, names: tuple[str, ...], share: float) -> FailingProblem:
    """Return the problem with a rule under which about this share of random configurations fails."""
    generator = np.random.default_rng(0)
    sample = [problem.sample(generator) for _ in range(SAMPLES)]
    space = search_space(problem)
    if rule == "combinations":
        fails = refused_pairs(space, names, sample, share)
    else:
        score = memory(space, names) if rule == "memory" else step_size(names)
        limit = float(np.quantile([score(configuration) for configuration in sample], 1 - share))

        def fails(configuration: Configuration) -> bool:
            return score(configuration) > limit

    good = [configuration for configuration in sample if not fails(configuration)]
    losses = [float(problem(configuration)) for configuration in good]
    best = best_success(problem, space, fails, good, losses)
    return FailingProblem(problem, CAUSES[rule], fails, 1 - len(good) / SAMPLES, best, float(np.median(losses)))


def memory(space: Any, names: tuple[str, ...]) -> Callable[[Configuration], float]:
    """Return a monotone function of the parameters' positions in their ranges; what is inactive takes no memory."""
    return lambda configuration: sum(
        space[name].to_unit(configuration[name]) for name in names if name in configuration
    )


def step_size(names: tuple[str, ...]) -> Callable[[Configuration], float]:
    """Return the logarithm of learning rate / (1 - momentum), or of learning rate / batch size."""
    rate, other = names

    def score(configuration: Configuration) -> float:
        divisor = 1 - configuration[other] if other == "momentum" else configuration[other]
        return math.log(configuration[rate] / divisor)

    return score


def refused_pairs(
    space: Any, names: tuple[str, ...], sample: list[Configuration], share: float
) -> Callable[[Configuration], bool]:
    """Refuse pairs of values of two parameters, in random order, until about this share of the sample fails."""
    pairs = [
        (first, a, second, b)
        for first, second in itertools.combinations(names, 2)
        for a in space[first].values(100)
        for b in space[second].values(100)
    ]
    refused: list[tuple[str, Any, str, Any]] = []

    def fails(configuration: Configuration) -> bool:
        return any(configuration.get(f) == a and configuration.get(s) == b for f, a, s, b in refused)

    for place in np.random.default_rng(1).permutation(len(pairs)).tolist():
        if np.mean([fails(configuration) for configuration in sample]) >= share:
            break
        refused.append(pairs[place])
    return fails


def best_success(
    problem: Any, space: Any, fails: Callable[[Configuration], bool], good: list[Configuration], losses: list[float]
) -> float:
    """Return the lowest loss that local search around the best of a sample finds among successes."""
    from tunewell.tuners.acquisition import neighbours
    from tunewell.tuners.encoding import Encoding

    encoding, generator = Encoding(space), np.random.default_rng(2)
    order = np.argsort(losses)[:8]
    points = np.array([encoding.encode(good[place]) for place in order])
    lowest = np.array(losses)[order]
    for _ in range(ROUNDS):
        moved = neighbours(encoding, np.repeat(points, 6, axis=0), generator)
        configurations = [encoding.decode(point) for point in moved]
        found = [math.inf if fails(c) else float(problem(c)) for c in configurations]
        points, lowest = np.vstack([points, moved]), np.append(lowest, found)
        kept = np.argsort(lowest, kind="stable")[:8]
        points, lowest = points[kept], lowest[kept]
    return float(lowest[0])


def tunewell(case: FailingProblem, seed: int, algorithm: str) -> Iterator[Step]:
    """Yield the steps of a Tunewell tuner that is told causes of failures."""
    from tunewell.tuners import create

    space = search_space(case.problem)
    tuner = create(algorithm, space, goal="minimize", seed=seed, max_trials=TRIALS)
    while True:
        suggestion: Any = tuner.ask()
        yield (
            suggestion.parameters,
            lambda loss, s=suggestion: tuner.tell(s.failure(case.cause) if loss is None else s.outcome(loss)),
        )


def optuna_tpe(case: FailingProblem, seed: int, penalty: bool) -> Iterator[Step]:
    """Yield the steps of Optuna's TPE; failures are told as such, or as a constant loss beyond a median success."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    worst = case.median + PENALTY * (case.median - case.best)
    while True:
        trial, configuration = ask_optuna(study, case.problem)

        def tell(loss: float | None, trial: Any = trial) -> None:
            if loss is None and not penalty:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, worst if loss is None else loss)

        yield configuration, tell


SEARCHES: dict[str, Callable[[FailingProblem, int], Iterator[Step]]] = {
    "tunewell bayesian": lambda case, seed: tunewell(case, seed, "bayesian"),
    "tunewell tpe": lambda case, seed: tunewell(case, seed, "tpe"),
    "tunewell cmaes": lambda case, seed: tunewell(case, seed, "cmaes"),
    "tunewell pshe2": lambda case, seed: tunewell(case, seed, "pshe2"),
    "tunewell evolutionary": lambda case, seed: tunewell(case, seed, "evolutionary"),
    "tunewell random": lambda case, seed: tunewell(case, seed, "random"),
    "optuna tpe, FAIL": lambda case, seed: optuna_tpe(case, seed, penalty=False),
    "optuna tpe, penalty": lambda case, seed: optuna_tpe(case, seed, penalty=True),
}


def run(case: FailingProblem, name: str, seed: int) -> tuple[int, list[float]]:
    """Run one search; return the failures after the 20th trial, and the regrets at the marks."""
    search, lowest, failures, regrets = SEARCHES[name](case, seed), math.inf, 0, []
    for number in range(1, TRIALS + 1):
        configuration, tell = next(search)
        loss = case(configuration)
        tell(loss)
        failures += loss is None and number > MARKS[0]
        lowest = lowest if loss is None else min(lowest, loss)
        if number in MARKS:
            regret = (lowest - case.best) / (case.median - case.best)
            regrets.append(min(regret, WITHOUT_SUCCESS))
    return failures, regrets


def main() -> None:
    """Print the table, and the failures by rule."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--searches", default=";".join(SEARCHES), help="which, separated by semicolons")
    arguments = parser.parse_args()
    names = arguments.searches.split(";")
    by_id = {problem.id: problem for problem in problems()}
    found: dict[str, list[tuple[str, int, list[float]]]] = {name: [] for name in names}
    for place, (rule, identity, parameters) in enumerate(CASES):
        case = failing_problem(rule, by_id[identity], parameters, SHARES[place % len(SHARES)])
        print(f"# {rule} on {identity}: {case.share:.0%} of random configurations fail", flush=True)
        for name, seed in itertools.product(names, range(arguments.seeds)):
            found[name].append((rule, *run(case, name, arguments.first_seed + seed)))
    heads = "".join(f"{rule:>14}" for rule in CAUSES)
    print(f"{'search':24}{'failures':>10}{heads}" + "".join(f"{f'@{mark}':>8}" for mark in MARKS))
    for name, runs in found.items():
        print(f"{name:24}{np.mean([failures for _, failures, _ in runs]):10.1f}", end="")
        for rule in CAUSES:
            print(f"{np.mean([failures for kind, failures, _ in runs if kind == rule]):14.1f}", end="")
        print("".join(f"{1000 * regret:8.1f}" for regret in np.mean([regrets for *_, regrets in runs], axis=0)))


if __name__ == "__main__":
    main()
