"""Code that is sent: who may, and how its commands run."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from tests.service.storage.archives import tar_entry, tar_of, zip_of
from tests.service.storage.conftest import as_, sent
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.spec.errors import ForbiddenError, NotFoundError, SpecError
from tunewell.spec.states import ExperimentState

PROGRAM = b"#!/bin/sh\necho accuracy=$(cat lib/value)\n"
CODE = tar_of((tar_entry("run.sh", mode=0o755), PROGRAM), ("lib/value", b"0.5"))
SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["./run.sh", "{x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": "accuracy",
    "algorithm": "random",
    "max_trials": 2,
}


def test_a_command_runs_in_its_code(service: Service, ada: Service) -> None:
    """A trial finds the program and what it brings, in a folder that is closed to writing."""
    code = ada.add_code(sent(ada, CODE).id)
    assert (code.files, code.size_bytes) == (2, len(PROGRAM) + 3) and ada.code(code.id) == code
    folder = service.home.code / code.id
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o555
    ada.create({**SPEC, "code": code.id})
    assert service.run("ada/e", Given(follow_up=False))
    found = ada.experiment("e")
    assert found.state is ExperimentState.COMPLETED and found.best is not None and found.best.value == 0.5
    assert (found.spec["code"], found.spec["working_directory"]) == (code.id, None)
    assert ada.create({**SPEC, "code": code.id}).kind == "finished"
    assert ada.create(ada.clone("e").spec).name == "ada/e-2"
    assert ada.find_content(code.id).kind == "code"


def test_the_same_code_is_stored_once(service: Service, ada: Service, bob: Service) -> None:
    """It has one id, whoever sends it, in whatever archive; each uses what they have sent alone."""
    upload = sent(ada, CODE).id
    code = ada.add_code(upload, key="k")
    assert ada.add_code(upload, key="k") == code
    with pytest.raises(NotFoundError):
        bob.code(code.id)
    with pytest.raises(NotFoundError):
        bob.find_content(code.id)
    with pytest.raises(SpecError, match=r"^code: there is no code"):
        bob.create({**SPEC, "code": code.id})
    same = bob.add_code(sent(bob, CODE).id)
    assert same.id == code.id
    assert [path.name for path in service.home.code.iterdir()] == [code.id]


def test_who_may_not_run_code_sends_none(service: Service) -> None:
    """The right is asked for when it is sent, and again when it is used."""
    with service.store.transaction() as tx:
        tx.add_user("eve", "user", run_code=False)
    eve = as_(service, "eve")
    upload = sent(eve, CODE)
    with pytest.raises(ForbiddenError, match="may not have code of their own run"):
        eve.add_code(upload.id)
    with pytest.raises(ForbiddenError, match="may not have code of their own run"):
        eve.create({**SPEC, "code": "0" * 64})


def test_wrong_code(ada: Service) -> None:
    """An id that is none, another folder beside it, and a built-in task with code are told."""
    for id in ("0" * 64, "../../etc", "", 5):
        with pytest.raises(SpecError, match=r"^code: there is no code"):
            ada.create({**SPEC, "code": id})
    code = ada.add_code(sent(ada, zip_of(("train.py", b"pass"))).id).id
    with pytest.raises(ForbiddenError):
        ada.create({**SPEC, "code": code, "working_directory": "/etc"})


def test_another_folder_beside_it(service: Service) -> None:
    """Where a command runs is said once."""
    code = service.add_code(sent(service, zip_of(("train.py", b"pass"))).id).id
    with pytest.raises(SpecError, match=r"^working_directory: the folder of `code` is where the command runs"):
        service.create({**SPEC, "code": code, "working_directory": "/etc"})
