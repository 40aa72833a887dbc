"""Files on their way between the home and a node, in pieces: what is listed, what is missing, what is read and written.

Both sides use this on a folder of their own. A file is the same where size and time of change are; what is written gets
the time of the original. A link stays a link, and is never followed; pipes and devices hold nothing that could be sent.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

#: Bytes of a file that are sent at once.
PIECE_BYTES = 8 << 20
#: The sizes that mark what is no file.
FOLDER, LINK = -1, -2


class Mark(NamedTuple):
    """What tells a file from its earlier and later versions."""

    #: In bytes; or `FOLDER`, or `LINK`.
    size: int
    #: When it was changed, in nanoseconds since the epoch; 0 for folders and links.
    changed: int
    #: Permissions, as `os.chmod` takes them.
    mode: int
    #: What a link says.
    leads_to: str = ""


def listing(root: Path, below: Iterable[str], leave_out: Iterable[str] = ()) -> dict[str, Mark]:
    """Return what lies below some places of a folder, by paths relative to it. A place may be a file.

    Folders come before what they hold, so that empty ones are there as well. What goes away meanwhile is left out.
    """
    found: dict[str, Mark] = {}
    without = set(leave_out)
    for place in below:
        for path in _walk(root / place):
            name = os.path.relpath(path, root)
            if name not in without:
                with suppress(OSError):
                    mark = _mark(path, root)
                    if mark is not None:
                        found[name] = mark
    return found


def _mark(path: Path, root: Path) -> Mark | None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Mark(LINK, 0, 0, _leads_to(path, root))
    if stat.S_ISDIR(status.st_mode):
        return Mark(FOLDER, 0, 0)
    if stat.S_ISREG(status.st_mode):
        return Mark(status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode) & 0o777)
    return None


def _leads_to(link: Path, root: Path) -> str:
    """Return what a link says elsewhere: one that leads to something within the folder leads to the same there."""
    says = os.readlink(link)  # noqa: PTH115 - a Path drops what some programs look at, such as a slash at the end
    target = os.path.normpath(says)
    inside_ = Path(says).is_absolute() and Path(target).is_relative_to(root)
    return os.path.relpath(target, link.parent) if inside_ else says


def _walk(path: Path) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        if os.path.lexists(path):
            yield path
        return
    yield path
    for folder, folders, names in os.walk(path):
        folders.sort()  # links to folders are among them, and are not followed
        yield from (Path(folder, name) for name in (*folders, *sorted(names)))


def missing(root: Path, wanted: Mapping[str, Mark]) -> list[str]:
    """Return which of the wanted files are not below a folder as they should be; make the folders and links."""
    lacking = []
    for name, mark in wanted.items():
        if mark.size < 0:
            _make(root, name, mark)
        elif not is_here(root, name, mark):
            lacking.append(name)
    return lacking


def is_here(root: Path, name: str, mark: Mark) -> bool:
    """Whether the very version of a file is below a folder."""
    try:
        status = inside(root, name).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (mark.size, mark.changed)


def _make(root: Path, name: str, mark: Mark) -> None:
    """Make a folder or a link, unless it is there."""
    path = _ready_place(root, name)
    if mark.size == FOLDER:
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
    elif not path.is_symlink() or os.readlink(path) != mark.leads_to:  # noqa: PTH115 - as above
        _remove(path)
        path.symlink_to(mark.leads_to)


def read_piece(root: Path, name: str, offset: int) -> bytes:
    """Return the next piece of a file, empty at its end; raise OSError."""
    descriptor = os.open(inside(root, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(f"{name} is no file any more")
        file.seek(offset)
        return file.read(PIECE_BYTES)


def write_piece(root: Path, name: str, offset: int, data: bytes) -> None:
    """Write a piece beside the place of a file, and take away what an earlier try has left behind it; raise OSError."""
    path = unfinished(_ready_place(root, name))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(descriptor, offset)
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(descriptor)


def finish(root: Path, name: str, mark: Mark) -> None:
    """Give a file that was written in pieces its place, its time and its permissions.

    Raises:
        OSError: that can't be done, or it is not as large as it should be.
    """
    path = inside(root, name)
    incoming = unfinished(path)
    if mark.size == 0:
        write_piece(root, name, 0, b"")
    if incoming.stat().st_size != mark.size:
        incoming.unlink()
        raise OSError(f"{name} has changed while it was sent")
    incoming.chmod(mark.mode)
    os.utime(incoming, ns=(mark.changed, mark.changed))
    put(incoming, root, name)


def put(complete: Path, root: Path, name: str) -> None:
    """Move a complete file to its place below a folder; raise OSError."""
    path = _ready_place(root, name)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    complete.replace(path)


def inside(root: Path, name: str) -> Path:
    """Return the path of a file by its name relative to a folder; raise ValueError if it leads out of it."""
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(os.path.normpath(root)):
        raise ValueError(f"{name!r} leads out of {root}")
    return path


def _ready_place(root: Path, name: str) -> Path:
    """Return the path of a file whose folders are there, none of them a link, which might lead anywhere."""
    path = inside(root, name)
    if path.parent.is_dir() and path.parent.resolve() == path.parent:
        return path
    root.mkdir(parents=True, exist_ok=True)
    folder = root
    for part in path.parent.relative_to(root).parts:
        folder /= part
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            folder.mkdir(exist_ok=True)
    return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Return where a file is put together before it gets its place."""
    # As long for any name: one may be as long as a name can be.
    return path.with_name(f".{sha256(os.fsencode(path.name)).hexdigest()[:16]}.part")


def size_of(path: Path) -> int:
    """Return how many bytes a file has; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
