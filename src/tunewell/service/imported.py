"""Experiments that were imported: they have ended, and can't go on."""

from __future__ import annotations

from tunewell.spec.errors import ConflictError
from tunewell.spec.names import IMPORTED
from tunewell.store.rows import ExperimentRow


def check_searched(row: ExperimentRow) -> None:
    """Raise `ConflictError` if an experiment was imported, so that it can't go on."""
    if row.algorithm["name"] == IMPORTED:
        raise ConflictError(
            f"Experiment '{row.name}' was imported: it can't go on",
            remedy=f"Start a search under another `name`, with `warm_start: {row.name}`",
        )
