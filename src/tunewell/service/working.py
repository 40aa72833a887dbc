"""What workers ask and tell, carried out on the board of their experiment and in the folders of their attempts.

The scheduler of the experiment, in whatever process it is, finds it there; see `tunewell.schedulers.leases`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunewell.controller.attempts import shares
from tunewell.home.credentials import derive
from tunewell.home.home import Home
from tunewell.home.spec_on_record import recorded_spec
from tunewell.schedulers import leases, records
from tunewell.schedulers.leases import Board, Lease, WrongOffset
from tunewell.service.remote_reports import over, running_folder
from tunewell.service.types import Completion, Heard, LogTaken, SuggestedTrial, Suggestion, Worker
from tunewell.service.wire import moment
from tunewell.service.worker_verbs import LOG_PIECE, LONGEST_WAIT
from tunewell.spec.errors import ConflictError, DataError, SpecError
from tunewell.spec.launch import AttemptKey, Exit
from tunewell.spec.rules import WORKERS
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.spec.text import is_text
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.trial import files
from tunewell.tuners.contract import Suggestion as Proposal

#: How often it is looked whether there is a trial for a worker that waits.
LOOK_SECONDS = 0.05
#: Longest name of a worker, in characters.
_LONGEST_NAME = 200


def suggest(store: Store, home: Home, name: str, worker: str, wait: float) -> Suggestion:
    """Return a trial for a worker, or why there is none; see `WorkerVerbs.suggest`.

    Raises:
        ConflictError: the search is not for workers.
        DataError: the board can't be written.
        SpecError: the worker's name is none, or the time no time.
    """
    _check_worker(worker)
    if not 0 <= wait <= LONGEST_WAIT:
        raise SpecError("wait", f"{wait:g} s", f"Give 0 to {LONGEST_WAIT:g}")
    deadline = time.monotonic() + wait
    while True:
        answer = _answer(store, home, name, worker)
        left = deadline - time.monotonic()
        if answer.kind != "wait" or left <= 0:
            return answer
        _await_offer(Board(home.experiment(name)), min(left, leases.WAITING_SECONDS / 4))


def _await_offer(board: Board, seconds: float) -> None:
    """Wait until something is to be had, for some seconds at most."""
    deadline = time.monotonic() + seconds
    while not board.offers() and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _answer(store: Store, home: Home, name: str, worker: str) -> Suggestion:
    row = store.experiment(name)
    if row.spec.get("scheduler") != WORKERS:
        raise ConflictError(
            f"Experiment '{name}' has its trials started by a controller, and gives none to workers",
            remedy="Write `scheduler: workers` in the spec of a new one",
            kind="not-for-workers",
        )
    board = Board(home.experiment(name))
    if row.state.final:
        board.leave(worker)
        return Suggestion(kind="ended", detail=f"The search has ended ({row.state}). {row.detail}".strip())
    try:
        home.claim(name)
        while (lease := board.ask(worker)) is not None:
            trial = store.trial(name, lease.trial)
            if (trial.state, trial.attempt, trial.identity) == (TrialState.RUNNING, lease.attempt, lease.identity):
                return Suggestion(kind="trial", trial=_trial(home, row, trial, lease))
            board.give_up(worker, lease)  # of an attempt that has ended on record, and not yet in its folder
    except OSError as error:
        raise DataError(f"it can't be written ({error.strerror})", field=str(board.folder)) from None
    return Suggestion(kind="wait", detail=_why(row))


def _why(row: ExperimentRow) -> str:
    if row.state is ExperimentState.PAUSED:
        return "The search is paused."
    if row.state is ExperimentState.STOPPING:
        return "The search is about to end."
    return "There is no trial to be had just now."


def _trial(home: Home, row: ExperimentRow, trial: TrialRow, lease: Lease) -> SuggestedTrial:
    key = AttemptKey(row.name, lease.trial, lease.attempt)
    proposal = Proposal(trial.number, trial.parameters, trial.origin, trial.fidelity, trial.resume_from)
    spec = recorded_spec(home, row)
    fidelity, sampling = shares(spec, proposal)
    return SuggestedTrial(
        experiment=row.name,
        number=lease.trial,
        attempt=lease.attempt,
        parameters=dict(trial.parameters),
        fidelity=fidelity,
        sampling=sampling,
        resume_from=trial.resume_from,
        lease_seconds=spec.worker_lease.total_seconds(),
        credential=derive(home, key, lease.identity),
    )


class WaitingRoom:
    """What is to be known of an experiment while its workers wait for it to have a trial for them."""

    def __init__(self, store: Store, home: Home, name: str) -> None:
        """Take the experiment by its full name."""
        self._store, self._name = store, name
        self._board = Board(home.experiment(name))

    def offers(self) -> int:
        """Return how many trials can be had now: next to no work."""
        return len(self._board.offers())

    def has_ended(self, waiting: list[str]) -> bool:
        """Take note that workers still wait, and return whether the search has ended; raise `StoreError`."""
        self._board.keep_waiting(waiting)
        return self._store.experiment(self._name).state.final


def heartbeat(store: Store, home: Home, key: AttemptKey) -> Heard:
    """Take note that the worker of an attempt lives; raise `ConflictError` if the attempt does not run."""
    folder = running_folder(store, home, key)
    leases.touch(folder)
    return Heard(should_stop=_should_stop(folder))


def add_log(store: Store, home: Home, key: AttemptKey, offset: int, data: bytes) -> LogTaken:
    """Append to the log of an attempt that runs; see `WorkerVerbs.add_log`."""
    if offset < 0:
        raise SpecError("offset", f"{offset} is negative", "Give 0 or more")
    if len(data) > LOG_PIECE:
        raise SpecError("data", f"it has {len(data):,} bytes", f"Send {LOG_PIECE:,} at once at most")
    folder = _leased_folder(store, home, key)
    try:
        size = leases.append_log(folder, offset, data)
    except WrongOffset as error:
        raise ConflictError(
            f"the log of attempt {key.attempt} at trial {key.trial} has {error.size} bytes; this begins at {offset}",
            remedy="Send what follows on those",
            kind="wrong-offset",
            size=error.size,
        ) from None
    except OSError as error:
        raise DataError(f"the log can't be written ({error.strerror})", field=str(folder)) from None
    leases.touch(folder)
    return LogTaken(size_bytes=size, should_stop=_should_stop(folder))


def parsed_completion(told: Mapping[str, Any]) -> Completion:
    """Return the end of an attempt as it was told; raise `SpecError` for what is none."""
    try:
        return Completion.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise SpecError(field, str(first["msg"]).lower(), "See what `complete` takes", first["input"]) from None


def complete(store: Store, home: Home, key: AttemptKey, completion: Completion) -> None:
    """Write the end of an attempt, once; see `WorkerVerbs.complete`."""
    mark = hashlib.sha256(completion.model_dump_json().encode()).hexdigest()
    if _is_told(store, home, key, mark):
        return
    folder = _leased_folder(store, home, key)
    metrics = dict(completion.metrics)
    if completion.value is not None:
        metrics[store.experiment(key.experiment).spec["objective"]["metric"]] = completion.value
    try:
        with leases.living(folder) as reports:
            if reports is not None:
                if metrics and not completion.handed_back:
                    line = files.report_line(None, metrics, time.time(), sending=mark)
                    files.append_durably(reports, folder, line, mark.encode())
                records.write_exit(folder, _exit(folder, completion), mark)
                return
    except OSError as error:
        raise DataError(f"its end can't be written ({error.strerror})", field=str(folder)) from None
    if records.mark_of_exit(folder) != mark:
        raise over(key)


def _is_told(store: Store, home: Home, key: AttemptKey, mark: str) -> bool:
    """Whether an attempt, which may not run any more, has this very end already."""
    known = (one.identity for one in store.attempts(key.experiment, key.trial) if one.attempt == key.attempt)
    folders = ((home.attempt(key, identity), identity) for identity in known)
    return any(
        records.identity_of(folder) == identity and records.mark_of_exit(folder) == mark for folder, identity in folders
    )


def _exit(folder: Path, completion: Completion) -> Exit:
    now, since = time.time(), leases.taken_at(folder)
    # Whatever the worker says of an end that it was asked for: it may just obey.
    stopped = completion.handed_back or _should_stop(folder)
    return Exit(
        cause=None if stopped or completion.cause is None else Cause(completion.cause),
        detail="" if stopped else completion.message,
        exit_code=completion.exit_code,
        stopped=stopped,
        started_at=since,
        ended_at=now,
        duration_seconds=None if since is None else max(0.0, now - since),
    )


def workers(home: Home, name: str) -> tuple[Worker, ...]:
    """Return the workers of an experiment by name."""
    return tuple(
        Worker(
            name=one.name,
            trial=None if one.lease is None else one.lease.trial,
            attempt=None if one.lease is None else one.lease.attempt,
            heard_at=moment(one.heard_at),
        )
        for one in Board(home.experiment(name)).workers()
    )


def worker_of(home: Home, name: str, trial: TrialRow) -> str | None:
    """Return what the worker of the latest attempt at a trial calls itself; None: no worker has taken it."""
    if not trial.attempt or trial.identity is None:
        return None
    return leases.worker_of(home.attempt(AttemptKey(name, trial.number, trial.attempt), trial.identity))


def _leased_folder(store: Store, home: Home, key: AttemptKey) -> Path:
    """Return the folder of an attempt that runs and that a worker has."""
    folder = running_folder(store, home, key)
    if leases.worker_of(folder) is None:
        raise over(key)
    return folder


def _should_stop(folder: Path) -> bool:
    return (folder / files.STOP).exists()


def _check_worker(worker: str) -> None:
    if not worker.strip() or len(worker) > _LONGEST_NAME or not worker.isprintable() or not is_text(worker):
        problem = "it is no name for a worker"
        raise SpecError("worker", problem, f"Give 1 to {_LONGEST_NAME} characters that can be printed", worker[:300])
