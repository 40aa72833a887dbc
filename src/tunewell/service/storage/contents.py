"""Folders that lie in the home under the checksum of their content: once, whoever has sent them, and never changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.home.manifest import Content
from tunewell.service.storage.limits import Limits
from tunewell.service.storage.unpacking import unpack

#: How the names begin of folders that are not whole yet, and of those that go.
COMING, GOING = ".coming-", ".going-"


@contextmanager
def unpacked(archive: Path, name: str, shelf: Path, limits: Limits, executable: bool) -> Iterator[tuple[Content, Path]]:
    """Give what an archive holds, and a folder beside its later place with it, which goes unless `keep` takes it.

    Raises:
        DataError: see `unpack`.
    """
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    coming = shelf / f"{COMING}{uuid.uuid4().hex}"
    try:
        yield unpack(archive, name, coming, limits, executable), coming
    finally:
        remove(coming)


def keep(coming: Path, place: Path) -> None:
    """Put a folder in its place, unless its content is there already."""
    if not place.exists():
        coming.rename(place)


def take_away(place: Path) -> Path:
    """Take a folder from its place, at once and as a whole; return where it waits to be removed."""
    going = place.with_name(f"{GOING}{uuid.uuid4().hex}")
    if place.exists():
        place.rename(going)
    return going
