"""How much of its training a trial has done, and what kept it from the rest: put on record for each kind of end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.fakes import Bench, FakeTask
from tunewell.service.advice import advise
from tunewell.spec.epochs import training_text
from tunewell.spec.states import TIME_LIMITS, Cause, Cut, ExperimentState, TrialState
from tunewell.tuners.contract import Suggestion


@pytest.fixture
def bench(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A controller whose trials have ten epochs, with two slots."""
    monkeypatch.setattr(FakeTask, "epochs", 10)
    bench = Bench(tmp_path, database=database)
    yield bench
    bench.store.close()


def train(bench: Bench, trial: int, epochs: int, value: float = 0.5) -> None:
    """Have a trial report so many epochs."""
    for epoch in range(1, epochs + 1):
        bench.scheduler.report(trial, value, step=epoch)


def told(bench: Bench, trial: int = 1) -> tuple[str, Cut | None, str]:
    """Return state and cut of a trial on record, and how that is told."""
    row = bench.store.trial("e", trial)
    return row.state, row.cut_by, training_text(row.epochs, row.planned_epochs, row.cut_by)


def test_a_training_in_full_is_told_without_a_word(bench: Bench) -> None:
    """A trial that has done all epochs was not cut."""
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    row = bench.store.trial("e", 1)
    assert (row.epochs, row.planned_epochs) == (None, 10)
    train(bench, 1, 10)
    bench.scheduler.end(1)
    bench.step()
    row = bench.store.trial("e", 1)
    assert (row.epochs, row.planned_epochs) == (10, 10)
    assert told(bench) == ("succeeded", None, "")


def test_the_time_limit_of_the_search_cuts_trials(bench: Bench) -> None:
    """What ran when the time was over is told, and which limit to raise; the best one is named."""
    bench.create(max_duration="10s", max_trials=4)
    bench.add()
    bench.step()
    train(bench, 1, 7, value=0.9)
    train(bench, 2, 3)
    bench.step(12)
    assert told(bench) == (
        "stopped",
        Cut.MAX_DURATION,
        "epoch 7 of 10, stopped by the time limit of the search",
    )
    assert bench.store.trial("e", 1).detail == "stopped by the time limit of the search"
    (advice,) = advise(bench.store.experiment("e"), bench.store.top("e"), bench.store.cut_trials("e", TIME_LIMITS))
    assert advice.field == "max_duration"
    assert advice.detail == (
        "2 of 2 trials were cut off by the time limit of the search (max_duration 10s), among them the best one at "
        "epoch 7 of 10: give max_duration 45s."
    )


def test_the_time_limit_of_a_trial_cuts_it(bench: Bench) -> None:
    """A trial over its time limit fails as ever, and it is told how far it came and how much time it needs."""
    bench.create(max_trials=2, max_trial_duration="1m")
    bench.add()
    bench.step()
    train(bench, 1, 2)
    train(bench, 2, 10)
    bench.scheduler.end(1, Cause.TIMEOUT, "it ran longer than 60 s")
    bench.scheduler.end(2)
    bench.step()
    assert told(bench) == (
        "failed",
        Cut.MAX_TRIAL_DURATION,
        "epoch 2 of 10, stopped by the time limit of a trial",
    )
    (advice,) = advise(bench.store.experiment("e"), bench.store.top("e"), bench.store.cut_trials("e", TIME_LIMITS))
    assert advice.detail == (
        "1 of 2 trials was cut off by the time limit of a trial (max_trial_duration 1m): give max_trial_duration 2m."
    )


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"verb": "stop"}, "epoch 4 of 10, stopped by hand"),
        ({"verb": "stop_trial", "trial": 1}, "epoch 4 of 10, stopped by hand"),
    ],
)
def test_a_stop_by_hand_cuts_trials(bench: Bench, request_: dict[str, object], text: str) -> None:
    """A trial that somebody has stopped, or whose search, says so."""
    bench.create(max_trials=2)
    bench.add()
    bench.step()
    train(bench, 1, 4)
    bench.step()
    bench.store.request("e", **request_)  # type: ignore[arg-type]
    bench.step(3)
    assert told(bench) == ("stopped", Cut.BY_HAND, text)


def test_the_target_cuts_trials(bench: Bench) -> None:
    """Trials that run when another one reaches the target end with it, as that one does."""
    bench.create(objective={"metric": "accuracy", "target": 0.9})
    bench.add()
    bench.step()
    train(bench, 2, 3)
    train(bench, 1, 5, value=0.92)
    bench.step(3)
    assert told(bench, 1)[1:] == (Cut.TARGET, "epoch 5 of 10, stopped when the search reached its target")
    assert told(bench, 2)[1:] == (Cut.TARGET, "epoch 3 of 10, stopped when the search reached its target")


def test_each_trial_that_reaches_the_target_was_cut_by_it(bench: Bench) -> None:
    """Of several that reach it at the same time each says so, with its value then, whether it ends by itself or not."""
    bench.create(objective={"metric": "accuracy", "target": 0.9})
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.92, step=5)
    bench.scheduler.report(2, 0.95, step=4)
    bench.scheduler.report(2, 0.1, step=6)
    bench.scheduler.end(1)
    bench.scheduler.end(2)
    bench.step(3)
    assert told(bench, 1) == ("succeeded", Cut.TARGET, "epoch 5 of 10, stopped when the search reached its target")
    assert told(bench, 2) == ("succeeded", Cut.TARGET, "epoch 6 of 10, stopped when the search reached its target")
    assert (bench.store.trial("e", 1).value, bench.store.trial("e", 2).value) == (0.92, 0.95)


def test_the_second_trial_that_reaches_the_target_is_told_so(bench: Bench) -> None:
    """A trial that is ended because of another one's value, and has reached the target itself, says that."""
    bench.create(objective={"metric": "accuracy", "target": 0.9})
    bench.add()
    bench.step()
    for trial in (1, 2):
        bench.scheduler.report(trial, 0.92, step=5)
    bench.step(3)
    assert [bench.store.trial("e", trial).detail for trial in (1, 2)] == ["it reached the target"] * 2


def test_early_stopping_is_no_fault(bench: Bench) -> None:
    """A pruned trial, and one that was given a part of the training, are told in plain words, without advice."""
    bench.create(max_trials=2)
    tuner = bench.add(answers=[1, Suggestion(2, {"x": 2}, "list", fidelity=0.3)])
    tuner.judgement = lambda number, curve: "prune" if number == 1 and max(curve) >= 4 else "keep"
    bench.step()
    train(bench, 1, 4)
    train(bench, 2, 3)
    bench.scheduler.end(2)
    bench.step(2)
    assert told(bench, 1) == ("pruned", Cut.EARLY_STOPPING, "4 of 10 epochs, by the early stopping")
    assert told(bench, 2) == ("succeeded", Cut.FIDELITY, "3 of 10 epochs, all that the search gave it")
    assert not bench.store.cut_trials("e", TIME_LIMITS)


def test_any_other_end_of_the_search_cuts_trials(bench: Bench) -> None:
    """What ran when enough trials had brought nothing better ends with the search."""
    bench.create(max_trials=9, max_trials_without_improvement=1)
    bench.add()
    bench.step()
    train(bench, 2, 2, value=0.1)
    for trial in (1, 3):
        train(bench, trial, 10, value=0.6)
        bench.scheduler.end(trial)
        bench.step(2)
    assert told(bench, 2) == ("stopped", Cut.SEARCH_ENDED, "epoch 2 of 10, stopped when the search ended")


def test_a_controller_that_takes_over_tells_the_same(bench: Bench) -> None:
    """What a trial was cut by is known of one that an earlier controller has started, too."""
    bench.create(max_duration="10s")
    bench.add()
    bench.step()
    running = bench.scheduler.key(1)
    bench.crash()
    bench.add()
    bench.step()
    assert bench.scheduler.key(1) == running
    train(bench, 1, 6)
    bench.step(12)
    assert told(bench)[2] == "epoch 6 of 10, stopped by the time limit of the search"


def test_a_trial_that_runs_again_is_cut_no_more(bench: Bench) -> None:
    """With more time a trial that was cut goes on to its end, and the advice is gone."""
    bench.create(max_duration="10s", max_trials=2)
    bench.add()
    bench.step()
    train(bench, 1, 7)
    train(bench, 2, 10)
    bench.scheduler.end(2)
    bench.step(12)
    assert told(bench)[0] == "stopped"
    with bench.store.transaction() as tx:
        tx.set_spec("e", {**bench.store.experiment("e").spec, "max_duration": "60s"})
    bench.let_go_on(retry=[1])
    bench.add()
    bench.step(2)
    row = bench.store.trial("e", 1)
    assert (row.state, row.epochs, row.cut_by) == (TrialState.RUNNING, None, None)
    train(bench, 1, 10)
    bench.scheduler.end(1)
    bench.step(2)
    assert told(bench) == ("succeeded", None, "")


def test_nothing_is_told_where_epochs_are_not_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a command may be anything; what has stopped it is on record all the same."""
    monkeypatch.setattr(FakeTask, "epochs", None)
    bench.create(max_duration="10s")
    bench.add()
    bench.step()
    train(bench, 1, 3)
    bench.step(12)
    assert told(bench) == ("stopped", Cut.MAX_DURATION, "")
    (advice,) = advise(bench.store.experiment("e"), bench.store.top("e"), bench.store.cut_trials("e", TIME_LIMITS))
    assert ", among them the best one: give max_duration" in advice.detail


def test_time_in_which_a_search_waits_for_its_turn_does_not_count(bench: Bench) -> None:
    """While others have all the room, a search that runs nothing does not come nearer to its longest time."""
    bench.create("first", max_trials=2)
    bench.create(max_duration="10s", max_trials=2)
    bench.add("first")
    bench.step()
    bench.add()
    bench.step(30)
    row = bench.store.experiment("e")
    assert (row.state, row.counts[TrialState.RUNNING]) == (ExperimentState.RUNNING, 0)
    assert row.elapsed_seconds <= 2
    bench.scheduler.end(1)
    bench.step(5)
    assert bench.store.experiment("e").elapsed_seconds >= 3
    bench.step(9)
    assert bench.store.experiment("e").state is ExperimentState.TIMED_OUT
