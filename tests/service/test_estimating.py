"""How long a search takes, judged by a few steps that were measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.store.lives import run
from tests.tasks.image_classification.trained import write_pictures
from tunewell.schedulers import hardware
from tunewell.schedulers.claims import Claim, Claims
from tunewell.service import estimating, measuring
from tunewell.service.findings import check_spec
from tunewell.service.measuring import Measured
from tunewell.service.service import Service
from tunewell.service.submission import make_plan
from tunewell.service.types import Checked
from tunewell.spec.errors import UserError
from tunewell.store.store import Store


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """A spec over a few pictures."""
    return {
        "name": "digits",
        "task": "image-classification",
        "data": str(write_pictures(tmp_path / "data", {"train": 40, "val": 30})),
        "network": "small-cnn",
        "max_trials": 20,
        "max_concurrency": 1,
        "early_stopping": "off",
        "algorithm": "random",
    }


def checked(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], measured: Measured | UserError) -> Checked:
    """Return what a check says where this is measured."""

    def measure(*_: object) -> Measured:
        if isinstance(measured, UserError):
            raise measured
        return measured

    monkeypatch.setattr(estimating, "measure", measure)
    return check_spec(spec, measures=True)


#: 10 epochs of 24 s: 4 min.
FOUR_MINUTES = Measured(epochs=10, steps=20, step_seconds=1.0, validation_seconds=4.0)


def test_what_was_measured_is_told(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """A trial, its parts, and all trials are told in times that people use; nothing is advised where all fits."""
    estimate = checked(monkeypatch, spec, FOUR_MINUTES).estimate
    assert estimate is not None
    assert (estimate.trial_seconds, estimate.seconds, estimate.room) == (240, 4800, 360)
    assert (estimate.experiment, estimate.epochs, estimate.steps, estimate.step_seconds) == ("", 10, 20, 1.0)
    assert estimate.told == (
        "A trial in full takes about 4 min here (10 epochs of 20 steps, 1 s a step, measured). All 20 trials take "
        "about 80 min, one at a time."
    )
    assert estimate.warnings == ()
    halved = checked(monkeypatch, {**spec, "early_stopping": "halving"}, FOUR_MINUTES).estimate
    assert halved is not None and halved.told.endswith("one at a time, less where they are stopped early.")


def test_the_time_before_the_first_trial_is_told(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """Pictures are decoded once for each size that is searched; what takes no time is not told."""
    slow = replace(FOUR_MINUTES, pass_seconds=150.0)
    estimate = checked(monkeypatch, {**spec, "parameters": {"image_size": [32, 48]}}, slow).estimate
    assert estimate is not None and (estimate.prepare_seconds, estimate.seconds) == (300, 4800)
    assert estimate.told.endswith(
        "one at a time. Before that the data are prepared, which takes about 5 min the first time."
    )
    estimate = checked(monkeypatch, {**spec, "parameters": {"image_size": 32}}, slow).estimate
    assert estimate is not None and estimate.prepare_seconds == 150
    estimate = checked(monkeypatch, spec, FOUR_MINUTES).estimate
    assert estimate is not None and estimate.prepare_seconds == 0 and "prepared" not in estimate.told


def test_parts_of_trainings_are_no_whole_ones(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """Trials of a population are a round each, and most of those that are promoted are short."""
    populated = {**spec, "algorithm": {"name": "evolutionary", "population_size": 4, "rounds": 5}}
    del populated["max_trials"]
    estimate = checked(monkeypatch, populated, FOUR_MINUTES).estimate
    assert estimate is not None and estimate.seconds == pytest.approx(4 * 240)
    assert "All 20 parts of trainings take about 16 min" in estimate.told
    promoting = {**spec, "early_stopping": "promotion", "max_trials": 40, "parameters": {"epochs": 27}}
    estimate = checked(monkeypatch, promoting, FOUR_MINUTES).estimate
    # 27 begin with an epoch, 9, 3 and 1 go on to 3, 9 and 27: 27 x 1 + 9 x 2 + 3 x 6 + 1 x 18 = 81 epochs of 27.
    assert estimate is not None and estimate.seconds == pytest.approx(3 * 240)


def test_limits_that_are_too_short_are_told(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """What would cut trials off, or end the search after a few of them, is told with what to give."""
    short = {**spec, "max_duration": "10m", "max_trial_duration": "1m"}
    estimate = checked(monkeypatch, short, FOUR_MINUTES).estimate
    assert estimate is not None and estimate.room == 2
    assert estimate.told.endswith("With one at a time, max_duration 10m has room for about 2 of 20 trials.")
    assert estimate.warnings == (
        "Trials would be cut off in epoch 3 of 10 by max_trial_duration 1m: give 6m.",
        "max_duration 10m has room for about 2 trials: give 1h30m.",
    )


def test_what_cant_be_measured_fails_no_check(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """The reason is told beside all else that follows from the spec."""
    found = checked(monkeypatch, spec, UserError("a few steps took longer than 40 s"))
    assert found.estimate is None and found.max_trials == 20
    assert found.not_estimated == "How long a trial takes can't be measured: a few steps took longer than 40 s."


def test_nothing_is_measured_unasked(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """A check is quick unless somebody wants to know how long a trial takes."""
    monkeypatch.setattr(estimating, "measure", lambda *_: pytest.fail("measured"))
    found = check_spec(spec)
    assert (found.estimate, found.not_estimated) == (None, "")


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    """The process that measures is given up after its time, and leaves nothing."""
    monkeypatch.setattr(measuring, "LONGEST_SECONDS", 0.01)
    found = check_spec(spec, measures=True)
    assert found.not_estimated.endswith("a few steps, with all that comes before them, took longer than 0 s.")


def test_one_is_measured_at_a_time(spec: dict[str, Any]) -> None:
    """Whoever wants another is told so at once."""
    with measuring._turn():
        found = check_spec(spec, measures=True)
    assert found.not_estimated.endswith("another measurement is running, ask again.")


def test_a_busy_machine_is_told(spec: dict[str, Any], tmp_path: Path) -> None:
    """What trials hold is left to them."""
    trials = Claims(tmp_path / "claims")
    assert trials.take(lambda held: Claim(tmp_path / "trial", cpus=hardware.machine().cpus))
    found = check_spec(spec, measures=True, claims=tmp_path / "claims")
    assert found.not_estimated == "How long a trial takes can't be measured: the machine is busy."


WORKERS: dict[str, Any] = {
    "name": "elsewhere",
    "scheduler": "workers",
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "goal": "minimize"},
    "max_trials": 20,
    "algorithm": "random",
}


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with searches of workers that have trained, for 10 s a trial: one tells what, the other does not."""
    with Store(database) as store:
        for name, more in (("told", {"command": ["train", "{x}"]}), ("untold", {})):
            plan = make_plan({**WORKERS, "name": name, **more})
            store.create_experiment(name, plan.spec.model_dump(mode="json"), {}, {"name": "random"})
            for number in range(1, 4):
                run(store, number, 1.0, name=name)
        yield store


def test_what_is_not_told_is_not_the_same(store: Store) -> None:
    """Of functions, and of what workers do on their own, nothing says that they train the same."""
    assert check_spec(WORKERS, store=store).estimate is None
    function = {name: value for name, value in WORKERS.items() if name != "scheduler"} | {"function": "m:f"}
    for row in store.experiments(10):
        assert row.spec["task"] is None
    assert check_spec(function, store=store).estimate is None


def test_nobody_knows_how_many_workers_come(store: Store) -> None:
    """Then the time of a trial alone is told; `max_concurrency` says how many there are at most."""
    spec = {**WORKERS, "command": ["train", "{x}"], "max_trial_duration": "5s"}
    found = check_spec(spec, store=store).estimate
    assert found is not None
    assert (found.trial_seconds, found.seconds, found.room) == (10, None, None)
    assert found.told == "A trial takes about 10 s (by 3 trials of told)."
    assert found.warnings == ("Trials would be cut off by max_trial_duration 5s: give 15s.",)
    found = check_spec({**spec, "max_concurrency": 2}, store=store).estimate
    assert found is not None and found.seconds == 100


@pytest.mark.timeout(120)
def test_a_training_is_measured(spec: dict[str, Any]) -> None:
    """Real steps are measured in a process of their own; what was measured is known for a while."""
    found = check_spec({**spec, "parameters": {"batch_size": 8, "epochs": 3, "image_size": 32}}, measures=True).estimate
    assert found is not None
    assert (found.epochs, found.steps) == (3, 5)
    assert found.step_seconds is not None and 0 < found.step_seconds < 10
    assert 15 * found.step_seconds <= found.trial_seconds < 15 * found.step_seconds + 60
    again = check_spec({**spec, "parameters": {"batch_size": 8, "epochs": 3, "image_size": 32}, "max_trials": 2})
    assert again.estimate is not None and again.estimate.trial_seconds == found.trial_seconds


@pytest.mark.parametrize(("name", "told"), [("epochs", False), ("image_size", False), ("tiles", False), ("x", True)])
def test_an_earlier_search_tells_of_trainings_as_long_as_its_own(tmp_path: Path, name: str, told: bool) -> None:
    """One of smaller pictures, say, took less time, and tells nothing of larger ones."""
    parameters = {"epochs": [2], "image_size": [96], "tiles": [1], "x": [1, 2]}
    command = ["sh", "-c", "echo score=1", *(f"{{{one}}}" for one in parameters)]
    spec = {"name": "e", "command": command, "objective": {"metric": "score"}, "max_trials": 2}
    with Service(tmp_path / "home") as service:
        service.submit({**spec, "parameters": parameters})
        assert service.run("e")
        same = service.check({**spec, "name": "f", "parameters": parameters})
        assert same.estimate is not None and same.estimate.experiment == "e"
        other = service.check({**spec, "name": "f", "parameters": {**parameters, name: [3]}})
        assert (other.estimate is not None) is told
