"""What a spec may ask for, by who submits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.errors import ForbiddenError, UserError

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
