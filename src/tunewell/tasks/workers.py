"""A search whose trials are trained elsewhere, by workers that ask for them: a space, and no program here."""

from __future__ import annotations

from pathlib import Path

from tunewell.spec.experiment import ExperimentSpec
from tunewell.tasks.command import CommandTask, check_placeholders, declared_space
from tunewell.tasks.contract import PlannedAttempt, Program


class WorkersTask(CommandTask):
    """Leaves the training to workers. A command is what `tunewell worker` runs, where that is."""

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look at placeholders alone: the program is on the machines of the workers.

        Raises:
            SpecError: a placeholder is unknown.
        """
        space = declared_space(spec)
        notes = check_placeholders(spec, space) if spec.command else []
        return ["Its trials are trained by workers, which ask a service for them.", *notes]

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return nothing that could be run here."""
        del spec, folder, attempt
        return Program()
