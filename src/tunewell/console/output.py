"""What a trial or a job has printed and left, as pages show it: the log is read by `static/log.js`, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from tunewell.console import terminal
from tunewell.service.types import Artifact, LogPart
from tunewell.service.verbs import LOG_BYTES

#: Most files of a list that is shown; all are counted.
MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Log:
    """A log on a page."""

    #: Tells it from the log of another attempt.
    id: str
    #: Where it is read.
    address: str
    #: What it is called when it is saved.
    file: str
    #: Offset and most bytes → that part.
    read: Callable[[int, int], LogPart]

    def tail(self) -> str:
        """Return the end of it as plain text, for browsers without scripts."""
        size = self.read(0, 0).size_bytes
        return terminal.plain(self.read(max(size - LOG_BYTES, 0), LOG_BYTES).data)


@dataclass(frozen=True, slots=True)
class File:
    """A file to be saved."""

    path: str
    size_bytes: int
    address: str


@dataclass(frozen=True, slots=True)
class Files:
    """What was left: as many as a page shows, and how many and how large all are."""

    shown: tuple[File, ...]
    count: int
    size_bytes: int


def files_at(artifacts: Iterable[Artifact], address: str, query: str = "") -> Files:
    """Return files with their addresses below `address`."""
    known = tuple(artifacts)
    shown = tuple(File(one.path, one.size_bytes, f"{address}/{quote(one.path)}{query}") for one in known[:MOST_FILES])
    return Files(shown, len(known), sum(one.size_bytes for one in known))


NO_FILES = Files((), 0, 0)
