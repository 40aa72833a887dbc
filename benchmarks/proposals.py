"""What a proposal costs after many trials: CPU time of ask and tell, beside Optuna's TPE in the same run.

    ./dev bench proposals --trials 1000

Ten parameters: four plain, two logarithmic, two integer, two categorical. Random configurations are told first. Prints
the median and the 95th percentile of CPU milliseconds of a proposal with its outcome.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

DECLARATIONS: dict[str, Any] = {
    **{f"x{place}": {"low": 0.0, "high": 1.0} for place in range(4)},
    **{f"l{place}": {"low": 1e-5, "high": 1.0, "log": True} for place in range(2)},
    **{f"n{place}": {"low": 1, "high": 64} for place in range(2)},
    **{f"c{place}": ["a", "b", "c", "d"] for place in range(2)},
}
ALGORITHMS = ("bayesian", "tpe", "pshe2", "cmaes", "evolutionary", "random", "optuna tpe", "optuna tpe grouped")


def loss(configuration: dict[str, Any]) -> float:
    """Return a loss that depends on all parameters."""
    plain = sum((configuration[f"x{place}"] - 0.3) ** 2 for place in range(4))
    logarithmic = sum((math.log10(configuration[f"l{place}"]) + 3) ** 2 / 9 for place in range(2))
    whole = sum(((configuration[f"n{place}"] - 20) / 64) ** 2 for place in range(2))
    return float(plain + logarithmic + whole + 0.1 * (configuration["c0"] != "b") + 0.1 * (configuration["c1"] == "d"))


def tunewell(algorithm: str, trials: int) -> Callable[[], None]:
    """Return a function that proposes and tells once, after random trials have been told."""
    from tunewell.spec.declaration import parse_space
    from tunewell.tuners import create
    from tunewell.tuners.contract import Suggestion

    space = parse_space(DECLARATIONS)
    tuner = create(algorithm, space, goal="minimize", seed=0, max_trials=trials + 100)
    generator = np.random.default_rng(0)
    for number in range(1, trials + 1):
        suggestion = Suggestion(number, space.sample(generator), "random")
        tuner.replay([suggestion, suggestion.outcome(loss(suggestion.parameters))])

    def step() -> None:
        suggestion: Any = tuner.ask()
        tuner.tell(suggestion.outcome(loss(suggestion.parameters)))

    return step


def optuna_tpe(grouped: bool, trials: int) -> Callable[[], None]:
    """Return the same for Optuna's TPE sampler, its study in memory."""
    import optuna

    from tunewell.spec.declaration import parse_space

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=grouped, group=grouped)
    study = optuna.create_study(sampler=sampler)
    space, generator = parse_space(DECLARATIONS), np.random.default_rng(0)
    distributions = {name: _distribution(declaration) for name, declaration in DECLARATIONS.items()}
    for _ in range(trials):
        configuration = space.sample(generator)
        told = optuna.trial.create_trial(params=configuration, distributions=distributions, value=loss(configuration))
        study.add_trial(told)

    def step() -> None:
        trial = study.ask(distributions)
        study.tell(trial, loss(trial.params))

    return step


def _distribution(declaration: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(declaration, list):
        return CategoricalDistribution(declaration)
    kind = IntDistribution if isinstance(declaration["high"], int) else FloatDistribution
    return kind(declaration["low"], declaration["high"], log=declaration.get("log", False))


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS), help="which, separated by commas")
    arguments = parser.parse_args()
    print(f"{'search':24}{'median ms':>12}{'95 %':>12}")
    for name in arguments.algorithms.split(","):
        peer = name.startswith("optuna")
        step = optuna_tpe("grouped" in name, arguments.trials) if peer else tunewell(name, arguments.trials)
        step()  # pays for imports, and for the fits of a model that is new
        costs = []
        for _ in range(arguments.repetitions):
            started = time.process_time()
            step()
            costs.append(1000 * (time.process_time() - started))
        print(f"{name:24}{np.median(costs):12.1f}{np.quantile(costs, 0.95):12.1f}", flush=True)


if __name__ == "__main__":
    main()
