"""Backing a home up while it is at work: all that is on record, and the files that this names.

First nothing is removed any more (`home/keeping.py`), then the database is read as it is at one moment, then the files
that it names are copied: they are all there, and whole, since a file is written before it is put on record, and never
changed afterwards. What begins later is not named, and left out.

Attempts that run are the exception, since their programs write as they like. Of each the folder is copied beside first,
and again if its checkpoint has changed meanwhile; so what the backup has of it is what a power failure would have left.
Of one whose checkpoint never keeps still, that is left out, and the trial begins at an earlier one.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import IO

from tunewell.home.home import LOCK, Home
from tunewell.home.keeping import keeping
from tunewell.schedulers import records
from tunewell.service.upkeep.archive import ABOUT, CHUNK, DATABASE, FILES, FORMAT_VERSION, About, Writer
from tunewell.service.upkeep.record import Recorded
from tunewell.spec.errors import DataError
from tunewell.spec.launch import AttemptKey, JobKey
from tunewell.store import dumping
from tunewell.store.store import Store
from tunewell.trial.files import CHECKPOINT, STOP

#: How the name begins of the folder of the home in which a backup puts together what it copies.
SPOOL = ".backup-"
#: How often, and for how long, it is tried to copy a checkpoint that changes meanwhile.
TRIES, TRY_SECONDS = 5, 3.0
#: Files of attempts that tell of processes, which are not those of a copy.
_OF_PROCESSES = frozenset({records.SUPERVISOR, records.LOCK, STOP, LOCK})


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something in the home that is copied."""

    #: Where it is read.
    source: Path
    #: Its path in the home.
    path: str
    status: os.stat_result


def back_up(store: Store, home: Home) -> Iterator[bytes]:
    """Yield a backup, as described in `tunewell.service.upkeep.archive`.

    Raises:
        ConflictError: another backup of the home is being made.
        DataError: the home or its database can't be read, or there is no room for what is put together.
    """
    home.settle()
    with keeping(home.folder):
        for left in home.folder.glob(f"{SPOOL}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        spool = Path(tempfile.mkdtemp(prefix=SPOOL, dir=home.folder))
        try:
            yield from _parts(store, home, spool)
        except OSError as error:
            problem = f"it can't be copied ({error.strerror or error}), so the backup is not whole"
            raise DataError(problem, field=str(error.filename or home.folder)) from None
        finally:
            shutil.rmtree(spool, ignore_errors=True)


def _parts(store: Store, home: Home, spool: Path) -> Iterator[bytes]:
    recorded, created_at = Recorded(), time.time()
    number = _dump(store, spool, recorded)
    tables = [spool / f"{name}.jsonl" for name in dumping.TABLES]
    files = _Files(home, recorded, spool)
    size = sum(table.stat().st_size for table in tables) + sum(entry.status.st_size for entry in files.all())
    program = metadata.version("tunewell")
    about = About(FORMAT_VERSION, program, dumping.VERSION, created_at, str(home.folder), number, size).to_json()
    with tempfile.TemporaryFile(dir=spool) as manifest:
        writer = Writer(manifest)
        yield from writer.file(ABOUT, len(about), [about], time=created_at)
        for table in tables:
            with table.open("rb") as content:
                yield from writer.file(f"{DATABASE}{table.name}", table.stat().st_size, _read(content), time=created_at)
        for entry in files.all():
            yield from _part(writer, home, entry)
        for entry in files.of_running():
            yield from _part(writer, home, entry)
        yield from writer.end()


def _dump(store: Store, spool: Path, recorded: Recorded) -> int:
    """Write all rows, as they are at one moment, into files; return the number of the latest transaction."""
    with store.snapshot() as connection:
        number = dumping.read_number(connection)
        for name in dumping.TABLES:
            with (spool / f"{name}.jsonl").open("wb") as file:
                for row in dumping.read_rows(connection, name):
                    recorded.note(name, row)
                    file.write(dumping.line_of(row))
    return number


def _part(writer: Writer, home: Home, entry: _Entry) -> Iterator[bytes]:
    """Yield one entry; nothing if it is gone, as only what people remove is."""
    path, mode = f"{FILES}{entry.path}", stat.S_IMODE(entry.status.st_mode) & 0o777
    if stat.S_ISDIR(entry.status.st_mode):
        yield from writer.folder(path, mode)
    elif stat.S_ISLNK(entry.status.st_mode):
        says = link_within(home.folder / entry.path, os.readlink(entry.source), home.folder)  # noqa: PTH115
        if says is not None:
            yield from writer.link(path, says)
    elif stat.S_ISREG(entry.status.st_mode):
        try:
            content = entry.source.open("rb")
        except FileNotFoundError:
            return
        with content:
            known = os.fstat(content.fileno())
            yield from writer.file(path, known.st_size, _read(content), mode, known.st_mtime)


def link_within(link: Path, says: str, root: Path) -> str | None:
    """Return what a link says, relative to where it is; None if it leads out of a folder."""
    leads_to = os.path.normpath(link.parent / says)
    if not Path(leads_to).is_relative_to(root):
        return None
    return os.path.relpath(leads_to, link.parent)


def _read(content: IO[bytes]) -> Iterator[bytes]:
    while part := content.read(CHUNK):
        yield part


class _Files:
    """The files of a home that a backup has."""

    def __init__(self, home: Home, recorded: Recorded, spool: Path) -> None:
        """Take what is on record, and a folder for what is copied beside."""
        self._home, self._recorded, self._spool = home, recorded, spool

    def all(self) -> Iterator[_Entry]:
        """Yield all but the attempts that run."""
        home, recorded = self._home, self._recorded
        _ = home.secret  # made now, if none has been asked for yet
        yield from self._below(home.folder / "secret")
        yield from self._below(home.folder / "demo")
        yield from self._below(home.cache / "weights")  # which may not be to be had again
        for shelf, names in (
            (home.datasets, recorded.datasets),
            (home.code, recorded.code),
            (home.models, recorded.models),
            (home.uploads, recorded.uploads),
        ):
            for name in sorted(names):
                yield from self._below(shelf / name)
        for name in sorted(recorded.inputs):
            yield from self._below(home.inputs / name)
        for name, identity in recorded.experiments.values():
            for folder in home.folders_of(name, identity):
                yield from self._below(folder, leave_out="trials")
        for key, identity in self._attempts():
            if key not in recorded.running:
                folder = self._folder(key, identity)
                if records.identity_of(folder) == identity:
                    yield from self._below(folder)

    def of_running(self) -> Iterator[_Entry]:
        """Yield the attempts that run, each copied at one moment."""
        for key, identity in self._recorded.running.items():
            folder, copy = self._folder(key, identity), self._spool / "attempt"
            if records.identity_of(folder) == identity:
                _copy_running(folder, copy)
                yield from self._below(copy, at=folder)
                shutil.rmtree(copy, ignore_errors=True)

    def _attempts(self) -> Iterator[tuple[AttemptKey | JobKey, str]]:
        for (experiment, trial), attempts in self._recorded.attempts.items():
            name, _ = self._recorded.experiments[experiment]
            for attempt, identity in attempts.items():
                yield AttemptKey(name, trial, attempt), identity
        for job, attempts in self._recorded.jobs.items():
            for attempt, identity in attempts.items():
                yield JobKey(job, attempt), identity

    def _folder(self, key: AttemptKey | JobKey, identity: str) -> Path:
        return folder_of(self._home, key, identity)

    def _below(self, path: Path, leave_out: str = "", at: Path | None = None) -> Iterator[_Entry]:
        """Yield what lies at a path and below, as if it were `at` another one; `leave_out` is a name directly in it."""
        at, folders = at or path, [path]
        with suppress(FileNotFoundError):
            yield self._entry(path, at, path)
        if path.is_symlink() or not path.is_dir():
            return
        for folder in folders:  # grows as it goes
            with suppress(FileNotFoundError):
                for found in sorted(folder.iterdir()):
                    if found.name in _OF_PROCESSES or (folder == path and found.name == leave_out) or _is_new(found):
                        continue
                    with suppress(FileNotFoundError):
                        entry = self._entry(path, at, found)
                        yield entry
                        if stat.S_ISDIR(entry.status.st_mode):
                            folders.append(found)

    def _entry(self, root: Path, at: Path, found: Path) -> _Entry:
        place = (at / found.relative_to(root)).relative_to(self._home.folder)
        return _Entry(found, place.as_posix(), found.lstat())


def folder_of(home: Home, key: AttemptKey | JobKey, identity: str) -> Path:
    """Return the folder of an attempt at a trial or a job."""
    return home.job(key.job) / str(key.attempt) if isinstance(key, JobKey) else home.attempt(key, identity)


def _is_new(path: Path) -> bool:
    """Whether a file is to take another one's place once it is written; see `tunewell.trial.files.beside`."""
    name, _, end = path.name.rpartition(".")
    return name.startswith(".") and len(end) == 16 and set(end) <= set("0123456789abcdef")


def _copy_running(folder: Path, copy: Path) -> None:
    """Copy the folder of an attempt that runs, or has just ended, so that its checkpoint is of one moment."""
    deadline, tries = time.monotonic() + TRY_SECONDS, 0
    ended = (folder / records.EXIT).exists()  # then nothing changes any more
    while True:
        shutil.rmtree(copy, ignore_errors=True)
        before, tries = _listing(folder / CHECKPOINT), tries + 1
        is_whole = _copy(folder, copy)
        if is_whole and _listing(folder / CHECKPOINT) == before:
            break
        if tries >= TRIES and time.monotonic() > deadline:
            shutil.rmtree(copy / CHECKPOINT, ignore_errors=True)
            (copy / CHECKPOINT).mkdir(parents=True, exist_ok=True)
            break
    if not ended:  # what was copied before it may be older
        (copy / records.EXIT).unlink(missing_ok=True)


def _copy(folder: Path, copy: Path) -> bool:
    """Copy all files, folders and links; return whether nothing was gone that had just been there."""
    is_whole, folders = True, [folder]
    copy.mkdir()
    for parent in folders:  # grows as it goes
        target = copy / parent.relative_to(folder)
        for found in sorted(parent.iterdir()) if parent.is_dir() else ():
            try:
                if found.is_symlink():
                    (target / found.name).symlink_to(os.readlink(found))  # noqa: PTH115
                elif found.is_dir():
                    (target / found.name).mkdir()
                    folders.append(found)
                elif found.is_file():
                    shutil.copy2(found, target / found.name)
            except FileNotFoundError:
                is_whole = False
    return is_whole


def _listing(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what would be another one if anything below a folder was written meanwhile."""
    found: dict[str, tuple[int, ...]] = {}
    for parent, folders, files in os.walk(folder):
        for name in chain(folders, files):
            path = Path(parent, name)
            with suppress(FileNotFoundError):
                known = path.lstat()
                size = 0 if stat.S_ISDIR(known.st_mode) else known.st_size
                found[str(path.relative_to(folder))] = known.st_ino, size, known.st_mtime_ns
    return found
