"""What a spec may ask for, by who submits it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.errors import ForbiddenError, SpecError, UserError

COMMAND: dict[str, Any] = {
    "name": "e",
    "command": ["true"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
}
TASK: dict[str, Any] = {"name": "e", "task": "image-classification", "data": "dataset:signs"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (COMMAND, "command"),
        ({**TASK, "environment": {"LD_PRELOAD": "/tmp/mine.so"}}, "environment"),
        ({**TASK, "code": "ab" * 32}, "code"),
    ],
)
def test_what_runs_code_needs_the_right_to(tmp_path: Path, spec: dict[str, Any], field: str) -> None:
    """Commands, code and variables, which steer every program, are refused to those who may run none."""
    with Service(tmp_path) as service:
        service.add_user("ada", {"role": "user"})
        for caller, allowed in (("ada", False), ("owner", True)):
            verbs = service.as_caller(Caller(name=caller, role="user", run_code=allowed))
            try:
                verbs.create(spec)
            except ForbiddenError as error:
                assert not allowed and error.field == field
            except UserError:  # there is no such data set, say
                assert allowed
            else:
                assert allowed
        assert [one.owner for one in service.experiments().items] == (["owner"] if field == "command" else [])


@pytest.mark.parametrize("field", ["data", "working_directory", "weights"])
def test_paths_on_the_server_are_not_named_from_elsewhere(tmp_path: Path, field: str) -> None:
    """Who asks over the network names data sets and code, and no path."""
    with Service(tmp_path) as service:
        elsewhere = service.as_caller(Caller(name="owner", role="administrator", run_code=True))
        with pytest.raises(ForbiddenError, match=f"{field}: a path on the server"):
            elsewhere.create({**TASK, field: "/etc"})


@pytest.mark.parametrize("name", [b"ben/e", b"e", bytearray(b"ben/e"), 5, ["ben/e"], {"ben": "e"}, date(2026, 1, 1)])
def test_names_are_texts(tmp_path: Path, name: Any) -> None:
    """What a spec's reader would take for a text is none: nothing comes to stand under another's name."""
    with Service(tmp_path) as service:
        for user in ("ada", "ben"):
            service.add_user(user, {"role": "user", "run_code": True})
        verbs = service.as_caller(Caller(name="ada", role="user", run_code=True))
        for act in (verbs.create, verbs.check):
            with pytest.raises(SpecError, match=r"name: .* is not a text"):
                act({**COMMAND, "name": name})
        assert service.experiments().items == ()


@pytest.mark.parametrize("field", ["parameters_from", "warm_start"])
def test_what_is_private_is_not_named_in_bytes(tmp_path: Path, field: str) -> None:
    """Another's private search is nothing to build on, however it is written."""
    with Service(tmp_path) as service:
        for user in ("ada", "ben"):
            service.add_user(user, {"role": "user", "run_code": True})
        ben = service.as_caller(Caller(name="ben", role="user", run_code=True))
        ben.create({**COMMAND, "visibility": "private"})
        ada = service.as_caller(Caller(name="ada", role="user", run_code=True))
        for value in (b"ben/e", [b"ben/e"]):
            with pytest.raises(SpecError, match=f"{field}: .* is not a text"):
                ada.create({**COMMAND, "name": "f", field: value})
