"""Data sets that were read a moment ago: a form asks at every change of a field, and a large set takes seconds to read.

What was read counts as long as no folder and no file of the data set has changed, as far as their times and sizes tell.
Where a folder in it is a link, nothing is kept: what lies behind links may be anything, without an end.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

#: So many data sets are kept, those that were asked for last, for so many seconds.
MOST, KEPT_SECONDS = 4, 60.0
#: What has changed since may have the same time stamp if that is no older than this, in seconds.
SETTLED_SECONDS = 2.0

Read = TypeVar("Read")
#: Times of the last change to contents and to anything, in nanoseconds, size in bytes, and number of the file.
_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    what: Any
    #: Folders and files → how they were before it was read.
    stamps: Mapping[str, _Stamp]
    #: When it was read, monotonic.
    at: float


#: Task, data set and seed → what was read, the latest last.
_kept: dict[tuple[str, Path, int], _Kept] = {}
_lock = threading.Lock()


def recently_read(task: str, data: Path, seed: int, read: Callable[[Path, int], Read]) -> Read:
    """Return what `read` makes of a data set, or made of it a moment ago, if nothing has changed since.

    What `read` raises is passed on, and not kept.
    """
    key, now = (task, data.absolute(), seed), time.monotonic()
    with _lock:
        for old in [one for one, kept in _kept.items() if now - kept.at >= KEPT_SECONDS]:
            del _kept[old]
        known = _kept.get(key)
    if known is None or any(_stamp(path) != stamp for path, stamp in known.stamps.items()):
        before, stamps = time.time() - SETTLED_SECONDS, _stamps(data)
        what = read(data, seed)
        if stamps is None or any(changed / 1e9 > before for changed, *_ in stamps.values()):
            return what
        known = _Kept(what, stamps, time.monotonic())
    with _lock:
        _kept.pop(key, None)
        _kept[key] = known
        while len(_kept) > MOST:
            del _kept[next(iter(_kept))]
    return cast(Read, known.what)


def _stamps(data: Path) -> dict[str, _Stamp] | None:
    """Return how all is that a data set may consist of; what a table names may lie in all folders beside it.

    None: there are links among the folders.
    """
    found: dict[str, _Stamp] = {}
    for folder, folders, files in os.walk(data.parent if data.is_file() else data):
        inside = [os.path.join(folder, name) for name in (*folders, *files)]  # noqa: PTH118
        if any(map(os.path.islink, inside[: len(folders)])):
            return None
        for path in (folder, *inside[len(folders) :]):
            if (stamp := _stamp(path)) is not None:
                found[path] = stamp
    return found


def _stamp(path: str) -> _Stamp | None:
    """Return how a file or a folder is; None: it can't be told."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a data set has tens of thousands of them
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
