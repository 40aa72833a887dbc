"""Text files as people have them: among foreign files, in UTF-8, UTF-16, or an encoding that nothing tells."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import check_name
from tunewell.tasks.vision.names import is_foreign

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes, declared: str = "") -> str:
    """Return the text of a file.

    Its byte order mark decides, or else zeros between the letters, the encoding that it declares if that is one and
    fits, UTF-8 if it fits, and at last Windows-1252, which any byte fits.

    Raises:
        ValueError: what the byte order mark says is not so.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\0" in content[:4]:
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
    # Without zeros it is no UTF-16, whatever it declares; some writers say so of the text that they wrote in memory.
    for encoding in (declared if not declared.lower().startswith(("utf-16", "utf16")) else "", "utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except (LookupError, ValueError):
            continue
    return content.decode("latin-1")


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
        raise DataError(f"{folder}: it can't be read ({error.strerror}).") from None
    for path in found:
        check_name(path)
    return found


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank, without the space around them.

    Raises:
        DataError: it can't be read.
    """
    try:
        lines = decoded(path.read_bytes()).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: it can't be read ({error}). Repair or remove the file.") from None
    return [line.strip() for line in lines if line.strip()]
