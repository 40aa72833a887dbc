"""Every way of using a tuner, the spaces that it may be given, and searches in which anything may happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import EarlyStoppingRule
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.spec.states import Cause, TrialState
from tunewell.tuners.catalogue import create, initial_configurations
from tunewell.tuners.contract import Exhausted, Goal, Outcome, Suggestion, Tuner, Wait
from tunewell.tuners.sources import make_source, starts

#: Members and rounds of the populations.
MEMBERS, ROUNDS = 3, 4


@dataclass(frozen=True)
class Way:
    """A tuner with options, small enough that a short search reaches all of its parts, and its declared traits.

    The traits are the only differences between ways that the suite knows: it checks each one in both directions.
    """

    name: str
    algorithm: str
    options: Mapping[str, Any] = field(default_factory=dict)
    resumable: bool = False
    early_stopping: EarlyStoppingRule = "off"
    #: Whether earlier searches help it.
    warm: bool = False
    #: Hint: how many trials there will be.
    max_trials: int | None = None
    #: Which configurations may come again: none, those that are trained further each time, or any.
    repeats: Literal["none", "further", "any"] = "none"
    #: Whether it has nothing to suggest at times, though more will come, because it waits for outcomes.
    waits: bool = False
    #: Whether trials go on from the checkpoints of others.
    resumes: bool = False
    #: What has been tried when nothing is left: all of the space, the points of a grid, or all rounds of a population.
    ends_with: Literal["space", "grid", "rounds"] = "space"
    #: Whether it proposes by outcomes, so that their sign matters.
    learns: bool = True
    #: Whether another seed suggests something else.
    seeded: bool = True

    def __str__(self) -> str:
        return self.name

    def initial(self, space: SearchSpace, user: Sequence[Configuration] = ()) -> list[tuple[str, Configuration]]:
        """Return what a search tries first: default, the user's own, and those of earlier searches that fit."""
        own = initial_configurations(space, user)
        found = starts(space, self.sources(space), 20, [configuration for _, configuration in own])
        return own + (found[: MEMBERS - len(own)] if self.ends_with == "rounds" else found)

    def sources(self, space: SearchSpace, seed: int = 7) -> tuple[Any, ...]:
        """Return no earlier search, or two: one that knows the goal, and one that knows the opposite."""
        if not self.warm:
            return ()
        generator = np.random.default_rng(seed)
        trials = [(number, space.sample(generator), float(number % 7)) for number in range(1, 13)]
        opposite = [(number, parameters, -loss) for number, parameters, loss in trials[:5]]
        return make_source("a", space, trials), make_source("b", space, opposite)

    def tuner(
        self,
        space: SearchSpace,
        seed: int = 0,
        goal: Goal = "maximize",
        initial: Sequence[tuple[str, Configuration]] | None = None,
    ) -> Tuner:
        """Return a new tuner."""
        return create(
            self.algorithm,
            space,
            goal=goal,
            seed=seed,
            max_trials=self.max_trials,
            max_concurrency=4,
            resumable=self.resumable,
            epochs=9 if self.early_stopping == "promotion" else None,
            structural=[space.names[0]] if self.resumable else (),
            early_stopping=self.early_stopping,
            initial=self.initial(space) if initial is None else initial,
            sources=self.sources(space),
            **self.options,
        )


Population = partial(Way, algorithm="evolutionary", resumable=True, repeats="any", waits=True, resumes=True)
Promoting = partial(Way, repeats="further", waits=True)
START = {"initial_trials": 3}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "bayesian": START,
    "cmaes": {"population_size": 4},
    "evolutionary": {"population_size": 4},
    "pshe2": {"population_size": 3, "proposals": 20},
    "tpe": START,
}
#: What follows from an algorithm wherever it proposes.
TRAITS: Mapping[str, Mapping[str, Any]] = {
    "grid": {"ends_with": "grid", "learns": False, "seeded": False},
    "random": {"learns": False},
}


def _population(name: str, **arguments: Any) -> Way:
    options = {"population_size": MEMBERS, "rounds": ROUNDS, **arguments.pop("options", {})}
    return Population(name=name, options=options, ends_with="rounds", **arguments)


def _plain(algorithm: str, name: str = "", **arguments: Any) -> Way:
    options = {**SMALL.get(algorithm, {}), **arguments.pop("options", {})}
    return Way(name or algorithm, algorithm, options, **TRAITS.get(algorithm, {}), **arguments)


def _promoting(rule: EarlyStoppingRule, algorithm: str, **arguments: Any) -> Way:
    traits = {key: value for key, value in TRAITS.get(algorithm, {}).items() if key != "learns"}
    return Promoting(
        name=f"{rule}-{algorithm}" + "".join(f"-{name}" for name in arguments),
        algorithm=algorithm,
        options=SMALL.get(algorithm, {}),
        resumable=True,
        early_stopping=rule,
        resumes=rule == "promotion",
        **traits,
        **arguments,
    )


PLAIN = [
    *(_plain(algorithm) for algorithm in ("bayesian", "cmaes", "evolutionary", "grid", "pshe2", "random", "tpe")),
    _plain("random", "random-sobol", options={"sequence": "sobol"}),
    _plain("pshe2", "pshe2-faithful", options={"faithful": True}),
    # What `parameters_from` makes of a search: the first configuration is all that is wanted.
    _plain("random", "parameters-from", max_trials=1),
]
POPULATIONS = [
    _population("population"),
    _population("population-cross", options={"explore": "cross"}),
    _population("population-pshe2", options={"explore": "pshe2"}),
    _population("population-asynchronous", options={"asynchronous": True}),
    _population("population-asynchronous-cross", options={"asynchronous": True, "explore": "cross"}),
]
PROMOTIONS = [
    *(_promoting("promotion", algorithm) for algorithm in ("bayesian", "grid", "random")),
    *(_promoting("data-promotion", algorithm) for algorithm in ("bayesian", "grid", "random")),
    _promoting("promotion", "random", max_trials=12),
]
ENDING_EARLY = [
    _plain("random", "halving-random", early_stopping="halving"),
    _plain("tpe", "median-tpe", early_stopping="median"),
]
WARM = [
    *(_plain(way, f"warm-{way}", warm=True) for way in ("bayesian", "cmaes", "evolutionary", "grid", "pshe2", "tpe")),
    _plain("random", "warm-random", warm=True),
    _population("warm-population", warm=True),
    _promoting("promotion", "bayesian", warm=True),
]
WAYS = [*PLAIN, *POPULATIONS, *PROMOTIONS, *ENDING_EARLY, *WARM]


def parameters() -> st.SearchStrategy[dict[str, Any]]:
    """Return declarations of single parameters of every kind, tiny domains included."""
    lows = st.floats(0.001, 10)
    return st.one_of(
        st.builds(lambda low, width: {"low": low, "high": low + width, "type": "float"}, lows, st.floats(0, 5)),
        st.builds(
            lambda low, ratio: {"low": low, "high": low * ratio, "log": True, "type": "float"}, lows, st.floats(1, 1e4)
        ),
        st.builds(lambda low, width: {"low": low, "high": low + width}, st.integers(-5, 5), st.integers(0, 6)),
        st.builds(
            lambda low, width: {"low": low, "high": low + width, "log": True}, st.integers(1, 5), st.integers(0, 500)
        ),
        st.just({"low": 0.0, "high": 1.0, "step": 0.25}),
        st.sampled_from([{"choices": ["a"]}, {"choices": ["a", "b", None]}, {"choices": [True, False]}]),
        st.sampled_from([{"ordinal": [16, 32, 64]}, {"ordinal": [None, 0.5]}]),
    )


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Return spaces of one to four parameters, some of them active under a condition only."""
    declarations = draw(st.lists(parameters(), min_size=1, max_size=4))
    named = {f"p{place}": declaration for place, declaration in enumerate(declarations)}
    if draw(st.booleans()):
        named["kind"] = {"choices": ["x", None]}
        named["child"] = {**draw(parameters()), "when": {"kind": draw(st.sampled_from(["x", None, ["x", None]]))}}
    return parse_space(named)


#: How trials end: with a value, for a cause, or without a value though nothing failed.
endings: st.SearchStrategy[float | Cause | TrialState] = st.one_of(
    st.floats(-1e6, 1e6),
    st.integers(0, 5).map(float),
    st.sampled_from(Cause),
    st.sampled_from([TrialState.STOPPED, TrialState.PRUNED]),
)


def outcome(number: int, ending: float | Cause | TrialState, reports: Mapping[int, float] | None = None) -> Outcome:
    """Return the outcome of a trial that had these reports and ended like this."""
    curve = dict(reports or {})
    if isinstance(ending, Cause):
        return Outcome(number, TrialState.FAILED, cause=ending, curve=curve)
    if isinstance(ending, TrialState):
        return Outcome(number, ending, objective=curve[max(curve)] if curve else None, curve=curve)
    return Outcome(number, TrialState.SUCCEEDED, ending, curve={**curve, max(curve, default=0) + 1: ending})


@dataclass(frozen=True)
class Asked:
    """What a tuner answered, and how many outcomes it knew."""

    answer: Suggestion | Wait | Exhausted
    known: int
    #: The configuration from outside that it was to take for the next one; None: it was to propose one.
    added: Configuration | None = None

    def again(self, tuner: Tuner) -> Suggestion | Wait | Exhausted | None:
        """Ask another tuner the same."""
        return tuner.ask() if self.added is None else tuner.add(self.added)


@dataclass(frozen=True)
class Judged:
    """What a tuner said of a running trial."""

    number: int
    verdict: str


Event = Asked | Outcome | Judged


class Course:
    """A search in which trials run side by side, report, end in any order, in any way, and are run again.

    Where the tuner takes them, configurations from outside come in between.
    """

    def __init__(self, data: st.DataObject, subject: Tuner) -> None:
        """Begin with a tuner that has no history."""
        self._data = data
        self.subject = subject
        #: Everything that has happened.
        self.events: list[Event] = []
        #: Objective of each running trial at each step so far.
        self.reports: dict[int, dict[int, float]] = {}
        self.told = 0

    def go_on(self, steps: int, watch: Callable[[Event], None] = lambda event: None) -> Course:
        """Go so many steps, `watch` being told of each."""
        for _ in range(steps):
            self.events.append(self._event())
            watch(self.events[-1])
        return self

    @property
    def recorded(self) -> list[tuple[Suggestion, int] | Outcome]:
        """The history in its order: suggestions, with the number of outcomes known then, and outcomes."""
        found: list[tuple[Suggestion, int] | Outcome] = []
        for event in self.events:
            if isinstance(event, Outcome):
                found.append(event)
            elif isinstance(event, Asked) and isinstance(event.answer, Suggestion):
                found.append((event.answer, event.known))
        return found

    def _event(self) -> Event:
        subject = self.subject
        again = [n for n, o in subject.outcomes.items() if o.state in (TrialState.FAILED, TrialState.STOPPED)]
        what = self._data.draw(st.sampled_from(_ACTIONS), label="what")
        limit = subject.concurrency()
        full = limit is not None and len(subject.pending) >= limit
        if what == "run again" and again:
            return self._tell(self._data.draw(st.sampled_from(again), label="whom"))
        if subject.pending and (full or what in ("end", "report")):
            number = self._data.draw(st.sampled_from(sorted(subject.pending)), label="whom")
            return self._tell(number) if full or what == "end" else self._judge(number)
        if what == "add" and subject.takes_own:
            generator = np.random.default_rng(self._data.draw(st.integers(0, 9), label="own"))
            added = subject.space.sample(generator)
            answer = subject.add(added)
            if answer is not None:
                return Asked(answer, self.told, added)
        return Asked(subject.ask(), self.told)

    def _tell(self, number: int) -> Outcome:
        ending = self._data.draw(endings, label="how")
        told = outcome(number, ending, self.reports.pop(number, None))
        self.subject.tell(told)
        self.told += 1
        return told

    def _judge(self, number: int) -> Judged:
        curve = self.reports.setdefault(number, {})
        curve[len(curve) + 1] = self._data.draw(st.integers(0, 5).map(float), label="value")
        return Judged(number, self.subject.judge(number, dict(curve)))


_ACTIONS = [*["ask"] * 5, *["end"] * 4, *["report"] * 2, "run again", *["add"] * 2]
