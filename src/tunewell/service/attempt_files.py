"""What attempts at trials have left in their folders: their output, and the files that they made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tunewell.home.home import Home
from tunewell.service import wire
from tunewell.service.types import Artifact, LogPart
from tunewell.spec.errors import NotFoundError, SpecError
from tunewell.spec.launch import AttemptKey
from tunewell.store.rows import JobRow, TrialRow
from tunewell.store.store import Store

LOG_FILE = "output.log"
_CHUNK_BYTES = 1 << 16
#: Most bytes of a log that are read at once, whatever is asked for.
_MOST_BYTES = 1 << 24


def attempt_folder(store: Store, home: Home, name: str, trial: TrialRow, attempt: int | None = None) -> Path:
    """Return the folder of an attempt at a trial (default: the latest).

    Raises:
        ConflictError: it is in another home, to which the database belongs.
        NotFoundError: there was no such attempt.
    """
    return _in_its_home(home, _place_of(store, home, name, trial, attempt))


def _place_of(store: Store, home: Home, name: str, trial: TrialRow, attempt: int | None = None) -> Path:
    chosen = trial.attempt if attempt is None else attempt
    identities = {known.attempt: known.identity for known in store.attempts(name, trial.number)}
    if chosen not in identities:
        tried = f"it has been tried {trial.attempt} times" if trial.attempt else "it has not been started yet"
        raise NotFoundError(f"Trial {trial.number} of '{name}' has no attempt {attempt or 1}: {tried}")
    return home.attempt(AttemptKey(name, trial.number, chosen), identities[chosen])


def job_folder(home: Home, job: JobRow) -> Path:
    """Return the folder of the latest attempt at a job; there may be nothing yet. Raises as `attempt_folder` does."""
    return _in_its_home(home, home.job(job.id) / str(job.attempt))


def _in_its_home(home: Home, folder: Path) -> Path:
    if not folder.is_dir():
        home.check()
    return folder


def log_of(store: Store, home: Home, name: str, trial: TrialRow) -> str | None:
    """Return where the output of the latest attempt lies; None: there is none."""
    if not trial.attempt:
        return None
    path = _place_of(store, home, name, trial) / LOG_FILE
    return str(path) if path.exists() else None


def read_log(path: Path, offset: int, limit: int, ended: bool) -> LogPart:
    """Return at most `limit` bytes of a log from `offset` on; `ended` says whether whoever writes it has ended.

    Raises:
        SpecError: offset or limit is negative.
    """
    for field, value in (("offset", offset), ("limit", limit)):
        if value < 0:
            raise SpecError(field, f"{value} is negative", "Give 0 or more")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(offset, size))
            data = file.read(min(limit, _MOST_BYTES))
            whole = len(data) < min(limit, _MOST_BYTES)
    except FileNotFoundError:
        return LogPart(path=str(path), exists=False, offset=offset, data=b"", next=offset, ended=ended)
    end = ended and whole
    return LogPart(
        path=str(path),
        exists=True,
        offset=offset,
        data=data,
        next=offset + len(data),
        ended=end,
        size_bytes=max(size, offset + len(data)),
    )


def list_artifacts(attempt: Path) -> tuple[Artifact, ...]:
    """Return the files that an attempt has left, by path; links that lead out of its folder are left out."""
    root = attempt / "artifacts"
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return tuple(_artifact(name, path) for name, path in sorted(found.items()) if _is_within(path, root))


def read_artifact(attempt: Path, path: str) -> Iterator[bytes]:
    """Return the content of a file that an attempt has left in parts; raise `NotFoundError` if it has left none."""
    root = attempt / "artifacts"
    found = root / path
    if not _is_file_within(found, root):
        raise NotFoundError(f"There is no file '{path}' among those that were left")
    return _parts(found)


def _artifact(name: str, path: Path) -> Artifact:
    known = path.stat()
    return Artifact(path=name, size_bytes=known.st_size, modified_at=wire.moment(known.st_mtime))


def _is_file_within(path: Path, root: Path) -> bool:
    try:
        return _is_within(path, root) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # longer than a path can be, links in a circle, a NUL character
        return False


def _is_within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            yield part
