"""Pausing and resuming single experiments, and a controller that looks for its work by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controller.fakes import Bench, FakeTask
from tests.controller.test_controller import finish
from tests.controller.test_jobs import prepares
from tests.schedulers.bench import wait_until
from tunewell.controller.work import Work
from tunewell.spec.errors import DataError
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.spec.waits import PAUSING, recorded_reason
from tunewell.store.dialect import StoreError
from tunewell.store.store import Store


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller that takes all work that there is, with two slots."""
    bench = Bench(tmp_path, database=database)
    bench.work = Work(everything=True)
    bench.crash()
    yield bench
    bench.store.close()


def state(bench: Bench, name: str = "e") -> ExperimentState:
    """Return the state of an experiment."""
    return bench.store.experiment(name).state


def test_an_idle_controller_takes_what_comes(bench: Bench) -> None:
    """Experiments that are recorded while it runs are taken up, one after the other, to their ends."""
    bench.step(3)
    assert not bench.controller.busy
    for name in ("a", "b"):
        bench.create(name, max_trials=1)
        bench.step(2)
        finish(bench, 1, 0.5)
        bench.step(2)
        assert state(bench, name) is ExperimentState.COMPLETED
    assert not bench.controller.busy


def test_functions_belong_to_their_own_processes(bench: Bench) -> None:
    """A search over a Python function is left to the process that has the function."""
    bench.create("f", command=None, function="module:f")
    bench.step(3)
    assert state(bench, "f") is ExperimentState.CREATED


def test_a_paused_search_goes_on_where_it_was(bench: Bench) -> None:
    """Trials that can go on later end for now, nothing starts, no time counts; resumed, they run and lose nothing."""
    bench.create(max_trials=3, max_duration="30s", max_attempts=1)
    bench.step(2)
    bench.scheduler.report(1, 0.4)
    bench.store.request("e", "pause")
    bench.step(2)
    assert state(bench) is ExperimentState.PAUSED
    assert [trial.state for trial in bench.store.trials("e")] == [TrialState.WAITING] * 2
    assert not bench.scheduler.alive
    bench.step(100)
    assert state(bench) is ExperimentState.PAUSED
    bench.store.request("e", "resume")
    bench.step(3)
    assert state(bench) is ExperimentState.RUNNING
    assert sorted(key.trial for key in bench.scheduler.alive) == [1, 2]  # type: ignore[union-attr]
    for number in (1, 2):
        finish(bench, number, 0.5)
    bench.step(2)
    finish(bench, 3, 0.6)
    bench.step(2)
    assert state(bench) is ExperimentState.COMPLETED


def test_trials_that_can_not_go_on_later_finish_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where trials can't go on from a checkpoint, pausing waits for their ends."""
    monkeypatch.setattr(FakeTask, "checkpoints", False)
    bench.create(max_trials=4)
    bench.step(2)
    bench.store.request("e", "pause")
    bench.step(3)
    assert (state(bench), len(bench.scheduler.alive)) == (ExperimentState.RUNNING, 2)
    assert recorded_reason(bench.store.experiment("e").waits_for) == PAUSING
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.5)
    bench.step(2)
    assert state(bench) is ExperimentState.PAUSED
    assert [trial.state for trial in bench.store.trials("e")] == [TrialState.SUCCEEDED] * 2


def test_a_pause_that_is_taken_back_pauses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is resumed before its trials have ended just goes on."""
    monkeypatch.setattr(FakeTask, "checkpoints", False)
    bench.create(max_trials=3)
    bench.step(2)
    bench.store.request("e", "pause")
    bench.step(2)
    bench.store.request("e", "resume")
    bench.step(2)
    finish(bench, 1, 0.5)
    bench.step(2)
    assert sorted(key.trial for key in bench.scheduler.alive) == [2, 3]  # type: ignore[union-attr]
    assert state(bench) is ExperimentState.RUNNING


def test_a_pause_is_asked_for_until_it_is_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request to pause stays open while trials still finish: so it is known that a resume takes it back."""
    monkeypatch.setattr(FakeTask, "checkpoints", False)
    bench.create(max_trials=4)
    bench.step(2)
    bench.store.request("e", "pause")
    bench.step(2)
    assert [request.verb for request in bench.store.open_requests()] == ["pause"]
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.5)
    bench.step(2)
    assert bench.store.open_requests() == []


def test_a_paused_search_can_be_stopped(bench: Bench) -> None:
    """A request to stop ends a paused search for good."""
    bench.create(max_trials=3)
    bench.step(2)
    bench.store.request("e", "pause")
    bench.step(3)
    bench.store.request("e", "stop")
    bench.step(3)
    assert state(bench) is ExperimentState.STOPPED
    assert all(trial.state.final for trial in bench.store.trials("e"))


def test_a_pause_outlives_the_controller(bench: Bench) -> None:
    """A paused search stays paused when the controller starts again."""
    bench.create(max_trials=3)
    bench.step(2)
    bench.store.request("e", "pause")
    bench.step(3)
    bench.crash()
    bench.step(5)
    assert state(bench) is ExperimentState.PAUSED


def test_one_search_is_paused_and_the_other_goes_on(bench: Bench) -> None:
    """Pausing is a matter of the one search."""
    bench.create("a", max_trials=5, max_concurrency=1, resources={"cpus": 1})
    bench.create("b", max_trials=5, max_concurrency=1, resources={"cpus": 1})
    bench.step(3)
    bench.store.request("a", "pause")
    bench.step(3)
    assert (state(bench, "a"), state(bench, "b")) == (ExperimentState.PAUSED, ExperimentState.RUNNING)
    assert [key.experiment for key in bench.scheduler.alive] == ["b"]  # type: ignore[union-attr]


def test_a_finished_search_is_taken_up_for_a_retry(bench: Bench) -> None:
    """A trial that is to run again wakes the controller of a search that has ended."""
    bench.create(max_trials=1, max_failed_trials=5)
    bench.step(2)
    bench.scheduler.end(1, Cause.CRASHED)
    bench.step(2)
    assert state(bench).final
    bench.let_go_on(retry=[1])
    bench.step(3)
    finish(bench, 1, 0.5)
    bench.step(2)
    assert bench.store.trial("e", 1).value == 0.5
    assert state(bench) is ExperimentState.COMPLETED


@pytest.fixture
def preparing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The controller while it runs the preparation of an experiment."""
    prepares(bench, monkeypatch)
    bench.create(max_trials=1)
    bench.step(3)
    assert bench.store.job(1).state is JobState.RUNNING
    return bench


def test_a_search_is_stopped_while_it_is_prepared(preparing: Bench) -> None:
    """A stop does not wait for a long preparation: that ends, too, and no trial begins."""
    preparing.store.request("e", "stop")
    preparing.step(5)
    assert (state(preparing), preparing.store.job(1).state) == (ExperimentState.STOPPED, JobState.STOPPED)
    assert not preparing.controller.busy and not preparing.store.open_requests()
    assert preparing.store.trials("e") == []


def test_a_search_is_paused_while_it_is_prepared(preparing: Bench) -> None:
    """The preparation is brought to its end, and the search goes on with it when it is resumed, not before."""
    preparing.store.request("e", "pause")
    preparing.step(2)
    assert (state(preparing), preparing.store.job(1).state) == (ExperimentState.PAUSED, JobState.RUNNING)
    preparing.store.request("e", "resume")
    preparing.step(2)
    assert [row.id for row in preparing.store.jobs("e", kind="prepare")] == [1]
    preparing.store.request("e", "pause")
    preparing.store.request("e", "resume")
    preparing.step(2)
    (key,) = preparing.scheduler.alive
    preparing.scheduler.stop(key)
    preparing.step(2)
    assert state(preparing) is not ExperimentState.FAILED


def test_a_search_is_paused_while_it_is_taken_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of it just as it is paused does not set it going; resumed, it goes on."""
    bench.waits = False
    bench.crash()
    background, answers = bench.surroundings.background, threading.Semaphore(0)
    deliver, note = background.deliver, background.note_answer

    def note_answer(done: Any) -> None:
        note(done)
        answers.release()

    def deliver_all() -> set[str | int]:
        for _ in range(background.outstanding):
            assert answers.acquire(timeout=30)
        return deliver()

    bench.create(max_trials=1)
    bench.store.request("e", "pause")
    monkeypatch.setattr(background, "note_answer", note_answer)
    monkeypatch.setattr(background, "deliver", deliver_all)
    bench.step()
    assert state(bench) is ExperimentState.PAUSED
    monkeypatch.undo()
    bench.step(3)
    assert state(bench) is ExperimentState.PAUSED and not bench.scheduler.alive
    bench.store.request("e", "resume")
    bench.step()
    bench.settle()
    assert state(bench) is ExperimentState.RUNNING and bench.scheduler.alive


def test_a_late_stop_sets_nothing_going(bench: Bench) -> None:
    """A second request to stop, which comes when the search has just been stopped, does not have it go on."""
    bench.create(max_trials=5)
    bench.step(2)
    bench.store.request("e", "stop")
    bench.step(3)
    bench.store.request("e", "stop")
    bench.step(3)
    assert state(bench) is ExperimentState.STOPPED
    assert not bench.scheduler.alive and not bench.controller.busy


def test_the_stop_of_a_trial_outlives_the_controller_that_has_begun_with_it(bench: Bench) -> None:
    """A trial that was asked to end does not go on because the controller was killed meanwhile."""
    bench.create(max_trials=2)
    bench.step(2)
    bench.store.request("e", "stop_trial", 1)
    bench.scheduler.silent = True
    bench.step(3)
    assert bench.scheduler.stops == [(bench.scheduler.started[0], None)]
    bench.crash()
    bench.scheduler.silent = False
    bench.step(4)
    assert bench.store.trial("e", 1).state is TrialState.STOPPED
    assert not bench.store.open_requests()


@pytest.mark.parametrize("paused", [True, False])
def test_what_can_not_go_on_fails_once(bench: Bench, paused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search whose record is of no use any more fails with the reason; what runs of it ends; it is left alone."""
    bench.create(max_trials=5)
    bench.step(2)
    if paused:
        bench.store.request("e", "pause")
        bench.step(2)
        bench.store.request("e", "resume")

    def load(row: object) -> object:
        raise DataError("its data is gone")

    monkeypatch.setattr(bench, "_load", load)
    bench.crash()
    bench.step(3)
    assert (state(bench), bench.store.experiment("e").detail) == (ExperimentState.FAILED, "its data is gone.")
    term = bench.store.experiment("e").term
    bench.step(5)
    assert bench.store.experiment("e").term == term and not bench.scheduler.alive
    monkeypatch.undo()
    bench.crash()
    bench.let_go_on()
    bench.step(3)
    assert state(bench) is ExperimentState.RUNNING
    assert sorted(key.trial for key in bench.scheduler.alive) == [1, 2]  # type: ignore[union-attr]


def test_what_can_not_go_on_waits_for_the_store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the store can't be read just when a search is to fail, that is tried again, and the controller lives on."""
    bench.create(max_trials=5)
    bench.step(2)
    read, failed = Store.trials, []

    def load(row: object) -> object:
        raise DataError("its data is gone")

    def unreadable(*arguments: Any, **options: Any) -> Any:
        if not failed:
            failed.append(True)
            raise StoreError("it can't be read now")
        return read(*arguments, **options)

    monkeypatch.setattr(Store, "trials", unreadable)
    monkeypatch.setattr(bench, "_load", load)
    bench.waits = False
    bench.crash()
    wait_until(lambda: bench.step() or state(bench) is ExperimentState.FAILED)
    assert failed and not bench.scheduler.alive


def test_an_ended_search_that_can_not_go_on_fails_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry in a search that has ended and can't be run any more is answered by its failure."""
    bench.create(max_trials=1)
    bench.step(2)
    bench.scheduler.end(1, Cause.CRASHED)
    bench.step(3)
    assert state(bench).final

    def load(row: object) -> object:
        raise DataError("its data is gone")

    monkeypatch.setattr(bench, "_load", load)
    bench.crash()
    bench.let_go_on(retry=[1])
    bench.step(3)
    assert (state(bench), bench.store.experiment("e").detail) == (ExperimentState.FAILED, "its data is gone.")
    assert not bench.store.open_requests() and not bench.controller.busy
