"""What breeding makes of outcomes."""

from __future__ import annotations

from tunewell.spec.states import Cause
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion, Tuner

SPACE = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}


def bred(subject: Tuner, number: int) -> str:
    """Return the origin of the proposal for a trial."""
    proposed = subject.propose(number)
    assert isinstance(proposed, Suggestion)
    return proposed.origin


def test_children_are_of_the_best_as_they_were_told_last() -> None:
    """A trial that was run again counts with its later outcome: it loses its place among the best, and finds it."""
    subject = create("evolutionary", SPACE, goal="minimize", population_size=4, disturbance_ratio=0.25)
    trials = [subject.ask() for _ in range(8)]
    for trial in trials:
        assert isinstance(trial, Suggestion)
        subject.tell(trial.outcome(float(trial.number)))
    first, second, third = (trial for trial in trials[:3] if isinstance(trial, Suggestion))
    places = range(9, 40)
    assert {number for place in places for number in (1, 2, 3) if f" {number}" in bred(subject, place)} == {1, 2}
    subject.tell(first.failure(Cause.CRASHED))
    subject.tell(second.outcome(100.0))
    assert not any(" 1" in bred(subject, place) or " 2" in bred(subject, place) for place in places)
    subject.tell(first.outcome(0.0))
    subject.tell(third.outcome(0.5))
    assert {number for place in places for number in (1, 2, 3) if f" {number}" in bred(subject, place)} == {1, 3}
