"""Data sets that were read a moment ago: a form asks at every change of a field, and a large set takes seconds to read.

What was read counts as long as no folder of the data set has changed, and no file in it that is no picture: then no
picture has come or gone, and no label is another one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunewell.tasks.vision.names import is_picture

#: So many data sets are kept, for so many seconds.
MOST, KEPT_SECONDS = 2, 60.0
#: What has changed since may have the same time stamp if that is no older than this, in seconds.
SETTLED_SECONDS = 2.0

Read = TypeVar("Read")
#: Time of the last change in nanoseconds, and size in bytes.
_Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    what: Any
    #: Folders, and files that are no pictures → how they were before it was read.
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
    key = (task, data.absolute(), seed)
    with _lock:
        known = _kept.get(key)
    if known is not None and time.monotonic() - known.at < KEPT_SECONDS and _is_as_it_was(known.stamps):
        what: Read = known.what
        return what
    stamps, now = dict(_stamps(data)), time.time()
    found = read(data, seed)
    with _lock:
        _kept.pop(key, None)
        if all(changed / 1e9 < now - SETTLED_SECONDS for changed, _ in stamps.values()):
            _kept[key] = _Kept(found, stamps, time.monotonic())
        while len(_kept) > MOST:
            del _kept[next(iter(_kept))]
    return found


def _stamps(data: Path) -> Iterator[tuple[str, _Stamp]]:
    """Yield how everything is that labels or pictures come from, but for the contents of pictures."""
    places = [(str(data.parent), [], [data.name])] if data.is_file() else os.walk(data)
    for folder, _, files in places:
        for path in (folder, *(os.path.join(folder, name) for name in files if not is_picture(name))):  # noqa: PTH118
            if (stamp := _stamp(path)) is not None:
                yield path, stamp


def _is_as_it_was(stamps: Mapping[str, _Stamp]) -> bool:
    return all(_stamp(path) == stamp for path, stamp in stamps.items())


def _stamp(path: str) -> _Stamp | None:
    """Return how a file or a folder is; None: it can't be told."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a data set has tens of thousands of them
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
