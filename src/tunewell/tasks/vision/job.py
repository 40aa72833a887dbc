"""What the jobs of all tasks over pictures share. A job runs supervised, in a folder of its own, like a trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewell.tasks import job_folder
from tunewell.tasks.vision.device import configure_torch
from tunewell.tasks.vision.training import failures_named


@contextmanager
def arguments_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is in `job.json`; end the job with a cause and one sentence if the block fails in a known way."""
    configure_torch()
    with failures_named(), job_folder.arguments_of(folder) as arguments:
        yield arguments
