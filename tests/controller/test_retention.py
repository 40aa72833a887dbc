"""What is kept on disk of ended trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewell.controller.retention import Retention
from tunewell.spec.experiment import parse_spec
from tunewell.spec.states import TrialState
from tunewell.tuners.contract import Suggestion


def retention(**fields: Any) -> Retention:
    """Return the retention of a search over pictures, or of what `fields` say."""
    what = fields or {"task": "image-classification", "data": "/pictures", "network": "small-cnn"}
    return Retention(parse_spec({"name": "e", "objective": "accuracy", "parameters": {"x": [1, 2]}, **what}))


def end(
    subject: Retention, number: int, value: float | None, fidelity: float = 1.0, wanted: Any = (), failed: bool = False
) -> set[str]:
    """Note the end of a trial; return what may go, as NUMBER/PART."""
    state = TrialState.FAILED if failed else TrialState.SUCCEEDED
    suggestion = Suggestion(number, {"x": 1}, "random", fidelity)
    gone = subject.note_end(suggestion, Path(str(number)), state, value, wanted)
    return {str(path) for path in gone}


def test_models_of_the_five_best_are_kept() -> None:
    """Each further trial costs the worst its model, itself perhaps; failures leave none."""
    subject = retention()
    for number, value in enumerate([0.5, 0.6, 0.7, 0.8, 0.9], start=1):
        assert end(subject, number, value) == {f"{number}/checkpoint"}
    assert end(subject, 6, 0.65) == {"6/checkpoint", "1/artifacts"}
    assert end(subject, 7, 0.1) == {"7/checkpoint", "7/artifacts"}
    assert end(subject, 8, None, failed=True) == {"8/checkpoint", "8/artifacts"}


def test_the_lowest_are_the_best_where_the_objective_is_minimised() -> None:
    """A loss is ranked the other way round."""
    subject = retention(
        task="image-classification", data="/pictures", network="small-cnn", objective={"metric": "loss"}
    )
    for number, value in enumerate([0.5, 0.9, 0.8, 0.7, 0.6], start=1):
        end(subject, number, value)
    assert end(subject, 6, 0.1) == {"6/checkpoint", "2/artifacts"}
    assert end(subject, 7, 0.95) == {"7/checkpoint", "7/artifacts"}


@pytest.mark.parametrize(("state", "value"), [(TrialState.PRUNED, 0.9), (TrialState.STOPPED, None)])
def test_trials_that_were_ended_without_a_result_leave_no_model(state: TrialState, value: float | None) -> None:
    """What was pruned, however good it was by then, or stopped before its first value, is nobody's best."""
    gone = retention().note_end(Suggestion(1, {"x": 1}, "random"), Path("1"), state, value, ())
    assert {str(path) for path in gone} == {"1/checkpoint", "1/artifacts"}


def test_the_default_configurations_model_is_kept() -> None:
    """However bad it is, it is there to be compared with; the five best keep theirs besides."""
    subject = retention()
    suggestion = Suggestion(1, {"x": 1}, "default")
    gone = subject.note_end(suggestion, Path("1"), TrialState.SUCCEEDED, 0.1, ())
    assert {str(path) for path in gone} == {"1/checkpoint"}
    for number in range(2, 7):
        assert end(subject, number, 0.5) == {f"{number}/checkpoint"}
    assert end(subject, 7, 0.6) == {"7/checkpoint", "6/artifacts"}


def test_the_default_configurations_model_is_kept_in_a_population() -> None:
    """There it is that of the last round, to which the default configuration went on without a change."""
    subject = retention()
    for number, parent, x, fidelity in ((1, None, 1, 0.5), (2, None, 2, 0.5), (3, 1, 1, 1.0), (4, 1, 3, 1.0)):
        suggestion = Suggestion(number, {"x": x}, "random" if number > 1 else "default", fidelity, parent)
        subject.note_end(suggestion, Path(str(number)), TrialState.SUCCEEDED, 0.1, ())
    gone = [end(subject, number, 0.5) for number in range(5, 11)]
    assert {"1/artifacts", "2/artifacts", "4/artifacts"} <= set().union(*gone)
    assert "3/artifacts" not in set().union(*gone)


def test_full_trainings_come_before_better_parts() -> None:
    """The best trials are those that `show` lists: whatever a part of a training reached, full ones come first."""
    subject = retention()
    for number in range(1, 6):
        end(subject, number, 0.9, fidelity=0.5)
    assert "5/artifacts" in end(subject, 6, 0.2)


def test_checkpoints_go_when_nobody_wants_them() -> None:
    """They are kept as long as a trial may resume from them, then they go, whoever ends."""
    subject = retention()
    assert end(subject, 1, 0.5, wanted={1, 2}) == set()
    assert end(subject, 2, 0.6, wanted={1, 2}) == set()
    assert end(subject, 3, 0.7, wanted={2}) == {"1/checkpoint", "3/checkpoint"}
    assert end(subject, 4, 0.7, wanted={2, 4}) == set()
    assert end(subject, 5, 0.7, wanted=()) == {"2/checkpoint", "4/checkpoint", "5/checkpoint"}


def test_what_a_command_wrote_is_its_own() -> None:
    """Nothing of a user's own program is ever deleted."""
    subject = retention(command=["train"])
    assert end(subject, 1, None, failed=True) == set()
