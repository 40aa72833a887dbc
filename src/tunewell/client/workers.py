"""The verbs of workers, over HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from tunewell.client.requests import Asking, named
from tunewell.client.training import RemoteTrial, trials_for
from tunewell.service import types
from tunewell.service.types import Page
from tunewell.service.worker_verbs import WAIT

if TYPE_CHECKING:
    from tunewell.client.client import Client

_BYTES = {"Content-Type": "application/octet-stream"}


class WorkersClient(Asking):
    """See `WorkerVerbs`."""

    def trials_to_train(self, name: str, worker: str) -> Iterator[RemoteTrial]:
        """Yield the trials that a worker is given, one after the other, until the search has ended.

        Each is to be trained in a block `with trial:`; see `RemoteTrial`.

        Args:
            name: the experiment.
            worker: what the worker calls itself; no two may call themselves the same.
        """
        return trials_for(cast("Client", self), name, worker)

    def suggest(self, name: str, worker: str, *, wait: float = WAIT) -> types.Suggestion:
        body = {"worker": worker, "wait": wait}
        return self._command(types.Suggestion, "POST", f"/experiments/{named(name)}/suggestions", body, key=None)

    def heartbeat(self, name: str, number: int, attempt: int) -> types.Heard:
        return self._command(types.Heard, "POST", f"{_trial(name, number)}/heartbeat", key=None, attempt=attempt)

    def add_log(self, name: str, number: int, attempt: int, offset: int, data: bytes) -> types.LogTaken:
        path, params = f"{_trial(name, number)}/log", {"attempt": attempt, "offset": offset}
        response = self._connection.ask("POST", path, params=params, content=data, headers=_BYTES)
        return self._read(types.LogTaken, response)

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
        numbers = {name: _in_json(number) for name, number in (metrics or {}).items()}
        told = {"value": None if value is None else _in_json(value), "metrics": numbers}
        why = {"cause": cause, "message": message, "exit_code": exit_code, "handed_back": handed_back}
        body = {**told, **why}
        path = f"{_trial(name, number)}/complete"
        self._connection.command("POST", path, body, params={"attempt": attempt})

    def workers(self, name: str) -> tuple[types.Worker, ...]:
        return self._get(Page[types.Worker], f"/experiments/{named(name)}/workers").items


def _in_json(number: float) -> float | str:
    """Return a number as JSON has it, which knows no NaN and no infinities."""
    return number if math.isfinite(number) else str(float(number)).replace("inf", "Infinity").replace("nan", "NaN")


def _trial(name: str, number: int) -> str:
    return f"/experiments/{named(name)}/trials/{number}"
