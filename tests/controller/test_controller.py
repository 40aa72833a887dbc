"""The life of experiments under the controller."""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controller.fakes import Bench, FakeScheduler
from tunewell.controller.controller import Controller
from tunewell.controller.losses import MOST_IN_ALL
from tunewell.controller.work import Work
from tunewell.home.cluster import Cluster, read_cluster
from tunewell.schedulers import records
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import ConflictError, DataError
from tunewell.spec.launch import AttemptKey, Ended, Exit, Report, Reported
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.tuners.catalogue import ALGORITHMS
from tunewell.tuners.contract import Suggestion, Wait


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller on an empty home, with two slots."""
    bench = Bench(tmp_path, database=database)
    yield bench
    bench.store.close()


def finish(bench: Bench, trial: int, value: float) -> None:
    """Have a trial report and end well."""
    bench.scheduler.report(trial, value)
    bench.scheduler.end(trial)


def leave_a_checkpoint(bench: Bench, trial: int) -> None:
    """Have a trial leave something to go on from."""
    folder = bench.scheduler.alive[bench.scheduler.key(trial)].folder
    (folder / "checkpoint" / "model.bin").write_bytes(b"weights")


def test_a_search_runs_to_its_end(bench: Bench) -> None:
    """Trials fill the slots, their values reach store and tuner, and the last end completes the search."""
    bench.create(max_trials=3)
    tuner = bench.add()
    bench.step()
    assert [key.trial for key in bench.scheduler.started] == [1, 2]
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.7)
    bench.step()
    finish(bench, 3, 0.6)
    bench.step()
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.COMPLETED, "max_trials")
    assert [trial.value for trial in bench.store.trials("e")] == [0.5, 0.7, 0.6]
    assert [tuner.outcomes[number].objective for number in (1, 2, 3)] == [0.5, 0.7, 0.6]
    assert not bench.controller.busy


def test_another_version_of_the_algorithm_is_told(bench: Bench) -> None:
    """Who goes on with a search after an update reads that its suggestions may be others; else there is no note."""
    for name, kind in ALGORITHMS.items():
        for version in (kind.version, 0):
            search = f"{name}-{version}"
            bench.create(search, recorded={"name": name, "version": version}, max_trials=1)
            bench.add(search)
            bench.step(2)
            told = [note for note in bench.store.experiment(search).notes if "version" in note]
            assert len(told) == (version == 0) and all(f"version 0 of {name}" in note for note in told)


def test_what_is_running_is_on_record_before_it_starts(bench: Bench) -> None:
    """A trial is never started that the store does not know as running."""
    bench.create(max_trials=5)
    bench.add()
    submit = bench.scheduler.submit
    seen: list[TrialState] = []

    def checked(launch) -> None:  # type: ignore[no-untyped-def]
        seen.append(bench.store.trial("e", launch.key.trial).state)
        submit(launch)

    bench.scheduler.submit = checked  # type: ignore[method-assign]
    bench.step(2)
    assert seen == [TrialState.RUNNING, TrialState.RUNNING]


def test_user_limit_and_tuner_limit_bound_concurrency(tmp_path: Path) -> None:
    """Concurrency is the smallest of the user's limit, the algorithm's and the slots."""
    for limit, algorithm, expected in ((3, None, 3), (None, 2, 2), (None, None, 4)):
        bench = Bench(tmp_path / f"{limit}-{algorithm}", slots=4)
        bench.create(max_trials=9, **({"max_concurrency": limit} if limit else {}))
        bench.add().limit = algorithm
        bench.step(2)
        assert len(bench.scheduler.alive) == expected
        bench.store.close()


def test_experiments_share_the_slots(bench: Bench) -> None:
    """Two experiments in one controller each get their turn, and end independently."""
    bench.create("a", max_trials=2)
    bench.create("b", max_trials=1)
    bench.add("a")
    bench.add("b")
    bench.step()
    assert sorted(key.experiment for key in bench.scheduler.started) == ["a", "b"]
    finish_key = next(key for key in bench.scheduler.alive if key.experiment == "b")
    bench.scheduler.events += [Reported(finish_key, Report(1, {"accuracy": 0.1}, 0.0)), Ended(finish_key, Exit())]
    del bench.scheduler.alive[finish_key]
    bench.step()
    assert bench.store.experiment("b").state is ExperimentState.COMPLETED
    assert bench.store.experiment("a").state is ExperimentState.RUNNING
    assert len(bench.scheduler.alive) == 2


def test_target_stops_the_search_by_an_intermediate_report(bench: Bench) -> None:
    """A report that reaches the target ends all trials; the value on record is the one that reached it."""
    bench.create(objective={"metric": "accuracy", "target": 0.9})
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.92, step=1)
    bench.scheduler.report(1, 0.5, step=2)
    bench.step(3)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.TARGET_REACHED, "target")
    assert bench.store.top("e")[0].value == 0.92
    assert not bench.scheduler.alive
    assert all(trial.state.final for trial in bench.store.trials("e"))


def test_time_out_stops_running_trials_and_keeps_their_values(bench: Bench) -> None:
    """At the maximum duration running trials are stopped; what they reported counts."""
    bench.create(max_duration="10s")
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.4)
    bench.step(12)
    assert bench.store.experiment("e").state is ExperimentState.TIMED_OUT
    first, second = bench.store.trials("e")
    assert (first.state, first.value) == (TrialState.STOPPED, 0.4)
    assert (second.state, second.value) == (TrialState.STOPPED, None)


def test_running_time_goes_on_after_a_crash(bench: Bench) -> None:
    """The running time of earlier controllers counts towards the maximum duration."""
    bench.create(max_duration="20s")
    bench.add()
    bench.step(12)
    bench.crash()
    bench.add()
    bench.step(12)
    assert bench.store.experiment("e").state is ExperimentState.TIMED_OUT


@pytest.mark.parametrize(
    ("reported", "told"),
    [
        ("acuracy", "only acuracy. Did you mean 'acuracy'?"),
        ("f1", "only f1. Say which one counts, such as `objective: {metric: f1}`."),
    ],
)
def test_clean_end_without_the_metric_is_no_metric(bench: Bench, reported: str, told: str) -> None:
    """A trial that ends well but never reported the objective failed, and says what it did report, and what helps."""
    bench.create(max_trials=1, max_failed_trials=5)
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.9, metric=reported)
    bench.scheduler.end(1)
    bench.step()
    trial = bench.store.trial("e", 1)
    assert trial.cause is Cause.NO_METRIC
    assert trial.detail.endswith(told)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_objective_is_a_failure_at_once(bench: Bench, value: float) -> None:
    """A NaN or infinite objective ends the trial with that cause, whatever came before, and is never a value."""
    bench.create(max_trials=1, max_failed_trials=5)
    bench.add()
    bench.step()
    bench.scheduler.report(1, 0.8, step=1)
    bench.scheduler.report(1, value, step=2)
    bench.step(3)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause, trial.value) == (TrialState.FAILED, Cause.NON_FINITE, None)
    assert "step 2" in trial.detail


def test_the_last_report_is_the_value(bench: Bench) -> None:
    """The value is what was reported last, whatever steps it has; notes say what became of the steps."""
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    for step, value in ((2, 0.6), (3, 0.55), (1, 0.9), (2, 0.8), (2, 0.7)):
        bench.scheduler.report(1, value, step=step)
    bench.scheduler.end(1)
    bench.step()
    trial = bench.store.trial("e", 1)
    assert trial.value == 0.7
    reports = [(report.step, report.metrics["accuracy"]) for report in bench.store.reports("e", 1)]
    assert reports == [(2, 0.6), (3, 0.55), (4, 0.9), (5, 0.7)]
    assert [note.partition(":")[0] for note in trial.notes] == [
        "The steps of accuracy started again and are counted on",
        "accuracy was reported again for the same step with another value, and the last one counts",
    ]


def test_an_adopted_attempt_reports_the_same_again(bench: Bench) -> None:
    """Reports that a new controller is given again, from the first on, are placed at the same steps."""
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    given = ((1, 0.1), (2, 0.2), (1, 0.3))
    for step, value in given:
        bench.scheduler.report(1, value, step=step)
    bench.step()
    before = bench.store.reports("e", 1)
    bench.crash()
    bench.add()
    for step, value in (*given, (2, 0.4)):
        bench.scheduler.report(1, value, step=step)
    bench.scheduler.end(1)
    bench.step(2)
    assert bench.store.reports("e", 1)[:3] == before
    assert (bench.store.trial("e", 1).value, bench.store.reports("e", 1)[-1].step) == (0.4, 4)


def test_what_does_not_count_is_noted(bench: Bench) -> None:
    """What the supervisor notes goes on record with the trial, in a failure for lack of the metric too."""
    bench.create(max_trials=2, max_failed_trials=5)
    bench.add()
    bench.step()
    note = "1 line names accuracy without a value that can be read: line 3 of the output, 'accuracy: n/a'."
    bench.scheduler.report(1, 0.5)
    for trial in (1, 2):
        key = bench.scheduler.key(trial)
        del bench.scheduler.alive[key]
        bench.scheduler.events.append(Ended(key, Exit(notes=(note,))))
    bench.step(2)
    first, second = bench.store.trials("e")
    assert (first.state, first.notes) == (TrialState.SUCCEEDED, (note,))
    assert second.cause is Cause.NO_METRIC and second.detail.endswith(f"on stdout. {note}")
    assert bench.store.attempts("e", 1)[0].notes == (note,)


def test_lost_trials_run_again_until_attempts_are_used_up(bench: Bench) -> None:
    """A trial whose process was killed from outside waits for another attempt; after max_attempts it has failed."""
    bench.create(max_trials=1, max_attempts=2, max_failed_trials=5)
    bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.KILLED, "killed by signal 9")
    bench.step(2)
    assert bench.store.trial("e", 1).attempt == 2
    bench.scheduler.end(1, Cause.NODE_LOST)
    bench.step(2)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause, trial.attempt) == (TrialState.FAILED, Cause.NODE_LOST, 2)
    assert [attempt.state for attempt in bench.store.attempts("e", 1)] == ["lost", "failed"]


@pytest.mark.parametrize("crashes", [False, True])
def test_a_trial_that_gets_further_each_time_may_be_lost_often(bench: Bench, crashes: bool) -> None:
    """Machines that are taken away cost time; a trial that is lost at one place again and again has failed."""
    bench.create(max_trials=1, max_attempts=3, max_failed_trials=5)
    bench.add()
    bench.step()

    def lose(reached: int | None) -> None:
        if reached is not None:
            bench.scheduler.report(1, 0.1, reached)
        bench.scheduler.end(1, Cause.NODE_LOST)
        bench.step(2)
        if crashes:
            bench.crash()
            bench.add()
            bench.step(2)

    for reached in (None, 1, 2, 2, 5, 9, 8):
        lose(reached)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.attempt) == (TrialState.RUNNING, 8)
    lose(9)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause, trial.attempt) == (TrialState.FAILED, Cause.NODE_LOST, 8)


def test_no_trial_is_lost_for_ever(bench: Bench) -> None:
    """Steps that grow by themselves, such as timestamps, are no progress: there is an end to it."""
    bench.create(max_trials=1, max_attempts=2, max_failed_trials=5)
    bench.add()
    bench.step()
    for attempt in range(1, MOST_IN_ALL + 1):
        assert bench.store.trial("e", 1).state is TrialState.RUNNING
        bench.scheduler.report(1, 0.1, attempt)
        bench.scheduler.end(1, Cause.KILLED)
        bench.step(2)
    assert bench.store.trial("e", 1).state is TrialState.FAILED


def test_a_trial_that_is_retried_has_all_its_attempts_again(bench: Bench) -> None:
    """What was lost before it had failed is no loss of a trial that was asked for again, after a crash either."""
    bench.create(max_trials=1, max_attempts=2, max_failed_trials=5)
    bench.add()
    for _ in range(2):
        bench.step(2)
        bench.scheduler.end(1, Cause.NODE_LOST)
        bench.step()
    assert bench.store.trial("e", 1).state is TrialState.FAILED
    bench.let_go_on(retry=[1])
    bench.step(2)
    bench.crash()
    bench.add()
    bench.step(2)
    bench.scheduler.end(1, Cause.NODE_LOST)
    bench.step(2)
    assert (bench.store.trial("e", 1).state, bench.store.trial("e", 1).attempt) == (TrialState.RUNNING, 4)


def test_reports_of_an_old_attempt_change_nothing(bench: Bench) -> None:
    """The attempt number fences: what an earlier attempt still sends is dropped."""
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    old = bench.scheduler.key(1)
    bench.scheduler.end(1, Cause.NODE_LOST)
    bench.step(2)
    bench.scheduler.events += [Reported(old, Report(9, {"accuracy": 1.0}, 0.0)), Ended(old, Exit())]
    finish(bench, 1, 0.3)
    bench.step()
    assert bench.store.trial("e", 1).value == 0.3


def test_deterministic_failures_are_not_repeated(bench: Bench) -> None:
    """An out-of-memory trial fails at its first attempt and is told to the tuner with its cause."""
    bench.create(max_trials=2, max_failed_trials=5)
    tuner = bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.GPU_OOM, "CUDA out of memory")
    bench.step()
    assert bench.store.trial("e", 1).state is TrialState.FAILED
    assert tuner.outcomes[1].cause is Cause.GPU_OOM


def test_pruning_by_the_tuner(bench: Bench) -> None:
    """A trial that the tuner judges hopeless is stopped and recorded as pruned, its value kept apart from the best."""
    bench.create(max_trials=2)
    bench.add().judgement = lambda number, curve: "prune" if number == 1 and len(curve) == 2 else "keep"
    bench.step()
    bench.scheduler.report(1, 0.99, step=1)
    bench.scheduler.report(1, 0.98, step=2)
    bench.step(2)
    assert bench.store.trial("e", 1).state is TrialState.PRUNED
    finish(bench, 2, 0.5)
    bench.step(2)
    assert [trial.number for trial in bench.store.top("e")] == [2]


def test_a_waiting_tuner_is_asked_again_after_an_outcome(bench: Bench) -> None:
    """While the tuner waits nothing starts; an outcome wakes it."""
    bench.create(max_trials=3)
    tuner = bench.add(answers=[1, Wait(), 3])
    bench.step(3)
    assert len(bench.scheduler.started) == 1
    tuner.answers[1] = 2
    finish(bench, 1, 0.1)
    bench.step()
    assert len(bench.scheduler.started) == 3


def test_children_resume_from_their_parents(tmp_path: Path) -> None:
    """A suggestion that resumes from another trial starts with that trial's checkpoint in its own folder."""
    bench = Bench(tmp_path)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=2, max_concurrency=1)
    bench.add(answers=[1, Suggestion(2, {"x": 5}, "perturbed from trial 1", 1.0, resume_from=1)])
    bench.step()
    launch = bench.scheduler.alive[bench.scheduler.key(1)]
    (launch.folder / "checkpoint" / "model.bin").write_bytes(b"weights")
    finish(bench, 1, 0.5)
    bench.step()
    child = bench.scheduler.alive[bench.scheduler.key(2)].folder
    assert (child / "checkpoint" / "model.bin").read_bytes() == b"weights"
    assert bench.store.trial("e", 2).resume_from == 1
    bench.store.close()


def test_another_life_makes_way(tmp_path: Path) -> None:
    """What lies where an attempt begins is set aside; processes that work there are asked to end, and waited for."""
    bench = Bench(tmp_path)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1)
    place = bench.home.place(AttemptKey("e", 1, 1))
    bench.add()
    records.make_folder(place, "1" * 32)
    (place / "checkpoint").mkdir()
    with records.locked(place, wait=False):
        bench.step(2)
        assert records.read_stop(place) is not None
        assert not bench.scheduler.started
        assert "was asked to end" in bench.controller.problem
    bench.step(3)
    launch = bench.scheduler.alive[bench.scheduler.key(1)]
    assert records.identity_of(launch.folder) == launch.identity == bench.store.trial("e", 1).identity
    assert not records.read_stop(place)
    assert bench.store.trial("e", 1).attempt == 1
    assert bench.controller.problem == ""
    assert "set-aside" in " ".join(bench.store.experiment("e").notes)
    bench.store.close()


def test_checkpoints_of_another_life_are_not_gone_on_from(tmp_path: Path) -> None:
    """A lost trial begins again where the folder of its last attempt is another life's, whatever lies beside it."""
    bench = Bench(tmp_path)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    folder = bench.scheduler.alive[bench.scheduler.key(1)].folder
    (folder / "checkpoint" / "model.bin").write_bytes(b"other")
    records.make_folder(folder, "1" * 32)
    for stray in ("1.bak", "01", "\u0661", "1 (copy)"):
        shutil.copytree(folder, folder.with_name(stray))
    folder.with_name("3").write_text("a file")
    bench.scheduler.end(1, Cause.KILLED)
    bench.step(2)
    folder = bench.scheduler.alive[bench.scheduler.key(1)].folder
    assert folder.name == "2"
    assert not any((folder / "checkpoint").iterdir())
    bench.store.close()


@pytest.mark.parametrize("crash", ["", "while it waits", "while it runs"])
@pytest.mark.parametrize("lost_again", [False, True])
@pytest.mark.parametrize("leaves", [True, False])
def test_what_had_nothing_left_to_do_has_its_earlier_value(
    tmp_path: Path, leaves: bool, lost_again: bool, crash: str
) -> None:
    """A program that is killed between its last checkpoint and its end reports nothing more when it goes on.

    Where there was no checkpoint, it has begun anew, and reports nothing for another reason.
    """
    bench = Bench(tmp_path)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1)
    bench.add()
    bench.step()
    if leaves:
        leave_a_checkpoint(bench, 1)
    for step, value in ((1, 0.5), (2, 0.75)):
        bench.scheduler.report(1, value, step)
    for _ in range(1 + lost_again):
        bench.scheduler.end(1, Cause.KILLED)
        bench.step(1 if crash == "while it waits" else 2)
        if crash:
            bench.crash()
            bench.add()
            bench.step(2)
    bench.scheduler.end(1)
    bench.step(2)
    trial = bench.store.trial("e", 1)
    if leaves:
        assert (trial.state, trial.value) == (TrialState.SUCCEEDED, 0.75)
        assert ["had nothing left to do" in note for note in trial.notes] == [True]
    else:
        assert (trial.state, trial.cause, trial.notes) == (TrialState.FAILED, Cause.NO_METRIC, ())
    bench.store.close()


@pytest.mark.parametrize("crash", [False, True])
def test_what_a_failed_attempt_reported_does_not_count(tmp_path: Path, crash: bool) -> None:
    """A retried trial that reports nothing has no value, whichever controller runs it: the one before was not done."""
    bench = Bench(tmp_path)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1, max_failed_trials=5)
    bench.add()
    bench.step()
    leave_a_checkpoint(bench, 1)
    bench.scheduler.report(1, 0.5)
    bench.scheduler.end(1, Cause.CRASHED)
    bench.step(2)
    bench.let_go_on(retry=[1])
    bench.add()
    bench.step(2)
    bench.scheduler.end(1, Cause.NODE_LOST)
    bench.step(2)
    if crash:
        bench.crash()
        bench.add()
        bench.step(2)
    bench.scheduler.end(1)
    bench.step(2)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause) == (TrialState.FAILED, Cause.NO_METRIC)
    bench.store.close()


def test_stop_by_hand_ends_everything(bench: Bench) -> None:
    """A stop request from outside stops running trials for good and keeps the best value."""
    bench.create()
    bench.add()
    bench.step()
    finish(bench, 1, 0.7)
    bench.step()
    bench.store.request("e", "stop")
    bench.step(3)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.STOPPED, "by_hand")
    assert bench.store.counts("e")[TrialState.STOPPED] == 2
    assert bench.store.requests("e") == []


def test_one_trial_is_stopped_by_hand(bench: Bench) -> None:
    """Stopping one trial leaves the others and the search alone."""
    bench.create(max_trials=3)
    bench.add()
    bench.step()
    bench.store.request("e", "stop_trial", trial=1)
    bench.step(2)
    assert bench.store.trial("e", 1).state is TrialState.STOPPED
    assert sorted(key.trial for key in bench.scheduler.alive) == [2, 3]


def test_failed_trials_are_retried_on_request(bench: Bench) -> None:
    """A retried trial keeps its number and parameters, and its later outcome is what counts."""
    bench.create(max_trials=2, max_failed_trials=5)
    tuner = bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.CRASHED, "a bug")
    bench.step()
    bench.store.request("e", "retry", data={"trials": [1]})
    bench.step()
    assert bench.scheduler.key(1).attempt == 2
    finish(bench, 1, 0.8)
    finish(bench, 2, 0.1)
    bench.step()
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.value, trial.parameters) == (TrialState.SUCCEEDED, 0.8, {"x": 0})
    assert tuner.outcomes[1].objective == 0.8
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED


def test_a_finished_search_goes_on_for_a_retry(bench: Bench) -> None:
    """A retry asked for after the end is taken up by the next controller."""
    bench.create(max_trials=1, max_failed_trials=5)
    bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.CRASHED)
    bench.step()
    assert bench.store.experiment("e").state is ExperimentState.FAILED
    bench.store.request("e", "retry", data={"trials": [1]})
    bench.add()
    bench.step()
    finish(bench, 1, 0.9)
    bench.step()
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED
    assert bench.store.trial("e", 1).value == 0.9


def test_interruption_can_be_continued(bench: Bench) -> None:
    """After an interruption nothing runs, the experiment is paused, and the next controller goes on with all trials."""
    bench.create(max_trials=2)
    bench.add()
    bench.step()
    bench.controller.interrupt()
    bench.step(2)
    assert not bench.controller.busy
    assert bench.store.experiment("e").state is ExperimentState.PAUSED
    assert [trial.state for trial in bench.store.trials("e")] == [TrialState.WAITING] * 2
    bench.controller = bench._controller()
    bench.add()
    bench.step()
    assert sorted((key.trial, key.attempt) for key in bench.scheduler.alive) == [(1, 2), (2, 2)]
    finish(bench, 1, 0.1)
    finish(bench, 2, 0.2)
    bench.step()
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED


def test_second_interruption_kills(bench: Bench) -> None:
    """A second interruption takes the grace time away."""
    bench.create()
    bench.add()
    bench.step()
    stop = bench.scheduler.stop
    asked: list[float | None] = []
    bench.scheduler.stop = lambda key, grace=None: asked.append(grace)  # type: ignore[method-assign,misc,assignment]
    bench.controller.interrupt()
    bench.step()
    bench.controller.interrupt()
    bench.step()
    assert asked == [None, None, 0.0, 0.0]
    bench.scheduler.stop = stop  # type: ignore[method-assign]


def test_a_crashed_controller_is_replaced_without_loss(bench: Bench) -> None:
    """A new controller adopts what lives, takes note of what has ended meanwhile, and repeats what is gone."""
    bench.scheduler.size = 3
    bench.create(max_trials=4)
    bench.add()
    bench.step()
    alive, ended, gone = (bench.scheduler.key(number) for number in (1, 2, 3))
    bench.crash()
    bench.scheduler.ended[ended] = [Reported(ended, Report(1, {"accuracy": 0.6}, 0.0)), Ended(ended, Exit())]
    del bench.scheduler.alive[ended], bench.scheduler.alive[gone]
    tuner = bench.add()
    bench.step(2)
    assert alive in bench.scheduler.alive
    assert bench.store.trial("e", 2).value == 0.6
    assert bench.scheduler.key(3).attempt == 2
    assert bench.scheduler.key(4).attempt == 1
    assert sorted(tuner.suggestions) == [1, 2, 3, 4]


def test_room_that_others_took_first_costs_a_trial_nothing(bench: Bench) -> None:
    """A refused trial waits and is tried again, however often; no attempt counts as lost, and no time as its cost."""
    bench.create(max_trials=1, max_attempts=1)
    bench.add()
    bench.scheduler.crowded = True
    bench.step(2)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause, trial.cost_seconds) == (TrialState.WAITING, None, 0.0)
    bench.step()
    assert [attempt.attempt for attempt in bench.store.attempts("e", 1)] == [1], "it waits for a moment"
    bench.step(9)
    details = {attempt.detail for attempt in bench.store.attempts("e", 1) if attempt.ended_at is not None}
    assert details == {"It was not started: others were faster."}
    bench.scheduler.crowded = False
    bench.step(3)
    finish(bench, 1, 0.5)
    bench.step()
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.value) == (TrialState.SUCCEEDED, 0.5) and trial.attempt > 2
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED


@pytest.mark.parametrize("asked", ["stop", "interrupt"])
def test_a_refused_trial_that_is_to_end_has_ended(bench: Bench, asked: str) -> None:
    """What was asked to end before the scheduler refused it is not tried again in this run."""
    bench.create(max_trials=1)
    bench.add()
    bench.scheduler.crowded = bench.scheduler.silent = True
    bench.step()
    if asked == "stop":
        bench.store.request("e", "stop_trial", trial=1)
    else:
        bench.controller.interrupt()
    bench.step()
    bench.scheduler.silent = False
    bench.step(2)
    expected = {"stop": TrialState.STOPPED, "interrupt": TrialState.WAITING}
    assert bench.store.trial("e", 1).state is expected[asked]
    assert not bench.controller.busy


def test_answers_that_come_late(bench: Bench) -> None:
    """While a scheduler says nothing its trials run on, for an old controller as for a new one; none starts twice."""
    bench.create(max_trials=2)
    bench.add()
    bench.scheduler.silent = True
    bench.step(3)
    bench.scheduler.report(1, 0.5)
    bench.step(3)
    assert [trial.state for trial in bench.store.trials("e")] == [TrialState.RUNNING] * 2
    bench.crash()
    bench.add()
    bench.step(3)
    assert [trial.state for trial in bench.store.trials("e")] == [TrialState.RUNNING] * 2
    bench.scheduler.silent = False
    for number, value in ((1, 0.5), (2, 0.6)):
        finish(bench, number, value)
    bench.step()
    assert [trial.value for trial in bench.store.trials("e")] == [0.5, 0.6]


def test_a_replayed_tuner_equals_the_original(bench: Bench) -> None:
    """After a crash the tuner has been shown the same suggestions and outcomes as before."""
    bench.create(max_trials=5, max_failed_trials=5)
    before = bench.add()
    bench.step()
    finish(bench, 1, 0.5)
    bench.scheduler.end(2, Cause.NON_FINITE, "loss was nan")
    bench.step()
    bench.crash()
    after = bench.add()
    assert after.suggestions == before.suggestions
    assert after.outcomes == before.outcomes
    assert list(after.pending) == list(before.pending)


def test_two_controllers_never_run_one_experiment(bench: Bench) -> None:
    """The second controller is refused, with a message that names the first one's process."""
    bench.create()
    bench.add()
    other = Bench.__new__(Bench)
    other.__dict__.update(bench.__dict__)
    other.controller = bench._controller()
    with pytest.raises(ConflictError, match="is being run by process"):
        other.add()


def test_a_store_that_refuses_holds_everything_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store can't be written nothing starts and nothing is lost; then the search goes on."""
    bench.create(max_trials=2)
    bench.add()
    transaction = bench.store.transaction

    def refuse() -> object:
        raise DataError("tunewell.db: the disk is full.")

    monkeypatch.setattr(bench.store, "transaction", refuse)
    bench.step(3)
    assert bench.controller.problem == "tunewell.db: the disk is full."
    assert bench.scheduler.started == []
    monkeypatch.setattr(bench.store, "transaction", transaction)
    bench.step(4)
    assert bench.controller.problem == ""
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.6)
    bench.step(4)
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED


def test_an_interruption_ends_a_controller_that_can_record_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full disk, Ctrl-C still ends the controller; the next one goes on with what was on record."""
    bench.create(max_trials=3)
    bench.add()
    bench.step()
    finish(bench, 1, 0.5)

    def refuse() -> object:
        raise DataError("tunewell.db: the disk is full.")

    monkeypatch.setattr(bench.store, "transaction", refuse)
    bench.step(2)
    bench.controller.interrupt()
    bench.step(2)
    assert not bench.controller.busy
    assert {key.trial for key, _ in bench.scheduler.stops} == {2}
    assert bench.store.trial("e", 1).state is TrialState.RUNNING


def test_a_retry_that_comes_while_the_search_ends_has_it_go_on(bench: Bench) -> None:
    """It is neither lost nor taken up by a run that is about to end, and nobody sees that end."""
    bench.create(max_trials=2, max_failed_trials=5)
    bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.CRASHED)
    bench.step()
    bench.scheduler.stop = lambda key, grace=None: None  # type: ignore[method-assign,misc,assignment]
    bench.store.request("e", "stop")
    bench.step()
    assert bench.store.experiment("e").state is ExperimentState.STOPPING
    bench.store.request("e", "retry", data={"trials": [1]})
    bench.step(2)
    bench.scheduler.end(2)
    bench.step(2)
    assert bench.store.experiment("e").state is ExperimentState.RUNNING and not bench.controller.busy
    assert [request.verb for request in bench.store.requests("e")] == ["retry"]
    bench.add()
    bench.step()
    assert bench.scheduler.key(1).attempt == 2


def test_a_trial_is_retried_once_however_often_it_is_asked_for(bench: Bench) -> None:
    """Two requests for the same trial give one more attempt, and the search goes on."""
    bench.create(max_trials=2, max_failed_trials=5, max_concurrency=1)
    bench.add()
    bench.step()
    bench.scheduler.end(1, Cause.CRASHED)
    bench.store.request("e", "retry", data={"trials": [1, 1]})
    bench.store.request("e", "retry", data={"trials": [1]})
    bench.step(3)
    finish(bench, 2, 0.4)
    bench.step(2)
    finish(bench, 1, 0.5)
    bench.step(2)
    assert not bench.controller.busy
    assert bench.store.trial("e", 1).attempt == 2
    assert bench.store.trial("e", 1).value == 0.5


def test_what_the_store_refuses_does_not_hold_the_rest_back(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is no longer true is dropped and logged; the search goes on to its end."""
    bench.create(max_trials=2)
    bench.add()
    bench.step()
    with bench.store.transaction() as tx:  # somebody meddles
        tx.finish_trial(AttemptKey("e", 1, 1), AttemptEnd(TrialState.SUCCEEDED, value=0.3, now=0.0))
    finish(bench, 1, 0.5)
    finish(bench, 2, 0.6)
    bench.step(2)
    assert bench.store.trial("e", 2).value == 0.6
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED
    assert "taken over again" in caplog.text


def test_an_adopted_trial_ended_when_it_ended(bench: Bench) -> None:
    """What ended while no controller ran is recorded with the time of its end, not with that of its adoption."""
    bench.create(max_trials=2)
    bench.add()
    bench.step()
    key = bench.scheduler.key(1)
    ended_at = bench.now + 5.0
    bench.crash()
    bench.now += 1000.0
    bench.scheduler.ended[key] = [
        Reported(key, Report(1, {"accuracy": 0.6}, 0.0)),
        Ended(key, Exit(ended_at=ended_at, duration_seconds=5.0)),
    ]
    tuner = bench.add()
    bench.step(2)
    assert bench.store.trial("e", 1).ended_at == ended_at
    assert tuner.outcomes[1].cost_seconds == 5.0


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_changes_no_cost_and_no_limit(bench: Bench, jump: float) -> None:
    """While the clock jumps by a day, trials cost what was measured, the search goes on, and recovery agrees."""
    bench.create(max_trials=3, max_concurrency=1, max_duration="1h", max_attempts=3)
    bench.add()
    bench.step()
    begun = bench.now
    bench.clock_error = jump
    bench.scheduler.end(1, Cause.KILLED)  # nobody measured it but the controller
    bench.step(2)
    bench.scheduler.report(1, 0.5)
    bench.scheduler.end(1)
    bench.step(3)
    row = bench.store.trial("e", 1)
    assert row.cost_seconds == 3.0
    assert row.ended_after is not None and 0 < row.ended_after <= bench.now - begun + 1.0
    assert bench.store.experiment("e").state is ExperimentState.RUNNING
    assert bench.tuners["e"].outcomes[1].cost_seconds == 3.0
    bench.crash()
    assert bench.add().outcomes[1].cost_seconds == 3.0


def test_a_lock_that_is_only_looked_at_refuses_nobody(bench: Bench) -> None:
    """Looking whether an experiment runs takes its lock for a moment; who wants to run it waits that long."""
    bench.create()
    looking = threading.Event()
    path = bench.home.experiment("e") / "controller.lock"
    path.parent.mkdir(parents=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        opened = threading.Timer(0.1, lambda: (looking.set(), fcntl.flock(file, fcntl.LOCK_UN)))
        opened.start()
        with bench.home.lock("e"):
            assert looking.is_set()
        opened.join()


def test_checkpoints_are_kept_for_whatever_may_run_again(bench: Bench) -> None:
    """A child that runs, failed or was stopped may be started from its parent again; one that succeeded may not."""
    bench.create(max_trials=4, max_failed_trials=5)
    children = [Suggestion(number, {"x": number}, "child", 1.0, 1) for number in (2, 3)]
    bench.add(answers=[0, *children, Suggestion(4, {"x": 4}, "child", 1.0, 2)])
    manager = bench.controller._experiments["e"].manager
    bench.step()
    finish(bench, 1, 0.5)
    bench.step(2)
    assert manager.wanted_checkpoints() == {1}
    finish(bench, 2, 0.6)
    bench.scheduler.end(3, Cause.CRASHED)
    bench.step(2)
    assert manager.wanted_checkpoints() == {1, 2}
    finish(bench, 4, 0.6)
    bench.step(2)
    assert manager.wanted_checkpoints() == {1}


def test_nothing_starts_on_a_full_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is full nothing is started and the problem is told; with room again, the search goes on."""
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1)
    bench.add()
    monkeypatch.setattr("tunewell.trial.files.is_full", lambda folder: True)
    bench.step(5)
    assert not bench.scheduler.started and "the disk is full" in bench.controller.problem
    monkeypatch.setattr("tunewell.trial.files.is_full", lambda folder: False)
    bench.step(2)
    assert len(bench.scheduler.started) == 1 and bench.controller.problem == ""


def test_what_a_full_disk_kept_from_starting_uses_up_no_attempt(bench: Bench) -> None:
    """An attempt that could not begin for want of room is made again, after some time, until there is room."""
    bench.scheduler.needs_folder = True
    bench.create(max_trials=1, max_attempts=2)
    bench.add()
    bench.step()
    for _ in range(5):
        started = len(bench.scheduler.started)
        bench.scheduler.end(1, Cause.DISK_FULL)
        bench.step()
        assert len(bench.scheduler.started) == started and "the disk is full" in bench.controller.problem
        bench.step(3)
    finish(bench, 1, 0.5)
    bench.step()
    assert bench.store.trial("e", 1).value == 0.5 and bench.store.trial("e", 1).attempt == 6


def test_a_trial_that_fills_the_disk_uses_up_its_attempts(bench: Bench) -> None:
    """A trial that ran and ended for want of room is tried again, as often as one that is lost in another way."""
    bench.create(max_trials=1, max_attempts=2, max_failed_trials=5)
    bench.add()
    bench.step()
    for _ in range(2):
        key = bench.scheduler.key(1)
        del bench.scheduler.alive[key]
        bench.scheduler.events.append(Ended(key, Exit(Cause.DISK_FULL, exit_code=1, started_at=1000.0)))
        bench.step(2)
    trial = bench.store.trial("e", 1)
    assert (trial.state, trial.cause, trial.attempt) == (TrialState.FAILED, Cause.DISK_FULL, 2)


class FakeCluster(FakeScheduler):
    """A cluster that may be away."""

    address = "head:1"
    problem = "nothing answers there"

    def capacity(self) -> Capacity:
        """Return nothing while it is away."""
        return Capacity(()) if self.problem else super().capacity()


def test_the_log_tells_that_the_cluster_is_away(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Once, even if no search is for it, and again when it is back."""
    caplog.set_level("INFO")
    cluster: Any = FakeCluster()
    bench.controller = Controller(bench.surroundings, Work(everything=True), bench.scheduler, cluster=cluster)

    def told() -> list[str]:
        for _ in range(2):
            bench.now += 60
            bench.step()
        return [record.getMessage() for record in caplog.records if "Ray" in record.getMessage()]

    away = "the Ray cluster at head:1 can't be used: nothing answers there"
    assert told() == [away]
    cluster.problem = ""
    assert told() == [away, "the Ray cluster at head:1 can be used again"]


def test_a_search_whose_cluster_goes_away_says_so(bench: Bench) -> None:
    """It waits for the cluster, not for room or for its own trials, of which nobody knows whether they run."""
    cluster: Any = FakeCluster()
    cluster.problem = ""
    bench.create(scheduler="ray", max_trials=5, max_concurrency=2)
    bench.controller = Controller(bench.surroundings, Work(everything=True), bench.scheduler, cluster=cluster)

    def reason() -> tuple[str, str]:
        for _ in range(3):
            bench.now += 2
            bench.step()
        waits = bench.store.experiment("e").waits_for
        return (waits["code"], waits["detail"]) if waits is not None else ("", "")

    assert reason()[0] == "max_concurrency" and len(cluster.alive) == 2
    cluster.problem = "nothing answers there"
    away = ("no_cluster", "The Ray cluster at head:1 can't be used: nothing answers there.")
    assert reason() == reason() == away
    assert not bench.controller.problem, "other searches go on"
    bench.controller.leave()
    cluster.problem = ""
    work = Work(experiments=frozenset({"e"}))
    bench.controller = Controller(bench.surroundings, work, bench.scheduler, cluster=cluster)
    bench.controller.take_experiment("e")
    assert reason()[0] == "max_concurrency"
    cluster.problem = "nothing answers there"
    assert reason() == away
    assert bench.controller.problem == "the Ray cluster at head:1 can't be used: nothing answers there."
    cluster.problem = ""
    assert reason()[0] == "max_concurrency"


def test_since_when_the_cluster_is_away_is_on_record(bench: Bench) -> None:
    """With its address and the reason, though it was never reached, and through the end of the controller."""
    cluster: Any = FakeCluster()

    def known_to(controller: Controller) -> Cluster:
        bench.controller = controller
        bench.now += 60
        bench.step()
        known = read_cluster(bench.home.folder)
        assert known is not None
        return known

    def controller() -> Controller:
        return Controller(bench.surroundings, Work(everything=True), bench.scheduler, cluster=cluster)

    first = controller()
    since = bench.now + 61
    assert known_to(first) == Cluster("head:1", Capacity(()), since, "nothing answers there")
    cluster.problem = "it has no nodes"
    assert known_to(controller()) == Cluster("head:1", Capacity(()), since, "it has no nodes")
    cluster.problem = ""
    assert known_to(first) == Cluster("head:1", bench.scheduler.capacity())
    cluster.problem = "nothing answers there"
    gone = known_to(first)
    assert gone.away_since is not None and gone.away_since > since
    assert [node.free_cpus for node in gone.capacity.nodes] == [0]
