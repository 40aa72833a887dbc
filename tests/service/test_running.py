"""Running an experiment or a job where another process runs all work of the home."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tunewell.controller.job_run import CONTROLLER
from tunewell.service.running import Given, run_experiment, run_job
from tunewell.service.service import Service
from tunewell.service.types import OWNER
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
        service.create(SPEC, caller=OWNER)
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
        service.create(SPEC, caller=OWNER)
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
        service.create(SPEC, caller=OWNER)
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
        service.create(SPEC, caller=OWNER)
        job = service.probe("e", caller=OWNER).id
        assert follow_until_it_ends(service, lambda on_step: run_job(service.store, service.home, job, on_step))
        assert service.store.job(job).state is JobState.SUCCEEDED
