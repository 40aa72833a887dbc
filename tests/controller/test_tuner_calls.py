"""What a tuner is asked, whenever it gets round to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tunewell.controller.tuner_calls import TunerCalls
from tunewell.spec.states import TrialState
from tunewell.tuners.contract import Outcome


class Later:
    """Calls that are made when a test says so."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def make(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Keep a call."""
        self._calls.append((call, then))

    def catch_up(self) -> None:
        """Make all calls, in their order."""
        calls, self._calls = self._calls, []
        for call, then in calls:
            then(call())


class Watching:
    """A tuner that remembers the curves that it is asked about."""

    judges = True
    outcomes: dict[int, Outcome] = {}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        self.seen: list[dict[int, float]] = []

    def judge(self, number: int, curve: dict[int, float]) -> str:
        """Remember a curve."""
        self.seen.append(dict(curve))
        return "keep"

    def tell(self, outcome: Outcome) -> None:
        """Learn nothing."""

    def concurrency(self) -> None:
        """Any number."""

    def checkpoints(self) -> tuple[int, ...]:
        """None."""
        return ()


class Curve(dict[int, float]):
    """A curve that counts how often it is copied."""

    copies = 0

    def __iter__(self) -> Iterator[int]:
        self.copies += 1
        return super().__iter__()

    def keys(self) -> Any:
        """Return the steps."""
        self.copies += 1
        return super().keys()


def test_a_curve_is_judged_as_it_was_when_that_was_asked() -> None:
    """A tuner that is late sees each curve as far as it had come, in the order of the questions."""
    tuner, calls = Watching(), Later()
    asked = TunerCalls(tuner, calls, 0)  # type: ignore[arg-type]
    verdicts: list[str] = []
    curve = {1: 0.1}  # of an attempt that goes on from an earlier one
    for step, value in ((2, 0.2), (3, 0.3), (3, 0.35)):
        curve[step] = value
        asked.judge(7, curve, step, verdicts.append)
    calls.catch_up()
    assert tuner.seen == [{1: 0.1, 2: 0.2}, {1: 0.1, 2: 0.2, 3: 0.3}, {1: 0.1, 2: 0.2, 3: 0.35}]
    again = {1: 0.9}
    asked.judge(7, again, 1, verdicts.append)
    calls.catch_up()
    assert tuner.seen[-1] == {1: 0.9}
    assert verdicts == ["keep"] * 4


def test_a_long_curve_is_copied_once() -> None:
    """Each report costs as much as any other, however many there were; after the end nothing of it is kept."""
    tuner, calls, curve = Watching(), Later(), Curve()
    asked = TunerCalls(tuner, calls, 0)  # type: ignore[arg-type]
    for step in range(100):
        curve[step] = step / 100
        asked.judge(1, curve, step, lambda verdict: None)
    assert curve.copies <= 2
    asked.tell(Outcome(1, TrialState.SUCCEEDED, 0.5, None, 1.0, {}), lambda found: None)
    calls.catch_up()
    curve[100] = 1.0
    asked.judge(1, curve, 100, lambda verdict: None)
    calls.catch_up()
    assert tuner.seen[-1] == dict(curve)
