"""What still runs of a home that lay in a place before: its trials would write into whatever lies there now.

A supervisor goes by the path that it was started with, and so does its trial. Where their home was moved away or
removed under them, nothing in the place itself tells of them; the lock that each supervisor holds does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tunewell.schedulers import records
from tunewell.spec.errors import ConflictError
from tunewell.trial.files import read_json

#: What Linux adds to the path of an open file that was removed.
_REMOVED = " (deleted)"


def check_still(folder: Path) -> None:
    """Raise `ConflictError` if trials or jobs of a home that lay in this place still run."""
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if any(_is_at(folder, path) for path in _works_in(process)):
                raise ConflictError(
                    f"a trial or job of the home that was here before still runs (process {process.pid})",
                    field=str(folder),
                    remedy="End it, or restore into another folder",
                )


def _works_in(process: psutil.Process) -> Iterator[Path]:
    """Yield folders that a process writes into, as they were called when it was started, as far as that shows."""
    folder = process.environ().get("TUNEWELL_TRIAL_FOLDER")
    if folder:
        yield Path(folder)
    descriptors = Path(f"/proc/{process.pid}/fd")
    for link in descriptors.iterdir() if descriptors.is_dir() else ():
        with suppress(OSError):
            path = os.readlink(link)  # noqa: PTH115 - what is removed has no path
            if Path(path.removesuffix(_REMOVED)).name == records.LOCK:
                yield from _before(Path(path.removesuffix(_REMOVED)))


def _before(lock: Path) -> Iterator[Path]:
    """Yield where the folder of an attempt lay: where it is, and where its home says that it was."""
    yield lock.parent
    for part in lock.parents:
        if part.name in ("experiments", "jobs"):
            home = (read_json(part.parent / records.IDENTITY) or {}).get("path")
            if home is not None:
                yield Path(str(home)) / lock.parent.relative_to(part.parent)


def _is_at(folder: Path, path: Path) -> bool:
    return path.is_relative_to(folder)
