"""The search algorithms by name: which there are, which one to take, and how to make one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.experiment import PROMOTIONS, EarlyStoppingRule
from tunewell.spec.problems import Problems
from tunewell.spec.space import Configuration, SearchSpace, key
from tunewell.tuners.bayesian import BayesianTuner
from tunewell.tuners.cma_es import CmaEsTuner
from tunewell.tuners.contract import Goal, Search, Tuner
from tunewell.tuners.evolution import EvolutionTuner
from tunewell.tuners.grid import DEFAULT_POINTS, GridTuner, grid_size
from tunewell.tuners.options import OneOf, Option, Real, WholeNumber
from tunewell.tuners.population_based import EXPLORE, PopulationBasedTuner
from tunewell.tuners.promotion import rungs
from tunewell.tuners.pshe2 import Pshe2Tuner
from tunewell.tuners.random import SEQUENCES, RandomTuner
from tunewell.tuners.sources import Source
from tunewell.tuners.tpe import TpeTuner
from tunewell.tuners.usual_places import UsualPlaces

#: Name → class. `auto` is not one of them: `choose` resolves it.
ALGORITHMS: Mapping[str, type[Tuner]] = {
    "bayesian": BayesianTuner,
    "cmaes": CmaEsTuner,
    "evolutionary": EvolutionTuner,
    "grid": GridTuner,
    "pshe2": Pshe2Tuner,
    "random": RandomTuner,
    "tpe": TpeTuner,
}
#: Name → class that takes over where trials can go on from one another's checkpoints.
RESUMING: Mapping[str, type[Tuner]] = {"evolutionary": PopulationBasedTuner}
#: What `evolutionary` does elsewhere.
FULL_TRAININGS = "over full trainings, because the trials can't go on from one another's checkpoints"
AUTO = "auto"
DEFAULT_MAX_TRIALS = 20
#: Where trials are parts of trainings that are promoted; most of these parts are short.
DEFAULT_MAX_PARTS = 60
#: Algorithms whose configurations can be promoted.
PROMOTING = ("bayesian", "grid", "random")
#: Algorithms whose first trials lean to where parameters with well-known names usually do well.
LEANING = ("bayesian", "evolutionary", "pshe2", "tpe")
#: Members and rounds of a population, where there is room for them, and the least of both.
DEFAULT_POPULATION, DEFAULT_ROUNDS, LEAST_POPULATION, LEAST = 8, 10, 4, 2


#: Name of an algorithm → what it does, and when to take it.
DESCRIPTIONS: Mapping[str, str] = {
    AUTO: "Takes the one that suits the space and the number of trials, and says why.",
    "bayesian": "Learns from every trial which ones promise most: the best choice where a trial takes minutes or more.",
    "tpe": "Tells good from bad trials by their densities: quick to propose, for long searches over many choices.",
    "random": "Draws each trial at random: a baseline, and all trials can run at once.",
    "evolutionary": "Trains a population in rounds, the worst taking over weights and values of the best: take the "
    "model that comes out of it, since its final values may do worse in a new training.",
    "pshe2": "Moves particles with momentum towards the best points found: for smooth spaces of a few numbers.",
    "cmaes": "Moves and stretches a distribution towards the better half of each generation: for many numbers.",
    "grid": "Tries every point of a grid: for a few parameters with a few values each.",
}
#: Name of an algorithm → its options.
OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "bayesian": {"initial_trials": WholeNumber(1, 20, 8, "Trials spread over the space before it learns")},
    "cmaes": {"population_size": WholeNumber(4, 1000, None, "Trials of a generation")},
    "evolutionary": {
        "population_size": WholeNumber(2, 1000, None, "Members of the population"),
        "rounds": WholeNumber(2, 1000, None, "Rounds, each a trial of every member"),
        "disturbance_interval": WholeNumber(1, 20, None, "Epochs of a round; all rounds together are a full training"),
        "disturbance_ratio": Real(0.01, 0.5, 0.25, "Share of the worst that take over from the best"),
        "random_probability": Real(0.0, 1.0, None, "Probability that a value is drawn again, not just disturbed"),
        "explore": OneOf(EXPLORE, EXPLORE[0], "How values of the best are changed"),
        "asynchronous": OneOf((True, False), False, "Whether members go on without waiting for the others"),
    },
    "grid": {"points": WholeNumber(1, 1000, DEFAULT_POINTS, "Points of each continuous parameter")},
    "pshe2": {
        "population_size": WholeNumber(2, 1000, None, "Particles"),
        "proposals": WholeNumber(1, 10_000, 100, "Moves that a model compares before one is tried"),
        "faithful": OneOf((True, False), False, "Whether it keeps to the published method, without the model"),
    },
    "random": {"sequence": OneOf(SEQUENCES, SEQUENCES[0], "How points are drawn: independent, or spread evenly")},
    "tpe": {
        "initial_trials": WholeNumber(1, 20, 8, "Trials spread over the space before it learns"),
        "candidates": WholeNumber(1, 10_000, 64, "Configurations that are compared for each trial"),
    },
}


@dataclass(frozen=True, slots=True)
class AlgorithmChoice:
    """The algorithm of an experiment."""

    name: str
    #: Why it was chosen, or what it is here; mostly empty if the user named it.
    reason: str
    #: Version of the algorithm's behaviour.
    version: int
    #: Number of trials: the user's, or else the algorithm's default.
    max_trials: int
    #: Number of trials that it has where the user gives none.
    default_trials: int
    #: The algorithm's options: the user's, and those that follow from the number of trials.
    options: Mapping[str, Any]


def choose(
    name: str,
    space: SearchSpace,
    max_trials: int | None = None,
    resumable: bool = False,
    epochs: int | None = None,
    early_stopping: EarlyStoppingRule = "off",
    max_concurrency: int | None = None,
    **options: Any,
) -> AlgorithmChoice:
    """Resolve an algorithm's name, `auto` above all, the number of trials and the options that follow from it.

    Args:
        name: a name in `ALGORITHMS`, or `auto`.
        space: the search space.
        max_trials: number of trials, if the user gave one.
        resumable: whether trials can go on from the checkpoints of others.
        epochs: length of a full training, if it is known and the same for all trials.
        early_stopping: which rule saves training on trials that promise little.
        max_concurrency: how many trials run at once, if the user said so.
        options: the algorithm's own options.

    Raises:
        SpecError: there is no such algorithm, an option is wrong, or `early_stopping` does not go with it.
    """
    reason = ""
    check_options(name, options)
    if name == AUTO:
        name, reason = _automatic(space, max_trials or _default_trials(early_stopping), max_concurrency)
    if early_stopping in PROMOTIONS:
        _check_promotion(name, early_stopping, resumable, max_trials, rungs_of(early_stopping, epochs))
    default_trials = _grid_trials(space, **options) if name == "grid" else _default_trials(early_stopping)
    if name == "evolutionary":
        if resumable:
            options |= population_options(max_trials, epochs, **options)
            options.pop("disturbance_interval", None)  # the number of rounds says as much
        if "rounds" in options:
            default_trials = options.get("population_size", DEFAULT_POPULATION) * options["rounds"]
        if not resumable:
            reason, options = FULL_TRAININGS, _options_of_full_trainings(options)
    version = ALGORITHMS[name].version
    return AlgorithmChoice(name, reason, version, max_trials or default_trials, default_trials, options)


def _automatic(space: SearchSpace, max_trials: int, max_concurrency: int | None) -> tuple[str, str]:
    """Return the algorithm to take, and why.

    Checkpoints are no reason for `evolutionary`: its trials are parts of trainings. At an equal total of epochs a
    population can be ahead, but the user's budget counts trials, and equally many of these train far less.
    """
    size = space.size()
    if size is not None and size <= max_trials:
        which = "the only configuration" if size == 1 else f"all {size} configurations"
        return "grid", f"chosen because {which} can be tried"
    if max_concurrency is not None and max_concurrency >= max_trials:
        return "random", "chosen because all trials run at once: none could learn from another"
    return "bayesian", "chosen because the space is larger than the number of trials"


def _default_trials(early_stopping: EarlyStoppingRule) -> int:
    return DEFAULT_MAX_PARTS if early_stopping in PROMOTIONS else DEFAULT_MAX_TRIALS


def _check_promotion(
    name: str, early_stopping: EarlyStoppingRule, resumable: bool, max_trials: int | None, shares: Sequence[float]
) -> None:
    if name not in PROMOTING:
        raise SpecError(
            "early_stopping", f"'{early_stopping}' does not go with {name}", f"Take {', '.join(PROMOTING)}, or halving"
        )
    if early_stopping == "promotion" and not resumable:
        raise SpecError(
            "early_stopping",
            "'promotion' needs trials that go on from a checkpoint",
            "Take halving or data-promotion, or see `resumable` in the spec reference",
        )
    if max_trials is not None and max_trials < len(shares):
        complaint = f"{max_trials} are too few: '{early_stopping}' trains a configuration in {len(shares)} trials"
        raise SpecError("max_trials", complaint, "Give more, or drop `early_stopping`")


def _options_of_full_trainings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without `rounds`, which gives the number of trials only; refuse those of populations."""
    for option in ("asynchronous", "explore", "disturbance_interval"):
        if option in options:
            remedy = "Drop it, or see `resumable` in the spec reference"
            raise SpecError(f"algorithm.{option}", "the trials can't go on from one another's checkpoints", remedy)
    return {option: value for option, value in options.items() if option != "rounds"}


def population_options(
    max_trials: int | None,
    epochs: int | None,
    population_size: int | None = None,
    rounds: int | None = None,
    disturbance_interval: int | None = None,
    **_: Any,
) -> dict[str, int]:
    """Return size and rounds of a population such that all of its rounds fit into `max_trials`.

    A round is `disturbance_interval` epochs, or one at least. Without any wishes: 8 members, 10 rounds.

    Raises:
        SpecError: they don't fit.
    """
    if disturbance_interval is not None:
        rounds = _rounds_of(disturbance_interval, rounds, epochs)
    most_rounds = min(DEFAULT_ROUNDS, epochs or DEFAULT_ROUNDS)
    if epochs is not None and (rounds or LEAST) > epochs:
        raise SpecError(
            "algorithm.rounds", f"{rounds or LEAST} are more than the epochs ({epochs})", "Give more epochs"
        )
    if max_trials is None:
        return {
            "population_size": population_size or DEFAULT_POPULATION,
            "rounds": rounds or max(LEAST, most_rounds),
        }
    if rounds is None:
        wanted = population_size or (LEAST_POPULATION if max_trials >= LEAST_POPULATION * LEAST else LEAST)
        rounds = max(LEAST, min(most_rounds, max_trials // wanted))
    if population_size is None:
        population_size = max(LEAST, max_trials // rounds)
    if population_size * rounds > max_trials:
        raise SpecError(
            "max_trials",
            f"{max_trials} are too few for {population_size} members in {rounds} rounds, a trial each",
            f"Give {population_size * rounds}, or a smaller population_size or fewer rounds",
        )
    return {"population_size": population_size, "rounds": rounds}


def _rounds_of(interval: int, rounds: int | None, epochs: int | None) -> int:
    """Return the number of rounds of `interval` epochs; raises `SpecError` if they don't make up the training."""
    where = "algorithm.disturbance_interval"
    if epochs is None:
        complaint = "it is a number of epochs, and how many a training has is not known here"
        raise SpecError(where, complaint, "Give a constant parameter `epochs`, or `rounds` alone")
    found = rounds or max(LEAST, epochs // interval)
    if found * interval != epochs:
        complaint = f"{found} rounds of {interval} epochs are {found * interval} epochs, and a training has {epochs}"
        raise SpecError(where, complaint, "Change rounds, disturbance_interval or epochs")
    return found


def create(  # noqa: PLR0913 - each is a thing that users set by name
    algorithm: str,
    space: SearchSpace | Mapping[str, Any],
    *,
    goal: Goal,
    seed: int = 0,
    max_trials: int | None = None,
    max_concurrency: int | None = None,
    resumable: bool = False,
    epochs: int | None = None,
    structural: Collection[str] = (),
    early_stopping: EarlyStoppingRule = "off",
    initial: Sequence[tuple[str, Configuration]] = (),
    sources: Sequence[Source] = (),
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
        resumable: whether trials can go on from the checkpoints of others, and train as far as their fidelity says.
        epochs: length of a full training, if it is known and the same for all trials.
        structural: parameters that a training can't change when it goes on from a checkpoint.
        early_stopping: which rule saves training on trials that promise little; see `tunewell.tuners.early_stopping`
            and `tunewell.tuners.promotion`.
        initial: (origin, configuration) pairs to be suggested first.
        sources: earlier searches that help this one; see `tunewell.tuners.sources`.
        options: the algorithm's own options.

    Raises:
        SpecError: one of these is wrong.
    """
    if not isinstance(space, SearchSpace):
        space = parse_space(space)
    # A population that is on record keeps its size, whatever becomes of the number of trials.
    settled = {"population_size", "rounds"} <= options.keys()
    choice = choose(
        algorithm, space, None if settled else max_trials, resumable, early_stopping=early_stopping, **options
    )
    search = Search(
        space=space,
        goal=goal,
        seed=seed,
        initial=initial,
        max_trials=max_trials,
        max_concurrency=max_concurrency,
        resumable=resumable,
        early_stopping=early_stopping,
        rungs=rungs_of(early_stopping, epochs),
        structural=structural,
        sources=sources,
    )
    return build(choice.name, choice.options, search)


def build(algorithm: str, options: Mapping[str, Any], search: Search) -> Tuner:
    """Return the tuner of an algorithm that was chosen before, with an empty history.

    Args:
        algorithm: a name in `ALGORITHMS`.
        options: its options as `choose` settled them.
        search: what it searches.

    Raises:
        SpecError: one of these is wrong.
    """
    if search.goal not in ("maximize", "minimize"):
        raise SpecError("goal", f"{search.goal!r} is none", "Say maximize or minimize")
    kind = (RESUMING if search.resumable else {}).get(algorithm, ALGORITHMS[algorithm])
    return kind(search, **options)


def other_version(algorithm: Mapping[str, Any]) -> str:
    """Return what is to be told of a search that goes on with another version of its algorithm; empty: nothing.

    Args:
        algorithm: what is on record about it, its name and version among other things.
    """
    name, recorded = algorithm["name"], algorithm.get("version")
    kind = ALGORITHMS.get(name)
    if kind is None or recorded in (None, kind.version):
        return ""
    return (
        f"The search was put on record with version {recorded} of {name}, and went on with version {kind.version}: "
        "it may suggest other trials than the version before would have."
    )


def leans_on(algorithm: str, options: Mapping[str, Any], space: SearchSpace) -> tuple[str, ...]:
    """Return the parameters whose well-known names say where the first trials of a search lie."""
    if algorithm not in LEANING or options.get("faithful"):  # the latter begins around the default
        return ()
    return tuple(space.names[place] for place in UsualPlaces(space).places)


def takes_own(algorithm: str, resumable: bool) -> bool:
    """Whether configurations from outside can be added to a search by an algorithm."""
    return (RESUMING if resumable else {}).get(algorithm, ALGORITHMS[algorithm]).takes_own


def rungs_of(early_stopping: EarlyStoppingRule, epochs: int | None) -> tuple[float, ...]:
    """Return the shares of the full training that configurations are promoted to; the whole one where none is."""
    if early_stopping not in PROMOTIONS:
        return (1.0,)
    return rungs(epochs if early_stopping == "promotion" else None)


def initial_configurations(
    space: SearchSpace,
    user: Sequence[Mapping[str, Any]] = (),
    promising: Sequence[tuple[str, Configuration]] = (),
) -> list[tuple[str, Configuration]]:
    """Return what is suggested first: the default configuration, if all active parameters have a default, then the
    user's own, then what the task says is `promising`; none twice.

    Raises:
        SpecError: a configuration of the user's is not one of the space.
        SpecErrors: several are not, or for several reasons.
    """
    default = space.default()
    chosen = {key(default): ("default", default)} if default is not None else {}
    problems = Problems()
    for place, configuration in enumerate(user):
        with problems.gathering():
            checked = space.check(configuration, f"initial.{place}")
            chosen.setdefault(key(checked), ("initial", checked))
    problems.raise_any()
    for origin, configuration in promising:
        chosen.setdefault(key(configuration), (origin, configuration))
    return list(chosen.values())


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise `SpecError` unless there is such an algorithm and the options are ones of it, with values in range."""
    if name == AUTO and options:
        raise SpecError(f"algorithm.{next(iter(options))}", "auto takes no options", "Name the algorithm that you want")
    if name not in OPTIONS and name != AUTO:
        raise SpecError("algorithm", f"there is no algorithm {shown(name)}", nearest(name, [*ALGORITHMS, AUTO]), name)
    known, problems = OPTIONS.get(name, {}), Problems()
    for option, value in options.items():
        where = f"algorithm.{option}"
        if option not in known:
            problems.add(SpecError(where, f"'{name}' has no such option", nearest(option, known)))
        elif not known[option].accepts(value):
            problems.add(SpecError(where, f"{shown(value)} is not possible", f"Give {known[option]}", value))
    problems.raise_any()


def _grid_trials(space: SearchSpace, points: int = DEFAULT_POINTS) -> int:
    """Return the number of trials of a whole grid search, the default configuration before it included."""
    size, default = grid_size(space, points), space.default()
    if default is None:
        return size
    on_grid = all(default[p.name] in p.values(max(points, p.size or 0)) for p in space if p.name in default)
    return size + (not on_grid)
