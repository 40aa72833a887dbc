"""One job under way: its parts, one after the other, each an attempt that the scheduler runs."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tunewell.controller.attempts import holds_checkpoint, prepare_folder
from tunewell.controller.background import Calls, Direct
from tunewell.controller.fair import Party
from tunewell.controller.job_kinds import Conclusion, Context, Finding, JobKind, NewJob, Part
from tunewell.controller.journal import Journal
from tunewell.controller.losses import Losses
from tunewell.controller.room import Turn
from tunewell.controller.sequence import Sequence as Reports
from tunewell.controller.staging import clear_staged, make_way, staged_folder
from tunewell.controller.surroundings import Ownership, Place, Surroundings
from tunewell.controller.waits import Waits
from tunewell.schedulers.records import not_started
from tunewell.spec.errors import DataError, UserError
from tunewell.spec.launch import Ended, Event, Exit, JobKey, Launch, Refused, Reported, Resources, WorkKey
from tunewell.spec.names import CONTROLLER, HOME_OWNER, is_user_name, owner_of
from tunewell.spec.states import LOST_CAUSES, Cause, JobState
from tunewell.store.dialect import StoreError
from tunewell.store.queries.visible import OF_CALLERS
from tunewell.store.rows import EventRow, JobEnd, JobRow
from tunewell.store.transaction import Transaction
from tunewell.trial.files import write_json

log = logging.getLogger(__name__)

#: Tries in a row of a job whose machine or process went away, none of which got further than those before.
MOST_ATTEMPTS = 3
#: What a job that is stopped has to end by itself, in seconds.
GRACE_SECONDS = 2.0
#: Wait before a job that the scheduler had no room for, or the disk, is offered again.
RETRY_SECONDS = 0.5


@dataclass(slots=True)
class _Attempt:
    launch: Launch
    watched_from: float
    reports: Reports
    asked_to_end: str | None = None


class JobRun:
    """A job that this controller owns."""

    def __init__(
        self,
        surroundings: Surroundings,
        place: Place,
        owned: Ownership,
        row: JobRow,
        party: Party,
        events: Iterable[EventRow],
    ) -> None:
        """Take over a job that is on record; `begin` sets it going.

        Args:
            surroundings: what it shares with others.
            place: where it runs.
            owned: what says that this process owns it.
            row: its record.
            party: for whom it runs.
            events: what its attempts have come to so far, in order.
        """
        self.row = row
        self.term = owned.term
        self.scheduler = place.scheduler
        self.journal = Journal()
        self.done = False
        #: What its next part takes; None while that is not known.
        self.needs: Resources | None = Resources.from_json(row.resources) if row.resources else None
        self.party = party
        #: Why its next part is not started just now.
        self.waits = Waits(surroundings.clock, surroundings.monotonic)
        #: What kept the store from being read, if that is why it can't go on as it is.
        self.unread: StoreError | None = None
        self._owned = owned
        self._context = Context(surroundings.store, surroundings.home, place.scheduler.capacity(), row)
        self._kinds = surroundings.kinds
        self._place = place
        self._owner = surroundings.background.owner(row.id, self.fail)
        self._calls: Calls = Direct() if surroundings.waits else self._owner
        self._clock, self._monotonic = surroundings.clock, surroundings.monotonic
        self._parts: Sequence[Part] | None = None
        self._part = row.part
        self._attempt = row.attempt
        self._folders: list[Path] = []
        self._losses = Losses()
        for event in events:
            self._take_note(event)
        self._running: _Attempt | None = None
        #: Whether an attempt that an earlier controller has started is on record as running, and is not followed yet.
        self._forsaken = row.state is JobState.RUNNING
        self._staging = False
        self._retry_at = 0.0

    def _take_note(self, event: EventRow) -> None:
        """Take note of what an earlier controller has put on record."""
        if event.kind == "lost":
            cause = event.data.get("cause")
            if cause is not None:  # else it was interrupted, or not started
                self._losses.note(event.data.get("last_step"), cause in LOST_CAUSES)
        elif event.kind in ("part", "retried"):
            self._losses = Losses()
        if event.kind == "part":
            self._folders.append(self._context.home.job(self.id) / str(event.attempt))

    @property
    def id(self) -> int:
        """Number of the job."""
        return self.row.id

    @property
    def key(self) -> str | int:
        """What its slow calls are known by."""
        return self.id

    @property
    def owned(self) -> bool:
        """Whether this process still owns it."""
        return self._owned.lease.held

    @property
    def running_keys(self) -> list[WorkKey]:
        """The attempt that runs, if one does."""
        return [] if self._running is None else [self._running.launch.key]

    @property
    def problem(self) -> str:
        """What keeps it from going on; jobs say so in their rows."""
        return ""

    @property
    def held(self) -> int:
        """How many attempts run, or are about to."""
        return int(self.at_work or self._forsaken)

    @property
    def at_work(self) -> bool:
        """Whether anything of it runs."""
        return self._running is not None or self._staging

    @property
    def _kind(self) -> JobKind:
        if self.row.kind not in self._kinds:
            raise UserError(f"this version knows no jobs of the kind '{self.row.kind}'")
        return self._kinds[self.row.kind]

    def begin(self) -> None:
        """Find out what is to be run, and what became of an attempt that was running."""
        self._calls.make(partial(self._kind.parts, self._context), self._on_parts)

    def _on_parts(self, parts: Sequence[Part]) -> None:
        if self.done:
            return
        if parts and self._part >= len(parts):
            raise DataError(f"{self._part} of its parts are done, and it has only {len(parts)}")
        self._parts = parts
        self.needs = parts[self._part].resources if parts else None
        self._follow()
        if not parts:
            self._end_process()
            self._calls.make(partial(self._conclude, ()), partial(self._on_conclusion, None))

    def _follow(self) -> None:
        """Follow what an earlier controller has started, even if it can't be said what it is."""
        if not self._forsaken:
            return
        self._forsaken = False
        identity, key = self.row.identity or "", JobKey(self.id, self._attempt)
        launch = Launch(key, self._context.home.job(self.id) / str(self._attempt), identity)
        if self._parts:
            launch = self._launch(self._attempt, identity)
        self._running = _Attempt(launch, self._monotonic(), Reports(""))
        self.scheduler.reconcile([launch])

    def _end_process(self) -> None:
        """End what runs of it, whatever it would have brought."""
        if self._running is not None:
            self.scheduler.stop(self._running.launch.key, 0.0)

    def start_next(self) -> Turn:
        """Start the next part, if there is room for it."""
        waits = self._parts and self._running is None and not self._staging and not self.done
        if not waits or self._monotonic() < self._retry_at:
            self.waits.reason = None
            return Turn.NOTHING
        launch = self._launch(self._attempt + 1, uuid.uuid4().hex)
        self.waits.reason = reason = self._place.refusal(self.party, launch.resources)
        if reason is not None:
            return Turn.NO_ROOM if reason.code == "no_room" else Turn.LIMITED
        self._place.room.take(launch.key, launch.resources)
        self._staging = True
        self._calls.make(partial(self._stage, launch), partial(self._on_staged, launch))
        return Turn.STARTED

    def note_wait(self) -> None:
        """Have it put on record why its next part is not started, where that has changed."""
        if not self.done and not self.at_work and (news := self.waits.news()) is not None:
            self.journal.add(lambda tx: tx.set_job_wait(self.id, *news))

    def _launch(self, attempt: int, identity: str) -> Launch:
        assert self._parts is not None
        folder, part = self._context.home.job(self.id) / str(attempt), self._parts[self._part]
        launch = part.launch(folder, attempt)
        key = JobKey(self.id, attempt)
        return replace(launch, key=key, folder=folder, identity=identity, resources=part.resources)

    def _stage(self, launch: Launch) -> OSError | None:
        """Prepare the folder of an attempt beside its place, with its arguments and the checkpoint to go on from."""
        assert self._parts is not None
        folder = staged_folder(launch)
        try:
            make_way(self._context.home, launch, partial(self._context.store.job_has_attempt, self.id))
            clear_staged(launch)
            prepare_folder(folder, launch, self._checkpoint())
            write_json(folder / "job.json", dict(self._parts[self._part].arguments))
        except OSError as error:
            return error
        return None

    def _checkpoint(self) -> Path | None:
        """Return the newest checkpoint of the attempts at this part that were lost, or else that of the part before."""
        place = self._context.home.job(self.id)
        first = int(self._folders[-1].name) if self._folders else 1
        folders = (place / str(attempt) / "checkpoint" for attempt in range(self._attempt, first - 1, -1))
        return next(filter(holds_checkpoint, folders), None)

    def _on_staged(self, launch: Launch, problem: OSError | None) -> None:
        self._staging = False
        if problem is not None or self.done:
            self._place.room.give_back(launch.key)
            self._retry_at = self._monotonic() + RETRY_SECONDS
            return
        self._attempt += 1
        self._running = _Attempt(launch, self._monotonic(), Reports(launch.metric))
        attempt, identity, now, host = self._attempt, launch.identity, self._clock(), self.scheduler.host
        self.journal.add(
            lambda tx: tx.start_job(self.id, attempt, identity, now, host, launch.resources.to_json()),
            partial(self._carry_out_start, launch),
        )

    def _carry_out_start(self, launch: Launch) -> None:
        self._place.room.give_back(launch.key)
        try:
            staged_folder(launch).rename(launch.folder)
            self.scheduler.submit(launch)
        except OSError as error:
            self.on_event(Ended(launch.key, not_started(error)))

    # Events -----------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take note of progress or an end."""
        running = self._running
        if running is None or running.launch.key != event.key:
            return
        if isinstance(event, Reported):
            self._on_report(running, event)
        elif isinstance(event, Refused):
            self._lose(running, Exit(duration_seconds=0.0), None, event.reason)
        elif isinstance(event, Ended):
            self._on_end(running, event.exit)

    def _on_report(self, running: _Attempt, event: Reported) -> None:
        report = running.reports.place(event.report)
        progress, attempt = {"step": float(report.step), **report.metrics}, self._attempt
        self.journal.add(lambda tx: tx.report_job(self.id, progress, attempt=attempt))
        enough = self._parts is not None and self._parts[self._part].until_first_report
        if enough and running.asked_to_end is None:
            running.asked_to_end = "enough"
            self.scheduler.stop(running.launch.key, GRACE_SECONDS)

    def _on_end(self, running: _Attempt, exit_: Exit) -> None:
        if running.asked_to_end == "stopped":
            self._finish(JobState.STOPPED, None, "It was stopped on request.", exit_=exit_)
        elif running.asked_to_end == "enough" and (exit_.stopped or exit_.cause is None):
            self._on_part_done(running, exit_)
        elif exit_.stopped:  # by an interruption, or by a controller that is gone
            self._lose(running, exit_, None, "It was interrupted.")
            self.done = running.asked_to_end == "interrupted"
        elif exit_.cause is not None:
            was_lost = exit_.cause in LOST_CAUSES
            self._losses.note(running.reports.last_step, was_lost)
            if was_lost and self._losses.allow_another(MOST_ATTEMPTS):
                self._lose(running, exit_, exit_.cause, exit_.detail)
            else:
                self._finish(JobState.FAILED, exit_.cause, exit_.detail, exit_=exit_)
        else:
            self._on_part_done(running, exit_)

    def _on_part_done(self, running: _Attempt, exit_: Exit) -> None:
        assert self._parts
        self._folders.append(running.launch.folder)
        if len(self._folders) < len(self._parts):
            self._running = None
            self._losses = Losses()
            self._part += 1
            self.needs = self._parts[self._part].resources
            part, attempt, seconds = self._part, self._attempt, exit_.duration_seconds or 0.0
            now = self._clock()
            self._record_end(
                running,
                seconds,
                lambda tx: tx.next_part(self.id, part, attempt=attempt, seconds=seconds, now=now),
            )
            return
        call = partial(self._conclude, tuple(self._folders))
        self._calls.make(call, partial(self._on_conclusion, exit_))

    def _conclude(self, folders: Sequence[Path]) -> tuple[Conclusion, list[str | None]]:
        conclusion = self._kind.conclude(self._context, folders)
        return conclusion, [checksum(finding.file) if finding.file else None for finding in conclusion.findings]

    def _on_conclusion(self, exit_: Exit | None, found: tuple[Conclusion, list[str | None]]) -> None:
        conclusion, checksums = found
        findings = list(zip(conclusion.findings, checksums, strict=True))

        def record(tx: Transaction) -> None:
            for finding, sha256 in findings:
                self._record(tx, finding, sha256)
            self._add_jobs(tx, conclusion.jobs)
            # What a caller's data say is in the job alone, which nobody else sees.
            is_shared = self.row.kind not in OF_CALLERS
            if conclusion.notes and self.row.experiment is not None and is_shared:
                tx.add_notes(self.row.experiment, list(conclusion.notes))

        self._finish(JobState.SUCCEEDED, None, "", conclusion, record, exit_)

    def _add_jobs(self, tx: Transaction, jobs: Sequence[NewJob]) -> None:
        asked, caller = {(new.kind, frozenset(new.unless)) for new in jobs if new.unless}, brought_about_by(self.id)
        known = {
            (kind, states): list(tx.job_arguments(kind, self.row.experiment, states).values()) for kind, states in asked
        }
        for new in jobs:
            arguments = dict(new.arguments)
            if arguments not in known.get((new.kind, frozenset(new.unless)), ()):
                tx.add_job(new.kind, self.row.experiment, arguments, caller, now=self._clock())

    def _record(self, tx: Transaction, finding: Finding, sha256: str | None) -> None:
        assert self.row.experiment is not None
        file = None
        if finding.file is not None:
            file = str(finding.file.relative_to(self._context.home.folder))
        tx.add_result(
            self.row.experiment,
            finding.kind,
            finding.trial,
            finding.attempt,
            dict(finding.data),
            file=file,
            sha256=sha256,
            job=self.id,
            now=self._clock(),
        )

    def _lose(self, running: _Attempt, exit_: Exit, cause: Cause | None, detail: str) -> None:
        self._running = None
        self._retry_at = self._monotonic() + RETRY_SECONDS
        attempt, now = self._attempt, self._clock()
        seconds = exit_.duration_seconds
        if seconds is None:
            seconds = self._monotonic() - running.watched_from
        spent, last_step = seconds, running.reports.last_step
        self._record_end(running, spent, lambda tx: tx.lose_job(self.id, attempt, cause, detail, spent, now, last_step))

    def _record_end(self, running: _Attempt, seconds: float, record: Callable[[Transaction], None]) -> None:
        """Have it put on record that an attempt has ended, and what it has used."""
        resources, now = running.launch.resources, self._clock()
        used = (seconds * resources.cpus, seconds * resources.gpus)
        self._place.ledger.spend(self.party.user, *used)

        def write(tx: Transaction) -> None:
            record(tx)
            tx.add_use(self.party.user, self.row.experiment, *used, now)

        self.journal.add(write)

    def _finish(
        self,
        state: JobState,
        cause: Cause | None,
        detail: str,
        conclusion: Conclusion | None = None,
        record: Callable[[Transaction], None] = lambda tx: None,
        exit_: Exit | None = None,
    ) -> None:
        exit_ = exit_ or Exit(duration_seconds=0.0)
        about = {"experiment": self.row.experiment} if self.row.experiment is not None else {}
        log.info("job %d has ended", self.id, extra={**about, "job": self.id, "state": state.value})
        end = JobEnd(
            state=state,
            cause=cause,
            detail=detail,
            notes=(*(conclusion.notes if conclusion else ()), *exit_.notes),
            result=dict(conclusion.result) if conclusion else {},
            seconds=exit_.duration_seconds or 0.0,
            peak_memory_bytes=exit_.peak_memory_bytes,
            now=self._clock(),
        )
        attempt = self._attempt
        running, self._running = self._running, None

        def write(tx: Transaction) -> None:
            if running is None:
                tx.end_waiting_job(self.id, end)
            else:
                tx.finish_job(self.id, attempt, end)
            record(tx)

        if running is None:
            self.journal.add(write)
        else:
            self._record_end(running, end.seconds, write)
        self.done = True

    # From outside -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End it for good."""
        self._follow()
        if self._running is None:
            if not self.done:
                self._finish(JobState.STOPPED, None, "It was stopped before it began.")
            return
        if self._running.asked_to_end == "stopped":
            return
        self._running.asked_to_end = "stopped"
        self.scheduler.stop(self._running.launch.key, GRACE_SECONDS)

    def interrupt(self, grace_seconds: float | None = None) -> None:
        """End what runs, so that the job waits for the next controller."""
        if self._running is None:
            self.done = True
        elif self._running.asked_to_end is None:
            self._running.asked_to_end = "interrupted"
            self.scheduler.stop(self._running.launch.key, GRACE_SECONDS if grace_seconds is None else grace_seconds)

    def fail(self, error: BaseException) -> None:
        """End it as failed, with what went wrong in this process; where the store could not be read, begin again."""
        if isinstance(error, StoreError):
            self.unread = error
            return
        self._follow()
        self._end_process()
        self._finish(JobState.FAILED, *_reason(error))

    def give_up(self, error: BaseException) -> None:
        """End it although what it had to record can't be recorded."""
        self._end_process()
        self._running = None
        self.journal.entries.clear()
        row, (cause, detail) = self._context.store.job(self.id), _reason(error)
        end = JobEnd(JobState.FAILED, cause=cause, detail=detail, now=self._clock())
        if row.state is JobState.RUNNING:
            self.journal.add(lambda tx: tx.finish_job(self.id, row.attempt, end))
        elif row.state is JobState.WAITING:
            self.journal.add(lambda tx: tx.end_waiting_job(self.id, end))
        self.done = True

    def close(self) -> None:
        """Let go of it."""
        self._place.room.leave(self.key)
        self._owner.close()
        self._owned.lock.close()


def _reason(error: BaseException) -> tuple[Cause, str]:
    """Return why a job has failed of which this process could not do its part."""
    if isinstance(error, UserError):
        return Cause.DATA_ERROR, str(error)
    return Cause.CRASHED, f"{type(error).__name__}: {error}"


def brought_about_by(job: int) -> str:
    """Return the caller on record of a job that another one has brought about."""
    return f"job {job}"


def owner_of_job(job: JobRow) -> str:
    """Return the user for whom a job runs: the owner of its experiment, or else who asked for it."""
    if job.experiment is not None:
        return owner_of(job.experiment)
    return job.caller if is_user_name(job.caller) else HOME_OWNER


def belongs_to_search(job: JobRow) -> bool:
    """Whether a job was recorded by the controller of a search, and not asked for by somebody."""
    return job.caller == CONTROLLER or job.caller.startswith(brought_about_by(0)[:-1])


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's file names and contents in their order."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())
    for file in files:
        if file != path:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
