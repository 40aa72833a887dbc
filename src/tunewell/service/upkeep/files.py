"""Backups as files of the person who asks for them."""

from __future__ import annotations

import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from tunewell.service.upkeep.archive import HEAD, size_in
from tunewell.service.upkeep.restoring import Restored as Restored
from tunewell.service.upkeep.restoring import restore as restore_backup
from tunewell.service.upkeep_verbs import UpkeepVerbs
from tunewell.spec.errors import ConflictError, DataError
from tunewell.spec.format import size
from tunewell.trial.files import NO_ROOM, beside, flush

__all__ = ["Restored", "restore_backup", "write_backup"]

Tell = Callable[[str], None]
#: What names of files end in that are compressed.
_COMPRESSED = (".gz", ".tgz")
#: Pictures and weights, which most of it is, don't become smaller, however long it is tried.
_LEVEL = 1


def write_backup(verbs: UpkeepVerbs, file: Path, tell: Tell = lambda line: None) -> int:
    """Write a backup into a new file, which is there once it is whole; return how many bytes it has.

    Args:
        verbs: make it.
        file: the archive; compressed where its name says so (`.tar.gz`, `.tgz`); `-`: standard output.
        tell: told in lines how far it is.

    Raises:
        ConflictError: there is such a file.
        DataError: it can't be written, or not all of it.
    """
    if str(file) == "-":
        return _copy(verbs.backup(), sys.stdout.buffer, tell)
    if os.path.lexists(file):
        raise ConflictError("there is such a file", field=str(file), remedy="Name another one", kind="file-exists")
    partial = beside(file)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            written = _write(verbs, file, target, tell)
            target.flush()
            os.fsync(target.fileno())
        _put(partial, file)
    except OSError as error:
        what = "the disk is full" if error.errno in NO_ROOM else f"it can't be written ({error.strerror})"
        raise DataError(what, field=str(file), remedy="Name another place") from None
    finally:
        partial.unlink(missing_ok=True)
    return written


def _write(verbs: UpkeepVerbs, file: Path, target: BinaryIO, tell: Tell) -> int:
    compressed = file.name.endswith(_COMPRESSED)
    parts, head = iter(verbs.backup()), b""
    while len(head) < HEAD and (part := next(parts, b"")):
        head += part
    announced, free = size_in(head), shutil.disk_usage(file.absolute().parent).free
    if not compressed and announced > free:
        raise DataError(
            f"there is too little room on the disk: it takes {size(announced)}, and {size(free)} are free",
            field=str(file),
            remedy="Name another place",
            kind="no-room",
        )
    whole = chain([head], parts)
    return _copy(_packed(whole) if compressed else whole, target, tell, announced)


def _copy(parts: Iterable[bytes], target: BinaryIO, tell: Tell, announced: int = 0) -> int:
    written, of = 0, f" of {size(announced)}" if announced else ""
    for part in parts:
        target.write(part)
        written += len(part)
        tell(f"{size(written)}{of}")
    return written


def _packed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts compressed with gzip."""
    packing = zlib.compressobj(_LEVEL, wbits=31)
    for part in parts:
        yield packing.compress(part)
    yield packing.flush()


def _put(partial: Path, file: Path) -> None:
    """Give a file its name, unless another one has got it meanwhile."""
    try:
        os.link(partial, file)
    except FileExistsError:
        raise ConflictError("there is such a file by now", field=str(file), remedy="Name another one") from None
    except OSError:  # a file system without such links
        if os.path.lexists(file):
            raise ConflictError("there is such a file by now", field=str(file), remedy="Name another one") from None
        partial.rename(file)
    flush(file.absolute().parent)
