"""What is kept on disk of trials that have ended.

Trials of built-in tasks leave models behind: those of the five best are kept, full trainings before others, and that
of the default configuration, which the best ones are compared with on the test data.
Checkpoints are kept while the tuner may resume from them. What a user's own program wrote is never touched.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.states import TrialState
from tunewell.tuners.contract import Suggestion

KEPT_MODELS = 5


class Retention:
    """Decides, trial by trial, which folders can go."""

    def __init__(self, spec: ExperimentSpec) -> None:
        """Keep everything for anything but a built-in task."""
        self.applies = spec.task is not None
        self._sign = -1.0 if spec.objective.goal == "maximize" else 1.0
        #: The last trial of the default configuration.
        self._default: Suggestion | None = None
        #: Trial number → checkpoint, of the ended trials that still have one.
        self._checkpoints: dict[int, Path] = {}
        #: (whether it had a part of the training only, loss, number, folder), the best first.
        self._best: list[tuple[bool, float, int, Path]] = []

    def note_end(
        self,
        suggestion: Suggestion,
        folder: Path,
        state: TrialState,
        value: float | None,
        wanted: Collection[int],
    ) -> list[Path]:
        """Return the folders that are not needed any more now that this trial has ended.

        `wanted` are the trials that others may resume from.
        """
        if not self.applies:
            return []
        self._checkpoints[suggestion.number] = folder / "checkpoint"
        unwanted = [trial for trial in self._checkpoints if trial not in wanted]
        surplus = [self._checkpoints.pop(trial) for trial in unwanted]
        if value is None or state not in (TrialState.SUCCEEDED, TrialState.STOPPED):
            return [*surplus, folder / "artifacts"]
        if self._is_default(suggestion) and suggestion.fidelity == 1:
            return surplus
        rank = (suggestion.fidelity < 1, self._sign * value, suggestion.number, folder)
        self._best = sorted([*self._best, rank])
        dropped, self._best = self._best[KEPT_MODELS:], self._best[:KEPT_MODELS]
        return [*surplus, *(old / "artifacts" for *_, old in dropped)]

    def _is_default(self, suggestion: Suggestion) -> bool:
        """Whether a trial has the default configuration, or goes on with it."""
        before = self._default
        if suggestion.origin != "default" and (
            before is None or (suggestion.resume_from, suggestion.parameters) != (before.number, before.parameters)
        ):
            return False
        self._default = suggestion
        return True
