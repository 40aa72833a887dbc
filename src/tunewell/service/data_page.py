"""A page about the data of a plan, before anything is trained."""

from __future__ import annotations

from pathlib import Path

from tunewell.service.submission import Plan
from tunewell.spec.errors import ArgumentError
from tunewell.tasks.data_view import DataView


def write_data_page(plan: Plan, path: Path) -> DataView:
    """Open every picture of the plan's data, write what was found as HTML, and return it.

    Raises:
        UserError: the task has no data that it knows, or the data can't be read, or the page can't be written.
    """
    from tunewell.reports.data_page import render  # brings in Jinja, which no other command should wait for

    view = plan.task.view(plan.spec, lambda what, done, total: None)
    if view is None:
        raise ArgumentError("pictures", "only built-in tasks know their data", "Drop it")
    try:
        path.write_text(render(view), encoding="utf-8")
    except OSError as error:
        raise ArgumentError("pictures", f"{path} can't be written ({error.strerror})", "Name another place") from None
    return view
