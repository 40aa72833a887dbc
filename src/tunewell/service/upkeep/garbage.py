"""What lies in a home and is not needed any more: what it is, why it may go, and what is always kept.

Always kept are: all that is on record; of each experiment the files of its five best trials, of its default
configuration, and of trials about which there are results; what a search that has not ended may go on from; models,
reports, and whatever a record names. Of other trials the newest attempt keeps its log, reports and parameters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tunewell.controller.retention import KEPT_MODELS
from tunewell.home.disk import size_of
from tunewell.home.home import Home
from tunewell.schedulers.records import identity_of
from tunewell.service.upkeep.backup import SPOOL
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import JobState, TrialState
from tunewell.store.rows import ExperimentRow, StandingRow
from tunewell.store.store import Store
from tunewell.tasks.vision.task_file import pixels_of
from tunewell.trial.files import ARTIFACTS, CHECKPOINT

Kind = Literal["leftovers", "bin", "cache", "attempts", "jobs", "checkpoints", "artifacts"]
#: From the least valuable.
KINDS: tuple[Kind, ...] = get_args(Kind)
#: What each kind is, and why it may go.
WORDS: Mapping[Kind, tuple[str, str]] = {
    "leftovers": ("unfinished files of Tunewell", "the process that began them was killed, over a day ago"),
    "bin": ("experiments in the bin, with all their files", "they have been there for 30 days"),
    "cache": ("decoded pictures", "no search that has not ended needs them; they are decoded again when one does"),
    "attempts": ("folders of earlier attempts at trials that have ended", "a later attempt has taken their place"),
    "jobs": (
        "files of jobs of 30 days ago; models of trainings with other seeds",
        "what they found is on record, or they failed",
    ),
    "checkpoints": ("checkpoints of ended trials", "none of the five best, and nothing goes on from them"),
    "artifacts": ("files that programs of ended trials have left", "none of the five best; not made by Tunewell"),
}
#: Kinds of jobs whose files nobody reads once they have succeeded, as their results are on record.
_ON_RECORD = frozenset({"probe", "prepare", "report", "import", "finalists", "repeats", "repeat"})
#: Those of them that leave what is large, which may go at once.
_LARGE = frozenset({"repeat"})
DAY_SECONDS, KEPT_SECONDS = 24 * 3600.0, 30 * 24 * 3600.0
_MAY_RUN_AGAIN = frozenset({TrialState.FAILED, TrialState.STOPPED})


@dataclass(frozen=True, slots=True)
class Piece:
    """A folder, or an experiment, that may go."""

    kind: Kind
    #: The folder; of an experiment: where its files are.
    folder: Path
    size_bytes: int
    #: The identity that the folder of an attempt must have still, and the folder that has it; None: it has none.
    identity: str | None = None
    owner: Path | None = None
    #: Full name of the experiment, if all of it goes.
    experiment: str = ""
    #: The trial that it is of: experiment, number, and the state and attempt by which it may go.
    trial: tuple[str, StandingRow] | None = None


def find_garbage(store: Store, home: Home, now: float | None = None) -> list[Piece]:
    """Return all that may go, the least valuable first. Takes some seconds where there are many trials."""
    now = time.time() if now is None else now
    pieces = [
        *_leftovers(store, home, now),
        *_bin(store, home, now),
        *_cache(store, home, now),
        *_of_trials(store, home),
        *_of_jobs(store, home, now),
    ]
    return sorted(pieces, key=lambda piece: (KINDS.index(piece.kind), str(piece.folder)))


def _leftovers(store: Store, home: Home, now: float) -> Iterator[Piece]:
    """Yield what was being prepared, or copied, by whoever was killed then."""
    found = [
        *home.folder.glob(f"{SPOOL}*"),
        *home.cache.glob("pictures/.part-*"),
        *(path for row in _experiments(store) for path in home.experiment(row.name).glob("trials/*/.next-*")),
        *home.folder.glob("jobs/*/.next-*"),
    ]
    for path in found:
        if _modified(path) < now - DAY_SECONDS:
            yield Piece("leftovers", path, size_of(path))


def _bin(store: Store, home: Home, now: float) -> Iterator[Piece]:
    for row in _experiments(store, deleted=True):
        if row.deleted_at is not None and row.deleted_at < now - KEPT_SECONDS:
            folder = home.experiment(row.name)
            yield Piece("bin", folder, size_of(folder), experiment=row.name)


def _cache(store: Store, home: Home, now: float) -> Iterator[Piece]:
    """Yield decoded pictures that no open search has, and that nobody has decoded just now."""
    if store.open_jobs():
        return
    used = {pixels for row in store.open_experiments() for pixels in pixels_of(home.experiment(row.name))}
    for folder in sorted((home.cache / "pictures").glob("*/")):
        if not folder.name.startswith(".") and folder not in used and _modified(folder) < now - DAY_SECONDS:
            yield Piece("cache", folder, size_of(folder))


def _of_trials(store: Store, home: Home) -> Iterator[Piece]:
    busy = {job.experiment for job in store.open_jobs()}  # which may read what trials have left
    for row in _experiments(store):
        if row.name not in busy:
            yield from _of_experiment(store, home, row)


def _of_experiment(store: Store, home: Home, row: ExperimentRow) -> Iterator[Piece]:
    rows = store.standings(row.name)
    identities = store.identities(row.name)
    kept = kept_trials(store, row, rows)
    wanted = _wanted(row, rows)
    attempts: dict[int, list[int]] = {}
    for number, attempt in identities:
        attempts.setdefault(number, []).append(attempt)
    for one in rows:
        if not one.state.final or one.number in kept or one.identity is None:
            continue
        open_to_retry = one.state in _MAY_RUN_AGAIN and not row.state.final

        def piece(kind: Kind, attempt: int, part: str, one: StandingRow = one) -> Iterator[Piece]:
            identity = identities.get((one.number, attempt), "")
            folder = home.attempt(AttemptKey(row.name, one.number, attempt), identity)
            found = folder / part if part else folder
            size = size_of(found)
            if (size or not part) and found.is_dir() and identity_of(folder) == identity:
                yield Piece(kind, found, size, identity, folder, trial=(row.name, one))

        if not open_to_retry and one.number not in wanted:
            for attempt in attempts.get(one.number, ()):
                if attempt < one.attempt:
                    yield from piece("attempts", attempt, "")
            yield from piece("checkpoints", one.attempt, CHECKPOINT)
        yield from piece("artifacts", one.attempt, ARTIFACTS)


def kept_trials(store: Store, row: ExperimentRow, rows: list[StandingRow]) -> set[int]:
    """Return the trials of an experiment whose files are always kept."""
    ranked = sorted((one.fidelity < 1, one.loss, one.number) for one in rows if one.loss is not None)
    best = {number for *_, number in ranked[:KEPT_MODELS]}
    named = {number for number in (row.best_trial, row.default_trial) if number is not None}
    return best | named | store.trials_with_results(row.name)


def _wanted(row: ExperimentRow, rows: list[StandingRow]) -> set[int]:
    """Return the trials whose checkpoints others may go on from."""
    spec = row.spec
    resumes = "promotion" in str(spec.get("early_stopping") or "") or row.algorithm.get("name") == "evolutionary"
    if not row.state.final and (resumes or any(one.resume_from for one in rows)):
        return {one.number for one in rows}
    waiting = (one for one in rows if not one.state.final or one.state in _MAY_RUN_AGAIN)
    return {one.resume_from for one in waiting if one.resume_from is not None}


def _of_jobs(store: Store, home: Home, now: float) -> Iterator[Piece]:
    named = {Path(file).parts[1] for file in store.result_files() if Path(file).parts[0] == "jobs"}
    looked = store.jobs_of_datasets()
    for job in store.ended_jobs(now):
        succeeded, is_old = job.state is JobState.SUCCEEDED, (job.ended_at or now) < now - KEPT_SECONDS
        on_record = not succeeded or job.kind in _ON_RECORD
        is_large = succeeded and job.kind in _LARGE
        if not on_record or str(job.id) in named or job.id in looked or not (is_old or is_large):
            continue
        for event in store.job_events(job.id):
            folder = home.job(job.id) / str(event.attempt)
            if event.kind == "started" and folder.is_dir() and identity_of(folder) == event.data.get("identity"):
                for part in [folder] if is_old else [folder / ARTIFACTS, folder / CHECKPOINT]:
                    if part.is_dir() and (size := size_of(part)):
                        yield Piece("jobs", part, size, event.data["identity"], folder)


def _experiments(store: Store, deleted: bool = False) -> Iterator[ExperimentRow]:
    after = None
    while page := store.experiments(1000, after, deleted=deleted):
        yield from page
        after = page[-1].id


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")
