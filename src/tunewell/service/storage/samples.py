"""Data that the service brings along, for a first search."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewell.spec.errors import ArgumentError, DataError, nearest

#: Name → module that writes it into a folder, which is its argument.
SAMPLES = {"digits": "tunewell.tasks.image_classification.digits"}
#: Longest that writing one may take, in seconds.
_LONGEST_SECONDS = 300


@contextmanager
def archived(name: str, beside: Path) -> Iterator[Path]:
    """Give a sample as an archive, in a folder beside others that goes afterwards.

    It is written by a process of its own: what that imports would stay in this one for good.

    Raises:
        ArgumentError: there is none of this name.
        DataError: it can't be written.
    """
    if name not in SAMPLES:
        raise ArgumentError("sample", f"there is no sample '{name}'", nearest(name, SAMPLES), name)
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=beside) as temporary:
        folder, archive = Path(temporary) / name, Path(temporary) / f"{name}.tar"
        command = [sys.executable, "-P", "-m", SAMPLES[name], str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2]
            raise DataError(f"the sample can't be written ({why})", field="sample", remedy="Install tunewell[vision]")
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, arcname=".")
        yield archive
