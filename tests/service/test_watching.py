"""What those who watch over a service ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewell.service.service import Service
from tunewell.spec.states import ExperimentState, JobState, TrialState

SPEC: dict[str, Any] = {
    "command": ["true", "{x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "max_trials": 3,
}


def test_how_much_there_is_of_everything(tmp_path: Path, database: str) -> None:
    """Experiments, trials and jobs are counted by state, zeros included, over all experiments."""
    with Service(tmp_path / "home", database) as service:
        assert set(service.figures().trials.values()) == {0}
        for name, trials in (("a", 2), ("b", 1)):
            service.create({**SPEC, "name": name})
            with service.store.transaction() as tx:
                tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
                for number in range(1, trials + 1):
                    tx.add_trial(name, number, {"x": 0.5}, "random", 1.0, None, known=number - 1)
        service.create({**SPEC, "name": "c"})
        service.probe("c")
        found = service.figures()
        assert found.experiments == dict.fromkeys(ExperimentState, 0) | {
            ExperimentState.RUNNING: 2,
            ExperimentState.CREATED: 1,
        }
        assert found.trials == dict.fromkeys(TrialState, 0) | {TrialState.WAITING: 3}
        assert found.jobs[JobState.WAITING] == 1
        assert (found.running, found.waiting) == (0, 4)


def test_whether_it_can_do_its_work(tmp_path: Path, database: str) -> None:
    """A service is ready while a controller runs what is on record."""
    with Service(tmp_path / "home", database) as service:
        assert not service.readiness().ready
        with service.home.serve():
            assert service.readiness().ready
        found = service.readiness()
        assert (found.database, found.controller) == (True, False)
