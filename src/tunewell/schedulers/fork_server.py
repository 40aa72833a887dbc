"""The fork server: a small process that forks a supervisor for each attempt that the scheduler asks for.

Forking is its only work, so it has a single thread and little memory, which makes forking safe and cheap; and it
has imported what the trials need, which saves each of them that time. There is one for each set of preloaded
modules. It ends when the scheduler does; supervisors don't.

Messages are JSON objects, one a line. First comes `{"path", "preload", "user"}`, then `{"folder", "environment"}` for
each attempt. The answers: `{"folder", "pid", "identity"}` for each, or a last `{"problem"}`.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tunewell.schedulers import processes
from tunewell.schedulers.supervisor import supervise
from tunewell.schedulers.trial_user import TrialUser
from tunewell.trial import files

#: Libraries read these when they are loaded; threads that they start do not survive a fork.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class ForkServer:
    """One fork server's life. `channel` is the socket to the scheduler."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        #: Environment of the controller, without what is set here for the imports.
        self._environment = dict(os.environ)
        self._user: TrialUser | None = None

    def run(self) -> None:
        """Serve until the scheduler hangs up."""
        messages = self._messages()
        first = next(messages, None)
        if first is None:
            return
        self._user = TrialUser(**first["user"]) if first["user"] is not None else None
        problem = self._preload(first["path"], first["preload"])
        if problem is not None:
            self._send({"problem": problem})
            return
        self._settle_down()
        for message in messages:
            self._launch(Path(message["folder"]), message["environment"])

    def _preload(self, path: list[str], modules: list[str]) -> str | None:
        """Import what trials need; return why that failed."""
        sys.path[:] = path
        os.environ.update(_ONE_THREAD)
        for module in modules:
            try:
                import_module(module)
            except BaseException as error:
                return f"'{module}' can't be imported: {type(error).__name__}: {error}"
        return None

    def _settle_down(self) -> None:
        # What the imports have made stays for good: the collector, looking at it, would only copy shared memory.
        gc.collect()
        gc.freeze()
        # Supervisors that end are reaped by the kernel: nobody asks for their exit codes.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        with self._channel.makefile("rb") as lines:
            yield from map(json.loads, lines)

    def _launch(self, folder: Path, environment: Mapping[str, str]) -> None:
        # Until it is ready for it, a request to end must not kill the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            self._become_supervisor(folder, {**self._environment, **environment})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._send({"folder": str(folder), "pid": pid, "identity": processes.identity(pid)})

    def _become_supervisor(self, folder: Path, environment: Mapping[str, str]) -> NoReturn:
        try:
            os.setsid()
            os.close(self._channel.detach())
            supervise(folder, environment, self._user)
        except BaseException:
            with (folder / files.OUTPUT).open("a", encoding="utf-8") as log:
                traceback.print_exc(file=log)
        finally:
            os._exit(0)

    def _send(self, message: Mapping[str, Any]) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")


def main() -> None:
    """Run a fork server on the socket whose descriptor is the only argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    with suppress(OSError):  # the scheduler is gone
        ForkServer(channel).run()


if __name__ == "__main__":
    main()
