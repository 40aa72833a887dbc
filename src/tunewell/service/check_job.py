"""The job `check`, for every kind of task: whether an experiment could run, and a page about its data.

`job.json`: `{"spec": …, "view": whether to open every item of the data, too}`. Result: `{"findings": […]}`; with
`view`, where the task knows its data, `artifacts/data.html`, what `data_views` leaves beside it, and
`"view": {"broken": …, "copied": …, "unusable": …}`, numbers of items, and why no search can use them, if none can.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewell.reports.data_page import render
from tunewell.schedulers.hardware import machine
from tunewell.service import data_views
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.job_folder import arguments_of, leave_result, reported_progress

#: The entry of this job.
ENTRY = f"{__name__}:check"


def check(folder: Path) -> None:
    """Run `Task.check` and, if asked for, `Task.view` as the job in `folder`; report the share that is done."""
    with arguments_of(folder) as arguments:
        spec = parse_spec(arguments["spec"])
        task = task_for(spec)
        task.space(spec, machine())  # which `check` speaks of
        result: dict[str, Any] = {"findings": list(task.check(spec))}
        view = task.view(spec, reported_progress()) if arguments.get("view") else None
        if view is not None:
            page = folder / "artifacts" / "data.html"
            page.parent.mkdir(exist_ok=True)
            page.write_text(render(view), encoding="utf-8")
            data_views.leave(view, str(spec.task), page.parent)
            found = {"broken": len(view.broken), "copied": view.copied, "unusable": view.unusable}
            result["view"] = found
        leave_result(folder, result)
