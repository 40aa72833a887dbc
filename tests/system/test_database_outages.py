"""A search outlives what happens to its PostgreSQL server, and to the way there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres import PASSWORD, Server, running_server
from tests.proxy import Proxy, proxy_before
from tests.schedulers.bench import wait_until
from tests.system.bookkeeping import Searches, slow

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
    """The server ends all connections, and starts anew."""
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
    "outage", [restarted, answers_lost, failed_over, *slow(*OUTAGES)], ids=lambda outage: outage.__name__
)
def test_a_search_outlives(bench: Bench, outage: Callable[[Bench], None]) -> None:
    """Whatever happens to its database, a search ends well, with nothing lost, doubled or failed."""
    bench.start_search()
    outage(bench)
    bench.wait_for_end()
    assert bench.searches.check() == [], bench.searches.said("search")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outage", [restarted, *slow(*FOLLOWED)], ids=lambda outage: outage.__name__)
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
