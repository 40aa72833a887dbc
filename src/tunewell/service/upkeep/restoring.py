"""Restoring a backup into an empty home and an empty database: all of it, or nothing that anybody would go on from.

A note in the home says that it is not whole, and has every command refuse it. The files come first, each with its
checksum; when all of them are as the manifest says, the rows are put on record in one transaction; then the note goes.
Whoever is killed in between is told by the note, and restores again.

The home gets an identity of its own: it is a copy, beside an original that may be at work. So neither is taken for the
other, whichever database one is opened with. What ran when the backup was made has not ended here, and begins its next
attempt, which costs it nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tunewell.home.disk import remove
from tunewell.home.home import RESTORING, Home
from tunewell.schedulers import records
from tunewell.service.databases import check_idle, url_of
from tunewell.service.upkeep.archive import ABOUT, About, about_of, damaged, no_backup, noted
from tunewell.service.upkeep.backup import folder_of
from tunewell.service.upkeep.former import check_still
from tunewell.service.upkeep.record import Recorded, sent_inputs
from tunewell.service.upkeep.unpacking import ROWS, Unpacking
from tunewell.spec.errors import ConflictError, DataError, NotFoundError
from tunewell.spec.format import date, size
from tunewell.spec.launch import AttemptKey, Exit, JobKey
from tunewell.spec.states import ExperimentState
from tunewell.store import dumping
from tunewell.store.copying import Database
from tunewell.trial.files import NO_ROOM

#: Most bytes of what a backup says of itself.
_LARGEST_NOTE = 1 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    #: The home, and what people call its database.
    home: Path
    database: str
    #: When the backup was made, in seconds since the epoch.
    created_at: float
    rows: int
    files: int
    #: How many trials and jobs ran then, which go on.
    running: int
    #: Whether the database is the one that is used where none is named.
    is_default: bool


def restore(archive: Path, folder: Path, database: str | None = None, tell: Tell = lambda line: None) -> Restored:
    """Restore a backup.

    Args:
        archive: the file; a tar, or one that was compressed with gzip.
        folder: the home; it is made, or must be empty.
        database: URL or file of the database, which must be empty; default: the home's own.
        tell: told in lines how far it is.

    Raises:
        NotFoundError: there is no such file.
        ConflictError: there is something in the folder or the database, or processes of a former home run there.
        DataError: the file is no backup, damaged, of a newer version, or holds what is not taken; or the disk is full.
    """
    home, place = Home(folder), str(archive)
    with _opened(archive) as tar, _damage_told(place):
        about, first = _about(tar, place)
        check_still(home.folder)
        with _begun(home, about) as identity:
            with closing(Database(url_of(database) if database else home.database_url, create=True)) as target:
                check_idle(target)
                unpacking = Unpacking(home.folder, place, first)
                unpacking.take_all(tar, lambda done: tell(f"{size(done)} of {size(about.size_bytes)}"))
                rows, running = _put_on_record(home, target, about, identity, tell)
                is_default = target.place == home.database_url.removeprefix("sqlite:///")
            done = Restored(
                home.folder, target.place, about.created_at, rows, unpacking.files, running, is_default=is_default
            )
    return done


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar that is read from its beginning to its end."""
    try:
        with archive.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r|gz" if packed else "r|") as tar:
                yield tar
    except FileNotFoundError:
        if archive.exists():
            raise
        raise NotFoundError("there is no such file", field=str(archive)) from None
    except (IsADirectoryError, PermissionError) as error:
        if error.filename != str(archive):
            raise
        raise DataError(f"it can't be read ({error.strerror})", field=str(archive)) from None
    except (tarfile.TarError, EOFError, zlib.error):  # before anything could be read of it
        raise no_backup(str(archive)) from None


@contextmanager
def _damage_told(place: str) -> Iterator[None]:
    """Tell what is wrong with the archive where reading it fails."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error):
        raise damaged(place, "it ends early, or parts of it are others than they were") from None


def _about(tar: tarfile.TarFile, place: str) -> tuple[About, bytes]:
    """Return what the archive says of itself, and what its manifest has to say of that."""
    first = tar.next()
    content = tar.extractfile(first) if first is not None and first.name == ABOUT and first.isreg() else None
    if first is None or content is None or first.size > _LARGEST_NOTE:
        raise no_backup(place)
    data = content.read()
    about = about_of(data, place)
    if about.tables != dumping.VERSION:
        newer = about.tables.isdecimal() and about.tables > dumping.VERSION
        raise DataError(
            f"its tables are at {about.tables}, and this version of Tunewell restores {dumping.VERSION} alone",
            field=place,
            remedy="Upgrade Tunewell" if newer else f"Restore it with Tunewell {about.program}, and upgrade then",
            kind="newer-backup" if newer else "older-backup",
        )
    return about, noted({"path": ABOUT, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})


@contextmanager
def _begun(home: Home, about: About) -> Iterator[str]:
    """Give the identity of a new home in an empty folder, which counts as one when the block has ended.

    Where it fails, the folder is empty again. What a kill has left is cleared away first.
    """
    folder, note = home.folder, home.folder / RESTORING
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not note.exists() and any(folder.iterdir()):
            raise ConflictError(
                "there is something in this folder already",
                field=str(folder),
                remedy="Name an empty one",
                kind="not-empty",
            )
        with note.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError("another process restores into it", field=str(folder)) from None
            identity = _identity_in(file) or uuid.uuid4().hex
            try:
                _clear(folder)
                _check_space(folder, about)
                _write_note(file, identity)
                yield identity
            except BaseException:
                _clear(folder)
                note.unlink()
                raise
            note.unlink()
    except OSError as error:
        full = error.errno in NO_ROOM
        raise DataError(
            "the disk is full" if full else f"it can't be written ({error.strerror or error})",
            field=str(error.filename or folder),
            remedy="Choose another folder",
        ) from None


def _identity_in(note: TextIO) -> str | None:
    note.seek(0)
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(note.read())["identity"])
    return None


def _write_note(note: TextIO, identity: str) -> None:
    note.truncate(0)
    note.write(json.dumps({"identity": identity, "what": "A backup is being restored into this folder."}) + "\n")
    note.flush()
    os.fsync(note.fileno())


def _clear(folder: Path) -> None:
    """Remove everything from a folder but the note."""
    for path in folder.iterdir():
        if path.name == RESTORING:
            continue
        if path.is_dir() and not path.is_symlink():
            remove(path)
        else:
            path.unlink()


def _check_space(folder: Path, about: About) -> None:
    free = shutil.disk_usage(folder).free
    if about.size_bytes > free:
        raise DataError(
            f"there is too little room on the disk: it takes {size(about.size_bytes)}, and {size(free)} are free",
            field=str(folder),
            remedy="Make room, or choose another folder",
            kind="no-room",
        )


def rows_of(folder: Path, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table that were unpacked."""
    with (folder / ROWS / f"{table}.jsonl").open("rb") as file:
        for line in file:
            yield json.loads(line)


def _put_on_record(home: Home, target: Database, about: About, identity: str, tell: Tell) -> tuple[int, int]:
    """Put all rows on record; return how many there are, and how many attempts ran."""
    recorded = Recorded()
    for table in dumping.TABLES:
        for row in rows_of(home.folder, table):
            recorded.note(table, row)
    for key, attempt in recorded.running.items():
        _end(home, key, attempt, about)
    made = date(about.created_at).strftime("%Y-%m-%d %H:%M UTC")
    note = f"It was restored from a backup of {made}. What ran then begins its next attempt here."

    def changed(table: str) -> Iterator[dict[str, Any]]:
        for row in rows_of(home.folder, table):
            if _fit(home, table, row, note):
                yield row

    home_row = home.found(identity)
    os.sync()
    rows = dumping.write_rows(target, changed, about.number, home_row, tell)
    remove(home.folder / ROWS)
    return rows, len(recorded.running)


def _fit(home: Home, table: str, row: dict[str, Any], note: str) -> bool:
    """Fit a row to its new home; say whether it belongs there."""
    if table == "experiment" and not ExperimentState(row["state"]).final:
        row["notes"] = [*row["notes"], note]
    if table == "job" and (name := sent_inputs(row)) is not None:
        row["arguments"]["directory"] = str(home.inputs / name)
    return table != "home" and not (table == "upload" and row["finished_at"] is None)


def _end(home: Home, key: AttemptKey | JobKey, identity: str, about: About) -> None:
    """Have an attempt that ran when the backup was made be one that was interrupted then, unless it had just ended."""
    folder = folder_of(home, key, identity)
    if records.identity_of(folder) is None:
        records.make_folder(folder, identity)
    if records.read_exit(folder) is None:
        detail = "It ran when the backup was made that was restored."
        records.write_exit(folder, Exit(detail=detail, stopped=True, ended_at=about.created_at))
