"""Commands in processes of their own that need not import anything: they are forked from one that has.

Importing takes longer than most commands do. What a command imports is what `test_start_up` is about.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Parts of the program whose modules are imported: not those that bring libraries which few commands need.
PARTS = ("cli", "client", "controller", "display", "home", "reports", "schedulers", "service", "spec", "store")
#: What only clusters need.
LEFT_OUT = "ray"
#: Longest time that a command may take.
PATIENCE_SECONDS = 100


class Forker:
    """A process that forks one for each command. Several commands may run at once."""

    def __init__(self, address: str) -> None:
        """Take the path of the socket on which it listens."""
        self._address = address

    def run(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Run `tunewell` with arguments in a folder; return its exit code and what it printed, on both outputs."""
        with (
            tempfile.NamedTemporaryFile() as out,
            tempfile.NamedTemporaryFile() as err,
            socket.socket(socket.AF_UNIX) as asked,
        ):
            asked.connect(self._address)
            asked.sendall(json.dumps([arguments, str(folder), dict(environment), out.name, err.name]).encode())
            asked.shutdown(socket.SHUT_WR)
            code = int(asked.recv(100))
            return code, Path(out.name).read_text(), Path(err.name).read_text()


@contextmanager
def forking() -> Iterator[Forker]:
    """Give a process from which commands are forked."""
    with tempfile.TemporaryDirectory(prefix="tunewell-forked-") as folder, socket.socket(socket.AF_UNIX) as listening:
        address = f"{folder}/socket"
        listening.bind(address)
        listening.listen(64)
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "tests.cli.forked", str(descriptor)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[descriptor]):
            yield Forker(address)


def main() -> None:
    """Serve commands on the socket whose descriptor is the argument."""
    _import_all()
    listening = socket.socket(fileno=int(sys.argv[1]))
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:  # else the tests are over
        asked, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _carry_out(asked)
            return
        asked.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _import_all() -> None:
    for part in PARTS:
        package = importlib.import_module(f"tunewell.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if LEFT_OUT not in module.name:
                importlib.import_module(module.name)


def _carry_out(asked: socket.socket) -> None:
    """Wait for a command in a process of its own, since only its parent learns its exit code."""
    text = b""
    while part := asked.recv(1 << 16):
        text += part
    child = os.fork()
    if child:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(PATIENCE_SECONDS)
        asked.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        os._exit(0)
    asked.close()
    arguments, folder, environment, out, err = json.loads(text)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = ["tunewell", *arguments]
    runpy.run_module("tunewell", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
