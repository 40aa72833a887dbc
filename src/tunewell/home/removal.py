"""Removing the folders of an experiment for good, in steps of which each may be the last before a power failure.

A note in the home names the folders before what is on record goes. While the experiment is on record, the note means
nothing; when it is not, whatever the note names and still has the experiment's identity is moved away, and deleted.
"""

from __future__ import annotations

import fcntl
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.home.home import LOCK, Home
from tunewell.home.keeping import removing
from tunewell.schedulers.leftovers import living
from tunewell.schedulers.records import identity_of
from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.store.rows import JsonObject
from tunewell.store.store import Store
from tunewell.trial.files import flush, read_json, write_json

#: Folder of the home for what is being removed.
REMOVED = "removed"
#: How the names begin of folders there that may go whatever is on record.
GARBAGE = "garbage-"
_NOTE = "note.json"
#: File in a folder of garbage that is locked as long as somebody moves things there.
_HELD = "held"
#: Among so many of the latest removals it is looked whether one is on record.
_LATEST = 1000


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be removed of one experiment."""

    home: Home
    #: Folder of the note, and of what was moved away.
    folder: Path

    @classmethod
    def prepared(cls, home: Home, store: Store, name: str, jobs: list[int]) -> Removal:
        """Write the note for an experiment and its jobs.

        Raises:
            ConflictError: a process that it started still runs.
        """
        identity = store.identity(name)
        if identity is None:
            raise NotFoundError(f"There is no experiment '{name}'.")
        places = home.places(name)
        for place in places:
            busy = living(place.glob("trials/*/*"))
            if busy is not None:
                raise ConflictError(f"processes of experiment '{name}' still run ({busy})", remedy="Wait for their end")
        removal = cls(home, home.folder / REMOVED / identity)
        removal.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = {
            "database": store.place,
            "experiments": [str(place.relative_to(home.folder)) for place in places],
            "jobs": {job: _identities(store, job) for job in jobs},
        }
        write_json(removal.folder / _NOTE, note, durable=True)
        flush(removal.folder.parent)
        return removal

    def finish(self) -> None:
        """Remove the files: the experiment is on record no more. What can't be removed now is tried again later."""
        with removing(self.home.folder) as may:
            if may:
                self._finish()

    def _finish(self) -> None:
        note = read_json(self.folder / _NOTE) or {"experiments": [], "jobs": {}}
        for place in note["experiments"]:
            self._move_away(self.home.folder / place, [self.folder.name])
        for job, identities in note["jobs"].items():
            folder = self.home.job(int(job))
            for attempt in folder.glob("*/"):
                self._move_away(attempt, identities)
            if folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:
                shutil.rmtree(folder, ignore_errors=True)
        for moved in self.folder.glob("*/"):
            remove(moved)
        if not list(self.folder.glob("*/")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _move_away(self, folder: Path, identities: Collection[str]) -> None:
        """Take a folder that has one of these identities out of its place.

        A link, and what lies outside of the home in truth, is left alone.
        """
        if folder.is_symlink() or identity_of(folder) not in identities:
            return
        if folder.resolve().is_relative_to(self.home.folder.resolve()):
            with suppress(FileNotFoundError):  # another process does the same
                folder.rename(self.folder / uuid.uuid4().hex)


def finish_removals(home: Home, store: Store) -> None:
    """Finish what was begun in this home and never ended. A note on what is still on record means nothing."""
    for folder in (home.folder / REMOVED).glob("*/"):
        if folder.name.startswith(GARBAGE):
            _finish_collecting(folder, store)
            continue
        note = read_json(folder / _NOTE)
        if note is not None and note["database"] == store.place and not store.holds_identity(folder.name):
            Removal(home, folder).finish()


@contextmanager
def collecting(store: Store, home: Home) -> Iterator[Path]:
    """Give a folder that garbage is moved into. What is noted of it (`note_garbage`) is put on record at the end.

    Whoever is killed before that leaves it to `finish_removals`.
    """
    while True:
        folder = home.folder / REMOVED / f"{GARBAGE}{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700, parents=True)
        try:
            file = (folder / _HELD).open("w")
        except FileNotFoundError:  # taken for what somebody has left
            continue
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not (folder / _HELD).exists():
                continue
            try:
                yield folder
            except Exception:
                _put_on_record(folder, store)
                raise
            _put_on_record(folder, store)
        return


def note_garbage(folder: Path, data: JsonObject) -> None:
    """Note what was moved into a folder that `collecting` gave, so far: the data of the event about it."""
    write_json(folder / _NOTE, data)


def _finish_collecting(folder: Path, store: Store) -> None:
    """Put on record what somebody has removed who was killed over it, and remove the rest."""
    try:
        file = (folder / _HELD).open("r+")
    except FileNotFoundError:
        with suppress(OSError):  # not if there is something in it
            folder.rmdir()
        return
    with file, suppress(BlockingIOError):  # somebody is at it
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _put_on_record(folder, store)


def _put_on_record(folder: Path, store: Store) -> None:
    """Put on record, once, what was removed by way of a folder, and remove that.

    What is noted and locked goes last: until all else is gone, whoever comes after a kill goes on from that.
    """
    note = read_json(folder / _NOTE)
    if note is not None:
        with store.transaction() as tx:
            tx.begin()  # so that nobody else does so meanwhile
            known = {event.data.get("run") for event in store.home_events(["collected"], _LATEST)}
            if folder.name not in known:
                tx.add_home_event("collected", {**note, "run": folder.name})
    last = [folder / _NOTE, folder / _HELD]
    with suppress(OSError):  # what can't be removed now is tried again later
        for path in {*folder.iterdir()} - {*last}:
            if path.is_dir() and not path.is_symlink():
                remove(path)
            else:
                path.unlink()
        if {*folder.iterdir()} <= {*last}:
            for path in last:
                path.unlink(missing_ok=True)
            folder.rmdir()


def _identities(store: Store, job: int) -> list[str]:
    """Return those of the attempts at a job."""
    return [event.data["identity"] for event in store.job_events(job) if event.kind == "started"]
