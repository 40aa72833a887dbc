"""Sending files of the home to a node, many small ones or a piece of a large one at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

from tunewell.schedulers.ray import parcels
from tunewell.schedulers.ray.parcels import PIECE_BYTES, Mark

#: How long a batch may take, in seconds.
_BATCH_SECONDS = 120.0
#: Most files of a batch: a slot that is long at work looks as if it were gone.
_BATCH_FILES = 1000


@dataclass(slots=True)
class Batch:
    """What is sent at once."""

    #: (Place of a file, where in it the bytes belong, the bytes). The pieces of a file come in their order.
    pieces: list[tuple[str, int, bytes]] = field(default_factory=list)
    #: The files that are complete with it.
    complete: dict[str, Mark] = field(default_factory=dict)
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it is not to become larger."""
        return self.size >= PIECE_BYTES or len(self.complete) >= _BATCH_FILES

    def unpack(self, root: Path) -> None:
        """Write it below a folder; raise OSError."""
        for name, offset, data in self.pieces:
            if offset > parcels.size_of(parcels.unfinished(parcels.inside(root, name))):
                raise OSError(errno.EAGAIN, "its beginning is not here", name)
            parcels.write_piece(root, name, offset, data)
        for name, mark in self.complete.items():
            parcels.finish(root, name, mark)


def send(slot: Any, home: Path, marks: Mapping[str, Mark]) -> None:
    """Send files to the node of a slot; while a batch is on its way the next one is read.

    Raises:
        OSError: a file can't be read here, or written there.
        RayError: the slot is gone.
    """
    on_the_way = None
    for batch in _batches(home, marks):
        if on_the_way is not None:
            answer(on_the_way)
        on_the_way = slot.unpack.remote(batch)
    if on_the_way is not None:
        answer(on_the_way)


def answer(waited_for: Any) -> Any:
    """Return what a slot answers.

    Raises:
        OSError: it has raised one.
        RayError: the slot is gone.
    """
    try:
        return ray.get(waited_for, timeout=_BATCH_SECONDS)
    except RayTaskError as error:
        if isinstance(error.cause, OSError):
            cause = error.cause
            raise OSError(cause.errno, f"on its node: {cause.strerror or cause}", cause.filename) from None
        raise


def check_there(home: Path, places: list[str]) -> None:
    """Raise FileNotFoundError if one of these places of the home is empty: an attempt that reads it would fail."""
    for place in places:
        if not os.path.lexists(home / place):
            raise FileNotFoundError(errno.ENOENT, "what it reads is not there (any more)", str(home / place))


def _batches(home: Path, marks: Mapping[str, Mark]) -> Iterator[Batch]:
    batch = Batch()
    for name, mark in marks.items():
        offset = 0
        while offset < mark.size:
            data = parcels.read_piece(home, name, offset)
            if not data:
                raise OSError(errno.EAGAIN, "it has changed while it was sent", str(home / name))
            batch.pieces.append((name, offset, data))
            offset, batch.size = offset + len(data), batch.size + len(data)
            if offset < mark.size and batch.is_full:
                yield batch
                batch = Batch()
        batch.complete[name] = mark
        if batch.is_full:
            yield batch
            batch = Batch()
    if batch.complete:
        yield batch
