"""Asking models through the server of a service, over its socket."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.schedulers.bench import wait_until
from tests.serving.models import orders, write
from tunewell.serving import frames
from tunewell.serving.client import Remote
from tunewell.serving.contract import Item, Limits
from tunewell.serving.pool import Pool
from tunewell.serving.server import Server
from tunewell.serving.sockets import listen, path_in, reachable
from tunewell.spec.errors import BusyError, DataError, ModelError
from tunewell.tasks.contract import Answering

#: A server by itself: `SOCKET MODELS`.
_SERVER = """
import sys, threading
from pathlib import Path
from tunewell.serving.contract import Item, Limits
from tunewell.serving.pool import Pool
from tunewell.serving.server import Server
from tunewell.serving.sockets import listen
with listen(Path(sys.argv[1])) as listening, Pool(Path(sys.argv[2]), Limits()) as pool:
    Server(listening, pool).run(threading.Event())
"""


@contextmanager
def served(path: Path, models: Path, limits: Limits | None = None) -> Iterator[Remote]:
    """Serve models on a socket, in this process."""
    stop = threading.Event()
    with listen(path) as listening, Pool(models, limits or Limits()) as pool:
        thread = threading.Thread(target=Server(listening, pool).run, args=(stop,))
        thread.start()
        try:
            yield Remote(path)
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("folder", ["home", "h" * 120])
def test_answers_and_errors_come_through(tmp_path: Path, folder: str) -> None:
    """What a model says, and what goes wrong, is what it is without the server; however long the home's path is."""
    models, path = tmp_path / "models", path_in(tmp_path / folder, 8700)
    a = write(models, "a")
    with served(path, models) as remote:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert remote.ask(a, orders("say", "say")).predictions[1]["file"] == "1.png"
        asked = Answering(threshold=0.25)
        assert remote.ask(a, orders("say"), asked).predictions[0]["threshold"] == 0.25
        with pytest.raises(DataError) as told:
            remote.ask(a, orders("bad"))
        assert (told.value.kind, told.value.field) == ("unreadable-picture", "0.png")
        with pytest.raises(ModelError):
            remote.ask(a, orders("die"))
        assert remote.ask(a, orders("say")).predictions


def test_a_full_queue_is_told(tmp_path: Path) -> None:
    """Whoever comes beyond the queue is told to come again."""
    models, go = tmp_path / "models", tmp_path / "go"
    a = write(models, "a")
    with served(tmp_path / "s", models, Limits(queue=1)) as remote, ThreadPoolExecutor() as threads:
        first = threads.submit(remote.ask, a, orders(f"wait {go}"))
        wait_until(Path(f"{go}.begun").exists)
        with pytest.raises(BusyError):
            remote.ask(a, orders("say"))
        go.touch()
        assert first.result(60).predictions


def test_a_server_that_dies_costs_the_requests_in_it(tmp_path: Path) -> None:
    """Who asks at that moment learns of it, and its models end; who asks the next one is answered."""
    models, path, go = tmp_path / "models", tmp_path / "s", tmp_path / "go"
    a, remote = write(models, "a"), Remote(path)
    with pytest.raises(BusyError):
        remote.ask(a, orders("say"))
    with ThreadPoolExecutor() as threads:
        server = subprocess.Popen([sys.executable, "-c", _SERVER, str(path), str(models)])
        wait_until(path.exists)
        wait_until(lambda: _accepts(path))
        process = remote.ask(a, orders("say")).predictions[0]["process"]
        asked = threads.submit(remote.ask, a, orders(f"wait {go}"))
        wait_until(Path(f"{go}.begun").exists)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        with pytest.raises(ModelError) as told:
            asked.result(60)
        assert told.value.kind == "model-died"
        wait_until(lambda: not Path(f"/proc/{process}").exists() or _is_zombie(process))
    with served(path, models):
        assert remote.ask(a, orders("say")).predictions


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _is_zombie(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_nonsense_is_not_answered(tmp_path: Path) -> None:
    """Whoever says anything else, or names a path, is cut off; the server goes on."""
    models = tmp_path / "models"
    a = write(models, "a")
    with served(tmp_path / "s", models) as remote, reachable(tmp_path / "s") as path:
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\2[]"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            frames.send(connection, {"sha256": "../../etc", "predictor": "os:system", "names": []})
            with pytest.raises(frames.Cut):
                frames.receive(connection)
        assert remote.ask(a, orders("say")).predictions


def test_a_server_without_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is sent to it, whoever comes beyond what it holds is told to come again, not cut off."""
    monkeypatch.setattr("tunewell.serving.server.MOST_REQUESTS", 0)
    models = tmp_path / "models"
    a = write(models, "a")
    with served(tmp_path / "s", models) as remote, pytest.raises(BusyError):
        remote.ask(a, [Item("large.png", bytes(8 << 20))])
