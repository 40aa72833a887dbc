"""Detailed evaluations on record, trial by trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.home.home import Home
from tunewell.store.store import Store
from tunewell.trial.files import read_json, write_json

EVALUATION_FILE = "evaluation.json"


def read_evaluations(store: Store, home: Home, name: str) -> dict[int, Any]:
    """Return the recorded evaluations, trial number → evaluation; empty if there are none, or the file is damaged.

    Those of attempts that the store does not know are left out. Whoever wants them can have them anew: they follow
    from what the trials have left.
    """
    found = read_json(home.experiment(name) / EVALUATION_FILE) or {}
    try:
        records = [(int(number), record["attempt"], record["evaluation"]) for number, record in found.items()]
    except (ValueError, TypeError, KeyError):
        return {}
    return {number: evaluation for number, attempt, evaluation in records if store.has_attempt(name, number, attempt)}


def write_evaluations(store: Store, home: Home, name: str, evaluations: Mapping[int, Any]) -> None:
    """Replace the recorded evaluations, trial number → evaluation."""
    records = {
        number: {"attempt": store.trial(name, number).identity, "evaluation": evaluation}
        for number, evaluation in evaluations.items()
    }
    write_json(home.experiment(name) / EVALUATION_FILE, records)
