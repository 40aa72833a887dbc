"""Training the trials of a search in a program of one's own: a loop over trials, which report as everywhere."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tunewell.service.types import GivenReport, SuggestedTrial, WorkerCause
from tunewell.spec.errors import ConflictError, UserError
from tunewell.trial.trial import CAUSES, Failed, Pruned, Trial, made

if TYPE_CHECKING:
    from tunewell.client.client import Client

#: Signs of life in the time of a lease.
_SIGNS = 6
_LONGEST_MESSAGE = 2000


class RemoteTrial(Trial):
    """A trial that this program trains for a service: `with trial:` around the training begins and ends it.

    Meanwhile a thread shows that the program lives. What ends the block ends the trial: its end; `Pruned`, which
    `report` raises when the trial is asked to end; an error, which is printed, and told with its cause. Only what is
    no `Exception`, such as Ctrl-C, goes on: the trial is handed back then, and somebody else gets it.
    """

    def __init__(self, client: Client, given: SuggestedTrial) -> None:
        """Train what a worker was given."""
        super().__init__(given.number, dict(given.parameters), given.fidelity, given.sampling)
        #: Which attempt at the trial it is, and the trial whose checkpoint it is to go on from, if any.
        self.attempt, self.resume_from = given.attempt, given.resume_from
        self._client = client
        self._about = (given.experiment, given.number, given.attempt)
        self._pause = given.lease_seconds / _SIGNS
        self._step = 0
        self._should_stop = False
        self._over = threading.Event()
        self._life = threading.Thread(target=self._show_life, daemon=True)
        self._failure: tuple[WorkerCause, str] | None = None

    @property
    def should_stop(self) -> bool:
        """Whether it is asked to end."""
        return self._should_stop

    @property
    def checkpoint_dir(self) -> Path:
        """`tunewell-worker/NUMBER/checkpoint`, here: a trial that goes on finds what an earlier attempt here left."""
        return made("tunewell-worker", str(self.number), "checkpoint")

    @property
    def output_dir(self) -> Path:
        """`tunewell-worker/NUMBER/artifacts`, here."""
        return made("tunewell-worker", str(self.number), "artifacts")

    def __enter__(self) -> Self:
        self._life.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del kind, trace
        self._over.set()
        self._life.join()
        with suppress(ConflictError):  # it was taken back
            if error is None or isinstance(error, Pruned):
                self._client.complete(*self._about)
            elif isinstance(error, Failed) and self._failure is not None:
                cause, message = self._failure
                self._client.complete(*self._about, cause=cause, message=message)
            elif isinstance(error, Exception):
                traceback.print_exception(error, file=sys.stderr)
                message = f"{type(error).__name__}: {error}"
                self._client.complete(*self._about, cause=_cause(error), message=message[:_LONGEST_MESSAGE])
            else:
                self._client.complete(*self._about, handed_back=True)
        return error is None or isinstance(error, Exception | Failed)

    def _show_life(self) -> None:
        while not self._over.wait(self._pause):
            try:
                self._should_stop |= self._client.heartbeat(*self._about).should_stop
            except ConflictError:
                self._should_stop = True
            except UserError:  # away just now
                pass

    def _last_step(self) -> int:
        return self._step

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        del note  # a service takes none
        report = GivenReport(step=step, metrics=metrics, time=datetime.now(UTC))
        try:
            taken = self._client.add_reports(*self._about, [report])
        except ConflictError as error:
            raise Pruned(str(error)) from None
        self._step = step
        self._should_stop |= taken.should_stop

    def _note_failure(self, cause: str, message: str) -> None:
        assert cause in CAUSES
        self._failure = (cause, message[:_LONGEST_MESSAGE])  # type: ignore[assignment]


def trials_for(client: Client, name: str, worker: str) -> Iterator[RemoteTrial]:
    """Yield the trials that a worker is given, one after the other, until the search has ended."""
    while (asked := client.suggest(name, worker)).kind != "ended":
        if asked.trial is not None:
            yield RemoteTrial(client, asked.trial)


def _cause(error: Exception) -> WorkerCause:
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return "host_oom"
    return "gpu_oom" if "out of memory" in text and ("cuda" in text or "gpu" in text) else "crashed"
