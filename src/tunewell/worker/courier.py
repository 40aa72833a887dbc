"""What a worker tells the service of one attempt while it runs, and at its end: once each, over every cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from tunewell.client.client import Client
from tunewell.service.types import GivenReport, SuggestedTrial, WorkerCause
from tunewell.service.worker_verbs import LOG_PIECE
from tunewell.spec.errors import ConflictError
from tunewell.spec.launch import Exit, Report
from tunewell.spec.states import Cause
from tunewell.spec.text import clean
from tunewell.trial import files

#: Reports that are sent at once, and about how many characters, at most: the service takes a megabyte.
_AT_ONCE, _CHARACTERS_AT_ONCE = 500, 500_000
#: Of one report: metrics, characters of a name, and how far steps go. The service takes no more.
_MOST_METRICS, _LONGEST_NAME, _LARGEST_STEP = 200, 200, 2**53
#: Signs of life in the time of a lease.
_SIGNS = 6
_LONGEST_MESSAGE = 2000


class Courier:
    """Carries what one run of a program brings about to the service."""

    def __init__(self, client: Client, trial: SuggestedTrial, folder: Path, run: str) -> None:
        """Tell of the attempt that a worker was given, of a run of it in a folder; `run` tells it from others."""
        self._client, self._trial = client, trial
        self._about = (trial.experiment, trial.number, trial.attempt)
        self._log = folder / files.OUTPUT
        self._run = run
        self._reports: list[GivenReport] = []
        #: What is being sent, which stays the same until it is answered, and how many were before.
        self._batch: tuple[GivenReport, ...] = ()
        self._sent = 0
        #: How long the log of earlier runs is, and how much of this one is there; None: not known yet.
        self._before: int | None = None
        self._logged = 0
        self._spoke_at = 0.0
        #: Whether the attempt is asked to end, and whether it has ended for the service, whatever happens here.
        self.should_stop = False
        self.is_over = False

    def add(self, report: Report) -> None:
        """Have a report sent; what the service takes of no report is left out, or changed as it is in reports here."""
        metrics = {clean(name[:_LONGEST_NAME]) or "?": value for name, value in report.metrics.items()}
        kept = dict(list(metrics.items())[:_MOST_METRICS])
        step = report.step if abs(report.step) <= _LARGEST_STEP else None
        self._reports.append(GivenReport(step=step, metrics=kept, time=datetime.fromtimestamp(report.time, UTC)))

    def carry(self) -> bool:
        """Send what there is to be sent; return whether all of it has arrived. Raises `Unavailable`."""
        if self.is_over:
            return True
        try:
            return self._send_reports() and self._send_log() and self._show_life()
        except ConflictError as error:
            if error.kind == "wrong-offset":
                self._logged = max(0, int(error.facts["size"]) - (self._before or 0))
                return False
            self._note_over(error)
            return True

    def complete(self, exit_: Exit, handed_back: bool) -> bool:
        """Tell how the run has ended, all else having arrived; return True. Raises `Unavailable`."""
        cause: WorkerCause | None = None
        if exit_.cause is not None and exit_.cause is not Cause.NO_METRIC and not handed_back:
            cause = exit_.cause.value  # type: ignore[assignment]  # of the others
        message = exit_.detail[:_LONGEST_MESSAGE]
        return self._end(
            lambda: self._client.complete(
                *self._about, cause=cause, message=message, exit_code=exit_.exit_code, handed_back=handed_back
            )
        )

    def fail(self, cause: WorkerCause, message: str) -> bool:
        """Tell that the attempt could not begin; return True. Raises `Unavailable`."""
        return self._end(lambda: self._client.complete(*self._about, cause=cause, message=message[:_LONGEST_MESSAGE]))

    def _end(self, tell: Callable[[], None]) -> bool:
        if self.is_over:
            return True
        try:
            tell()
        except ConflictError as error:
            self._note_over(error)
        return True

    def _note_over(self, error: ConflictError) -> None:
        if error.kind != "attempt-over":
            raise error
        self.is_over = True

    def _send_reports(self) -> bool:
        while self._batch or self._reports:
            if not self._batch:
                self._batch = self._next_batch()
                self._reports = self._reports[len(self._batch) :]
            taken = self._client.add_reports(*self._about, self._batch, key=f"{self._run}-{self._sent}")
            self._sent, self._batch = self._sent + len(self._batch), ()
            self._note(taken.should_stop)
        return True

    def _next_batch(self) -> tuple[GivenReport, ...]:
        characters = accumulate(len(report.model_dump_json()) for report in self._reports[:_AT_ONCE])
        number = sum(total <= _CHARACTERS_AT_ONCE for total in characters)
        return tuple(self._reports[: max(1, number)])

    def _send_log(self) -> bool:
        if self._before is None:
            self._before = self._client.add_log(*self._about, 0, b"").size_bytes
        while data := self._printed():
            taken = self._client.add_log(*self._about, self._before + self._logged, data)
            self._logged += len(data)
            self._note(taken.should_stop)
        return True

    def _printed(self) -> bytes:
        try:
            with self._log.open("rb") as file:
                file.seek(self._logged)
                return file.read(LOG_PIECE)
        except FileNotFoundError:
            return b""

    def _show_life(self) -> bool:
        if time.monotonic() - self._spoke_at > self._trial.lease_seconds / _SIGNS:
            self._note(self._client.heartbeat(*self._about).should_stop)
        return True

    def _note(self, should_stop: bool) -> None:
        self._spoke_at = time.monotonic()
        self.should_stop |= should_stop
