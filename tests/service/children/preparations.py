"""Preparations of searches, as entries of jobs."""

from __future__ import annotations

import time
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.tasks.job_folder import arguments_of
from tunewell.trial.files import write_json


def wait(folder: Path) -> None:
    """Wait until there is a file `go`."""
    while not (folder / "go").exists():
        time.sleep(0.01)
    write_json(folder / "result.json", {})


def notes(folder: Path) -> None:
    """Have something to say."""
    write_json(folder / "result.json", {"notes": ["3 pictures are left out.", "[dim] is no markup."]})


def check(folder: Path) -> None:
    """Fail as long as there is a file `broken` in the home."""
    with arguments_of(folder) as arguments:
        if Path(arguments["folder"]).parents[1].joinpath("broken").exists():
            raise DataError("3 of 7 can't be read", field="pictures", remedy="Repair them")
        write_json(folder / "result.json", {})
