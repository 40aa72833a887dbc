"""Functions of a program that are called as its search goes on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import tunewell as tw
from tunewell.python_api.callbacks import Callbacks
from tunewell.service.service import Service
from tunewell.service.types import Trial

VALUES = [3.0, 5.0, 4.0, 6.0]


def f(trial: tw.Trial, x: int) -> float:
    """Return a value by the trial's number; the third one fails."""
    if trial.number == 3:
        raise ValueError("too bad")
    return VALUES[trial.number - 1]


def search(home: Path, **fields: object) -> tw.Result:
    """Search with four trials."""
    space = {"x": tw.integer(0, 100)}
    return tw.search(f, space, goal="maximize", max_trials=4, home=home, progress=False, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheduler", ["inline", "local"])
def test_each_end_and_each_improvement_is_told_once(scheduler: str, tmp_path: Path) -> None:
    """Every trial that ends is given as it is on record, failed ones too, in order; a new best one once more."""
    ended: list[Trial] = []
    better: list[Trial] = []
    result = search(
        tmp_path,
        scheduler=scheduler,
        max_concurrency=1,
        on_trial_end=ended.append,
        on_improvement=better.append,
    )
    assert [(trial.number, str(trial.state), trial.value) for trial in ended] == [
        (1, "succeeded", 3.0),
        (2, "succeeded", 5.0),
        (3, "failed", None),
        (4, "succeeded", 6.0),
    ]
    assert [trial.parameters for trial in ended] == [trial["parameters"] for trial in result.trials()]
    assert better[-1].number == result.best.number == 4
    if scheduler == "inline":  # each trial is looked at before the next one begins
        assert [trial.number for trial in better] == [1, 2, 4]


def test_errors_in_callbacks_end_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is called again for the next trial; its errors are logged, the first with its trace."""

    def broken(trial: Trial) -> None:
        raise RuntimeError(f"no network at {trial.number}")

    better: list[Trial] = []
    with caplog.at_level(logging.ERROR):
        result = search(tmp_path, on_trial_end=broken, on_improvement=better.append)
    assert str(result.state) == "completed"
    assert [trial.number for trial in better] == [1, 2, 4]
    assert [record.getMessage() for record in caplog.records] == [
        f"on_trial_end failed at trial {number}, and the search goes on: RuntimeError: no network at {number}"
        for number in (1, 2, 3, 4)
    ]
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False, False]


def test_what_ended_before_is_not_told_again(tmp_path: Path) -> None:
    """A search that goes on tells of the trials that end from then on, and of what is better than all before."""
    first: list[int] = []
    search(tmp_path, name="kept", on_trial_end=lambda trial: first.append(trial.number))
    with Service(tmp_path) as service:
        service.retry("kept")
    VALUES[2], ended, better = 0.5, [], []

    def fixed(trial: tw.Trial, x: int) -> float:
        return VALUES[trial.number - 1]

    fixed.__name__, fixed.__qualname__, fixed.__module__ = f.__name__, f.__qualname__, f.__module__
    result = tw.search(
        fixed,
        {"x": tw.integer(0, 100)},
        goal="maximize",
        max_trials=4,
        home=tmp_path,
        progress=False,
        name="kept",
        on_trial_end=lambda trial: ended.append(trial.number),
        on_improvement=lambda trial: better.append(trial.number),
    )
    assert (first, ended, better) == ([1, 2, 3, 4], [3], [])
    assert any("The function's code was changed" in note for note in result.summary.notes)


def test_the_latest_event_is_found(tmp_path: Path) -> None:
    """However many events there are, and wherever their ids begin, only what comes later is told."""
    search(tmp_path, name="first")
    search(tmp_path, name="second")
    with Service(tmp_path) as service:
        for name in ("first", "second"):
            told: list[Trial] = []
            callbacks = Callbacks(service, name, told.append)
            callbacks.update()
            assert told == []
            assert callbacks._after == service.events(name)[-1].id
