"""The job `prepare` of every task that has something to prepare: does once what all trials of an experiment share.

`job.json`: `{"spec": …, "space": as declared, "folder": the experiment's, "cache": the home's}`. Result:
`{"notes": […]}`, for the user.
"""

from __future__ import annotations

from pathlib import Path

from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.job_folder import arguments_of, leave_result, reported_progress

#: What a task names as its entry for this job.
ENTRY = f"{__name__}:prepare"


def prepare(folder: Path) -> None:
    """Run `Task.prepare` as the job in `folder`; report the share of each of its steps that is done."""
    with arguments_of(folder) as arguments:
        spec, space = parse_spec(arguments["spec"]), parse_space(arguments["space"])
        places = Path(arguments["folder"]), Path(arguments["cache"])
        notes = task_for(spec).prepare(spec, space, *places, reported_progress())
        leave_result(folder, {"notes": notes})
