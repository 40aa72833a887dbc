"""The program as a user starts it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.forked import Forker, forking

#: A spec over a quick command.
QUICK: Mapping[str, Any] = {
    "command": ["sh", "-c", 'echo "score={x}"'],
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"low": 0, "high": 100}},
    "algorithm": "random",
    "max_trials": 4,
}


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """What runs commands, for all tests of this process."""
    with forking() as forker:
        yield forker


@pytest.fixture
def run(forker: Forker, tmp_path: Path) -> Run:
    """Return a function that runs `tunewell` with arguments in an empty folder with its own home."""

    def call(*arguments: object, **variables: str) -> Answer:
        inherited = {name: value for name, value in os.environ.items() if name != "TUNEWELL_HOME"}
        environment = {**inherited, "COLUMNS": "160", **variables}
        return Answer(*forker.run([*map(str, arguments)], tmp_path, environment))

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a spec over a quick command, with these fields, as a file."""

    def call(name: str = "quick", **fields: Any) -> Path:
        spec = {**QUICK, **fields}
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({field: value for field, value in spec.items() if value is not None}))
        return path

    return call
