"""What is kept on disk of trials that have ended.

Trials of built-in tasks leave models behind: those of the five best are kept. Checkpoints are kept while the
tuner may resume from them. What a user's own program wrote is never touched.
"""

from __future__ import annotations

from pathlib import Path

from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.states import TrialState

KEPT_MODELS = 5


class Retention:
    """Decides, trial by trial, which folders can go."""

    def __init__(self, spec: ExperimentSpec, keep_checkpoints: bool) -> None:
        """Keep everything for anything but a built-in task."""
        self._applies = spec.task is not None
        self._sign = -1.0 if spec.objective.goal == "maximize" else 1.0
        self._keep_checkpoints = keep_checkpoints
        self._best: list[tuple[float, int, Path]] = []

    def note_end(self, number: int, folder: Path, state: TrialState, value: float | None) -> list[Path]:
        """Return the folders that are not needed any more now that this trial has ended."""
        if not self._applies:
            return []
        surplus = [] if self._keep_checkpoints else [folder / "checkpoint"]
        if value is None or state not in (TrialState.SUCCEEDED, TrialState.STOPPED):
            return [*surplus, folder / "artifacts"]
        self._best = sorted([*self._best, (self._sign * value, number, folder)])
        dropped, self._best = self._best[KEPT_MODELS:], self._best[:KEPT_MODELS]
        return [*surplus, *(old / "artifacts" for _, _, old in dropped)]
