"""What jobs put on record: what they worked on, whatever has changed since they began."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tunewell.controller.job_kinds import Context
from tunewell.service import job_verbs
from tunewell.service.job_kinds.evaluation import Evaluate
from tunewell.service.job_kinds.models import Predict
from tunewell.service.job_verbs import Desk
from tunewell.service.service import Service
from tunewell.service.types.base import OWNER
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import DataError
from tunewell.spec.states import JobState
from tunewell.store.rows import JobEnd
from tunewell.trial.files import write_json

TRIAL = {"number": 7, "identity": "earlier", "trained_by": None, "folder": "anywhere"}


@pytest.fixture
def context(tmp_path: Path, database: str) -> Context:
    """What a job finds whose experiment has no trial any more that it knew."""
    spec = {"name": "e", "command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "f1"}}
    with Service(tmp_path / "home", database) as service:
        service.create(spec)
        job = service.store.job(service.evaluate("e").id)
        return Context(service.store, service.home, Capacity(()), replace(job, arguments={"model": "e"}))


def test_an_evaluation_is_of_the_attempt_that_was_evaluated(context: Context, tmp_path: Path) -> None:
    """If a trial runs again meanwhile, the evaluation of its earlier attempt is not taken for that of the new one."""
    (tmp_path / "artifacts").mkdir()
    write_json(tmp_path / "job.json", {"trials": [TRIAL]})
    write_json(tmp_path / "artifacts" / "7.json", {"val": {"f1": 0.5}, "test": None})
    (finding,) = Evaluate().conclude(context, [tmp_path]).findings
    assert (finding.trial, finding.attempt) == (7, "earlier")


def test_an_evaluation_that_is_missing_is_told(context: Context, tmp_path: Path) -> None:
    """A process that has left out a trial that it was to evaluate has not succeeded."""
    write_json(tmp_path / "job.json", {"trials": [TRIAL]})
    with pytest.raises(DataError, match=r"7\.json"):
        Evaluate().conclude(context, [tmp_path])


def test_a_prediction_names_the_model_that_was_used(context: Context, tmp_path: Path) -> None:
    """If another model has become the best meanwhile, or the one that was used is gone, nothing else is named."""
    write_json(tmp_path / "job.json", {"model": "/models/used", "trial": None, "inputs": []})
    assert Predict().conclude(context, [tmp_path]).result["model"] == "/models/used"
    (tmp_path / "job.json").write_text("damaged")
    with pytest.raises(DataError, match=r"job\.json"):
        Predict().conclude(context, [tmp_path])


@pytest.mark.parametrize("scheduler", ["ray", "local"])
def test_lost_pictures_are_decoded_before(context: Context, scheduler: str) -> None:
    """A job on other machines, which can't decode pictures, waits until those that the cache has lost are back."""
    store, home = context.store, context.home
    spec = {**store.experiment("e").spec, "scheduler": scheduler}
    with store.transaction() as tx:
        tx.end_waiting_job(context.job.id, JobEnd(JobState.STOPPED))
        tx.set_spec("e", spec, home=home.real_path)
    home.claim("e")
    write_json(home.experiment("e") / "task.json", {"pixels": {"32": "../../cache/pictures/KEY"}})
    asked = Desk(store, home, OWNER, None)
    first = store.job(job_verbs.evaluate(asked, "e").id).after
    if scheduler == "local":
        assert first is None
        return
    assert first is not None and store.job(first).kind == "prepare"
    (home.cache / "pictures" / "KEY").mkdir(parents=True)
    assert store.job(job_verbs.train_finalists(asked, "e").id).after is None
