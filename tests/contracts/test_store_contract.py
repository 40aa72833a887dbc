"""What every database behind the store must do alike."""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import event
from sqlalchemy.pool import Pool

from tests.store.job_life import JobLife
from tests.store.lives import NAME, add, create, finish, lose, report, run, start
from tests.store.trial_life import TrialLife
from tunewell.service.table import Tables
from tunewell.spec.errors import ConflictError, NotFoundError, TermOver, TransitionRefused
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store import AttemptEnd, JobEnd, Store
from tunewell.store.rows import FailedTrials

WAITING, RUNNING, SUCCEEDED, STOPPED, PRUNED, FAILED = TrialState


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with the experiment NAME in it."""
    with Store(database) as store:
        create(store)
        yield store


class TestExperiments:
    def test_comes_back_as_it_was_given(self, store: Store) -> None:
        """What is stored of an experiment is read back unchanged, also by another process later."""
        spec = {"name": "größe", "list": [1, 2.5, None, True], "nested": {"z": 1, "a": "\0\u2028\udc80"}}
        store.create_experiment("größe", spec, {"lr": {"low": 1e-5}}, {"name": "tpe", "version": 2}, 12.5, "/h")
        row = store.experiment("größe")
        assert row == store.find_experiment("größe")
        assert (row.spec, list(row.spec["nested"]), row.home) == (spec, ["z", "a"], "/h")
        assert (row.space, row.algorithm) == ({"lr": {"low": 1e-5}}, {"name": "tpe", "version": 2})
        assert (row.state, row.created_at, row.started_at, row.ended_at) == (ExperimentState.CREATED, 12.5, None, None)
        assert (row.stop_rule, row.detail, row.notes, row.elapsed_seconds) == (None, "", (), 0.0)

    def test_name_is_unique(self, store: Store) -> None:
        """A second experiment of the same name is refused, and the first stays as it is."""
        before = store.experiment(NAME)
        with pytest.raises(ConflictError, match=f"'{NAME}' exists already"):
            store.create_experiment(NAME, {"other": 1}, {}, {})
        assert store.experiment(NAME) == before

    def test_is_filled_in_one_transaction(self, store: Store) -> None:
        """A new experiment can get trials and states at once; if that fails, there is no experiment."""

        def fill(number: int) -> None:
            with store.transaction() as tx:
                tx.create_experiment("new", {}, {}, {})
                tx.set_experiment_state("new", ExperimentState.CREATED, ExperimentState.RUNNING)
                tx.add_trial("new", number, {"x": 1}, "imported", 1.0, None)

        with pytest.raises(TransitionRefused):
            fill(2)
        assert store.find_experiment("new") is None
        fill(1)
        assert store.experiment("new").state is ExperimentState.RUNNING
        assert [trial.number for trial in store.trials("new")] == [1]

    def test_unknown_name(self, store: Store) -> None:
        """An unknown name is answered with the nearest one, by reading and by writing."""
        assert store.find_experiment("digit") is None
        for question in (store.experiment, store.counts, store.requests):
            with pytest.raises(NotFoundError, match=f"no experiment 'digit'. Did you mean '{NAME}'"):
                question("digit")
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.add_elapsed("digit", 1.0)

    def test_listed_newest_first_in_pages(self, store: Store) -> None:
        """Experiments are listed newest first, and a page goes on where the one before ended."""
        for name in ("b", "a", "c"):
            create(store, name)
        assert [row.name for row in store.experiments()] == ["c", "a", "b", NAME]
        assert [row.name for row in store.experiments(limit=2)] == ["c", "a"]
        assert [row.name for row in store.experiments(limit=2, after=store.experiment("a").id)] == ["b", NAME]

    def test_life(self, store: Store) -> None:
        """Times, stop rule and detail follow the state: kept while it stops, cleared when it runs again."""
        running, stopping, reached = ExperimentState.RUNNING, ExperimentState.STOPPING, ExperimentState.TARGET_REACHED
        with store.transaction() as tx:
            tx.set_experiment_state(NAME, ExperimentState.CREATED, running, now=10.0)
            tx.add_elapsed(NAME, 1.5)
            tx.set_experiment_state(NAME, running, stopping, stop_rule="target", detail="Reached.", now=20.0)
            tx.add_elapsed(NAME, 2.0)
            tx.set_experiment_state(NAME, stopping, reached, now=30.0)
            tx.add_notes(NAME, ["One.", "Two."])
            tx.add_notes(NAME, ["Two.", "Three."])
        row = store.experiment(NAME)
        assert (row.state, row.stop_rule, row.detail) == (reached, "target", "Reached.")
        assert (row.started_at, row.ended_at, row.elapsed_seconds) == (10.0, 30.0, 3.5)
        assert row.notes == ("One.", "Two.", "Three.")
        with store.transaction() as tx:
            tx.set_experiment_state(NAME, reached, running, now=40.0)
        row = store.experiment(NAME)
        assert (row.state, row.stop_rule, row.detail) == (running, None, "")
        assert (row.started_at, row.ended_at) == (10.0, None)

    def test_stale_and_forbidden_moves_are_refused(self, store: Store) -> None:
        """A move from a state that is no longer true, or one that the table does not have, changes nothing."""
        before = store.experiment(NAME)
        with pytest.raises(TransitionRefused, match=f"'{NAME}' is created"), store.transaction() as tx:
            tx.set_experiment_state(NAME, ExperimentState.RUNNING, ExperimentState.PAUSED)
        with pytest.raises(TransitionRefused, match="can't become completed"), store.transaction() as tx:
            tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.COMPLETED)
        assert store.experiment(NAME) == before

    def test_changed_spec(self, store: Store) -> None:
        """A new spec replaces the old; the audit trail tells each changed field's old and new value."""
        with store.transaction() as tx:
            spec = {**store.experiment(NAME).spec, "max_trials": 20, "seed": 1}
            tx.set_spec(NAME, spec, now=5.0)
            tx.set_spec(NAME, spec, now=6.0, home="/moved")
        row = store.experiment(NAME)
        assert (row.spec, row.home) == (spec, "/moved")
        told = [(e.time, e.data) for e in store.events(NAME) if e.kind == "spec"]
        assert told == [(5.0, {"max_trials": [10, 20], "seed": [None, 1]})]


class TestTrials:
    def test_comes_back_as_it_was_given(self, store: Store) -> None:
        """What is stored of a new trial is read back unchanged."""
        parameters = {"lr": 1e-5, "layers": 3, "bias": True, "optimizer": "adamw"}
        add(store, 1)
        with store.transaction() as tx:
            tx.add_trial(NAME, 2, parameters, "promoted from trial 1", 0.25, 1, now=7.0)
        row = store.trial(NAME, 2)
        assert (row.parameters, list(row.parameters)) == (parameters, list(parameters))
        assert (row.number, row.state, row.attempt, row.created_at) == (2, WAITING, 0, 7.0)
        assert (row.origin, row.fidelity, row.resume_from) == ("promoted from trial 1", 0.25, 1)
        assert (row.value, row.cause, row.detail, row.cost_seconds) == (None, None, "", 0.0)
        assert (row.started_at, row.ended_at, row.peak_memory_bytes) == (None, None, None)

    def test_numbers_have_no_gap_and_no_double(self, store: Store) -> None:
        """Only the next number is taken; the refusal names it."""
        create(store, "other")
        add(store, 1)
        for wrong in (0, 1, 3):
            with pytest.raises(TransitionRefused, match=f"can't get trial {wrong}: its next one is 2"):
                add(store, wrong)
        add(store, 2)
        assert [row.number for row in store.trials(NAME)] == [1, 2]

    def test_life_with_losses_and_a_retry(self, store: Store) -> None:
        """A trial's row tells of its latest attempt, its attempts of each one; the cost adds up."""
        add(store, 1)
        start(store, 1, 1, now=100.0)
        lose(store, 1, cause=Cause.NODE_LOST, detail="no route", seconds=3.0, now=103.0)
        row = store.trial(NAME, 1)
        assert (row.state, row.attempt, row.cause, row.ended_at, row.cost_seconds) == (WAITING, 1, None, None, 3.0)
        start(store, 1, 2, now=200.0)
        finish(store, 1, FAILED, 2, cause=Cause.GPU_OOM, detail="CUDA", exit_code=1, peak_memory_bytes=2**40, now=210.0)
        row = store.trial(NAME, 1)
        assert (row.state, row.cause, row.detail, row.ended_at) == (FAILED, Cause.GPU_OOM, "CUDA", 210.0)
        assert (row.started_at, row.cost_seconds, row.peak_memory_bytes) == (200.0, 13.0, 2**40)
        with store.transaction() as tx:
            tx.retry_trial(NAME, 1, now=300.0)
        row = store.trial(NAME, 1)
        assert (row.state, row.attempt, row.cause, row.detail, row.ended_at) == (WAITING, 2, None, "", None)
        start(store, 1, 3, now=400.0)
        running = store.attempts(NAME, 1)[-1]
        assert (running.attempt, running.state, running.started_at, running.ended_at) == (3, "running", 400.0, None)
        finish(store, 1, attempt=3, value=0.5, exit_code=0, now=401.0)
        assert [
            (a.attempt, a.state, a.cause, a.detail, a.value, a.exit_code, a.started_at, a.ended_at)
            for a in store.attempts(NAME, 1)
        ] == [
            (1, "lost", Cause.NODE_LOST, "no route", None, None, 100.0, 103.0),
            (2, "failed", Cause.GPU_OOM, "CUDA", None, 1, 200.0, 210.0),
            (3, "succeeded", None, "", 0.5, 0, 400.0, 401.0),
        ]
        assert [a.peak_memory_bytes for a in store.attempts(NAME, 1)] == [None, 2**40, None]

    def test_stopped_while_it_waits(self, store: Store) -> None:
        """A trial that is stopped before it ran has no attempt, and can be retried."""
        add(store, 1)
        with store.transaction() as tx:
            tx.stop_waiting(NAME, 1, now=50.0)
        row = store.trial(NAME, 1)
        assert (row.state, row.attempt, row.ended_at, store.attempts(NAME, 1)) == (STOPPED, 0, 50.0, [])
        with store.transaction() as tx:
            tx.retry_trial(NAME, 1)
            tx.start_attempt(AttemptKey(NAME, 1, 1))
        assert store.trial(NAME, 1).state is RUNNING

    def test_a_clock_that_is_set_changes_no_cost_and_no_order(self, store: Store) -> None:
        """What a trial costs is what was measured; which one ended last follows from the order of the ends."""
        for number, ended_at in ((1, 100.0), (2, 40.0), (3, 86_500.0), (4, 120.0)):
            add(store, number)
            start(store, number, now=100.0)
            finish(store, number, FAILED, now=ended_at, seconds=1.5)
        assert {trial.cost_seconds for trial in store.trials(NAME)} == {1.5}
        assert [trial.number for trial in store.last_ended(NAME, 3)] == [4, 3, 2]
        with store.transaction() as tx:
            tx.retry_trial(NAME, 2)
        assert [trial.number for trial in store.last_ended(NAME, 3)] == [4, 3, 1]
        start(store, 2, attempt=2)
        finish(store, 2, attempt=2)
        assert [trial.number for trial in store.last_ended(NAME, 9)] == [2, 4, 3, 1]

    def test_failures_are_counted_by_cause(self, store: Store) -> None:
        """The commonest cause comes first, with the first trial that it ended; what runs again has none."""
        causes = (Cause.GPU_OOM, Cause.CRASHED, Cause.TIMEOUT, Cause.CRASHED)
        assert store.failures(NAME) == []
        for number, cause in enumerate(causes, 1):
            add(store, number)
            start(store, number)
            finish(store, number, FAILED, cause=cause)
        with store.transaction() as tx:
            tx.retry_trial(NAME, 3)
        assert store.failures(NAME) == [FailedTrials(Cause.CRASHED, 2, 2), FailedTrials(Cause.GPU_OOM, 1, 1)]

    def test_refusal_names_trial_and_state(self, store: Store) -> None:
        """A refusal says which trial, in which state at which attempt, and what was wanted."""
        run(store, 1)
        wanted = "trial 1 .* is succeeded, its latest attempt is 1: refused to start attempt 2"
        with pytest.raises(TransitionRefused, match=wanted):
            start(store, 1, 2)
        with pytest.raises(TransitionRefused, match="no trial 9"):
            start(store, 9)

    def test_transaction_goes_on_after_a_refusal(self, store: Store) -> None:
        """A refused call changes nothing, and the rest of its transaction is committed."""
        add(store, 1)
        with store.transaction() as tx:
            tx.start_attempt(AttemptKey(NAME, 1, 1))
            with suppress(TransitionRefused):
                tx.start_attempt(AttemptKey(NAME, 1, 1))
            with suppress(TransitionRefused):
                tx.add_trial(NAME, 7, {}, "random", 1.0, None)
            tx.add_trial(NAME, 2, {}, "random", 1.0, None)
        assert [(row.number, row.state) for row in store.trials(NAME)] == [(1, RUNNING), (2, WAITING)]
        assert [e.kind for e in store.events(NAME)] == ["created", "suggested", "started", "suggested"]

    def test_odd_characters_in_a_detail(self, store: Store) -> None:
        """A text that comes from a dying process is stored, whatever bytes it was made of."""
        run(store, 1, state=FAILED, cause=Cause.CRASHED, detail="a\0b\udc80c “ü”")
        assert store.trial(NAME, 1).detail == "a�b?c “ü”" == store.attempts(NAME, 1)[0].detail

    def test_unknown_trial(self, store: Store) -> None:
        """A trial that is not there is said to be not there."""
        for question in (store.trial, store.attempts):
            with pytest.raises(NotFoundError, match=f"'{NAME}' has no trial 3"):
                question(NAME, 3)


class TestListing:
    def test_filters_and_pages(self, store: Store) -> None:
        """Trials come in the order of numbers, filtered by states and cause, a page at a time."""
        for number in range(1, 10):
            add(store, number)
            if number % 3:
                start(store, number)
            if number % 3 == 2:
                finish(store, number, FAILED, cause=Cause.TIMEOUT if number == 5 else Cause.CRASHED)
        create(store, "other")
        add(store, 1, name="other")

        def numbers(**filters: Any) -> list[int]:
            return [row.number for row in store.trials(NAME, **filters)]

        assert numbers() == [row.number for row in store.iterate_trials(NAME)] == list(range(1, 10))
        assert numbers(after=4, limit=2) == [5, 6]
        assert numbers(states=[FAILED]) == [2, 5, 8]
        assert numbers(states=(RUNNING, WAITING), limit=4) == [1, 3, 4, 6]
        assert numbers(states=(RUNNING, WAITING), after=4, limit=2) == [6, 7]
        assert numbers(states=[]) == []
        assert numbers(cause=Cause.TIMEOUT) == numbers(states=[FAILED, STOPPED], cause=Cause.TIMEOUT) == [5]
        assert store.counts(NAME) == {WAITING: 3, RUNNING: 3, FAILED: 3, SUCCEEDED: 0, STOPPED: 0, PRUNED: 0}

    @pytest.mark.parametrize(("goal", "best"), [("maximize", [4, 5, 1, 3, 7]), ("minimize", [1, 4, 5, 7, 3])])
    def test_top(self, store: Store, goal: str, best: list[int]) -> None:
        """The best values of succeeded and stopped trials, full training first, ties to the lower number."""
        name = "ranked"
        create(store, name, goal)
        run(store, 1, 0.5, name=name)
        run(store, 2, 0.9, state=PRUNED, name=name)
        run(store, 3, 0.99, fidelity=0.5, name=name)
        run(store, 4, 0.7, state=STOPPED, name=name)
        run(store, 5, 0.7, name=name)
        run(store, 6, None, name=name)
        run(store, 7, 0.4, fidelity=0.25, name=name)
        add(store, 8, name=name)
        assert [row.number for row in store.top(name)] == best
        assert [row.number for row in store.top(name, limit=1)] == best[:1]

    def test_top_lists_parameters_once(self, store: Store) -> None:
        """Parts of one promoted training, and other trials with the same parameters, are listed as the best of them."""
        name = "promoted"
        create(store, name, "maximize")
        for number, (x, fidelity) in enumerate([(0.1, 0.25), (0.2, 0.25), (0.2, 0.5), (0.2, 1.0), (0.3, 0.25)], 1):
            run(store, number, number / 10, fidelity=fidelity, name=name, x=x)
        for number in range(6, 60):
            run(store, number, 0.45, name=name, x=0.2)
        assert [row.number for row in store.top(name)] == [6, 5, 1]
        table = Tables(store).of(name).table
        assert table.numbers[table.top(5)].tolist() == [6, 5, 1]

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_parts_of_a_list(self, store: Store, limit: int) -> None:
        """Of trials in some states, or with a cause, the parts of a list together are all of it, none twice."""
        causes = {3: Cause.TIMEOUT, 4: Cause.CRASHED}
        for number in range(1, 7):
            run(store, number, state=FAILED if number in causes else SUCCEEDED, cause=causes.get(number))
        add(store, 7)

        def numbers(**how: Any) -> list[int]:
            found: list[int] = []
            while page := store.trials(NAME, after=found[-1] if found else 0, limit=limit, **how):
                assert len(page) <= limit
                found += [row.number for row in page]
            return found

        assert numbers() == list(range(1, 8))
        assert numbers(states=[SUCCEEDED, WAITING]) == [1, 2, 5, 6, 7]
        assert numbers(cause=Cause.TIMEOUT) == [3]
        assert numbers(cause=Cause.TIMEOUT, states=[SUCCEEDED]) == numbers(states=[]) == []

    def test_trials_by_number(self, store: Store) -> None:
        """Those that there are come in the order in which they are asked for."""
        for number in (1, 2, 3):
            add(store, number)
        assert [row.number for row in store.trials_of(NAME, [3, 10**30, 1])] == []
        assert [row.number for row in store.trials_of(NAME, [3, 7, 1])] == [3, 1]
        assert store.trials_of(NAME, []) == []

    def test_columns(self, store: Store) -> None:
        """Facts of many trials say what their rows do; what changes a trial is told behind the latest entry."""
        run(store, 1, 0.5)
        run(store, 2, state=FAILED, cause=Cause.TIMEOUT)
        latest = store.last_event(NAME)
        assert store.changed_trials(NAME, latest) == (latest, [])
        add(store, 3)
        columns = store.trial_columns(NAME, 0, 2)
        assert columns == store.trial_columns_of(NAME, [2, 1])
        rows = store.trials(NAME, limit=2)
        assert list(columns.parameters) == [row.parameters for row in rows]
        facts = {"number": columns.numbers, "state": columns.states, "cause": columns.causes, "value": columns.values}
        for fact, column in facts.items():
            assert list(column) == [getattr(row, fact) for row in rows]
        assert store.trial_columns(NAME, 3, 2).numbers == ()
        now, changed = store.changed_trials(NAME, latest)
        assert (now, changed) == (store.last_event(NAME), [3]) and now > latest

    def test_default_value(self, store: Store) -> None:
        """The default's value stands beside it where it counts: of a full training that succeeded or was stopped."""
        for number, (fidelity, state) in enumerate([(0.5, SUCCEEDED), (1.0, PRUNED), (1.0, STOPPED)], 1):
            name = f"default {number}"
            create(store, name)
            with store.transaction() as tx:
                tx.add_trial(name, 1, {"x": 1}, "default", fidelity, None)
            start(store, 1, name=name)
            assert store.experiment(name).default_value is None
            finish(store, 1, state, value=0.5, name=name)
        assert [row.default_value for row in store.experiments()] == [0.5, None, None, None]

    def test_default_trial(self, store: Store) -> None:
        """The trial of the default configuration is the first, or the last that went on from it without a change."""
        with store.transaction() as tx:
            tx.add_trial(NAME, 1, {"x": 1}, "default", 0.25, None)
            tx.add_trial(NAME, 2, {"x": 2}, "random", 0.25, None)
            tx.add_trial(NAME, 3, {"x": 3}, "changed", 0.5, 1)
            tx.add_trial(NAME, 4, {"x": 1}, "kept", 0.5, 1)
            tx.add_trial(NAME, 5, {"x": 2}, "kept", 0.5, 2)
        assert store.experiment(NAME).default_trial == 4
        with store.transaction() as tx:
            tx.add_trial(NAME, 6, {"x": 1}, "kept", 1.0, 4)
            tx.add_trial(NAME, 7, {"x": 1}, "copied", 1.0, 6)
        assert store.experiment(NAME).default_trial == 6
        create(store, "other")
        add(store, 1, name="other")
        assert store.experiment("other").default_trial is None

    def test_noted(self, store: Store) -> None:
        """Notes stand with the trial and its attempt, and go when it is tried again; trials with some are counted."""
        assert store.noted(NAME) == (0, None)
        run(store, 1, 0.5)
        for number in (2, 3):
            add(store, number)
            start(store, number)
            finish(store, number, FAILED, notes=("one", "two \0\ud800"))
        assert [row.notes for row in store.trials(NAME)] == [
            (),
            ("one", "two \N{REPLACEMENT CHARACTER}?"),
            ("one", "two \N{REPLACEMENT CHARACTER}?"),
        ]
        assert store.noted(NAME) == (2, store.trial(NAME, 2))
        with store.transaction() as tx:
            tx.retry_trial(NAME, 2)
        assert store.noted(NAME) == (1, store.trial(NAME, 3))
        start(store, 2, 2)
        lose(store, 2, 2, Cause.DISK_FULL, notes=("three",))
        assert [attempt.notes for attempt in store.attempts(NAME, 2)] == [
            ("one", "two \N{REPLACEMENT CHARACTER}?"),
            ("three",),
        ]
        assert store.trial(NAME, 2).notes == ()


class TestReports:
    def test_latest_values(self, store: Store) -> None:
        """The latest value of a metric is the finite one in the latest attempt's last report that has one."""
        for number in (1, 2):
            add(store, number)
            start(store, number)
        assert store.latest_values(NAME, [1, 2], "loss") == {}
        report(store, 1, 1, (1, 0.2), (3, 0.1))
        report(store, 2, 1, (1, 0.5), (2, math.inf))
        assert store.latest_values(NAME, [1, 2, 3], "loss") == {1: (3, 0.1), 2: (1, 0.5)}
        with store.transaction() as tx:
            tx.add_reports(AttemptKey(NAME, 1, 1), [Report(4, {"accuracy": 0.9}, 0.0)])
        assert store.latest_values(NAME, [1], "loss") == {1: (3, 0.1)}
        lose(store, 1)
        start(store, 1, 2)
        assert store.latest_values(NAME, [1], "loss") == {1: (3, 0.1)}
        with store.transaction() as tx:
            tx.add_reports(AttemptKey(NAME, 1, 2), [Report(1, {"accuracy": 0.9}, 0.0)])
        assert store.latest_values(NAME, [1], "loss") == {}

    def test_long_curves_are_thinned(self, store: Store) -> None:
        """Of many reports some stay, evenly spaced, of each metric where they take turns, and the last; of few, all."""
        for number, reports in ((1, 1000), (2, 7), (3, 0)):
            add(store, number)
            start(store, number)
            with store.transaction() as tx:
                metrics = [{"accuracy": 0.5} if step % 2 else {"loss": float(step)} for step in range(reports)]
                tx.add_reports(
                    AttemptKey(NAME, number, 1), [Report(step, one, 0.0) for step, one in enumerate(metrics)]
                )
        report(store, 1, 1, (5000, 0.125))
        whole = store.curves(NAME, "loss")
        thinned = store.curves(NAME, "loss", [1, 2, 3], points=50)
        assert thinned[2] == whole[2] == {0: 0.0, 2: 2.0, 4: 4.0, 6: 6.0}
        assert thinned.keys() == {1, 2} and thinned[1].items() <= whole[1].items()
        assert 15 < len(thinned[1]) < 50 and thinned[1][5000] == 0.125
        steps = list(thinned[1])[:-1]
        assert len({later - earlier for earlier, later in itertools.pairwise(steps)}) == 1

    def test_last_report_of_a_step_counts(self, store: Store) -> None:
        """A value is stored once: the last report wins, within a batch and across transactions, and twice is once."""
        add(store, 1)
        start(store, 1)
        report(store, 1, 1, (2, 0.2), (1, 0.1), (2, 0.9))
        for _ in range(2):
            report(store, 1, 1, (1, 0.8), (3, 0.3))
            assert [(r.step, r.metrics["loss"]) for r in store.reports(NAME, 1)] == [(1, 0.8), (2, 0.9), (3, 0.3)]

    def test_reports_of_one_step_are_one(self, store: Store) -> None:
        """Metrics that come later at the same step are added to it, within a batch and across transactions."""
        add(store, 1)
        start(store, 1)
        key = AttemptKey(NAME, 1, 1)
        batches = [
            [Report(1, {"loss": 3.0}, 0.0)],
            [
                Report(1, {"accuracy": 0.5, "loss": 9.0}, 1.0),
                Report(2, {"loss": 2.0}, 2.0),
                Report(2, {"f1": 0.1}, 3.0),
            ],
            [Report(1, {"loss": math.nan, "f1": math.nan}, 4.0)],
        ]
        for batch in batches:
            with store.transaction() as tx:
                tx.add_reports(key, batch)
        first, second = (dict(r.metrics) for r in store.reports(NAME, 1))
        assert math.isnan(first.pop("f1"))
        assert math.isnan(first.pop("loss"))
        assert first == {"accuracy": 0.5}
        assert second == {"loss": 2.0, "f1": 0.1}
        with store.transaction() as tx:
            tx.lose_attempt(AttemptKey(NAME, 1, 1), AttemptEnd(cause=Cause.KILLED))
            tx.add_reports(key, [Report(2, {"late": 1.0}, 5.0)])
        assert set(store.reports(NAME, 1, 1)[1].metrics) == {"loss", "f1"}

    def test_only_the_running_attempt_reports(self, store: Store) -> None:
        """Reports of an attempt that has ended, or has not begun, are ignored."""
        add(store, 1)
        report(store, 1, 1, (1, 0.1))
        start(store, 1)
        report(store, 1, 2, (1, 0.2))
        lose(store, 1)
        report(store, 1, 1, (1, 0.3))
        report(store, 9, 1, (1, 0.4))
        start(store, 1, 2)
        report(store, 1, 1, (1, 0.5))
        assert store.reports(NAME, 1) == store.reports(NAME, 9) == []

    def test_order_within_a_transaction(self, store: Store) -> None:
        """A report before the end of its attempt counts, one after it does not, though both are one transaction."""
        add(store, 1)
        start(store, 1)
        with store.transaction() as tx:
            tx.add_reports(AttemptKey(NAME, 1, 1), [Report(1, {"loss": 0.1}, 5.0)])
            tx.finish_trial(AttemptKey(NAME, 1, 1), AttemptEnd(SUCCEEDED))
            tx.add_reports(AttemptKey(NAME, 1, 1), [Report(2, {"loss": 0.2}, 6.0)])
        assert [(r.step, r.time) for r in store.reports(NAME, 1)] == [(1, 5.0)]

    def test_not_finite(self, store: Store) -> None:
        """NaN and infinities are stored as nothing and read back as NaN; curves leave them out."""
        add(store, 1)
        start(store, 1)
        report(store, 1, 1, (1, 0.1), (2, math.inf), (3, math.nan))
        values = [r.metrics["loss"] for r in store.reports(NAME, 1)]
        assert values[0] == 0.1
        assert all(math.isnan(value) for value in values[1:])
        assert store.curves(NAME, "loss") == {1: {1: 0.1}}
        assert store.last_metrics(NAME, [1]) == {1: {"loss": None}}

    def test_latest_attempt_that_reported(self, store: Store) -> None:
        """Reports, curves and last metrics are those of the latest attempt with reports; others can be asked for."""
        add(store, 1)
        add(store, 2)
        start(store, 1)
        report(store, 1, 1, (1, 0.1), (2, 0.2), (3, 0.3))
        lose(store, 1)
        start(store, 1, 2)
        assert store.curves(NAME, "loss") == {1: {1: 0.1, 2: 0.2, 3: 0.3}}
        report(store, 1, 2, (1, 0.5), (2, 0.6))
        assert store.curves(NAME, "loss") == {1: {1: 0.5, 2: 0.6}}
        assert store.last_metrics(NAME, [2, 1]) == {1: {"loss": 0.6}}
        assert [r.step for r in store.reports(NAME, 1)] == [1, 2]
        assert [r.step for r in store.reports(NAME, 1, attempt=1)] == [1, 2, 3]
        assert store.latest_reports(NAME, [2, 1]) == {1: store.reports(NAME, 1)}
        assert store.curves(NAME, 'no "such" metric') == {}

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_delivery_gives_the_same(self, store: Store, data: st.DataObject) -> None:
        """Whatever the order, doubles and batches in which reports arrive, the stored ones are the same."""
        name = f"delivery-{len(store.experiments())}"
        create(store, name)
        add(store, 1, name=name)
        start(store, 1, name=name)
        sent = [Report(step, {"loss": step / 7}, float(step)) for step in range(5)]
        stream = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=5))))
        cut = data.draw(st.integers(0, len(stream)))
        for batch in (stream[:cut], stream[cut:]):
            with store.transaction() as tx:
                tx.add_reports(AttemptKey(name, 1, 1), batch)
        stored = store.reports(name, 1)
        assert [Report(r.step, r.metrics, r.time) for r in stored] == sent


class TestHistory:
    def test_suggestions_and_outcomes_in_order(self, store: Store) -> None:
        """A tuner can be rebuilt: every suggestion and every outcome, in the order in which they happened."""
        add(store, 1)
        add(store, 2, fidelity=0.5)
        start(store, 2)
        finish(store, 2, FAILED, cause=Cause.GPU_OOM)
        start(store, 1)
        finish(store, 1, value=0.75)
        with store.transaction() as tx:
            tx.retry_trial(NAME, 2)
            tx.stop_waiting(NAME, 2)
            tx.add_trial(NAME, 3, {"x": 0}, "promoted from trial 1", 1.0, 1)
        suggested = [e for e in store.history(NAME) if e.kind == "suggested"]
        assert [(e.number, e.parameters, e.origin, e.fidelity, e.resume_from) for e in suggested] == [
            (1, {"x": 0.5}, "random", 1.0, None),
            (2, {"x": 1.0}, "random", 0.5, None),
            (3, {"x": 0}, "promoted from trial 1", 1.0, 1),
        ]
        ended = [e for e in store.history(NAME) if e.kind == "ended"]
        assert [(e.number, e.state, e.value, e.cause, e.cost_seconds, e.attempt) for e in ended] == [
            (2, FAILED, None, Cause.GPU_OOM, 10.0, 1),
            (1, SUCCEEDED, 0.75, None, 10.0, 1),
            (2, STOPPED, None, None, 10.0, 1),
        ]
        assert [e.number for e in store.history(NAME)] == [1, 2, 2, 1, 2, 3]

    def test_what_the_tuner_knew(self, store: Store) -> None:
        """A suggestion that was made before some outcomes came in says how many it knew; others knew all."""
        run(store, 1)
        with store.transaction() as tx:
            tx.add_trial(NAME, 2, {}, "random", 1.0, None, known=0)
        assert [e.known for e in store.history(NAME) if e.kind == "suggested"] == [None, 0]

    def test_pages(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Reading a page at a time leaves nothing out."""
        for number in range(1, 6):
            run(store, number)
        whole = (list(store.history(NAME)), list(store.iterate_trials(NAME)))
        monkeypatch.setattr("tunewell.store.queries.trials.PAGE", 2)
        assert (list(store.history(NAME)), list(store.iterate_trials(NAME))) == whole
        assert len(whole[0]) == 10

    def test_audit_trail(self, store: Store) -> None:
        """Every change leaves an event with its time; ids grow, and reading can go on after any of them."""
        with store.transaction() as tx:
            tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.RUNNING, now=1.0)
        add(store, 1)
        start(store, 1, now=2.0)
        lose(store, 1, detail="gone", now=3.0)
        start(store, 1, 2, now=4.0)
        finish(store, 1, STOPPED, 2, now=5.0)
        with store.transaction() as tx:
            tx.retry_trial(NAME, 1, now=6.0)
        events = store.events(NAME)
        assert [(e.kind, e.trial, e.attempt, e.time) for e in events] == [
            ("created", None, None, 0.0),
            ("state", None, None, 1.0),
            ("suggested", 1, None, 1.0),
            ("started", 1, 1, 2.0),
            ("lost", 1, 1, 3.0),
            ("started", 1, 2, 4.0),
            ("ended", 1, 2, 5.0),
            ("retried", 1, 2, 6.0),
        ]
        assert events[1].data == {"old": "created", "new": "running"}
        assert events[4].data["cause"] == "killed"
        assert [e.id for e in events] == sorted({e.id for e in events})
        assert store.events(NAME, after=events[2].id, limit=3) == events[3:6]


class TestRequests:
    def test_asked_and_handled_once(self, store: Store) -> None:
        """Requests come in order until they are handled; handling one twice is refused."""
        first = store.request(NAME, "stop_trial", trial=3, now=1.0)
        second = store.request(NAME, "retry", data={"cause": "killed"})
        open_ones = store.requests(NAME)
        assert [(r.id, r.verb, r.trial, r.data) for r in open_ones] == [
            (first, "stop_trial", 3, {}),
            (second, "retry", None, {"cause": "killed"}),
        ]
        with store.transaction() as tx:
            tx.handle_request(first)
        assert [r.id for r in store.requests(NAME)] == [second]
        with pytest.raises(TransitionRefused, match=f"request {first}"), store.transaction() as tx:
            tx.handle_request(first)

    def test_same_key_is_the_same_request(self, store: Store) -> None:
        """Asking twice under a key adds nothing, even when it was handled; another wish under it is refused."""
        first = store.request(NAME, "stop", key="k")
        assert store.request(NAME, "stop", key="k") == first
        with store.transaction() as tx:
            tx.handle_request(first)
        assert store.request(NAME, "stop", key="k") == first
        assert store.requests(NAME) == []
        with pytest.raises(ConflictError, match="Key 'k' was used for another request"):
            store.request(NAME, "pause", key="k")
        assert store.request(NAME, "stop") != store.request(NAME, "stop")


class TestOwnership:
    def test_an_old_term_changes_nothing(self, store: Store) -> None:
        """Once an experiment is taken over, a transaction that names the old term and writes to it is undone."""
        create(store, "other")
        add(store, 1)
        with store.transaction() as tx:
            assert tx.take_over(NAME) == 1
        with store.transaction() as tx:
            tx.name_term(NAME, 1)
            tx.start_attempt(AttemptKey(NAME, 1, 1))
        with store.transaction() as tx:
            assert tx.take_over(NAME) == 2
        before = store.version(), store.experiment(NAME), store.experiment("other"), store.trials(NAME)
        for write in (
            lambda tx: tx.finish_trial(AttemptKey(NAME, 1, 1), AttemptEnd(SUCCEEDED)),
            lambda tx: tx.add_reports(AttemptKey(NAME, 1, 1), [Report(1, {"loss": 1.0}, 0.0)]),
            lambda tx: tx.add_elapsed(NAME, 1.0),
            lambda tx: tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.RUNNING),
            lambda tx: tx.add_notes(NAME, ["late"]),
            lambda tx: tx.add_result(NAME, "model", 1, None, {}),
        ):
            with pytest.raises(TermOver, match=f"'{NAME}' was taken over") as caught, store.transaction() as tx:
                tx.name_term("other", 0)
                tx.name_term(NAME, 1)
                tx.add_elapsed("other", 5.0)
                write(tx)
            assert caught.value.experiment == NAME
        assert (store.version(), store.experiment(NAME), store.experiment("other"), store.trials(NAME)) == before
        assert (store.reports(NAME, 1), store.results(NAME, "model")) == ([], [])
        with store.transaction() as tx:
            tx.name_term(NAME, 1)  # it writes to the other one alone
            tx.add_elapsed("other", 5.0)
            tx.name_term(NAME, 2)
            tx.add_elapsed(NAME, 1.0)
        assert [store.experiment(name).elapsed_seconds for name in (NAME, "other")] == [1.0, 5.0]

    def test_versions_tell_what_changed(self, store: Store) -> None:
        """Each transaction has a higher number; what it touched has it, and can be asked for."""
        create(store, "other")
        with store.transaction() as tx:
            job = tx.add_job("check", NAME)
        begin = store.version()
        assert store.changed(begin) == []
        add(store, 1)
        start(store, 1)
        moved = store.version()
        report(store, 1, 1, (1, 0.5))
        reported = store.version()
        with store.transaction() as tx:
            tx.add_elapsed("other", 1.0)
            tx.start_job(job, 1, "i")
        assert begin < moved < reported < store.version()
        changed = store.changed(begin)
        assert [(one.kind, one.name) for one in changed] == [("experiment", NAME), ("experiment", "other"), ("job", "")]
        assert [one.version for one in changed] == [reported, store.version(), store.version()]
        assert [one.id for one in changed] == [store.experiment(NAME).id, store.experiment("other").id, job]
        assert [one.name for one in store.changed(reported)] == ["other", ""]
        for asked in (lambda: store.request(NAME, "stop"), lambda: store.request(None, "stop_job", job=job)):
            before = store.version()
            asked()
            assert len(store.changed(before)) == 1

    def test_open_and_found(self, store: Store) -> None:
        """Experiments that have not ended come oldest first; lists go by states and by a part of the name."""
        for name in ("Digits-2", "a_b", "ab", "done"):
            create(store, name)
        with store.transaction() as tx:
            tx.set_experiment_state("ab", ExperimentState.CREATED, ExperimentState.RUNNING)
            tx.set_experiment_state("done", ExperimentState.CREATED, ExperimentState.FAILED)
        assert [row.name for row in store.open_experiments()] == [NAME, "Digits-2", "a_b", "ab"]

        def names(**filters: Any) -> list[str]:
            return [row.name for row in store.experiments(**filters)]

        assert names(search="digits") == ["Digits-2", NAME]
        assert names(search="a_") == ["a_b"]
        assert names(states=[ExperimentState.RUNNING, ExperimentState.FAILED]) == ["done", "ab"]
        assert names(states=[ExperimentState.CREATED], limit=2) == ["a_b", "Digits-2"]
        assert names(states=[ExperimentState.CREATED], after=store.experiment("a_b").id, search="D") == [
            "Digits-2",
            NAME,
        ]
        assert names(states=[]) == []


class TestJobs:
    def test_comes_back_as_it_was_given(self, store: Store) -> None:
        """What is stored of a job is read back unchanged; an unknown one is said to be none."""
        with store.transaction() as tx:
            first = tx.add_job("check", now=1.0)
            second = tx.add_job("retrain", NAME, {"trial": 3}, "ada", first, now=2.0)
        row = store.job(second)
        assert (row.id, row.kind, row.experiment, row.arguments) == (second, "retrain", NAME, {"trial": 3})
        assert (row.caller, row.after, row.created_at, row.state) == ("ada", first, 2.0, JobState.WAITING)
        assert (row.attempt, row.part, row.progress, row.result, row.cost_seconds) == (0, 0, {}, None, 0.0)
        assert store.job(first).experiment is None
        with pytest.raises(NotFoundError, match="no job 99"):
            store.job(99)
        with pytest.raises(NotFoundError, match="no job 99"), store.transaction() as tx:
            tx.take_over_job(99)

    def test_life_with_a_loss_and_parts(self, store: Store) -> None:
        """A job's row tells of its latest attempt, its events of each one; the cost adds up, parts are kept."""
        with store.transaction() as tx:
            job = tx.add_job("finalists", NAME, now=0.0)
            tx.start_job(job, 1, "one", now=1.0)
            tx.report_job(job, {"training": 0.5}, attempt=1)
            tx.lose_job(job, 1, Cause.NODE_LOST, "gone", 2.0, now=3.0)
            tx.start_job(job, 2, "two", now=4.0)
            tx.next_part(job, 1, attempt=2, seconds=5.0, now=9.0)
            tx.start_job(job, 3, "three", now=10.0)
            failed = JobEnd(JobState.FAILED, Cause.CRASHED, "a bug", ("note",), peak_memory_bytes=2**40, seconds=1.0)
            tx.finish_job(job, 3, replace(failed, now=11.0))
        row = store.job(job)
        assert (row.state, row.cause, row.detail, row.notes) == (JobState.FAILED, Cause.CRASHED, "a bug", ("note",))
        assert (row.attempt, row.identity, row.part, row.cost_seconds) == (3, "three", 1, 8.0)
        assert (row.started_at, row.ended_at, row.peak_memory_bytes) == (10.0, 11.0, 2**40)
        with store.transaction() as tx:
            tx.retry_job(job, now=12.0)
        row = store.job(job)
        assert (row.state, row.cause, row.detail, row.notes) == (JobState.WAITING, None, "", ())
        assert (row.part, row.ended_at) == (1, None)
        with store.transaction() as tx:
            tx.start_job(job, 4, "four", now=13.0)
            tx.finish_job(job, 4, JobEnd(JobState.SUCCEEDED, result={"value": 0.5}, now=14.0))
        assert store.job(job).result == {"value": 0.5}
        events = store.job_events(job)
        told = [(1, "started"), (1, "lost"), (2, "started"), (2, "part"), (3, "started"), (3, "ended"), (3, "retried")]
        assert [(e.attempt, e.kind) for e in events] == [(None, "created"), *told, (4, "started"), (4, "ended")]
        assert store.job_events(job, after=events[1].id, limit=2) == events[2:4]
        assert [e for e in store.events(NAME) if e.job == job] == events
        assert list(store.history(NAME)) == []

    def test_lists(self, store: Store) -> None:
        """Jobs come newest first, by experiment, kind and states, a page at a time; open ones oldest first."""
        create(store, "other")
        with store.transaction() as tx:
            one, two, three = (tx.add_job(kind, NAME) for kind in ("check", "retrain", "check"))
            four, five = tx.add_job("check", "other"), tx.add_job("report")
            tx.end_waiting_job(three, JobEnd(JobState.STOPPED))
            tx.start_job(four, 1, "i")

        def ids(**filters: Any) -> list[int]:
            return [job.id for job in store.jobs(**filters)]

        assert ids() == [five, four, three, two, one]
        assert ids(before=four, limit=2) == [three, two]
        assert ids(experiment=NAME) == [three, two, one]
        assert ids(experiment=NAME, kind="check", states=[JobState.WAITING]) == [one]
        assert ids(kind="check") == [four, three, one]
        assert ids(kind="check", before=four, limit=1) == [three]
        assert ids(states=[JobState.STOPPED, JobState.RUNNING]) == [four, three]
        assert ids(states=[]) == ids(experiment=NAME, states=[]) == []
        assert [job.id for job in store.open_jobs()] == [one, two, four, five]

    def test_those_about_a_model_or_of_a_caller(self, store: Store) -> None:
        """A model is told by its full name, to the letter, whatever its version; a caller by theirs."""
        asked = (("model:a/s@1", "a"), ("model:a/s@2", "b"), ("model:a/S@1", "a"), ("model:a/s2@1", "a"), (NAME, "a"))
        with store.transaction() as tx:
            first, second, *others = (tx.add_job("evaluate-model", None, {"model": m}, c) for m, c in asked)
            about = tx.add_job("evaluate-model", NAME, {"model": NAME}, "b")

        def ids(**filters: Any) -> list[int]:
            return [job.id for job in store.jobs(**filters)]

        assert ids(model="a/s") == ids(model="a/s", kind="evaluate-model") == [second, first]
        assert ids(model="a/s", caller="b") == [second]
        assert ids(model="a/s", experiment=NAME) == ids(model="s") == ids(model="a/s", kind="predict") == []
        assert ids(caller="a") == [*others[::-1], first]
        assert ids(caller="b", experiment=NAME) == [about]

    def test_all_that_there_are(self, store: Store) -> None:
        """Who asks for no number gets all jobs, however many there are."""
        with store.transaction() as tx:
            added = [tx.add_job("check", NAME) for _ in range(130)][::-1]
        assert [job.id for job in store.jobs(NAME, "check")] == added
        assert [job.id for job in store.jobs(states=[JobState.WAITING])] == added

    def test_those_of_a_kind_as_a_transaction_sees_them(self, store: Store) -> None:
        """A transaction is told of the jobs that are like one, those that it adds itself among them."""
        create(store, "other")
        with store.transaction() as tx:
            one = tx.add_job("check", NAME, {"n": 1})
            two = tx.add_job("check", NAME, {"n": 2})
            tx.add_job("report", NAME, {"n": 1})
            tx.add_job("check", "other", {"n": 1})
            tx.add_job("check", None, {"n": 1})
            tx.end_waiting_job(two, JobEnd(JobState.STOPPED))
            assert tx.job_arguments("check", NAME, [JobState.WAITING]) == {one: {"n": 1}}
        with store.transaction() as tx:
            assert tx.job_arguments("check", NAME, [*JobState]) == {one: {"n": 1}, two: {"n": 2}}

    def test_waits_for_another_job(self, store: Store) -> None:
        """A job that comes after another starts once that one has ended, well or not."""
        with store.transaction() as tx:
            first = tx.add_job("finalists")
            second = tx.add_job("evaluate", after=first)
        with pytest.raises(TransitionRefused, match=f"comes after job {first}"), store.transaction() as tx:
            tx.start_job(second, 1, "i")
        with store.transaction() as tx:
            tx.end_waiting_job(first, JobEnd(JobState.STOPPED))
            tx.start_job(second, 1, "i")
        assert store.job(second).state is JobState.RUNNING

    def test_life_of_jobs(self, database: str) -> None:
        """Any order of legal and illegal moves, under any term, leaves what a simple model says."""
        with Store(database) as store:
            run_state_machine_as_test(
                functools.partial(JobLife, store),
                settings=settings(max_examples=15, stateful_step_count=15, deadline=None),
            )

    def test_requests(self, store: Store) -> None:
        """Requests about jobs come in order among the others; a key is one for each job."""
        with store.transaction() as tx:
            job, other = tx.add_job("check"), tx.add_job("check")
        asked = [
            store.request(None, "stop_job", job=job, key="k"),
            store.request(NAME, "pause"),
            store.request(None, "stop_job", job=other, key="k"),
        ]
        assert store.request(None, "stop_job", job=job, key="k") == asked[0]
        with pytest.raises(ConflictError, match="Key 'k'"):
            store.request(None, "retry_job", job=job, key="k")
        with pytest.raises(NotFoundError, match="no job 99"):
            store.request(None, "stop_job", job=99)
        found = [(r.id, r.verb, r.experiment, r.job) for r in store.open_requests()]
        about = [("stop_job", None, job), ("pause", NAME, None), ("stop_job", None, other)]
        assert found == [(number, *what) for number, what in zip(asked, about, strict=True)]
        assert [r.id for r in store.requests(NAME)] == [asked[1]]
        with store.transaction() as tx:
            tx.handle_request(asked[0])
        assert [r.id for r in store.open_requests()] == asked[1:]


class TestResults:
    def test_a_new_one_replaces_the_old(self, store: Store) -> None:
        """There is one result of a kind for a trial: the latest; pages go on behind a trial's number."""
        with store.transaction() as tx:
            job = tx.add_job("evaluate", NAME)
            tx.add_result(NAME, "evaluation", 2, "b", {"f1": 0.5}, now=1.0)
            tx.add_result(NAME, "evaluation", 1, "a", {"f1": 0.4}, "jobs/1/e.json", "ab" * 32, job, now=2.0)
            tx.add_result(NAME, "model", 1, None, {}, now=3.0)
            tx.add_result(NAME, "evaluation", 2, "c", {"f1": 0.6}, now=4.0)
        first, second = store.results(NAME, "evaluation")
        assert (first.kind, first.trial, first.attempt_identity, first.job) == ("evaluation", 1, "a", job)
        assert (first.data, first.file, first.sha256, first.created_at) == (
            {"f1": 0.4},
            "jobs/1/e.json",
            "ab" * 32,
            2.0,
        )
        assert (second.trial, second.attempt_identity, second.data, second.job) == (2, "c", {"f1": 0.6}, None)
        assert store.results(NAME, "evaluation", limit=1) == [first]
        assert store.results(NAME, "evaluation", after=1) == [second]
        assert (len(store.results(NAME, "model")), store.results(NAME, "finalist")) == (1, [])


class TestAnswers:
    def test_answered_once(self, store: Store) -> None:
        """The same question under the same key gets the same answer; the key serves no other question."""
        with store.transaction() as tx:
            assert tx.answered("ada", "k", "create", "f1") is None
            tx.answer("ada", "k", "create", "f1", {"name": "x"})
        with store.transaction() as tx:
            assert tx.answered("ada", "k", "create", "f1") == {"name": "x"}
            assert tx.answered("bob", "k", "create", "f1") is None
            for verb, fingerprint in (("create", "f2"), ("stop", "f1")):
                with pytest.raises(ConflictError, match=r"Key 'k' was used for another request \(create\)"):
                    tx.answered("ada", "k", verb, fingerprint)


class TestTogether:
    def test_all_or_nothing(self, store: Store) -> None:
        """An error in the middle undoes everything before it, events and reports included."""
        add(store, 1)
        start(store, 1)
        before = (store.trials(NAME), store.events(NAME), store.experiment(NAME))
        with pytest.raises(RuntimeError), store.transaction() as tx:
            tx.add_reports(AttemptKey(NAME, 1, 1), [Report(1, {"loss": 0.1}, 0.0)])
            tx.finish_trial(AttemptKey(NAME, 1, 1), AttemptEnd(SUCCEEDED, value=1.0))
            tx.add_trial(NAME, 2, {}, "random", 1.0, None)
            tx.add_elapsed(NAME, 5.0)
            raise RuntimeError
        assert (store.trials(NAME), store.events(NAME), store.experiment(NAME)) == before
        assert store.reports(NAME, 1) == []
        add(store, 2)

    def test_two_stores(self, database: str, store: Store) -> None:
        """Of two that hold the same view, the second to move a trial is refused, and sees what the first did."""
        with Store(database) as other:
            add(store, 1)
            start(other, 1)
            with pytest.raises(TransitionRefused):
                start(store, 1)
            finish(store, 1, value=0.5)
            assert other.trial(NAME, 1).value == 0.5

    def test_reading_beside_a_transaction(self, store: Store) -> None:
        """Another thread reads the last committed state while a transaction is open, without waiting."""
        add(store, 1)
        seen: list[TrialState] = []
        with store.transaction() as tx:
            tx.start_attempt(AttemptKey(NAME, 1, 1))
            reader = threading.Thread(target=lambda: seen.append(store.trial(NAME, 1).state))
            reader.start()
            reader.join(timeout=10)
        assert (seen, store.trial(NAME, 1).state) == ([WAITING], RUNNING)

    def test_life_of_trials(self, database: str) -> None:
        """Any order of legal and illegal moves and of reports leaves what a simple model says."""
        with Store(database) as store:
            run_state_machine_as_test(
                functools.partial(TrialLife, store, database),
                settings=settings(max_examples=20, stateful_step_count=20, deadline=None),
            )

    def test_closing_beside_a_reader(self, database: str, store: Store) -> None:
        """A connection that is in use when the store is closed is closed with its last use, and so are later ones."""
        open_ones: set[int] = set()
        listeners = {
            "connect": lambda connection, _: open_ones.add(id(connection)),
            "close": lambda connection, _: open_ones.discard(id(connection)),
        }
        for name, listener in listeners.items():
            event.listen(Pool, name, listener)
        try:
            other = Store(database)
            with other.transaction() as tx:
                tx.add_notes(NAME, ["written"])
                other.close()
                assert len(open_ones) == 1
            assert other.experiment(NAME).notes == store.experiment(NAME).notes == ("written",)
            assert open_ones == set()
        finally:
            for name, listener in listeners.items():
                event.remove(Pool, name, listener)
