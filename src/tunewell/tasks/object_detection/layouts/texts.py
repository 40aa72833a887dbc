"""Text files as people have them, among foreign files."""

from __future__ import annotations

import os
from pathlib import Path

from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import check_name
from tunewell.tasks.vision.names import is_foreign


def files_ending(folder: Path, suffix: str) -> list[Path]:
    """Return the files in a folder and its folders that end in `suffix`, in any case, without foreign ones; sorted.

    Raises:
        DataError: a name is not UTF-8.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_foreign(name)]
        found += [Path(parent, name) for name in files if name.lower().endswith(suffix) and not is_foreign(name)]
    for path in found:
        check_name(path)
    return sorted(path for path in found if os.path.isfile(path))  # noqa: PTH113 - closed folders behind links


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder itself, without foreign ones, sorted.

    Raises:
        DataError: the folder can't be read, or a name is not UTF-8.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not is_foreign(path.name) and path.is_file())
    except OSError as error:
        raise DataError(f"it can't be read ({error.strerror})", field=str(folder)) from None
    for path in found:
        check_name(path)
    return found


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank, without the space around them.

    Raises:
        DataError: it can't be read.
    """
    try:
        lines = decode(path.read_bytes()).text.splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"it can't be read ({error})", field=str(path), remedy="Repair or remove the file") from None
    return [line.strip() for line in lines if line.strip()]
