"""What every search algorithm promises, over any space and any course of events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.space import SearchSpace, key
from tunewell.spec.states import Cause, TrialState
from tunewell.tuners.catalogue import ALGORITHMS, OPTIONS, create, initial_configurations
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Tuner, Wait
from tunewell.tuners.sources import make_source, starts

NAMES = sorted(ALGORITHMS)
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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


outcomes = st.one_of(
    st.floats(-1e6, 1e6),
    st.just(0.5),
    st.sampled_from([Cause.GPU_OOM, Cause.NON_FINITE, Cause.CRASHED, Cause.KILLED, Cause.NO_METRIC]),
    st.just(TrialState.STOPPED),
)


def outcome(number: int, what: Any) -> Outcome:
    """Return the outcome of a trial: a value, a cause, or stopped without a value."""
    if isinstance(what, Cause):
        return Outcome(number, TrialState.FAILED, cause=what)
    if isinstance(what, TrialState):
        return Outcome(number, what)
    return Outcome(number, TrialState.SUCCEEDED, objective=what)


def tuner(name: str, space: SearchSpace, seed: int = 0, goal: Any = "maximize") -> Tuner:
    """Return a tuner with a short start, so that its model is reached."""
    options = {"initial_trials": 3} if "initial_trials" in OPTIONS[name] else {}
    return create(name, space, goal=goal, seed=seed, initial=initial_configurations(space), **options)


def course(data: st.DataObject, subject: Tuner, steps: int) -> list[Suggestion | Outcome]:
    """Ask and tell in any order, with any outcomes; return the history."""
    history: list[Suggestion | Outcome] = []
    for _ in range(steps):
        if subject.pending and data.draw(st.booleans(), label="tell"):
            number = data.draw(st.sampled_from(sorted(subject.pending)), label="whom")
            told = outcome(number, data.draw(outcomes, label="what"))
            subject.tell(told)
            history.append(told)
            continue
        answer = subject.ask()
        if isinstance(answer, Suggestion):
            history.append(answer)
        else:
            assert isinstance(answer, Exhausted | Wait)
            assert not isinstance(answer, Wait) or subject.pending, "waiting for nothing"
    return history


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(space=spaces(), data=st.data())
def test_suggestions_are_valid_and_new(name: str, space: SearchSpace, data: st.DataObject) -> None:
    """Every suggestion is a configuration of the space, numbered in turn, and none comes twice."""
    subject = tuner(name, space)
    course(data, subject, 25)
    assert list(subject.suggestions) == list(range(1, len(subject.suggestions) + 1))
    for suggestion in subject.suggestions.values():
        assert space.check(suggestion.parameters) == suggestion.parameters
        assert 0 < suggestion.fidelity <= 1
        assert suggestion.origin
    assert len({key(s.parameters) for s in subject.suggestions.values()}) == len(subject.suggestions)


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(space=spaces(), data=st.data(), seed=st.integers(0, 2**31))
def test_replay_gives_the_same_next_suggestion(name: str, space: SearchSpace, data: st.DataObject, seed: int) -> None:
    """A tuner to which the history was replayed, at whatever point, goes on as the original does."""
    subject = tuner(name, space, seed)
    history = course(data, subject, data.draw(st.integers(0, 20), label="steps"))
    copy = tuner(name, space, seed)
    copy.replay(history)
    assert list(copy.pending) == list(subject.pending)
    for _ in range(3):
        assert copy.ask() == subject.ask()


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(space=spaces(), data=st.data())
def test_proposing_changes_nothing(name: str, space: SearchSpace, data: st.DataObject) -> None:
    """Asking for a proposal twice gives the same, until it is accepted."""
    subject = tuner(name, space)
    course(data, subject, 12)
    number = len(subject.suggestions) + 1
    if number > len(subject.initial):
        assert subject.propose(number) == subject.propose(number)


@pytest.mark.parametrize("name", NAMES)
def test_default_configuration_comes_first(name: str) -> None:
    """Trial 1 is the default configuration, then come the user's own, each saying why."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0, "default": 0.3}, "k": {"choices": ["a", "b"], "default": "b"}})
    subject = create(
        name,
        space,
        goal="minimize",
        initial=initial_configurations(space, [{"x": 0.7, "k": "a"}, {"x": 0.3, "k": "b"}]),
    )
    first, second, third = subject.ask(), subject.ask(), subject.ask()
    assert isinstance(first, Suggestion)
    assert isinstance(second, Suggestion)
    assert isinstance(third, Suggestion)
    assert (first.origin, first.parameters) == ("default", {"x": 0.3, "k": "b"})
    assert (second.origin, second.parameters) == ("initial", {"x": 0.7, "k": "a"})
    assert third.parameters not in (first.parameters, second.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_may_have_very_many_values(name: str) -> None:
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
        subject, before = tuner(name, alone), time.process_time()
        for _ in range(14):
            suggestion = subject.ask()
            assert isinstance(suggestion, Suggestion)
            subject.tell(suggestion.outcome(values.index(suggestion.parameters["x"]) / 20_000))
        assert time.process_time() - before < 10


@pytest.mark.parametrize("name", NAMES)
def test_finite_spaces_are_searched_to_the_end(name: str) -> None:
    """Each configuration of a finite space is suggested exactly once; then the tuner says that nothing is left."""
    space = parse_space(
        {"a": [1, 2, 3], "b": {"ordinal": [1, 2]}, "c": {"low": 1, "high": 3, "when": {"a": [2]}}, "one": 7}
    )
    subject = tuner(name, space)
    found = set()
    for _ in range(2 + 2 + 6):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        found.add(key(suggestion.parameters))
        subject.tell(suggestion.outcome(1.0))
    assert len(found) == 10
    assert isinstance(subject.ask(), Exhausted)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_outcome_replaces_the_earlier(name: str) -> None:
    """A trial that failed and was retried counts as what it became."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    retried, plain = tuner(name, space), tuner(name, space)
    for number in range(1, 5):
        for subject in (retried, plain):
            suggestion = subject.ask()
            assert isinstance(suggestion, Suggestion)
            if subject is retried and number == 2:
                subject.tell(suggestion.failure("gpu_oom"))
            subject.tell(suggestion.outcome(float(number)))
    assert retried.ask() == plain.ask()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_goal_and_sign_mirror_each_other(name: str, goal: str) -> None:
    """Maximising an objective is minimising its negative: the suggestions are the same."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "k": ["a", "b"]})
    first, second = tuner(name, space, goal="maximize"), tuner(name, space, goal="minimize")
    for _ in range(15):
        one, two = first.ask(), second.ask()
        assert one == two
        if isinstance(one, Suggestion) and isinstance(two, Suggestion):
            value = one.parameters["x"]
            first.tell(one.outcome(value))
            second.tell(two.outcome(-value))


def warm_tuner(name: str, space: SearchSpace, seed: int) -> Tuner:
    """Return a tuner with two sources: one that knows the goal, and one that knows the opposite."""
    generator = np.random.default_rng(seed)
    trials = [(number, space.sample(generator), float(number % 7)) for number in range(1, 13)]
    opposite = [(number, parameters, -loss) for number, parameters, loss in trials[:5]]
    sources = (make_source("a", space, trials), make_source("b", space, opposite))
    options = {"initial_trials": 3} if "initial_trials" in OPTIONS[name] else {}
    initial = initial_configurations(space)
    initial += starts(space, sources, 20, [configuration for _, configuration in initial])
    return create(name, space, goal="minimize", seed=seed, max_trials=20, initial=initial, sources=sources, **options)


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(space=spaces(), data=st.data(), seed=st.integers(0, 2**31))
def test_all_holds_with_sources(name: str, space: SearchSpace, data: st.DataObject, seed: int) -> None:
    """With earlier searches, suggestions are still valid and new, and replay goes on as the original does."""
    subject = warm_tuner(name, space, seed)
    history = course(data, subject, data.draw(st.integers(0, 20), label="steps"))
    for suggestion in subject.suggestions.values():
        assert space.check(suggestion.parameters) == suggestion.parameters
    assert len({key(s.parameters) for s in subject.suggestions.values()}) == len(subject.suggestions)
    copy = warm_tuner(name, space, seed)
    copy.replay(history)
    for _ in range(3):
        assert copy.ask() == subject.ask()


SCRIPT = """
import json, sys
from tests.contracts.test_tuner_contract import run_plain
print(json.dumps(run_plain(sys.argv[1], json.loads(sys.argv[2]))))
"""


def run_plain(name: str, declarations: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of 15 trials with an objective that depends on them."""
    space = parse_space(declarations)
    subject = tuner(name, space, seed=3)
    found = []
    for number in range(15):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        subject.tell(suggestion.failure("gpu_oom") if number == 4 else suggestion.outcome(suggestion.parameters["x"]))
        found.append(suggestion.parameters)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_everything(name: str) -> None:
    """Another process with another hash seed suggests the same; another seed suggests something else."""
    space = parse_space(
        {"x": {"low": 0.0, "high": 1.0}, "k": ["a", "b"], "m": {"low": 1.0, "high": 2.0, "when": {"k": "a"}}}
    )
    declarations = declare(space)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, json.dumps(declarations)],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == run_plain(name, declarations)
    if name != "grid":
        assert tuner(name, space, seed=4).ask() != tuner(name, space, seed=3).ask()
