"""How a step of the controller gets on record: one transaction for all that it concerns, then what follows from it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from tunewell.controller.experiment_run import ExperimentRun
from tunewell.controller.journal import Effect
from tunewell.controller.lines import Run
from tunewell.spec.errors import TermOver, UserError
from tunewell.store.errors import Moved, StoreError
from tunewell.store.store import Store

log = logging.getLogger(__name__)

#: Wait before the store is tried again after it refused to write (a full disk, say).
RETRY_SECONDS = 2.0


@dataclass(slots=True)
class StoreProblems:
    """What keeps the store from being read and from being written just now, for people; empty: nothing does."""

    reading: str = ""
    writing: str = ""

    def __str__(self) -> str:
        return self.writing or self.reading

    def knows(self, error: UserError) -> bool:
        """Whether an error was told already."""
        return str(error) in (self.writing, self.reading)


class Recorder:
    """Writes what experiments and jobs have in their journals, and has the effects of it carried out after that."""

    def __init__(
        self,
        store: Store,
        problems: StoreProblems,
        monotonic: Callable[[], float],
        guarded: Callable[[Run, Callable[[], object]], None],
    ) -> None:
        """Record nothing yet.

        Args:
            store: what is written.
            problems: where it is noted what keeps it from being written.
            monotonic: seconds, from whenever.
            guarded: makes a call for one experiment or job, whose failure is its own.
        """
        self._store = store
        self._problems = problems
        self._monotonic = monotonic
        self._guarded = guarded
        self._hold_until = 0.0
        self._unanswered: _Written | None = None
        #: When something was recorded last.
        self.recorded_at = monotonic()

    def record(self, touched: Collection[Run]) -> list[Run]:
        """Record what there is to be recorded of some; return those whose record turned out to differ from memory.

        While the store can't be written, everything waits.

        Raises:
            TermOver: another controller has taken one of them over; nothing was written.
        """
        if self._monotonic() < self._hold_until:
            return []
        if self._unanswered is not None:
            differing = self._settle(self._unanswered)
            if differing or self._unanswered is not None:
                return differing
        for run in touched:
            run.note_wait()
        runs = [run for run in touched if run.journal.entries or time_is_due(run)]
        if not runs:
            self._problems.writing = ""
            return []
        written = _Written(uuid.uuid4().hex)
        try:
            self._write(runs, written)
        except (TermOver, Moved):
            raise
        except Exception as error:
            if written.writing is not None and not isinstance(error, StoreError):
                self._guarded(written.writing, partial(written.writing.give_up, error))
            elif isinstance(error, UserError):
                self._unanswered = written
                self._hold(error)
            else:
                raise
            return []
        self._problems.writing = ""
        self.recorded_at = self._monotonic()
        return self._carry_out(written)

    def _write(self, runs: list[Run], written: _Written) -> None:
        with self._store.transaction() as tx:
            for run in runs:
                written.writing = run
                if not run.owned:
                    raise term_over(run)
                if isinstance(run, ExperimentRun):
                    tx.name_term(run.name, run.term, written.mark)
                else:
                    tx.name_job_term(run.id, run.term, written.mark)
                effects = run.journal.write(tx)
                seconds = run.unrecorded_seconds if isinstance(run, ExperimentRun) and run.time_is_due else 0.0
                if isinstance(run, ExperimentRun) and seconds:
                    tx.add_elapsed(run.name, seconds)
                written.parts[run] = _Part(len(run.journal.entries), effects, seconds)
            written.writing = None

    def _carry_out(self, written: _Written) -> list[Run]:
        """Do what was announced, now that it is on record; return those whose record is another than expected."""
        for run, part in written.parts.items():
            run.journal.drop(part.entries)
            if isinstance(run, ExperimentRun):
                run.unrecorded_seconds -= part.seconds
        for run, part in written.parts.items():
            for effect in part.effects:
                self._guarded(run, effect)
        return [run for run in written.parts if run.journal.refusal]

    def _settle(self, written: _Written) -> list[Run]:
        """Find out whether a transaction whose answer was lost was committed, and carry it out if so."""
        try:
            committed = any(self._mark(run) == written.mark for run in written.parts)
        except UserError as error:
            self._hold(error)
            return []
        self._unanswered = None
        return self._carry_out(written) if committed else []

    def _mark(self, run: Run) -> str | None:
        row = self._store.experiment(run.name) if isinstance(run, ExperimentRun) else self._store.job(run.id)
        return row.mark

    def _hold(self, error: UserError) -> None:
        """Wait a while before the store is written again."""
        if not self._problems.knows(error):
            log.error("the store can't be used (%s); trying again", error)
        self._problems.writing = str(error)
        self._hold_until = self._monotonic() + RETRY_SECONDS


@dataclass(frozen=True, slots=True)
class _Part:
    """What one experiment or job had written in a transaction, and what was to be done after it."""

    entries: int
    effects: list[Effect]
    seconds: float


@dataclass(slots=True)
class _Written:
    """One transaction, which has a mark: so it can be found out whether it was committed."""

    mark: str
    #: Whose entries are just being written.
    writing: Run | None = None
    parts: dict[Run, _Part] = field(default_factory=dict)


def term_over(run: Run) -> TermOver:
    """Return what says that a controller no longer owns an experiment or a job."""
    return TermOver(experiment=run.name) if isinstance(run, ExperimentRun) else TermOver(job=run.id)


def time_is_due(run: Run) -> bool:
    """Whether the time that an experiment has taken is to be put on record."""
    return isinstance(run, ExperimentRun) and run.time_is_due
