"""The verbs of workers: programs elsewhere that ask for the trials of a search with `scheduler: workers`.

None of them takes a key: what is sent again does nothing more. A worker that asks again gets what it has; a piece of a
log has its place; an end is the same end. What comes of an attempt that has ended changes nothing, and raises
`ConflictError` of kind `attempt-over`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tunewell.service.types import Heard, LogTaken, Suggestion, Worker, WorkerCause

#: Longest time in seconds that a worker may wait for a trial in one call, and what it waits where nothing is said.
LONGEST_WAIT, WAIT = 60.0, 20.0
#: Bytes of a piece of a log, at most.
LOG_PIECE = 1 << 20


class WorkerVerbs(Protocol):
    """See `tunewell.service.verbs.Verbs`."""

    def suggest(self, name: str, worker: str, *, wait: float = WAIT) -> Suggestion:
        """Return a trial for a worker, which it has until it completes it, or is not heard from for too long.

        A worker that has one gets that again, however often it asks: it may have died, or its answer been lost.

        Args:
            name: the experiment.
            worker: what the worker calls itself; no two may call themselves the same.
            wait: seconds to wait for a trial, 60 at most.

        Raises:
            ConflictError: the search is not for workers (kind `not-for-workers`).
        """

    def heartbeat(self, name: str, number: int, attempt: int) -> Heard:
        """Take note that the worker of an attempt lives; a report says so, too."""

    def add_log(self, name: str, number: int, attempt: int, offset: int, data: bytes) -> LogTaken:
        """Append what the program of an attempt has printed to its log, of which `offset` bytes are known to be there.

        Raises:
            ConflictError: fewer bytes are there (kind `wrong-offset`); the fact `size` says how many.
        """

    def complete(  # noqa: PLR0913 - each is a thing that people choose by name
        self,
        name: str,
        number: int,
        attempt: int,
        value: float | None = None,
        *,
        metrics: Mapping[str, float] | None = None,
        cause: WorkerCause | None = None,
        message: str = "",
        exit_code: int | None = None,
        handed_back: bool = False,
    ) -> None:
        """End an attempt. What was reported before counts; once this is answered, it is on the disk.

        Args:
            name: the experiment.
            number: of the trial.
            attempt: at the trial.
            value: the objective, the same as a last report of it.
            metrics: a last report.
            cause: why it failed; None: it did not.
            message: one line for people about that.
            exit_code: of the program, if there was one.
            handed_back: whether the worker just ends, and somebody else is to train the trial; that costs no attempt.
        """

    def workers(self, name: str) -> tuple[Worker, ...]:
        """Return the workers of an experiment that have a trial, or were heard from within an hour, by name."""
