"""Verbs of workers, carried out in this process."""

from __future__ import annotations

from collections.abc import Mapping

from tunewell import service
from tunewell.service import types
from tunewell.service.parts.part import Part
from tunewell.service.worker_verbs import WAIT
from tunewell.spec.launch import AttemptKey


class WorkersPart(Part):
    """See `tunewell.service.worker_verbs.WorkerVerbs`."""

    def suggest(self, name: str, worker: str, *, wait: float = WAIT) -> types.Suggestion:
        """See `WorkerVerbs.suggest`."""
        return service.working.suggest(self.store, self.home, self._rights.commanded(name), worker, wait)

    def heartbeat(self, name: str, number: int, attempt: int) -> types.Heard:
        """See `WorkerVerbs.heartbeat`."""
        return service.working.heartbeat(
            self.store, self.home, AttemptKey(self._rights.commanded(name), number, attempt)
        )

    def add_log(self, name: str, number: int, attempt: int, offset: int, data: bytes) -> types.LogTaken:
        """See `WorkerVerbs.add_log`."""
        about = AttemptKey(self._rights.commanded(name), number, attempt)
        return service.working.add_log(self.store, self.home, about, offset, data)

    def complete(  # noqa: PLR0913 - each is a thing that people choose by name
        self,
        name: str,
        number: int,
        attempt: int,
        value: float | None = None,
        *,
        metrics: Mapping[str, float] | None = None,
        cause: types.WorkerCause | None = None,
        message: str = "",
        exit_code: int | None = None,
        handed_back: bool = False,
    ) -> None:
        """See `WorkerVerbs.complete`."""
        about = AttemptKey(self._rights.commanded(name), number, attempt)
        told = {"value": value, "metrics": metrics or {}, "cause": cause, "message": message}
        completion = service.working.parsed_completion({**told, "exit_code": exit_code, "handed_back": handed_back})
        service.working.complete(self.store, self.home, about, completion)

    def workers(self, name: str) -> tuple[types.Worker, ...]:
        """See `WorkerVerbs.workers`."""
        return service.working.workers(self.home, self._rights.seen(name))
