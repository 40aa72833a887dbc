"""A search outlives what happens to its PostgreSQL server, and to the way there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres import PASSWORD, Server, running_server
from tests.proxy import Proxy, proxy_before
from tests.schedulers.bench import wait_until
from tests.system.bookkeeping import Searches, slow
from tunewell.service.runs import Situation

#: Enough for things to happen between the first and the last one.
TRIALS = 20
#: How long a server is away, and a stall after which the server has ended sessions that said nothing.
AWAY_SECONDS, LONG_SECONDS = 3.0, 8.0


@dataclass
class Bench:
    """A home whose database is reached by way of a proxy."""

    searches: Searches
    server: Server
    proxy: Proxy
    stack: ExitStack
    search: subprocess.Popen[str] | None = None

    @property
    def database(self) -> str:
        """URL of the database, by way of the proxy."""
        return self.searches.database

    def start_search(self) -> None:
        """Run a search, and wait until it is at work."""
        self.searches.open("a")
        spec = self.searches.spec("a", TRIALS)
        self.search = self.searches.start("search", spec, database=self.database, name="search")
        self.wait_for_trials(4)

    def wait_for_trials(self, more: int) -> None:
        """Wait until so many more trials have begun than now, or the search has ended."""
        now = len(self.searches.book())
        self._wait_until(lambda: len(self.searches.book()) >= now + more)

    def lose_answer(self, about: bytes = b"") -> None:
        """Lose the answer to a commit."""
        now = self.proxy.commits
        self.proxy.lose_answer(about)
        self._wait_until(lambda: self.proxy.commits > now)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: condition() or (self.search is not None and self.search.poll() is not None))

    def wait_for_end(self) -> None:
        """Wait for the end of the search, which must be a good one, and on record."""
        assert self.search is not None
        assert self.search.wait(100) == 0, self.searches.said("search")
        assert self.searches.all_ended(), self.searches.said("search")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A home without searches, over a server of its own."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server())
        url = stack.enter_context(_database(server))
        proxy = stack.enter_context(proxy_before(server))
        yield Bench(Searches(tmp_path, stack, proxy.url(url)), server, proxy, stack)


@contextmanager
def _database(server: Server) -> Iterator[str]:
    server.execute("CREATE DATABASE searches TEMPLATE template0")
    yield server.url("searches").render_as_string(hide_password=False)


# What happens to the server and on the way there ----------------------------------------------------------


def cut(bench: Bench) -> None:
    """All connections are cut, time and again."""
    for _ in range(4):
        bench.proxy.cut()
        bench.wait_for_trials(2)


def restarted(bench: Bench) -> None:
    """The server ends all connections, and starts again."""
    bench.server.stop(signal.SIGINT)
    bench.server.start()


def crashed(bench: Bench) -> None:
    """The server crashes with all of its processes, and recovers."""
    bench.server.stop(signal.SIGQUIT)
    bench.server.start()


def killed(bench: Bench) -> None:
    """The server is killed, and recovers."""
    bench.server.stop(signal.SIGKILL)
    bench.server.start()


def away(bench: Bench) -> None:
    """Nobody listens for a while."""
    bench.proxy.refuse()
    time.sleep(AWAY_SECONDS)
    bench.proxy.accept()


def failed_over(bench: Bench) -> None:
    """The server is gone for good, and its standby takes its place."""
    standby = bench.stack.enter_context(bench.server.standby())
    bench.wait_for_trials(2)
    bench.server.stop(signal.SIGQUIT)
    standby.promote()
    bench.proxy.switch(standby)


def failed_over_early(bench: Bench) -> None:
    """Connections lead to the standby already, while it can't be written yet."""
    standby = bench.stack.enter_context(bench.server.standby())
    bench.wait_for_trials(2)
    bench.server.stop(signal.SIGQUIT)
    bench.proxy.switch(standby)
    time.sleep(AWAY_SECONDS)
    standby.promote()


def answers_lost(bench: Bench) -> None:
    """Commits are done, and their answers never come."""
    for _ in range(6):
        bench.lose_answer()


def answers_lost_about_starts(bench: Bench) -> None:
    """The answers to commits that announce the start of a trial never come."""
    for _ in range(4):
        bench.lose_answer(about=STARTED)


def stalled(bench: Bench) -> None:
    """Nothing gets through for a while, then all arrives."""
    bench.proxy.stall()
    time.sleep(AWAY_SECONDS)
    bench.proxy.flow()


def stalled_for_long(bench: Bench) -> None:
    """Nothing gets through for so long that the server ends all sessions."""
    bench.proxy.stall()
    time.sleep(LONG_SECONDS)
    bench.proxy.flow()


def stalled_and_cut(bench: Bench) -> None:
    """Nothing gets through, until all connections are cut."""
    bench.proxy.stall()
    time.sleep(AWAY_SECONDS)
    bench.proxy.cut()
    bench.proxy.flow()


#: The parameter with which a start is recorded, as it is sent.
STARTED = b"\0\0\0\x07started"
OUTAGES = (
    cut,
    crashed,
    killed,
    away,
    failed_over_early,
    answers_lost_about_starts,
    stalled,
    stalled_for_long,
    stalled_and_cut,
)
#: Those that another process feels, too.
FOLLOWED = (cut, away, failed_over, answers_lost, stalled_for_long)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "outage", [restarted, failed_over, *slow(answers_lost, *OUTAGES)], ids=lambda outage: outage.__name__
)
def test_a_search_outlives(bench: Bench, outage: Callable[[Bench], None]) -> None:
    """Whatever happens to its database, a search ends well, with nothing lost, doubled or failed."""
    bench.start_search()
    outage(bench)
    bench.wait_for_end()
    assert bench.searches.check() == [], bench.searches.said("search")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outage", slow(restarted, *FOLLOWED), ids=lambda outage: outage.__name__)
def test_a_controller_and_who_follows_it_outlive(bench: Bench, outage: Callable[[Bench], None]) -> None:
    """Whatever happens to its database, a controller serves on, and a search that it runs is followed to its end."""
    searches = bench.searches
    controller = searches.start("controller", database=bench.database, name="controller")
    wait_until(searches.is_served)
    bench.start_search()
    outage(bench)
    bench.wait_for_end()
    assert {note.by for note in searches.book()} == {"controller"}, searches.said("search")
    assert controller.poll() is None, searches.said("controller")
    controller.terminate()
    assert controller.wait(60) == 0, searches.said("controller")
    assert searches.check() == []


def silent(bench: Bench) -> None:
    """What is sent arrives, and no answer comes."""
    bench.proxy.stall()


def gone(bench: Bench) -> None:
    """Nobody listens."""
    bench.proxy.refuse()


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("command", ["controller", "search"])
@pytest.mark.parametrize("outage", [gone, silent], ids=lambda outage: outage.__name__)
def test_ctrl_c_while_nothing_can_be_recorded(bench: Bench, command: str, outage: Callable[[Bench], None]) -> None:
    """Whoever has enough of waiting for the server ends with the second Ctrl-C; what ran is found later."""
    searches = bench.searches
    process = searches.start(
        *([command, searches.spec("a", TRIALS), "--no-details"] if command == "search" else [command]),
        database=bench.database,
        name=command,
    )
    if command == "controller":
        searches.create("a", TRIALS)
    wait_until(searches.book)
    outage(bench)
    wait_until(lambda: "aiting" in searches.said(command), lambda: time.sleep(0.05))
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.5)  # two that come at once are one
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == (130 if command == "search" else 0), searches.said(command)
    assert "Traceback" not in searches.said(command)
    bench.proxy.accept()
    bench.proxy.flow()
    searches.open("a")
    bench.start_search()
    bench.wait_for_end()
    assert searches.check(killed=True) == []


@pytest.mark.timeout(300)
def test_a_controller_that_starts_while_the_server_is_away(bench: Bench) -> None:
    """A controller that has opened its database waits for the server like one that is at work."""
    searches = bench.searches
    searches.create("a", 2)
    searches.open("a")
    with searches.service() as service, ThreadPoolExecutor(1) as pool:
        stop, waited = threading.Event(), threading.Event()
        bench.proxy.refuse()
        serving = pool.submit(service.run_all, stop, lambda situation: waited.set() if situation.problem else None)
        assert waited.wait(60)
        bench.proxy.accept()
        searches.wait_for_end()
        stop.set()
        serving.result(60)


@pytest.mark.timeout(300)
def test_what_cannot_be_written_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A controller whose rights are taken away says so once, and goes on when it has them again."""
    searches = bench.searches
    searches.open("a")
    with searches.service() as service, ThreadPoolExecutor(1) as pool:
        stop, problems = threading.Event(), list[str]()

        def step(situation: Situation) -> None:
            problems.append(situation.problem)

        serving = pool.submit(service.run_all, stop, step)
        wait_until(lambda: problems)
        searches.create("a", 2)
        wait_until(searches.book)
        bench.server.execute("ALTER DATABASE searches SET default_transaction_read_only = on")
        bench.proxy.cut()
        wait_until(lambda: len([problem for problem in problems if "read-only" in problem]) > 50)
        bench.server.execute("ALTER DATABASE searches RESET default_transaction_read_only")
        bench.proxy.cut()
        searches.wait_for_end()
        stop.set()
        serving.result(60)
    told = [record.getMessage() for record in caplog.records if "read-only" in record.getMessage()]
    assert len(told) == 1, told


@pytest.mark.timeout(300)
def test_a_server_that_is_down_is_one_clear_error(bench: Bench) -> None:
    """Who asks while the server is down is told so, in one sentence, without a traceback or the password."""
    searches = bench.searches
    searches.create("a", trials=1)
    bench.server.stop()
    for arguments in (["list"], ["show", "a"], ["search", str(searches.folder / "a.yaml")], ["controller"]):
        command = [sys.executable, "-m", "tunewell", *arguments, "--home", str(searches.home)]
        url = bench.server.url("searches").render_as_string(hide_password=False)
        done = subprocess.run([*command, "--database", url], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done
        told = " ".join(done.stderr.split())
        assert "can't be reached" in told and "refused" in told, told
        assert told.count("Error") <= 1 and "Traceback" not in told and PASSWORD not in told, told
        assert done.stdout == "", done.stdout


@pytest.mark.timeout(300)
def test_a_server_that_is_down_is_an_error_in_json(bench: Bench) -> None:
    """Programs get the same as one object."""
    bench.searches.create("a", trials=1)
    bench.proxy.refuse()
    command = [sys.executable, "-m", "tunewell", "list", "--json", "--home", str(bench.searches.home)]
    done = subprocess.run(
        [*command, "--database", bench.database], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "can't be reached" in json.loads(done.stdout)["error"]["what"]
