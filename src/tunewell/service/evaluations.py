"""Detailed evaluations on record, trial by trial."""

from __future__ import annotations

from typing import Any

from tunewell.controller.home import Home
from tunewell.trial.files import read_json

EVALUATION_FILE = "evaluation.json"


def read_evaluations(home: Home, name: str) -> dict[int, Any]:
    """Return the recorded evaluations, trial number → evaluation; empty if there are none, or the file is damaged.

    Whoever wants them can have them anew: they follow from what the trials have left.
    """
    found = read_json(home.experiment(name) / EVALUATION_FILE) or {}
    return {int(number): evaluation for number, evaluation in found.items()}
