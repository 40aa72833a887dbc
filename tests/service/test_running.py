"""Running an experiment or a job where another process runs all work of the home."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Server
from tunewell.controller.job_run import CONTROLLER
from tunewell.service import running
from tunewell.service.running import run_experiment, run_job
from tunewell.service.runs import Given, Serving, Situation
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError, UserError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import ExperimentState, JobState

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "max_trials": 1,
}


def follow_until_it_ends(
    service: Service, call: Callable[[Callable[..., None]], bool], last: Callable[[], None] = lambda: None
) -> bool:
    """Make a call while the home is served by a controller that does nothing but `last`, and then ends."""
    following = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with service.home.serve():
            answer = pool.submit(call, lambda *_: following.set())
            assert following.wait(30)
            last()
        return answer.result(60)


def test_a_search_goes_on_here_when_the_controller_of_the_home_ends(tmp_path: Path, database: str) -> None:
    """Whoever follows a search does not wait for ever for a controller that was killed."""
    with Service(tmp_path / "home", database) as service:
        service.create(SPEC)
        store, home = service.store, service.home
        given, told = Given(follow_up=False), list[str]()
        assert follow_until_it_ends(
            service, lambda on_step: run_experiment(store, home, "e", given, on_step, told.append)
        )
        assert store.experiment("e").state is ExperimentState.COMPLETED
        assert "goes on here" in told[1]


def test_only_what_follows_a_search_is_left_when_the_controller_ends_after_it(tmp_path: Path, database: str) -> None:
    """A search that has ended before its controller did is not run again, and nothing follows it twice."""
    with Service(tmp_path / "home", database) as service:
        service.create(SPEC)
        store, home = service.store, service.home

        def end() -> None:
            with store.transaction() as tx:
                tx.set_experiment_state("e", ExperimentState.CREATED, ExperimentState.RUNNING)
                tx.set_experiment_state("e", ExperimentState.RUNNING, ExperimentState.COMPLETED)
                tx.add_job("report", "e", caller=CONTROLLER)

        assert follow_until_it_ends(service, lambda on_step: run_experiment(store, home, "e", on_step=on_step), end)
        assert [(row.kind, row.state) for row in store.jobs("e")] == [("report", JobState.SUCCEEDED)]
        assert store.trials("e") == []


def test_a_late_request_is_not_waited_for(tmp_path: Path, database: str) -> None:
    """Whoever follows a search that has ended does not wait for the answer to a stop that came too late for it."""
    with Service(tmp_path / "home", database) as service:
        service.create(SPEC)
        store, home = service.store, service.home
        following = threading.Event()
        with ThreadPoolExecutor(1) as pool, home.serve():
            answer = pool.submit(run_experiment, store, home, "e", on_step=lambda situation: following.set())
            assert following.wait(30)
            with store.transaction() as tx:
                tx.set_experiment_state("e", ExperimentState.CREATED, ExperimentState.RUNNING)
                tx.set_experiment_state("e", ExperimentState.RUNNING, ExperimentState.STOPPED)
                tx.add_request("e", "stop")
            assert answer.result(60)


def test_a_job_goes_on_here_when_the_controller_of_the_home_ends(tmp_path: Path, database: str) -> None:
    """Whoever waits for a job does not wait for ever for a controller that was killed."""
    with Service(tmp_path / "home", database) as service:
        service.create(SPEC)
        job = service.probe("e").id
        assert follow_until_it_ends(service, lambda on_step: run_job(service.store, service.home, job, on_step))
        assert service.store.job(job).state is JobState.SUCCEEDED


def run_elsewhere(service: Service, what: str) -> int:
    """Leave the work of an experiment, or of its probe, running on a machine without a controller; return the probe."""
    service.create(SPEC)
    job = service.probe("e").id
    with service.store.transaction() as tx:
        if what == "experiment":
            tx.set_experiment_state("e", ExperimentState.CREATED, ExperimentState.RUNNING)
            tx.add_trial("e", 1, {"x": 0.5}, "random", 1.0, None)
            tx.start_attempt(AttemptKey("e", 1, 1), host="far-away")
        else:
            tx.start_job(job, 1, "1" * 32, host="far-away")
    return job


@pytest.mark.parametrize("what", ["experiment", "job"])
def test_work_elsewhere_is_refused_or_explained(
    tmp_path: Path, database: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose work lives on another machine is refused here; whoever follows is told that no controller has taken it."""
    monkeypatch.setattr(running, "UNOWNED_SECONDS", 1e-9)
    with Service(tmp_path / "home", database) as service:
        job = run_elsewhere(service, what)
        store, home = service.store, service.home
        told, problems = list[str](), set[str]()
        explained = threading.Event()

        def look(situation: Situation) -> None:
            problems.add(situation.problem)
            if store.session is None or any("far-away" in problem for problem in problems):
                explained.set()

        def go() -> bool:
            if what == "job":
                return run_job(store, home, job, look)
            return run_experiment(store, home, "e", Given(follow_up=False), look, told.append)

        with ThreadPoolExecutor(1) as pool:
            with home.serve():
                answer = pool.submit(go)
                assert explained.wait(30)
            if store.session is None:  # all who open the file are on one machine
                assert answer.result(60)
                return
            with pytest.raises(UserError, match="has work running on host far-away"):
                answer.result(60)
        name = "experiment 'e'" if what == "experiment" else f"job {job}"
        remedy = "Start one there, or say that far-away is gone for good."
        assert f"no controller has taken over {name}, which has work running on far-away. {remedy}" in problems
        assert not any("runs" in sentence for sentence in told)


def test_a_search_that_has_ended_waits_for_nobody(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its best are evaluated, no controller has it, and none is missed; one that is to go on is."""
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(running, "UNOWNED_SECONDS", 1e-9)
    with Service(tmp_path / "home", database) as service:
        service.submit({**SPEC, "max_trials": 1})
        unowned = running._unowned_experiment(service.store, service.home, "e")
        assert "no controller has taken over experiment 'e'" in unowned.problem()
        assert service.run("e", Given(follow_up=False))
        assert unowned.problem() == ""
        service.update("e", {"max_trials": 2})
        assert "no controller has taken over" in unowned.problem()


def test_lost_machines_are_checked(tmp_path: Path, database: str) -> None:
    """A name that can't be meant is refused before anything is run, and one that nothing runs on is told."""
    with Service(tmp_path / "home", database) as service:
        run_elsewhere(service, "job")
        told = list[str]()
        if service.store.session is None:
            with pytest.raises(ArgumentError, match="database is a file"):
                service.run_all(threading.Event(), serving=Serving(lost_hosts=["far-away"]))
            return
        for host in ("", " ", socket.gethostname()):
            with pytest.raises(ArgumentError, match=r"it is no name|it is this machine itself"):
                service.run_all(threading.Event(), serving=Serving(lost_hosts=["far-away", host]))
        stop = threading.Event()
        stop.set()
        service.run_all(stop, tell=told.append, serving=Serving(lost_hosts=["far-away", "farther"]))
        assert told == ["Nothing on record runs on host farther; there is work on far-away."]


def test_a_controller_says_what_it_has_and_what_it_can_not_have(tmp_path: Path, postgres: Server) -> None:
    """It is told that it serves before anything is taken over, then what has been, and what was refused, and why."""
    with postgres.new_database("tables") as database, Service(tmp_path / "home", database) as service:
        run_elsewhere(service, "experiment")
        service.create({**SPEC, "name": "free"})
        stop, seen = threading.Event(), list[Situation]()

        def look(situation: Situation) -> None:
            seen.append(situation)
            if not seen[1:]:
                assert service.home.is_served
            if situation.refused and any("free" in one.experiments for one in seen):
                stop.set()

        service.run_all(stop, look)
        assert seen[0] == Situation("", False)
        assert {error.facts["host"] for error in seen[-1].refused} == {"far-away"}
