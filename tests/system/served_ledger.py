"""The kill loop over `tunewell serve`: everything is asked over HTTP, and processes of the service are killed, too.

Meanwhile a client asks and changes something again and again. It may wait, but everything that it asks for is
answered in the end, and nothing that was answered is lost.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.postgres import free_port
from tests.system.ledger import (
    END_SECONDS,
    LEDGER,
    MOST_KILLS_OF_A_JOB,
    TRIALS,
    VICTIMS,
    Round,
    Victim,
)
from tunewell.client.client import Client
from tunewell.client.connection import Connection
from tunewell.service.service import Service
from tunewell.spec.states import OPEN_JOB_STATES

#: How long a client waits for an answer; a service that was killed takes seconds of computing to be there again.
CLIENT_SECONDS = 120.0


@dataclass
class ServedRound(Round):
    """Searches and jobs that a service is asked for, and that it runs."""

    served: bool = True
    #: How many requests were answered, and the longest that one took, in seconds.
    answered: int = field(default=0, init=False)
    longest_seconds: float = field(default=0.0, init=False)
    _wrong: list[str] = field(default_factory=list, init=False)
    _token: str = field(default="", init=False)
    _port: int = field(default=0, init=False)

    @property
    def victims(self) -> Sequence[Victim]:
        """All that can be hit."""
        return ("launcher", "worker", *VICTIMS, *(("connection",) if self.server is not None else ()))

    def check(self, suggested: Mapping[int, Any]) -> list[str]:
        """Return what is wrong with the ledger, and what clients have seen that they should not."""
        return [*super().check(suggested), *self._wrong]

    def _serve(self, generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Ask the service for everything while its processes are hit."""
        with self._service() as service:
            self._token = service.create_token("kill loop").secret
        self._port = free_port()
        place = [] if self.database is None else ["--database", self.database]
        serve = [sys.executable, "-m", "tunewell", "serve", "--home", str(self.home), *place]
        self._begin([*serve, "--port", str(self._port), "--workers", "2"])
        try:
            with self._client() as client:
                for search in TRIALS:
                    client.create(self._shipped(search))
                with self._asking():
                    self._kill_some(generator, kills, victims)
                    self._wait_for(lambda: all(client.experiment(search).state.final for search in TRIALS))
                    for search in TRIALS:
                        client.retrain(search)
                    for key in "ab":  # two who ask at once have the same trainings made
                        client.repeat_finalists(LEDGER, 1, key=key)
                    self._kill_some(generator, min(kills, MOST_KILLS_OF_A_JOB), victims)
                    self._wait_for(lambda: not client.jobs(states=OPEN_JOB_STATES).items)
        finally:
            self._end()

    def _shipped(self, search: str) -> dict[str, object]:
        """Return a spec without paths of its own on the server, which nobody elsewhere may name."""
        spec: dict[str, object] = json.loads((self.folder / f"{search}.yaml").read_text())
        folder = str(spec.pop("working_directory"))
        command = spec["command"]
        assert isinstance(command, list)
        return {**spec, "command": [f"{folder}/train.py" if part == "train.py" else part for part in command]}

    def _client(self) -> Client:
        return Client.over(Connection(f"http://127.0.0.1:{self._port}", self._token, patience=CLIENT_SECONDS))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Have a client ask and change things; note what it is not answered, and what of it is lost."""
        done, said = threading.Event(), [0]

        def ask() -> None:
            with self._client() as client:
                try:
                    while not done.is_set():
                        said[0] += 1
                        for act in (
                            lambda: client.update(LEDGER, {"description": str(said[0])}),
                            lambda: client.overview(LEDGER),
                            lambda: client.trials(LEDGER),
                            lambda: client.log(LEDGER, 1) if client.trials(LEDGER).items else None,
                        ):
                            began = time.monotonic()
                            act()
                            self.answered += 1
                            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                        done.wait(0.05)
                except Exception as error:
                    self._wrong.append(f"a client was answered {type(error).__name__}: {error}")

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(END_SECONDS)
        with Service(self.home, self.database, access="read") as service:
            kept = service.experiment(LEDGER).description
        if not self._wrong and kept != str(said[0]):
            self._wrong.append(f"what was changed last is {said[0]}, and on record is {kept}")

    def _wait_for(self, so: Callable[[], bool]) -> None:
        """Wait for what the service brings about, as its clients see it."""
        deadline = time.monotonic() + END_SECONDS
        while not so():
            assert time.monotonic() < deadline, "it takes too long"
            time.sleep(0.1)

    def _end(self) -> None:
        """End the service in order."""
        (launcher,) = self._controllers
        launcher.terminate()
        code = launcher.wait(timeout=END_SECONDS)
        if code != 0:
            self._wrong.append(f"the service ended with exit code {code}")

    def _is_idle(self) -> bool:
        self._revive()
        return super()._is_idle()

    def _revive(self) -> None:
        """Start a service again that ended because it met no server, as whatever looks after it would."""
        (launcher,) = self._controllers
        if launcher.poll() is not None:
            self._wrong += [] if self.server is not None else [f"the service ended by itself ({launcher.returncode})"]
            self._controllers = [self._start()]

    def _hit(self, victim: Victim, generator: random.Random) -> bool:
        if victim == "launcher":
            (launcher,) = self._controllers
            launcher.kill()
            launcher.wait()
            self._controllers = [self._start()]
            return True
        if victim in ("controller", "worker"):
            processes = self._find(lambda: self._children(str(victim)), generator)
            if processes:
                with suppress(psutil.Error):
                    psutil.Process(generator.choice(processes)).kill()
            return bool(processes)
        return super()._hit(victim, generator)

    def _processes(self, victim: Victim) -> list[int]:
        if victim != "fork_server":
            return super()._processes(victim)
        found = []
        for controller in self._children("controller"):
            with suppress(psutil.Error):
                below = psutil.Process(controller).children()
                found += [child.pid for child in below if "tunewell.schedulers.fork_server" in child.cmdline()]
        return found

    def _children(self, module: str) -> list[int]:
        """Return the service's processes of a kind."""
        found = []
        with suppress(psutil.Error):
            for child in psutil.Process(self._controllers[0].pid).children():
                with suppress(psutil.Error):
                    if f"tunewell.server.{module}" in child.cmdline():
                        found.append(child.pid)
        return found
