"""A running `tunewell serve`, for tests: real processes, on a port that the system chooses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil

#: No wait takes longer. Each start of a service takes seconds of computing, of which a busy machine has few.
PATIENCE_SECONDS = 100.0
#: A search of one trial that runs until somebody makes the file `go` in its working directory.
WAITING: dict[str, Any] = {
    "name": "waiting",
    "command": ["sh", "-c", "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "max_trials": 1,
}


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return the first true value of `condition`; fail if there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


class Serving:
    """One `tunewell serve`."""

    def __init__(
        self, home: Path, *options: str, environment: Mapping[str, str] | None = None, name: str = "serve"
    ) -> None:
        """Start it, with what it says in files of a name; `up` waits until it is ready."""
        self.home = home
        self.token_file = home.parent / f"{name}.token"
        self.out, self.err = home.parent / f"{name}.out", home.parent / f"{name}.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tunewell", "serve", "--home", str(home), "--port", "0"),
                    *("--token-file", str(self.token_file), *options),
                ],
                stdout=out,
                stderr=err,
                env={**os.environ, **(environment or {})},
                cwd=home.parent,
            )

    def up(self) -> Serving:
        """Wait until it says that it is ready."""
        wait_until(lambda: self.process.poll() is not None or "serves" in self.out.read_text())
        assert self.process.poll() is None, self.err.read_text()
        return self

    @property
    def said(self) -> str:
        """The line about where it is."""
        return next(line for line in self.out.read_text().splitlines() if "serves" in line)

    @property
    def url(self) -> str:
        """Where it listens, without the path that a proxy would take away."""
        found = re.search(r"http://[^\s/]+", self.said)
        assert found is not None, self.said
        return found[0]

    @property
    def proof(self) -> dict[str, str]:
        """Headers by which the person whose home it is proves themselves."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Ask it something, as the person whose home it is."""
        return httpx2.get(self.url + path, timeout=30.0, headers={**self.proof, **headers})

    def is_ready(self) -> bool:
        """Whether it answers, and says that it is ready."""
        with suppress(httpx2.TransportError):
            return self.get("/readyz").status_code == 200
        return False

    def child(self, module: str) -> psutil.Process | None:
        """Return one of its processes: `controller` or `worker`."""
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if f"tunewell.server.{module}" in process.cmdline():
                    return process
        return None

    def logged(self) -> list[dict[str, Any]]:
        """What it has logged, as JSON."""
        return [json.loads(line) for line in self.err.read_text().splitlines() if line.startswith("{")]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the launcher, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(
    home: Path, *options: str, environment: Mapping[str, str] | None = None, name: str = "serve"
) -> Iterator[Serving]:
    """Run `tunewell serve`; nothing of it is left at the end."""
    one = Serving(home, *options, environment=environment, name=name)
    try:
        yield one.up()
    finally:
        children = []
        if one.process.poll() is None:
            children = psutil.Process(one.process.pid).children()
            one.process.kill()
        one.process.wait()
        psutil.wait_procs(children, timeout=30)
