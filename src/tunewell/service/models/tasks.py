"""The task that a model was made for."""

from __future__ import annotations

import json
from pathlib import Path

from tunewell.spec.errors import UserError
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.contract import Task


def task_of_model(folder: Path) -> Task:
    """Return the task that a model was made for; raise `UserError` where that can't be told."""
    path = folder / "model.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("task")
    except (OSError, ValueError, AttributeError):
        raise UserError(
            "it can't be read as the configuration of a model", field=str(path), remedy="Take the folder again"
        ) from None
    if name not in TASKS:
        raise UserError(f"it names the unknown task {name!r}", field=str(path))
    return task_for({"task": name})
