"""Detailed evaluations on record, trial by trial."""

from __future__ import annotations

import json
from typing import Any

from tunewell.controller.home import Home

EVALUATION_FILE = "evaluation.json"


def read_evaluations(home: Home, name: str) -> dict[int, Any]:
    """Return the recorded evaluations, trial number → evaluation; empty if there are none."""
    path = home.experiment(name) / EVALUATION_FILE
    if not path.exists():
        return {}
    return {int(number): evaluation for number, evaluation in json.loads(path.read_text(encoding="utf-8")).items()}
