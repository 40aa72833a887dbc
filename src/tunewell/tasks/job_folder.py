"""What every job of a task does with its folder: arguments out of it, progress and a result into it.

::

    job.json       arguments, which the entry documents; paths in it may go by the job's folder, see `place_in`
    result.json    written last: what came out, as far as it is small
    artifacts/     whatever is large
    error.json     instead of a result: the parts of the user's error that the job ended with
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewell.spec.errors import UserError
from tunewell.tasks.contract import OnProgress
from tunewell.trial import fail, report
from tunewell.trial.files import write_json

#: Shortest time between two reports of progress.
_REPORT_SECONDS = 0.2


@contextmanager
def arguments_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is in `job.json`; if the block fails for its input, end the job with a cause and one sentence.

    The parts of a user's error are left in `error.json`, for fronts that word it themselves.
    """
    try:
        yield json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except UserError as error:
        write_json(folder / "error.json", error.to_json())
        fail("data_error", str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail("data_error", f"{error.filename}: it can't be read or written ({error.strerror}).")


def place_in(folder: Path, path: str) -> Path:
    """Return where a path of `job.json` leads that goes by the job's folder, or is absolute.

    What lies in the home is named so: a job finds it wherever the home is, or a part of it that was brought elsewhere.
    """
    return Path(os.path.normpath(folder / path))


def leave_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `result.json`, whole or not at all."""
    write_json(folder / "result.json", dict(result))


def reported_progress(clock: Callable[[], float] = time.monotonic) -> OnProgress:
    """Return a function that reports how far each step is: its name as the metric, the share done as the value.

    It reports at most every 0.2 seconds, and the end of each step.
    """
    last = float("-inf")

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if done < total and clock() - last < _REPORT_SECONDS:
            return
        last = clock()
        report({what: done / total if total else 1.0})

    return progress
