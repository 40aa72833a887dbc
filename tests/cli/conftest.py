"""The program as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


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


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs `tunewell` with arguments in an empty folder with its own home."""

    def call(*arguments: object, **variables: str) -> Answer:
        environment = {**os.environ, "COLUMNS": "160", **variables}
        environment.pop("TUNEWELL_HOME", None)
        done = subprocess.run(
            [sys.executable, "-m", "tunewell", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a spec over a quick command, with these fields, as a file."""

    def call(name: str = "quick", **fields: Any) -> Path:
        spec = {
            "command": ["sh", "-c", 'echo "score={x}"'],
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"low": 0, "high": 100}},
            "algorithm": "random",
            "max_trials": 4,
            **fields,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({field: value for field, value in spec.items() if value is not None}))
        return path

    return call
