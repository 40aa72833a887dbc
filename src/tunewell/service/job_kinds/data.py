"""Jobs about data: the look at a data set, and its preparation for the trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunewell.controller.job_kinds import Conclusion, Context, Part
from tunewell.service.check_job import ENTRY
from tunewell.service.job_kinds.parts import LIGHT, entry_part, recorded_of, result_of
from tunewell.spec.declaration import declare


class Prepare:
    """Does once what all trials of a search share: decoded pictures, weights."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own preparation."""
        found, home = recorded_of(context), context.home
        name = found.spec.name
        home.claim(name)
        arguments = {
            "spec": found.spec.model_dump(mode="json"),
            "space": declare(found.space),
            "folder": str(home.experiment(name)),
            "cache": str(home.cache),
        }
        # What trials need takes long to import; that goes on meanwhile, in a process of its own.
        found.task.require()
        return [entry_part(found.task.jobs["prepare"], LIGHT, arguments)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return what people should know about the data."""
        del context
        result = result_of(folders[-1])
        return Conclusion(result, notes=result.get("notes", ()))


class Check:
    """Looks at data and program, and at every item of the data if asked to, before anything is trained."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the check of the spec in the job's arguments; see `tunewell.service.check_job`."""
        return [entry_part(ENTRY, LIGHT, context.job.arguments)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the findings, and where the page lies if there is one."""
        del context
        page = folders[-1] / "artifacts" / "data.html"
        return Conclusion({**result_of(folders[-1]), **({"page": "data.html"} if page.exists() else {})})
