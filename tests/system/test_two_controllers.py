"""Two controllers on one home and one PostgreSQL database share the work; each goes on with what the other loses."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.proxy import Proxy, proxy_before
from tests.schedulers.bench import wait_until
from tests.system.bookkeeping import Searches
from tunewell.service.types import OWNER

#: Longest time until the other controller goes on with what one has lost.
TAKE_OVER_SECONDS = 10.0
#: Longer than the server keeps a session of which it hears nothing.
AWAY_SECONDS = 7.0
#: The parameter with which a start is recorded, as it is sent.
STARTED = b"\0\0\0\x07started"
NAMES = ("a", "b", "c")


@dataclass
class Controller:
    """A controller that reaches the database by a way of its own."""

    name: str
    process: subprocess.Popen[str]
    proxy: Proxy

    def signal(self, number: signal.Signals) -> None:
        """Signal the controller alone; what it has started goes on."""
        self.process.send_signal(number)


class Bench:
    """A home, its controllers, and searches that are on record."""

    def __init__(self, folder: Path, database: str, server: Server, stack: ExitStack) -> None:
        self.searches = Searches(folder, stack, database)
        self._server, self._stack = server, stack

    def start(self, name: str) -> Controller:
        """Start a controller, and wait until it is at work."""
        proxy = self._stack.enter_context(proxy_before(self._server))
        url = proxy.url(self.searches.database)
        controller = Controller(name, self.searches.start("controller", database=url, name=name), proxy)
        wait_until(lambda: self._is_at_work(controller))
        return controller

    def _is_at_work(self, controller: Controller) -> bool:
        assert controller.process.poll() is None, self.searches.said(controller.name)
        return "Running what is recorded" in self.searches.said(controller.name)

    def create_until(self, condition: Callable[[], bool], trials: int = 4) -> None:
        """Put searches on record until they have brought something about; their trials may end."""
        for number in range(len(self.searches.trials), len(self.searches.trials) + 40):
            name = f"more-{number}"
            self.searches.create(name, trials)
            self.searches.open(name)
            wait_until(lambda name=name: name in self.searches.begun())
            if condition():
                return
        raise AssertionError("40 searches did not bring it about")

    def two_at_work(self, trials: int = 8, at_once: int = 2) -> tuple[Controller, Controller]:
        """Return a controller that runs searches whose trials wait for being let end, and one that is ready to."""
        first = self.start("first")
        for name in NAMES:
            self.searches.create(name, trials, at_once)
        wait_until(lambda: self.searches.begun("first") == set(NAMES))
        return first, self.start("second")

    def wait_for_take_over(self, since: float) -> None:
        """Wait until the second controller has started trials of all searches, and check that it took not too long."""
        wait_until(lambda: self.searches.begun("second", since) >= set(NAMES))
        firsts = [
            min(note.time for note in self.searches.book() if note.work == name and note.by == "second")
            for name in NAMES
        ]
        assert max(firsts) - since <= TAKE_OVER_SECONDS

    def check(self, *controllers: Controller) -> None:
        """Wait for the end of all work and of the controllers, and check what they leave."""
        self.searches.wait_for_end()
        for controller in controllers:
            assert controller.process.poll() is None, self.searches.said(controller.name)
            controller.signal(signal.SIGTERM)
            assert controller.process.wait(60) == 0, self.searches.said(controller.name)
        assert self.searches.check(killed=True) == []


@pytest.fixture
def bench(tmp_path: Path, postgres: Server) -> Iterator[Bench]:
    """A home without controllers."""
    with ExitStack() as stack:
        yield Bench(tmp_path, stack.enter_context(postgres.new_database("tables")), postgres, stack)


def test_both_take_work(bench: Bench) -> None:
    """Searches and jobs that are put on record are run by both controllers, each by one of them."""
    searches = bench.searches
    both = bench.start("first"), bench.start("second")
    bench.create_until(lambda: bool(searches.begun("first")) and bool(searches.begun("second")))
    wait_until(searches.all_ended)
    with searches.service() as service:
        for name in searches.trials:
            service.retrain(name, caller=OWNER)
    bench.check(*both)
    assert {note.work for note in searches.book("ends")} == {*searches.trials, "job"}


def test_the_other_goes_on_when_one_is_killed(bench: Bench) -> None:
    """What a killed controller ran is taken over, with the trials that live on."""
    first, second = bench.two_at_work()
    first.process.kill()
    first.process.wait()
    lost = time.monotonic()
    bench.searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    bench.check(second)


def stopped(first: Controller) -> Callable[[], None]:
    """Stop the process."""
    first.signal(signal.SIGSTOP)
    return lambda: first.signal(signal.SIGCONT)


def cut_off(first: Controller) -> Callable[[], None]:
    """Cut its connections, and let it make no new ones."""
    first.proxy.refuse()
    return first.proxy.accept


def stalled(first: Controller) -> Callable[[], None]:
    """Let nothing through, and nobody know."""
    first.proxy.stall()
    return first.proxy.flow


@pytest.mark.parametrize("lose", [stopped, cut_off, stalled], ids=lambda lose: lose.__name__)
def test_one_that_is_away_loses_its_work(bench: Bench, lose: Callable[[Controller], Callable[[], None]]) -> None:
    """What an absent controller ran is taken over; when it is back, it leaves that alone, and takes other work."""
    searches = bench.searches
    first, second = bench.two_at_work()
    come_back = lose(first)
    lost = time.monotonic()
    searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    come_back()
    bench.create_until(lambda: bool(searches.begun("first", since=lost) - set(NAMES)))
    bench.check(first, second)
    assert not searches.begun("first", since=lost) & set(NAMES)


def test_short_cuts_change_nothing(bench: Bench) -> None:
    """Connections that are cut, and made anew at once, cost neither controller its work for good."""
    searches = bench.searches
    first, second = bench.two_at_work()
    searches.open(*NAMES)
    for _ in range(4):
        first.proxy.cut()
        second.proxy.cut()
        now = len(searches.book())
        wait_until(lambda now=now: len(searches.book()) >= now + 2 or searches.all_ended())
    bench.check(first, second)


def test_a_start_that_comes_too_late_is_none(bench: Bench) -> None:
    """A controller that is stopped between the record of a start and the start itself starts nothing when it wakes up.

    Another one has found the attempt on record, and begun the next.
    """
    searches = bench.searches
    first, second = bench.two_at_work()
    first.proxy.at_commit(lambda: first.signal(signal.SIGSTOP), about=STARTED)
    searches.open("a")
    wait_until(lambda: first.proxy.commits == 1)
    lost = time.monotonic()
    searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    first.signal(signal.SIGCONT)
    bench.create_until(lambda: bool(searches.begun("first", since=lost) - set(NAMES)))
    bench.check(first, second)
    assert not searches.begun("first", since=lost) & set(NAMES)
    with searches.service() as service:
        assert {row.attempt for row in service.store.trials("a")} == {1, 2}


def test_pauses_at_any_moment(bench: Bench) -> None:
    """Controllers that are stopped and woken in turns, for longer than their sessions last, double nothing."""
    searches = bench.searches
    first, second = bench.two_at_work(trials=60, at_once=1)
    searches.open(*NAMES)
    for controller in (first, second, first):
        controller.signal(signal.SIGSTOP)
        time.sleep(AWAY_SECONDS)
        controller.signal(signal.SIGCONT)
    bench.check(first, second)


def test_a_follower_is_not_told_of_a_change_of_controllers(bench: Bench) -> None:
    """A search that follows goes on following whichever controller has its experiment."""
    searches = bench.searches
    first, second = bench.two_at_work()
    search = searches.start("search", searches.folder / "a.yaml", database=searches.database, name="search")
    wait_until(lambda: "runs the search" in searches.said("search"))
    first.process.kill()
    first.process.wait()
    searches.open(*NAMES)
    assert search.wait(60) == 0, searches.said("search")
    bench.check(second)
    assert searches.begun("search") == set()
