"""The scheduler's side of a fork server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tunewell.schedulers.classify import shorten
from tunewell.schedulers.records import Process
from tunewell.schedulers.trial_user import TrialUser
from tunewell.spec.secrets import without_private


@dataclass(frozen=True, slots=True)
class Forked:
    """A supervisor was forked."""

    folder: Path
    supervisor: Process


@dataclass(frozen=True, slots=True)
class ForkServerGone:
    """The fork server is no more; what it has not answered it may have begun or not."""

    #: Folders of the requests without an answer.
    unanswered: tuple[Path, ...]
    #: Why it could do nothing at all, such as a module that can't be imported; empty if it just died.
    problem: str
    #: How it ended, for people.
    detail: str
    #: Whether somebody from outside ended it.
    killed: bool


class ForkServerProcess:
    """One running fork server."""

    def __init__(self, preload: tuple[str, ...], user: TrialUser | None = None) -> None:
        """Start a fork server that imports `preload`; raise OSError if no process can be started.

        `user`: whom users' programs run as; None: as this process does.
        """
        self.preload = preload
        self._unanswered: dict[Path, None] = {}
        self._rest = b""
        self._problem = ""
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tunewell.schedulers.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=without_private(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt from the terminal is for the controller alone
            )
        path = [str(Path(part).absolute()) for part in sys.path]
        self._send({"path": path, "preload": preload, "user": user.to_json() if user is not None else None})
        self._channel.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there are answers."""
        return self._channel.fileno()

    def request(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Ask for a supervisor for the attempt in `folder`; `environment` is what no file is to tell it."""
        self._unanswered[folder] = None
        self._send({"folder": str(folder), "environment": dict(environment)})

    def answers(self) -> Iterator[Forked | ForkServerGone]:
        """Give the answers that have come; after `ForkServerGone` there is nothing to be done but `close`."""
        while True:
            try:
                data = self._channel.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            for message in map(json.loads, lines):
                if "problem" in message:
                    self._problem = message["problem"]
                else:
                    folder = Path(message["folder"])
                    self._unanswered.pop(folder, None)
                    yield Forked(folder, Process(message["pid"], message["identity"] or ""))
            if not data:
                code = self._exit_code()
                yield ForkServerGone(
                    tuple(self._unanswered), shorten(self._problem), self._describe(code), code == -signal.SIGKILL
                )
                return

    def close(self) -> None:
        """Let the fork server end; supervisors live on."""
        self._channel.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # busy importing
            self._process.kill()
            self._process.wait()

    def _send(self, message: object) -> None:
        with suppress(OSError):  # it is gone, which `answers` will tell
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _exit_code(self) -> int | None:
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return None

    def _describe(self, code: int | None) -> str:
        what = f" while importing {', '.join(self.preload)}" if self.preload else ""
        return f"the process that starts trials ended with code {code}{what}"
