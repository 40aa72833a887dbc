"""What the job finds that measures a model on other data, whatever has changed since it was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.service.published import SPEC, add_pictures, add_trial
from tunewell.controller.job_kinds import Context
from tunewell.service.job_kinds import models, other_data
from tunewell.service.job_kinds.models import ExportModel
from tunewell.service.job_kinds.other_data import EvaluateModel
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.service.upkeep.files import write_backup
from tunewell.service.upkeep.restoring import restore
from tunewell.spec.capacity import Capacity, Node
from tunewell.spec.errors import ForbiddenError, NotFoundError
from tunewell.spec.names import model_called
from tunewell.trial.files import write_json

ADA = Caller(name="ada", role="user", run_code=True, local=True)
BOB = Caller(name="bob", role="user", local=True)

HERE = Capacity((Node("here", 2, 10**9, (), 2.0, 10**9, ()),))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A home with ada, bob, a data set for everybody, and the search `e` with a model of its trial 1."""
    with Service(tmp_path / "home") as service:
        for caller in (ADA, BOB):
            service.add_user(caller.name, {"role": caller.role, "run_code": caller.run_code})
        add_pictures(service, "autumn")
        service.create(SPEC)
        add_trial(service, 1, 0.5)
        evaluated(service, 1, 0.45)
        yield service


def evaluated(service: Service, trial: int, accuracy: float) -> None:
    """Record the evaluation of a trial's model."""
    found = {
        "figures": {"test": {"accuracy": accuracy}},
        "intervals": {"test": {"accuracy": [0.4, 0.5]}},
        "trained_by": None,
    }
    with service.store.transaction() as tx:
        tx.add_result("e", "evaluation", trial, f"identity e {trial}", found, None, None, None)


def arguments(service: Service, job: int) -> Mapping[str, Any]:
    """Return what the process of a job is given."""
    row = service.store.job(job)
    kind = {"evaluate-model": EvaluateModel, "export-model": ExportModel}[row.kind]()
    (part,) = kind.parts(Context(service.store, service.home, HERE, row))
    return part.arguments


def test_a_data_set_is_found_in_a_restored_home(service: Service, tmp_path: Path) -> None:
    """A job that waited when the backup was made measures on the data set of the home in which it goes on."""
    job = service.evaluate_model("e", "dataset:autumn").id
    assert str(service.home.folder) not in str(service.job(job).arguments)
    write_backup(service, tmp_path / "b.tar")
    restore(tmp_path / "b.tar", tmp_path / "other")
    with Service(tmp_path / "other") as other:
        sha256 = other.dataset("autumn").sha256
        assert arguments(other, job)["data"] == str(other.home.datasets / str(sha256))


def test_a_folder_that_is_allowed_no_more_is_not_read(service: Service, tmp_path: Path) -> None:
    """Whatever was allowed when it was asked for; and a data set that has become another's secret is not, either."""
    (tmp_path / "allowed" / "data").mkdir(parents=True)
    (tmp_path / "allowed" / "data" / "a.png").write_bytes(b"a")
    service.allow_folder(tmp_path / "allowed")
    service.add_dataset("folder", folder=str(tmp_path / "allowed" / "data"))
    job = service.evaluate_model("e", "dataset:folder").id
    assert arguments(service, job)["data"] == str(tmp_path / "allowed" / "data")
    service.withdraw_folder(tmp_path / "allowed")
    with pytest.raises(ForbiddenError):
        arguments(service, job)
    job = service.as_caller(BOB).evaluate_model("owner/e", "dataset:owner/autumn").id
    with service.store.transaction() as tx:
        tx.set_dataset(service.store.datasets(2)[1].id, {"visibility": "private"})
    with pytest.raises(NotFoundError, match="no data set 'autumn'"):
        arguments(service, job)


def test_which_pictures_a_private_search_has_is_not_told(service: Service) -> None:
    """Whoever sees a model of it, and not the search, is not told which of their own pictures it has learned from."""
    ada = service.as_caller(ADA)
    ada.create({**SPEC, "name": "hush", "visibility": "private"})
    service.home.claim("ada/hush")
    add_trial(service, 1, 0.5, "ada/hush")
    ada.publish("hush", "open", visibility="team")
    task_file = service.home.experiment("ada/hush") / "task.json"
    task_file.write_text("{}")
    asked = {
        caller.name: service.as_caller(caller).evaluate_model("model:ada/open", "dataset:owner/autumn").id
        for caller in (ADA, BOB)
    }
    assert arguments(service, asked["ada"])["task_file"] == str(task_file)
    assert arguments(service, asked["bob"])["task_file"] is None
    ada.update("hush", {"visibility": "team"})
    assert arguments(service, asked["bob"])["task_file"] == str(task_file)


def test_whose_model_it_is_is_told(service: Service, tmp_path: Path) -> None:
    """Also where nobody has named a trial: a better one may end, or a training on all data, before it is measured."""
    job, folder = service.evaluate_model("e", "dataset:autumn").id, tmp_path / "job"
    known = [arguments(service, job)]
    add_trial(service, 2, 0.9)
    known.append(arguments(service, job))
    service.publish("e", "signs", trial=1)
    known.append(arguments(service, service.evaluate_model("model:signs", "dataset:autumn").id))
    assert [(one["trial"], one["called"]) for one in known] == [(1, "e, trial 1"), (2, "e, trial 2"), (None, "signs@1")]
    folder.mkdir()
    write_json(folder / "job.json", {**known[1]})
    write_json(
        folder / "result.json", {"splits": {"test": 3}, "figures": {}, "intervals": {}, "unreadable": {}, "notes": []}
    )
    context = Context(service.store, service.home, HERE, service.store.job(job))
    assert EvaluateModel().conclude(context, [folder]).result["trial"] == 2
    assert model_called("ada/e", None) == "ada/e, trained on all data"


def test_what_people_say_of_a_search_is_not_handed_over(service: Service) -> None:
    """Whoever is handed a model gets the spec that begins the same search, without project, tags and description."""
    service.update("e", {"project": "hush project", "tags": ["hush tag"], "description": "hush hush"})
    handed = json.dumps(arguments(service, service.export_model("e").id))
    assert "max_trials" in handed and "hush" not in handed


def test_figures_are_those_of_the_model_that_is_measured(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a better trial ends at this very moment, its figures don't stand beside the model of the earlier one."""
    jobs = service.evaluate_model("e", "dataset:autumn").id, service.export_model("e").id
    numbers = iter((2, 3))

    def better(found: object, *_: Any) -> Any:
        number = next(numbers)
        add_trial(service, number, 0.5 + number / 10)
        evaluated(service, number, 0.9)
        return real(found)

    real = other_data.task_of_model
    monkeypatch.setattr(other_data, "task_of_model", better)
    found = arguments(service, jobs[0])
    assert "/trials/1/" in found["model"] and found["known"]["test"] == {"accuracy": 0.45}
    assert found["intervals"]["test"] == {"accuracy": [0.4, 0.5]}
    chosen = models.find_models_trial

    def chosen_before(*asked: Any) -> tuple[Path, int | None]:
        known = chosen(*asked)
        better(known[0])
        return known

    monkeypatch.setattr(models, "find_models_trial", chosen_before)
    found = arguments(service, jobs[1])
    assert "/trials/2/" in found["model"] and found["search"]["trial"] == 2
    assert found["figures"]["test"] == {"accuracy": 0.9}
