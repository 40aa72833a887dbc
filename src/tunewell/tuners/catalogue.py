"""The search algorithms by name: which there are, which one to take, and how to make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, nearest
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tuners.bayesian import BayesianTuner
from tunewell.tuners.contract import Goal, Search, Tuner
from tunewell.tuners.grid import DEFAULT_POINTS, GridTuner, grid_size
from tunewell.tuners.random import RandomTuner
from tunewell.tuners.tpe import TpeTuner

#: Name → class. `auto` is not one of them: `choose` resolves it.
ALGORITHMS: Mapping[str, type[Tuner]] = {
    "bayesian": BayesianTuner,
    "grid": GridTuner,
    "random": RandomTuner,
    "tpe": TpeTuner,
}
AUTO = "auto"
DEFAULT_MAX_TRIALS = 20


@dataclass(frozen=True, slots=True)
class Option:
    """A whole-numbered option of an algorithm, with the least and the largest value."""

    low: int
    high: int


OPTIONS: Mapping[type[Tuner], Mapping[str, Option]] = {
    BayesianTuner: {"initial_trials": Option(1, 20)},
    RandomTuner: {},
    GridTuner: {"points": Option(1, 1000)},
    TpeTuner: {"initial_trials": Option(1, 20), "candidates": Option(1, 10_000)},
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The algorithm of an experiment."""

    name: str
    #: Why it was chosen; empty if the user named it.
    reason: str
    #: Version of the algorithm's behaviour.
    version: int
    #: Number of trials, where the user gave none.
    max_trials: int


def choose(name: str, space: SearchSpace, max_trials: int | None = None, **options: Any) -> Choice:
    """Resolve an algorithm's name, `auto` above all, and the number of trials.

    Raises:
        SpecError: there is no such algorithm, or an option is wrong.
    """
    reason = ""
    if name == AUTO:
        if options:
            raise SpecError(
                f"algorithm.{next(iter(options))}", "auto takes no options", "Name the algorithm that you want"
            )
        size = space.size()
        if size is not None and size <= (max_trials or DEFAULT_MAX_TRIALS):
            name, reason = "grid", f"chosen because all {size} configurations can be tried"
        else:
            name, reason = "bayesian", "chosen because the space is larger than the number of trials"
    if name not in ALGORITHMS:
        raise SpecError("algorithm", f"there is no algorithm {name!r}", nearest(name, [*ALGORITHMS, AUTO]))
    check_options(name, options)
    if max_trials is None:
        max_trials = _grid_trials(space, **options) if name == "grid" else DEFAULT_MAX_TRIALS
    return Choice(name, reason, ALGORITHMS[name].version, max_trials)


def create(
    algorithm: str,
    space: SearchSpace | Mapping[str, Any],
    *,
    goal: Goal,
    seed: int = 0,
    max_trials: int | None = None,
    max_concurrency: int | None = None,
    initial: Sequence[tuple[str, Configuration]] = (),
    **options: Any,
) -> Tuner:
    """Return a tuner with an empty history.

    Args:
        algorithm: a name in `ALGORITHMS`, or `auto`.
        space: a search space, or declarations of its parameters.
        goal: "maximize" or "minimize".
        seed: the only source of randomness.
        max_trials: hint, how many trials there will be.
        max_concurrency: hint, how many trials run at once.
        initial: (origin, configuration) pairs to be suggested first.
        options: the algorithm's own options.

    Raises:
        SpecError: one of these is wrong.
    """
    if goal not in ("maximize", "minimize"):
        raise SpecError("goal", f"{goal!r} is none", "Say maximize or minimize")
    if not isinstance(space, SearchSpace):
        space = parse_space(space)
    name = choose(algorithm, space, max_trials, **options).name
    return ALGORITHMS[name](Search(space, goal, seed, initial, max_trials, max_concurrency), **options)


def initial_configurations(
    space: SearchSpace, user: Sequence[Mapping[str, Any]] = ()
) -> list[tuple[str, Configuration]]:
    """Return what is suggested first: the default configuration, if all active parameters have a default, then the
    user's own; none twice.

    Raises:
        SpecError: a configuration of the user's is not one of the space.
    """
    default = space.default()
    chosen = [("default", default)] if default is not None else []
    for place, configuration in enumerate(user):
        checked = space.check(configuration, f"initial.{place}")
        if all(checked != known for _, known in chosen):
            chosen.append(("initial", checked))
    return chosen


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise `SpecError` unless the options are ones of the algorithm, with values in range."""
    known = OPTIONS[ALGORITHMS[name]]
    for option, value in options.items():
        if option not in known:
            remedy = nearest(option, known) if known else f"'{name}' takes no options"
            raise SpecError(f"algorithm.{option}", f"'{name}' has no such option", remedy)
        low, high = known[option].low, known[option].high
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise SpecError(f"algorithm.{option}", f"{value!r} is no whole number from {low} to {high}")


def _grid_trials(space: SearchSpace, points: int = DEFAULT_POINTS) -> int:
    """Return the number of trials of a whole grid search, the default configuration before it included."""
    default = space.default()
    if default is None:
        return grid_size(space, points)
    on_grid = all(default[p.name] in p.values(max(points, p.size or 0)) for p in space if p.name in default)
    return grid_size(space, points) + (not on_grid)
