"""What every search algorithm promises in every way of using it, over any space and any course of events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.tuner_ways import MEMBERS, PLAIN, ROUNDS, WAYS, Asked, Course, Event, Judged, Way, spaces
from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.experiment import EarlyStoppingRule
from tunewell.spec.space import SearchSpace, key
from tunewell.spec.states import Cause
from tunewell.tuners.catalogue import ALGORITHMS, PROMOTING, PROMOTIONS, RESUMING, initial_configurations, takes_own
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Tuner, Wait, as_seen
from tunewell.tuners.fresh import enumerate_space
from tunewell.tuners.population_based import EXPLORE
from tunewell.tuners.random import SEQUENCES

BY_NAME = {way.name: way for way in WAYS}
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SPACE = parse_space({"x": {"low": 0.0, "high": 1.0}, "k": ["a", "b"], "n": {"low": 1, "high": 5}})
FINITE = parse_space(
    {"a": [1, 2, 3], "b": {"ordinal": [1, 2]}, "c": {"low": 1, "high": 3, "when": {"a": [2]}}, "one": 7}
)
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


def asked(tuner: Tuner) -> Suggestion:
    """Return the next suggestion; there must be one."""
    answer = tuner.ask()
    assert isinstance(answer, Suggestion), answer
    return answer


def value_of(suggestion: Suggestion) -> float:
    """Return an objective that depends on the parameters."""
    return sum(len(repr(value)) if isinstance(value, str) else value for value in suggestion.parameters.values())  # type: ignore[misc]


def test_the_suite_knows_every_way() -> None:
    """No algorithm, no sequence, no way to explore and no rule of early stopping is left out of this suite."""
    assert {way.algorithm for way in PLAIN} == set(ALGORITHMS)
    assert {way.algorithm for way in WAYS if way.warm} == set(ALGORITHMS)
    assert {way.algorithm for way in WAYS if way.ends_with == "rounds"} == set(RESUMING)
    assert {way.options.get("sequence", "uniform") for way in PLAIN if way.algorithm == "random"} == set(SEQUENCES)
    populations = [way.options for way in WAYS if way.ends_with == "rounds"]
    assert {options.get("explore", "perturb") for options in populations} == set(EXPLORE)
    assert {way.early_stopping for way in WAYS} == set(get_args(EarlyStoppingRule))
    promoting = {(way.early_stopping, way.algorithm) for way in WAYS}
    assert set(product(PROMOTIONS, PROMOTING)) <= promoting


class Watch:
    """Checks each answer of a tuner against what is promised."""

    def __init__(self, way: Way, tuner: Tuner) -> None:
        """Know no answer yet."""
        self._way = way
        self._tuner = tuner
        self._furthest: dict[object, float] = {}
        #: Ended trials whose checkpoints were not wanted at some time: they are gone.
        self._gone: set[int] = set()
        self._exhausted = False

    def __call__(self, event: Event) -> None:
        """Check an answer, and what is kept after any event."""
        if isinstance(event, Asked):
            self._exhausted &= event.added is None
            self._check(event.answer)
        elif isinstance(event, Judged):
            assert event.verdict == "keep" or self._way.early_stopping in ("median", "halving")
        else:
            self._exhausted = False  # a trial that is run again may be promoted after all
            self._gone.discard(event.number)
        wanted = set(self._tuner.checkpoints())
        assert wanted <= set(self._tuner.outcomes)
        assert self._way.resumes or not wanted
        self._gone |= set(self._tuner.outcomes) - wanted

    def _check(self, answer: Suggestion | Wait | Exhausted) -> None:
        if isinstance(answer, Suggestion):
            assert not self._exhausted, "more after nothing was left"
            self._check_suggestion(answer)
        elif isinstance(answer, Wait):
            assert self._way.waits
            assert self._tuner.pending, "waiting for nothing"
            assert not self._exhausted
        else:
            self._exhausted = True
            self._check_nothing_is_left()

    def _check_suggestion(self, suggestion: Suggestion) -> None:
        space, identity = self._tuner.space, key(suggestion.parameters)
        assert suggestion.number == len(self._tuner.suggestions)
        assert list(self._tuner.pending)[-1] == suggestion.number
        assert space.check(suggestion.parameters) == suggestion.parameters, "not in the space, or inactive"
        assert 0 < suggestion.fidelity <= 1
        assert suggestion.origin
        if identity in self._furthest:
            assert self._way.repeats != "none", "the same configuration again"
            assert self._way.repeats == "any" or suggestion.fidelity > self._furthest[identity]
        self._furthest[identity] = suggestion.fidelity
        if suggestion.resume_from is not None:
            assert self._way.resumes
            assert suggestion.resume_from not in self._gone, "its checkpoint is gone"
            assert self._tuner.parents[suggestion.number] == suggestion.resume_from
            before = self._tuner.suggestions[suggestion.resume_from]
            assert self._way.repeats == "any" or before.parameters == suggestion.parameters
            assert before.number < suggestion.number
            assert before.fidelity < suggestion.fidelity
            assert self._tuner.outcomes[before.number].objective is not None

    def _check_nothing_is_left(self) -> None:
        space = self._tuner.space
        if self._way.ends_with == "rounds":
            assert len(self._tuner.suggestions) == MEMBERS * ROUNDS
        elif self._way.ends_with == "space":
            assert space.size() is not None
            assert {key(configuration) for configuration in enumerate_space(space)} == set(self._furthest)


def start(way: Way, space: SearchSpace, data: st.DataObject) -> Tuner:
    """Return a new tuner for a course of events, with a default configuration or without."""
    user = next(enumerate_space(space, points=2))
    first = data.draw(st.sampled_from(["", "default", "initial"]), label="first")
    own = [("default", user)] if first == "default" else way.initial(space, [user] if first else [])
    return way.tuner(space, data.draw(st.integers(0, 2**31), label="seed"), initial=own)


@every_way
@QUICK
@given(space=spaces(), data=st.data())
def test_whatever_happens(way: Way, space: SearchSpace, data: st.DataObject) -> None:
    """Suggestions are numbered in turn, lie in the space, come once and resume from what was kept; nobody waits in
    vain, and after the end nothing more comes.
    """
    subject = start(way, space, data)
    Course(data, subject).go_on(25, Watch(way, subject))


@every_way
@QUICK
@given(space=spaces(), data=st.data())
def test_replay_at_any_point(way: Way, space: SearchSpace, data: st.DataObject) -> None:
    """A tuner to which the record was replayed, at whatever point, goes on as the original does.

    On record, a suggestion may stand behind outcomes that came while it was being worked out.
    """
    subject = start(way, space, data)
    course = Course(data, subject).go_on(data.draw(st.integers(0, 16), label="steps"))
    copy = way.tuner(space, subject.search.seed, initial=subject.initial)
    copy.replay(as_seen(*split(on_record(data, course.recorded))))
    assert list(copy.pending) == list(subject.pending)
    assert copy.parents == subject.parents
    for number, reports in course.reports.items():  # they are read again from the first one on
        for last in reports:
            copy.judge(number, {step: value for step, value in reports.items() if step <= last})

    def follow(event: Event) -> None:
        if isinstance(event, Asked):
            assert event.again(copy) == event.answer
        elif isinstance(event, Judged):
            assert copy.judge(event.number, dict(course.reports[event.number])) == event.verdict
        else:
            copy.tell(event)
        assert set(copy.checkpoints()) == set(subject.checkpoints())
        assert copy.concurrency() == subject.concurrency()

    course.go_on(6, follow)
    assert copy.probability_of_gain(0.1) == subject.probability_of_gain(0.1)


Recorded = list[tuple[Suggestion, int] | Outcome]


def on_record(data: st.DataObject, history: Recorded) -> Recorded:
    """Return the history as a store may have it: suggestions later than they were made, and all values from JSON."""
    late: list[tuple[float, int, tuple[Suggestion, int] | Outcome]] = []
    ends = {entry.number: place for place, entry in reversed([*enumerate(history)]) if isinstance(entry, Outcome)}
    latest = 0.0
    for place, entry in enumerate(history):
        if isinstance(entry, Outcome):
            late.append((place, 1, entry))
            continue
        suggestion, known = entry
        delay = data.draw(st.integers(0, 3), label="delay")
        latest = max(latest, min(place + delay, ends.get(suggestion.number, place + delay)))
        parameters = json.loads(json.dumps(suggestion.parameters))
        late.append((latest, 0, (replace(suggestion, parameters=parameters), known)))
    return [entry for *_, entry in sorted(late, key=lambda row: row[:2])]


def split(recorded: Recorded) -> tuple[list[tuple[Suggestion, int]], list[Outcome]]:
    """Return the suggestions, with what was known, and the outcomes."""
    suggested = [entry for entry in recorded if not isinstance(entry, Outcome)]
    return suggested, [entry for entry in recorded if isinstance(entry, Outcome)]


@every_way
@QUICK
@given(space=spaces(), data=st.data())
def test_asking_in_advance_and_judging_change_nothing(way: Way, space: SearchSpace, data: st.DataObject) -> None:
    """Proposals that nobody accepts and verdicts that nobody obeys leave no trace, and come out the same again."""
    subject = start(way, space, data)
    calm = way.tuner(space, subject.search.seed, initial=subject.initial)

    def follow(event: Event) -> None:
        number = len(subject.suggestions) + 1
        if subject.place(number) >= 0:
            assert subject.propose(number) == subject.propose(number)
        for running, reports in course.reports.items():
            assert subject.judge(running, dict(reports)) == subject.judge(running, dict(reports))
        if isinstance(event, Asked):
            assert event.again(calm) == event.answer
        elif isinstance(event, Outcome):
            calm.tell(event)

    course = Course(data, subject)
    course.go_on(12, follow)


@every_way
def test_first_configurations_come_first(way: Way) -> None:
    """Trial 1 is the default configuration, then come the user's own, each saying why; none comes again later."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0, "default": 0.3}, "k": {"choices": ["a", "b"], "default": "b"}})
    initial = initial_configurations(space, [{"x": 0.7, "k": "a"}, {"x": 0.3, "k": "b"}])
    subject = way.tuner(space, goal="minimize", initial=initial)
    first, second, third = asked(subject), asked(subject), asked(subject)
    assert (first.origin, first.parameters) == ("default", {"x": 0.3, "k": "b"})
    assert (second.origin, second.parameters) == ("initial", {"x": 0.7, "k": "a"})
    assert third.parameters not in (first.parameters, second.parameters)


@every_way
def test_a_finite_space_is_searched_to_the_end(way: Way) -> None:
    """Each configuration is begun exactly once; then the tuner says that nothing is left, and goes on saying so.

    A population ends with its last round instead.
    """
    subject, begun = way.tuner(FINITE), []
    for suggestion in run(subject, most=100):
        if suggestion.number <= len(subject.initial) or not suggestion.origin.startswith("promoted"):
            begun.append(key(suggestion.parameters))
        subject.tell(suggestion.outcome(value_of(suggestion)))
    if way.ends_with == "rounds":
        assert len(subject.suggestions) == MEMBERS * ROUNDS
        assert [subject.suggestions[number].fidelity for number in (1, 12)] == [1 / ROUNDS, 1]
    elif way.repeats == "none" or way.max_trials is None:
        assert len(begun) == len(set(begun)) == 10
    if way.repeats != "none":
        assert any(suggestion.fidelity == 1 for suggestion in subject.suggestions.values())
    for _ in range(3):
        assert isinstance(subject.ask(), Exhausted)


def run(subject: Tuner, most: int) -> Iterator[Suggestion]:
    """Yield the suggestions of trials that run one after another, until nothing is left."""
    for _ in range(most):
        answer = subject.ask()
        if isinstance(answer, Exhausted):
            assert answer.reason
            return
        assert isinstance(answer, Suggestion), "waiting for nothing"
        yield answer
    raise AssertionError(f"more than {most} suggestions")


@every_way
def test_who_waits_says_so(way: Way) -> None:
    """While all trials run, those that need outcomes wait, all others suggest until nothing is left."""
    subject = way.tuner(FINITE)
    answers = [subject.ask() for _ in range(20)]
    assert {type(answer) for answer in answers} == {Suggestion, Wait if way.waits else Exhausted}


@every_way
def test_who_resumes_keeps_checkpoints(way: Way) -> None:
    """Those whose trials go on from others' checkpoints name these in time; all others want none."""
    subject, wanted, resumed = way.tuner(SPACE), set[int](), set[int | None]()
    for _ in range(MEMBERS * ROUNDS - 1):
        suggestion = asked(subject)
        resumed.add(suggestion.resume_from)
        subject.tell(suggestion.outcome(value_of(suggestion)))
        wanted |= set(subject.checkpoints())
    assert bool(wanted) == way.resumes == (resumed != {None})
    assert resumed - {None} <= wanted


@every_way
def test_a_later_outcome_replaces_the_earlier(way: Way) -> None:
    """A trial that failed, or was stopped, and was run again counts as what it became."""
    for first in (lambda s: s.failure("gpu_oom"), lambda s: replace(s.outcome(-9.0), state="stopped", curve={1: -9.0})):
        again, plain = way.tuner(SPACE), way.tuner(SPACE)
        for number in range(1, 9):
            suggestion = asked(again)
            assert asked(plain) == suggestion
            told = replace(suggestion.outcome(float(number)), curve={1: number / 2, 2: number, 3: float(number)})
            if number == 2:
                again.tell(first(suggestion))
            again.tell(told)
            plain.tell(told)
        last = asked(again)
        assert last == asked(plain)
        for value in range(7):
            assert again.judge(last.number, {1: value}) == plain.judge(last.number, {1: value})


@every_way
@pytest.mark.parametrize("cause", Cause)
def test_failures_end_no_search(way: Way, cause: Cause) -> None:
    """However many trials fail, and for whatever cause, the tuner goes on."""
    subject = way.tuner(SPACE)
    for _ in range(MEMBERS * ROUNDS - 1):
        suggestion = asked(subject)
        subject.tell(suggestion.failure(cause))
    assert not subject.pending


@pytest.mark.parametrize("way", [way for way in WAYS if way.ends_with == "rounds"], ids=str)
def test_members_of_a_population_are_not_alike(way: Way) -> None:
    """As long as the space has enough configurations, each member begins with another one."""
    for seed in range(5):
        subject = way.tuner(parse_space({"k": {"choices": ["a", "b", "c"], "default": "a"}}), seed)
        assert len({key(asked(subject).parameters) for _ in range(MEMBERS)}) == MEMBERS


@every_way
def test_goal_and_sign_mirror_each_other(way: Way) -> None:
    """Maximising an objective is minimising its negative; to those that learn, the sign makes a difference."""
    first, second = way.tuner(SPACE, goal="maximize"), way.tuner(SPACE, goal="minimize")
    other = way.tuner(SPACE, goal="minimize")
    differs = False
    for _ in range(MEMBERS * ROUNDS):
        one = asked(first)
        assert one == asked(second)
        differs |= asked(other) != one
        value = value_of(one)
        first.tell(one.outcome(value))
        second.tell(one.outcome(-value))
        other.tell(one.outcome(value))
    assert differs == way.learns


@pytest.mark.parametrize("way", [*PLAIN, BY_NAME["population"], BY_NAME["promotion-bayesian"]], ids=str)
def test_a_parameter_may_have_very_many_values(way: Way) -> None:
    """20,000 choices, or values of a parent or an ordinal, cost no more than a moment a trial."""
    values = [f"value {number}" for number in range(20_000)]
    space = parse_space(
        {
            "x": values,
            "n": {"ordinal": list(range(20_000))},
            "y": {"low": 0.0, "high": 1.0, "when": {"n": list(range(0, 20_000, 2))}},
            "z": {"low": 0.0, "high": 1.0},
        }
    )
    for alone in (space, SearchSpace((space["x"],))):
        subject, before = way.tuner(alone), time.process_time()
        for _ in range(MEMBERS * ROUNDS):
            suggestion = asked(subject)
            subject.tell(suggestion.outcome(values.index(str(suggestion.parameters["x"])) / 20_000))
        assert time.process_time() - before < 10


SCRIPT = """
import json, sys
from tests.contracts.test_tuner_contract import BY_NAME, run_plain
spaces = json.load(sys.stdin)
json.dump({name: run_plain(BY_NAME[name], spaces) for name in BY_NAME}, sys.stdout)
"""
#: Conditions and categories are where the order of a set could matter.
CONDITIONAL = {"x": {"low": 0.0, "high": 1.0}, "k": ["a", "b"], "m": {"low": 1.0, "high": 2.0, "when": {"k": "a"}}}


def run_plain(way: Way, declarations: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of the trials of a search with an objective that depends on them."""
    subject, found = way.tuner(parse_space(declarations), seed=3), []
    for number in range(MEMBERS * ROUNDS):
        suggestion = asked(subject)
        subject.tell(suggestion.failure("gpu_oom") if number == 4 else suggestion.outcome(value_of(suggestion)))
        found.append(suggestion.parameters)
    return found


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, list[dict[str, Any]]]:
    """Return what another process with another hash seed suggests, by way."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(declare(parse_space(CONDITIONAL))),
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


@every_way
def test_the_seed_decides_everything(way: Way, elsewhere: dict[str, list[dict[str, Any]]]) -> None:
    """Another process with another hash seed suggests the same; another seed suggests something else."""
    assert elsewhere[way.name] == run_plain(way, declare(parse_space(CONDITIONAL)))
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    ours, others = (way.tuner(space, seed=seed, initial=()) for seed in (3, 4))
    assert ([asked(ours) for _ in range(3)] != [asked(others) for _ in range(3)]) == way.seeded


@every_way
def test_configurations_from_outside(way: Way) -> None:
    """They take the next number and nobody's turn: first configurations and the start of the search come all the same.

    One that has been proposed, or is about to be, is not taken again.
    """
    user = [{"x": 0.25, "k": "b", "n": 2}]
    alone, steered = (way.tuner(SPACE, initial=way.initial(SPACE, user)) for _ in range(2))
    assert steered.takes_own == takes_own(way.algorithm, way.resumable) == (way.ends_with != "rounds")
    if not steered.takes_own:
        return
    own = {"x": 0.125, "k": "a", "n": 4}
    first = steered.add(own)
    assert first == Suggestion(1, own, "own", alone.first_fidelity)
    assert steered.add(own) is None and steered.add(user[0]) is None
    for initial in alone.initial:
        assert asked(steered).parameters == asked(alone).parameters == initial[1]
    assert steered.place(len(steered.suggestions) + 1) == alone.place(len(alone.suggestions) + 1) == 0
