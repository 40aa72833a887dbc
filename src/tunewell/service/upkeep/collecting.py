"""Removing garbage: each piece as a whole, and only what may go still at that moment.

A piece is moved away first, while nobody can write to the database: so what would go on from it finds it whole or not
at all. Whoever is killed in between leaves it among what is removed, with a note of what that is and who had it done;
whoever comes next finishes that (`tunewell.home.removal`), and puts it on record.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from tunewell.home.disk import remove, size_of
from tunewell.home.home import Home
from tunewell.home.keeping import removing
from tunewell.home.removal import Removal, collecting, note_garbage
from tunewell.schedulers.records import identity_of
from tunewell.service.upkeep.garbage import KINDS, Kind, Piece, find_garbage
from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.spec.states import TrialState
from tunewell.store.store import Store

#: Pieces that are moved away in one transaction.
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed of one kind."""

    kind: Kind
    count: int
    size_bytes: int


def sums_of(pieces: Sequence[Piece]) -> list[Collected]:
    """Return how much there is of each kind, the least valuable first."""
    sums = _Sums()
    sums.add(pieces)
    return sums.by_kind()


class _Sums:
    """How much there is of each kind, by now."""

    def __init__(self) -> None:
        #: Kind → how many pieces, and how large they are together.
        self._sums: dict[Kind, tuple[int, int]] = {}

    def add(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            number, size = self._sums.get(piece.kind, (0, 0))
            self._sums[piece.kind] = number + 1, size + piece.size_bytes

    def by_kind(self) -> list[Collected]:
        return [Collected(kind, *self._sums[kind]) for kind in KINDS if kind in self._sums]


def collect(
    store: Store,
    home: Home,
    by: str,
    pieces: Sequence[Piece] | None = None,
    enough: Callable[[int], bool] = lambda freed: False,
) -> list[Collected]:
    """Remove garbage, the least valuable first, and put on record what was removed; return that, by kind.

    Args:
        store: what is on record.
        home: the home of that store.
        by: who has it done, for people.
        pieces: what may go; default: what is found.
        enough: asked with how many bytes are free by now whether that suffices.

    Raises:
        ConflictError: a backup is being made.
    """
    found = iter(find_garbage(store, home) if pieces is None else pieces)
    gone = _Sums()
    freed = 0
    with collecting(store, home) as place:
        while not enough(freed) and (batch := list(islice(found, _BATCH))):
            with removing(home.folder) as may:
                if not may:
                    raise ConflictError(
                        "a backup is being made of it",
                        field=str(home.folder),
                        remedy="Try again later",
                        kind="home-busy",
                    )
                for piece in _remove(store, home, batch, place, partial(_note, place, by, gone)):
                    freed += piece.size_bytes
                _note(place, by, gone)  # there may not have been room for that before
    return gone.by_kind()


def keep_within(store: Store, home: Home, budget: int) -> int:
    """Remove garbage until a home takes up no more than so many bytes, if that can be; return how many it takes up."""
    taken = size_of(home.folder)
    if taken <= budget:
        return taken
    with suppress(ConflictError):  # while a backup is made: it is looked after again
        collected = collect(store, home, "the disk budget", enough=lambda freed: taken - freed <= budget)
        taken -= sum(one.size_bytes for one in collected)
    return taken


def _note(place: Path, by: str, gone: _Sums, more: Sequence[Piece] = ()) -> None:
    """Add to what was removed, and note it where whoever comes after a kill finds it.

    On a full disk that can't be: it is what removing garbage is for, so that goes on.
    """
    gone.add(more)
    groups = [{"kind": one.kind, "count": one.count, "size_bytes": one.size_bytes} for one in gone.by_kind()]
    if groups:
        with suppress(OSError):
            note_garbage(place, {"by": by, "groups": groups})


def _remove(
    store: Store, home: Home, batch: Sequence[Piece], run: Path, note: Callable[[Sequence[Piece]], None]
) -> Iterator[Piece]:
    """Remove pieces that may go still, by way of a folder of this run; note and yield them."""
    place = run / uuid.uuid4().hex
    place.mkdir(mode=0o700)
    moved: list[Piece] = []
    with store.transaction() as tx:
        tx.begin()  # from here on, nobody else writes
        now = _as_they_are(store, batch)
        for number, piece in enumerate(one for one in batch if not one.experiment):
            if _may_go(piece, now):
                with suppress(FileNotFoundError):
                    piece.folder.rename(place / str(number))
                    moved.append(piece)
        if moved:
            note(moved)
    remove(place)
    yield from moved
    for piece in batch:
        if piece.experiment and _purge(store, home, piece.experiment):
            note([piece])
            yield piece


#: Experiment and trial → state, attempt and identity.
_Now = Mapping[tuple[str, int], tuple[TrialState, int, str | None]]


def _as_they_are(store: Store, batch: Sequence[Piece]) -> _Now:
    """Return how it stands with the trials that pieces are of."""
    numbers: dict[str, set[int]] = {}
    for piece in batch:
        if piece.trial is not None:
            numbers.setdefault(piece.trial[0], set()).add(piece.trial[1].number)
    found = {}
    for name, some in numbers.items():
        with suppress(NotFoundError):  # it was removed meanwhile
            for row in store.trials_of(name, some):
                found[name, row.number] = row.state, row.attempt, row.identity
    return found


def _may_go(piece: Piece, now: _Now) -> bool:
    """Whether a piece is still what it was when it was found."""
    if piece.owner is not None and identity_of(piece.owner) != piece.identity:
        return False
    if piece.trial is None:
        return True
    name, known = piece.trial
    return now.get((name, known.number)) == (known.state, known.attempt, known.identity)


def _purge(store: Store, home: Home, name: str) -> bool:
    """Remove an experiment that is in the bin for good; return whether that could be done."""
    access = store.find_access(name)
    if access is None or access.deleted_at is None:
        return False
    try:
        removal = Removal.prepared(home, store, name, [row.id for row in store.jobs(name)])
    except (ConflictError, NotFoundError):  # processes of it live still, or it is gone
        return False
    with store.transaction() as tx:
        tx.remove_experiment(name)
    removal.finish()
    return True
