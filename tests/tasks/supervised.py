"""Trials and jobs, run in this process as a supervisor would run them in one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


def run_job(entry: Callable[[Path], None], folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    """Run a job in `folder` as a supervisor would; return its reports, `step` and metrics."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(arguments, default=str))
    run(entry, folder, arguments.get("parameters", {}))
    reports = folder / "reports.jsonl"
    lines = reports.read_text().splitlines() if reports.exists() else []
    return [{"step": report["step"], **report["metrics"]} for report in map(json.loads, lines)]


def hand_over(export: Callable[[Path], None], folder: Path, model: Path, task_file: Path | None = None) -> Path:
    """Run a job `export-model` in `folder`; return the folder that it leaves."""
    assert run_job(export, folder, model=model, task_file=task_file, search=None, figures={}) == []
    return folder / "artifacts" / "model"


def told_program(model: Path) -> str:
    """Return the Python code of a model card."""
    return (model / "README.md").read_text().split("```python\n")[1].split("```")[0]


def use_as_told(model: Path, picture: Path) -> str:
    """Return what the Python code of a model card says of a picture."""
    (model / "picture.jpg").write_bytes(picture.read_bytes())
    command = [sys.executable, "-c", told_program(model)]
    return subprocess.run(command, cwd=model, text=True, capture_output=True, check=True).stdout


def failure(folder: Path) -> dict[str, str]:
    """Return cause and detail that a trial or job gave for its failure."""
    given: dict[str, str] = json.loads((folder / "failure.json").read_text())
    return given


def run(entry: Callable[[Path], None], folder: Path, parameters: Mapping[str, Any], **environment: str) -> None:
    """Call the entry of a trial or job in this process, with its parameters and environment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "parameters.json").write_text(json.dumps(parameters))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, "TUNEWELL_TRIAL_FOLDER": str(folder), "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        entry(folder)
