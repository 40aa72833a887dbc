"""What the verbs of workers promise, wherever they are carried out."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import Bench, bench
from tests.schedulers.bench import wait_until
from tunewell.schedulers.leases import Board
from tunewell.schedulers.records import make_folder, read_exit, write_exit, write_stop
from tunewell.schedulers.report_reader import ReportReader
from tunewell.service.types import GivenReport, SuggestedTrial, Suggestion
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, NotFoundError, SpecError, UserError
from tunewell.spec.launch import AttemptKey, Exit, Launch
from tunewell.spec.states import Cause, ExperimentState
from tunewell.trial import files

__all__ = ["bench"]  # a fixture

SPEC: dict[str, Any] = {
    "name": "w",
    "scheduler": "workers",
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 3,
}


@pytest.fixture
def verbs(bench: Bench) -> Verbs:
    """The verbs, with the experiment `w`, whose trials are for workers."""
    bench.verbs.create(SPEC)
    return bench.verbs


def offered(bench: Bench, number: int = 1, attempt: int = 1) -> Path:
    """Put an attempt on record and offer it, as a controller does; return its folder."""
    key, identity = AttemptKey("w", number, attempt), f"w {number} {attempt}"
    with bench.service.store.transaction() as tx:
        if attempt == 1:
            tx.add_trial("w", number, {"x": number / 8}, "random", 1.0, None)
        tx.start_attempt(key, identity)
    bench.service.home.claim("w")
    folder = bench.service.home.place(key)
    make_folder(folder, identity)
    Board(bench.service.home.experiment("w")).offer(Launch(key, folder, identity))
    return folder


def given(suggestion: Suggestion) -> SuggestedTrial:
    """Return the trial that a worker was given."""
    assert suggestion.kind == "trial" and suggestion.trial is not None
    return suggestion.trial


def refused(call: Any) -> str:
    """Return of which kind the error is that a call raises."""
    with pytest.raises(UserError) as caught:
        call()
    return caught.value.kind


def test_a_worker_gets_a_trial_and_the_same_again(bench: Bench, verbs: Verbs) -> None:
    """It has what it needs to train; another worker gets another trial, and a third has to wait."""
    for number in (1, 2):
        offered(bench, number)
    first = given(verbs.suggest("w", "a", wait=0))
    assert (first.experiment, first.number, first.attempt) == ("w", 1, 1)
    assert (dict(first.parameters), first.fidelity, first.sampling) == ({"x": 0.125}, 1.0, 1.0)
    assert first.resume_from is None and first.lease_seconds > 0
    assert bench.service.attempt_of(first.credential) == AttemptKey("w", 1, 1)
    assert given(verbs.suggest("w", "a", wait=0)) == first
    assert given(verbs.suggest("w", "b", wait=0)).number == 2
    assert verbs.suggest("w", "c", wait=0).kind == "wait"
    assert [(one.name, one.trial) for one in verbs.workers("w")] == [("a", 1), ("b", 2), ("c", None)]


def test_nothing_is_had_twice(bench: Bench, verbs: Verbs) -> None:
    """However many ask at the same moment, each under one name or under several."""
    for number in range(1, 9):
        offered(bench, number)
    names = [f"worker {number % 6}" for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda name: (name, verbs.suggest("w", name, wait=0)), names))
    had = {(name, given(answer).number) for name, answer in answers}
    assert len(had) == 6 and len({number for _, number in had}) == 6


def test_a_worker_waits_for_a_trial(bench: Bench, verbs: Verbs) -> None:
    """It is answered as soon as there is one, and not before its time is over where there is none."""
    began = time.monotonic()
    assert verbs.suggest("w", "a", wait=0.2).kind == "wait"
    assert time.monotonic() - began >= 0.2
    answers: list[Suggestion] = []
    asking = threading.Thread(target=lambda: answers.append(verbs.suggest("w", "a", wait=30)))
    asking.start()
    offered(bench)
    asking.join(20)
    assert given(answers[0]).number == 1


def test_reports_log_and_end_are_those_of_the_attempt(bench: Bench, verbs: Verbs) -> None:
    """They lie where a program here would have left them; what is sent again makes no difference."""
    folder = offered(bench)
    given(verbs.suggest("w", "a", wait=0))
    assert not verbs.heartbeat("w", 1, 1).should_stop
    assert not verbs.add_reports("w", 1, 1, [GivenReport(step=1, metrics={"accuracy": 0.25})]).should_stop
    for _ in range(2):
        assert verbs.add_log("w", 1, 1, 0, b"ready\n").size_bytes == 6
    assert verbs.add_log("w", 1, 1, 3, b"dy\nsteady\n").size_bytes == 13
    with pytest.raises(ConflictError) as caught:
        verbs.add_log("w", 1, 1, 20, b"go")
    assert (caught.value.kind, caught.value.facts["size"]) == ("wrong-offset", 13)
    for _ in range(2):
        verbs.complete("w", 1, 1, 0.5, exit_code=0)
    assert [report.metrics for report in ReportReader(folder).read_rest()] == [{"accuracy": 0.25}, {"accuracy": 0.5}]
    assert (folder / files.OUTPUT).read_bytes() == b"ready\nsteady\n"
    exit_ = read_exit(folder)
    assert exit_ is not None and (exit_.cause, exit_.exit_code, exit_.stopped) == (None, 0, False)
    assert exit_.started_at is not None and exit_.ended_at is not None and exit_.duration_seconds is not None
    assert refused(lambda: verbs.complete("w", 1, 1, 0.75)) == "attempt-over", "another end is not the same end"
    assert verbs.suggest("w", "a", wait=0).kind == "wait", "what has ended is nobody's"


def test_a_failure_has_its_cause(bench: Bench, verbs: Verbs) -> None:
    """Cause, message and exit code are as the worker says."""
    folder = offered(bench)
    verbs.suggest("w", "a", wait=0)
    verbs.complete("w", 1, 1, cause="gpu_oom", message="CUDA out of memory", exit_code=1)
    exit_ = read_exit(folder)
    assert exit_ is not None
    assert (exit_.cause, exit_.detail, exit_.exit_code) == (Cause.GPU_OOM, "CUDA out of memory", 1)


def test_an_attempt_that_is_to_end_is_told_so(bench: Bench, verbs: Verbs) -> None:
    """By every answer; how its worker says that it obeys makes no difference."""
    folder = offered(bench)
    verbs.suggest("w", "a", wait=0)
    write_stop(folder, 10.0)
    assert verbs.heartbeat("w", 1, 1).should_stop
    assert verbs.add_reports("w", 1, 1, [GivenReport(metrics={"accuracy": 0.5})]).should_stop
    assert verbs.add_log("w", 1, 1, 0, b"ready").should_stop
    verbs.complete("w", 1, 1, cause="crashed", message="interrupted")
    exit_ = read_exit(folder)
    assert exit_ is not None and (exit_.cause, exit_.stopped) == (None, True)


def test_what_is_handed_back_costs_nothing(bench: Bench, verbs: Verbs) -> None:
    """It ends as if it had been interrupted."""
    folder = offered(bench)
    verbs.suggest("w", "a", wait=0)
    verbs.complete("w", 1, 1, handed_back=True)
    exit_ = read_exit(folder)
    assert exit_ is not None and (exit_.cause, exit_.stopped) == (None, True)


def test_what_is_over_changes_nothing(bench: Bench, verbs: Verbs) -> None:
    """Whoever tells something of an attempt that has ended, or is none, is told so, and nothing is written."""
    folder = offered(bench)
    verbs.suggest("w", "a", wait=0)
    write_exit(folder, Exit(Cause.NODE_LOST, "not heard from"))
    before = read_exit(folder)
    late = {
        "report": lambda: verbs.add_reports("w", 1, 1, [GivenReport(metrics={"accuracy": 0.5})]),
        "heartbeat": lambda: verbs.heartbeat("w", 1, 1),
        "log": lambda: verbs.add_log("w", 1, 1, 0, b"ready"),
        "complete": lambda: verbs.complete("w", 1, 1, 0.5),
        "never began": lambda: verbs.complete("w", 1, 2, 0.5),
    }
    assert {what: refused(call) for what, call in late.items()} == dict.fromkeys(late, "attempt-over")
    assert read_exit(folder) == before and ReportReader(folder).read_rest() == []
    assert not (folder / files.OUTPUT).exists()
    with pytest.raises(NotFoundError):
        verbs.complete("w", 9, 1, 0.5)


def test_an_attempt_that_nobody_has_is_nobodys_to_end(bench: Bench, verbs: Verbs) -> None:
    """What is still offered can't be completed: a worker must have asked for it."""
    folder = offered(bench)
    assert refused(lambda: verbs.complete("w", 1, 1, 0.5)) == "attempt-over"
    assert read_exit(folder) is None


def test_a_search_that_has_ended_says_so(bench: Bench, verbs: Verbs) -> None:
    """That is an answer and no error; a worker that waits gets it, too."""
    answers: list[Suggestion] = []
    asking = threading.Thread(target=lambda: answers.append(verbs.suggest("w", "a", wait=30)))
    asking.start()
    wait_until(lambda: verbs.workers("w"))
    with bench.service.store.transaction() as tx:
        tx.set_experiment_state("w", ExperimentState.CREATED, ExperimentState.RUNNING)
        tx.set_experiment_state("w", ExperimentState.RUNNING, ExperimentState.COMPLETED, detail="All have ended.")
    asking.join(20)
    assert answers[0].kind == "ended" and "All have ended." in answers[0].detail
    assert verbs.suggest("w", "b", wait=0).kind == "ended"
    assert verbs.workers("w") == ()


def test_a_search_of_another_kind_has_nothing_for_workers(bench: Bench) -> None:
    """It says which field of the spec makes the difference."""
    local = {name: value for name, value in SPEC.items() if name != "scheduler"}
    bench.verbs.create({**local, "command": ["echo", "{x}"]})
    with pytest.raises(ConflictError, match="scheduler: workers") as caught:
        bench.verbs.suggest("w", "a", wait=0)
    assert caught.value.kind == "not-for-workers"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 201])
def test_what_is_no_name_of_a_worker(verbs: Verbs, name: str) -> None:
    """It is refused, with the field named."""
    with pytest.raises(SpecError, match="worker"):
        verbs.suggest("w", name, wait=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cause": "no_metric"},
        {"exit_code": 2**40},
        {"metrics": {"": 1.0}},
        {"metrics": {"a\nb": 1.0}},
        {"handed_back": "on"},
    ],
)
def test_what_is_no_end(bench: Bench, verbs: Verbs, wrong: dict[str, Any]) -> None:
    """It is refused, and the attempt goes on."""
    folder = offered(bench)
    verbs.suggest("w", "a", wait=0)
    with pytest.raises(UserError, match=next(iter(wrong))):
        verbs.complete("w", 1, 1, **wrong)
    assert read_exit(folder) is None and not verbs.heartbeat("w", 1, 1).should_stop
