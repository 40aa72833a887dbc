"""Programs that train the trials of a search by themselves, in a loop of the client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.serving import Served
from tests.schedulers.bench import wait_until
from tests.worker.running import SPEC, running, wait_for_end
from tunewell.client import Client
from tunewell.client.connection import Connection
from tunewell.client.training import RemoteTrial
from tunewell.service.types import GivenReport
from tunewell.spec.errors import ConflictError
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.trial.trial import Pruned


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A service that runs what it is asked for."""
    monkeypatch.chdir(tmp_path)
    with running(tmp_path) as one:
        yield one


def train(one: Served, worker: str, seen: list[tuple[str, int, int]]) -> None:
    """Train trials until the search has ended."""
    for trial in one.client().trials_to_train("w", worker):
        with trial:
            seen.append((worker, trial.number, trial.attempt))
            for step in (1, 2, 3):
                trial.report(accuracy=trial.parameters["x"] * step, step=step)


def test_a_search_by_workers_over_http(one: Served) -> None:
    """Several of them train each trial once, and the search has the result that it would have had here."""
    client = one.client()
    client.create({**SPEC, "max_trials": 12})
    wait_until(lambda: (waits := client.experiment("w").waits_for) is not None and waits.code == "workers")
    assert client.experiment("w").waits_for.detail == "It waits for workers: none has asked."  # type: ignore[union-attr]
    assert [entry.waits_for.code for entry in client.queue().entries] == ["workers"]
    seen: list[tuple[str, int, int]] = []
    threads = [threading.Thread(target=train, args=(one, f"worker {n}", seen)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_for_end(client)
    experiment, trials = client.experiment("w"), client.trials("w").items
    assert experiment.state is ExperimentState.COMPLETED
    assert sorted((number, attempt) for _, number, attempt in seen) == [(number, 1) for number in range(1, 13)]
    assert all(trial.value == trial.parameters["x"] * 3 for trial in trials)
    assert len(client.reports("w", 5)) == 3
    assert client.trial("w", 5).worker == next(worker for worker, number, _ in seen if number == 5)
    resources = one.service.store.experiment("w").resources
    assert resources is not None and (resources["cpus"], resources["gpus"]) == (0, 0), "nothing runs here"


def next_trial(one: Served, worker: str = "a") -> RemoteTrial:
    """Return the next trial that a worker is given."""
    return next(one.client().trials_to_train("w", worker))


def test_how_a_block_ends_is_how_the_trial_ends(one: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is told and printed, a failure has its cause, Ctrl-C goes on and hands the trial back."""
    client = one.client()
    client.create({**SPEC, "max_concurrency": 1})  # otherwise another trial may be given before this one again
    with next_trial(one):
        raise ValueError("bad luck")
    assert "ValueError: bad luck" in capsys.readouterr().err
    with next_trial(one) as second:
        second.fail("invalid_parameters", "depth exceeds width")
    with pytest.raises(KeyboardInterrupt), next_trial(one) as third:
        raise KeyboardInterrupt
    with next_trial(one) as again:
        assert (again.number, again.attempt) == (third.number, third.attempt + 1)
        again.report(accuracy=0.5)
    wait_until(lambda: client.trial("w", again.number).state.final)
    trials = client.trials("w").items
    assert (trials[0].state, trials[0].cause) == (TrialState.FAILED, Cause.CRASHED)
    assert trials[0].detail == "ValueError: bad luck"
    assert (trials[1].cause, trials[1].detail) == (Cause.INVALID_PARAMETERS, "depth exceeds width")
    assert (trials[2].state, trials[2].value) == (TrialState.SUCCEEDED, 0.5)


def test_a_trial_that_is_to_end_is_told_by_its_report(one: Served) -> None:
    """`Pruned` ends the block; what was reported before counts."""
    client = one.client()
    client.create(SPEC)
    with next_trial(one) as trial:
        trial.report(accuracy=0.25)
        client.stop_trial("w", trial.number)
        with pytest.raises(Pruned):
            wait_until(lambda: trial.report(accuracy=0.25))
        raise Pruned
    wait_until(lambda: client.trial("w", trial.number).state.final)
    ended = client.trial("w", trial.number)
    assert (ended.state, ended.value) == (TrialState.STOPPED, 0.25)


def test_a_pause_waits_for_what_runs(one: Served) -> None:
    """Nothing new is given while the search is paused, and workers go on when it does."""
    client = one.client()
    client.create(SPEC)
    with next_trial(one) as trial:
        client.pause("w")
        trial.report(accuracy=0.5)
    wait_until(lambda: client.experiment("w").state is ExperimentState.PAUSED)
    paused = client.suggest("w", "a", wait=0)
    assert (paused.kind, paused.detail) == ("wait", "The search is paused.")
    client.resume("w")
    with next_trial(one) as second:
        second.report(accuracy=0.5)
    assert second.number == 2


def test_no_more_run_at_once_than_the_spec_says(one: Served) -> None:
    """Whoever asks beyond that waits, and gets the next trial when one has ended."""
    client = one.client()
    client.create({**SPEC, "max_concurrency": 1})
    first = client.suggest("w", "a").trial
    assert first is not None
    assert client.suggest("w", "b", wait=1).kind == "wait"
    wait_until(lambda: (waits := client.experiment("w").waits_for) is not None and waits.code == "max_concurrency")
    client.complete("w", first.number, first.attempt, 0.5)
    second = client.suggest("w", "b").trial
    assert second is not None and second.number == 2


def test_a_worker_that_is_gone_loses_its_trial_to_another(one: Served) -> None:
    """The trial gets its next attempt; what the first worker says afterwards changes nothing."""
    client = one.client()
    client.create({**SPEC, "worker_lease": "5s", "max_trials": 1})
    first = client.suggest("w", "a").trial
    assert first is not None
    second = next_trial(one, "b")
    assert (second.number, second.attempt) == (1, 2)
    with Client.over(Connection(one.address, first.credential)) as late:
        for call in (
            lambda: late.complete("w", 1, 1, 1.0),
            lambda: late.heartbeat("w", 1, 1),
            lambda: late.add_log("w", 1, 1, 0, b"late"),
            lambda: late.add_reports("w", 1, 1, [GivenReport(metrics={"accuracy": 1.0})]),
        ):
            with pytest.raises(ConflictError) as caught:
                call()
            assert caught.value.kind == "attempt-over"
    with second:
        second.report(accuracy=0.5)
    wait_for_end(client)
    trial = client.trial("w", 1)
    assert (trial.state, trial.value, trial.worker) == (TrialState.SUCCEEDED, 0.5, "b")
    lost, kept = trial.attempt_list
    assert (lost.state, lost.cause, kept.state) == ("lost", Cause.NODE_LOST, "succeeded")
    assert "'a' was not heard from for 5 s" in lost.detail
