"""What attempts at trials have left in their folders: their output, and the files that they made."""

from __future__ import annotations

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


def attempt_folder(store: Store, home: Home, name: str, trial: TrialRow, attempt: int | None = None) -> Path:
    """Return the folder of an attempt at a trial (default: the latest); raise `NotFoundError` if there was none."""
    chosen = trial.attempt if attempt is None else attempt
    identities = {known.attempt: known.identity for known in store.attempts(name, trial.number)}
    if chosen not in identities:
        tried = f"it has been tried {trial.attempt} times" if trial.attempt else "it has not been started yet"
        raise NotFoundError(f"Trial {trial.number} of '{name}' has no attempt {attempt or 1}: {tried}")
    return home.attempt(AttemptKey(name, trial.number, chosen), identities[chosen])


def job_folder(home: Home, job: JobRow) -> Path:
    """Return the folder of the latest attempt at a job; there may be nothing yet."""
    return home.job(job.id) / str(job.attempt)


def log_of(store: Store, home: Home, name: str, trial: TrialRow) -> str | None:
    """Return where the output of the latest attempt lies; None: there is none."""
    if not trial.attempt:
        return None
    path = attempt_folder(store, home, name, trial) / LOG_FILE
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
            file.seek(offset)
            data = file.read(limit)
            whole = len(data) < limit
    except FileNotFoundError:
        return LogPart(path=str(path), exists=False, offset=offset, data=b"", next=offset, ended=ended)
    end = ended and whole
    return LogPart(path=str(path), exists=True, offset=offset, data=data, next=offset + len(data), ended=end)


def list_artifacts(attempt: Path) -> tuple[Artifact, ...]:
    """Return the files that an attempt has left, by path; links that lead out of its folder are left out."""
    root = attempt / "artifacts"
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return tuple(_artifact(name, path) for name, path in sorted(found.items()) if _is_within(path, root))


def read_artifact(attempt: Path, path: str) -> Iterator[bytes]:
    """Return the content of a file that an attempt has left in parts; raise `NotFoundError` if it has left none."""
    root = attempt / "artifacts"
    found = root / path
    if "\0" in path or not _is_within(found, root) or not found.is_file():
        raise NotFoundError(f"There is no file '{path}' among those that were left")
    return _parts(found)


def _artifact(name: str, path: Path) -> Artifact:
    known = path.stat()
    return Artifact(path=name, size_bytes=known.st_size, modified_at=wire.moment(known.st_mtime))


def _is_within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            yield part
