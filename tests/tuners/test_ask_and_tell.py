"""Search algorithms for programs that run their trials themselves."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tunewell as tw
from tunewell.spec.errors import ConflictError, NotFoundError, SpecError, UserError
from tunewell.tuners.catalogue import ALGORITHMS

SPACE = {"x": tw.uniform(-1, 1), "kind": ["a", "b"]}


def loss(x: float, kind: str) -> float:
    """Least at x = 0.5 of kind b."""
    return (x - 0.5) ** 2 + (kind == "a")


def test_a_search_by_hand() -> None:
    """Suggestions lie in the space and are told by number or themselves; the best is what was told best."""
    tuner = tw.AskAndTell(SPACE, goal="minimize", max_trials=12)
    values = {}
    while (suggestion := tuner.ask()) is not None:
        value = loss(**suggestion.parameters)
        tuner.tell(suggestion.number if suggestion.number % 2 else suggestion, np.float64(value))
        values[suggestion.number] = value
    assert sorted(values) == list(range(1, 13))
    assert (tuner.best.number, tuner.best.value) == min(values.items(), key=lambda item: item[1])
    assert loss(**tuner.best.parameters) == tuner.best.value
    assert [one.value for one in tuner.told] == [values[number] for number in sorted(values)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"max_trials": "4"}, "max_trials: '4' is no whole number from 1 on. Give 1 or more"),
        ({"max_trials": True}, "max_trials: true is no whole number"),
        ({"max_concurrency": 0}, "max_concurrency: 0 is no whole number from 1 on"),
        ({"seed": -1}, "seed: -1 is no whole number from 0 on"),
        ({"algorithm": 5}, "algorithm: 5 is no mapping"),
        ({"initial": {"x": 0}}, "initial: {x: 0} is no list"),
        ({"initial": [0.5]}, r"initial\.0: 0\.5 is no mapping"),
        ({"parameters": {}}, "parameters: there is nothing to search"),
        ({"parameters": {"x": (0, 1)}}, r"parameters\.x: \(0, 1\) could be a range, or choices"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], expected: str) -> None:
    """What is wrong with an argument is told with its name and value, and what to write instead."""
    with pytest.raises(SpecError, match=expected):
        tw.AskAndTell(**{"parameters": SPACE, "goal": "minimize", **arguments})
    with pytest.raises(SpecError, match="parameters: 5 is no mapping"):
        tw.AskAndTell(SPACE, goal="minimize").add(5)  # type: ignore[arg-type]


def test_failures_and_corrections() -> None:
    """Nothing, and what is not finite, is a failure; what is told again replaces what was told before."""
    tuner = tw.AskAndTell(SPACE, goal="maximize")
    with pytest.raises(ValueError, match="no value was told"):
        _ = tuner.best
    first, second, third = tuner.ask(), tuner.ask(), tuner.ask()
    assert first is not None and second is not None and third is not None
    tuner.tell(first, None)
    tuner.tell(second, math.nan)
    tuner.tell(third, 1.0)
    assert [one.value for one in tuner.told] == [None, None, 1.0]
    tuner.tell(first, 2.0)
    assert (tuner.best.number, tuner.best.value) == (1, 2.0)


def test_the_same_seed_gives_the_same_suggestions() -> None:
    """A search by one thread can be repeated; an algorithm's options are taken."""

    def run() -> list[dict[str, object]]:
        tuner = tw.AskAndTell(SPACE, goal="minimize", algorithm={"name": "bayesian", "initial_trials": 3}, seed=5)
        found = []
        for _ in range(6):
            suggestion = tuner.ask()
            assert suggestion is not None
            tuner.tell(suggestion, loss(**suggestion.parameters))
            found.append(suggestion.parameters)
        return found

    assert run() == run()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_threads_share_one(algorithm: str) -> None:
    """Threads that ask and tell at once get each suggestion once, and nothing that is told is lost."""
    tuner = tw.AskAndTell(SPACE, goal="minimize", algorithm=algorithm, max_trials=40, max_concurrency=4)
    together = threading.Barrier(4, timeout=60)

    def work() -> list[int]:
        mine = []
        together.wait()
        while (suggestion := tuner.ask(timeout=60)) is not None:
            tuner.tell(suggestion, loss(**suggestion.parameters))
            mine.append(suggestion.number)
        return mine

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for done in [pool.submit(work) for _ in range(4)] for number in done.result()]
    assert sorted(numbers) == [one.number for one in tuner.told] == list(range(1, len(numbers) + 1))
    assert len(numbers) == (10 if algorithm == "grid" else 40)
    assert all(one.value == loss(**one.parameters) for one in tuner.told)


def test_own_configurations() -> None:
    """A configuration of one's own is told like a suggestion, once; the first ones can be given."""
    tuner = tw.AskAndTell(SPACE, goal="minimize", initial=[{"x": 0.25, "kind": "a"}])
    own = tuner.add({"x": 0.5, "kind": "b"})
    tuner.tell(own, 0.0)
    first = tuner.ask()
    assert tuner.best.parameters == {"x": 0.5, "kind": "b"}
    assert first is not None and first.parameters == {"x": 0.25, "kind": "a"}
    with pytest.raises(ConflictError, match="suggested before"):
        tuner.add({"x": 0.5, "kind": "b"})
    with pytest.raises(SpecError, match="outside"):
        tuner.add({"x": 2, "kind": "b"})


def test_nothing_left() -> None:
    """A space that has been searched gives nothing more."""
    tuner = tw.AskAndTell({"x": [1, 2]}, goal="minimize", algorithm="grid")
    for _ in range(2):
        suggestion = tuner.ask()
        assert suggestion is not None
        tuner.tell(suggestion, suggestion.parameters["x"])
    assert tuner.ask() is None


def test_mistakes_are_named() -> None:
    """What is told of no suggestion, or is no number, is refused, and nothing is learned from it."""
    tuner = tw.AskAndTell(SPACE, goal="minimize")
    suggestion = tuner.ask()
    with pytest.raises(NotFoundError, match="no suggestion 9"):
        tuner.tell(9, 0.5)
    with pytest.raises(UserError, match="no number"):
        tuner.tell(suggestion, "0.5")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"tell\(suggestion, value\)"):
        tuner.tell(0.5, 0.5)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="there is no algorithm"):
        tw.AskAndTell(SPACE, goal="minimize", algorithm="bayes")
    with pytest.raises(SpecError, match="could be a range"):
        tw.AskAndTell({"x": (0, 1)}, goal="minimize")
    assert tuner.told == []
