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
from tests.schedulers.bench import processes_below, wait_until
from tests.system.bookkeeping import Searches, slow

#: Longest time until the other controller goes on with what one has lost.
TAKE_OVER_SECONDS = 10.0
#: Longer than the server keeps a session of which it hears nothing.
AWAY_SECONDS = 7.0
#: The parameters with which a start, and the loss of an attempt, are recorded, as they are sent.
STARTED, LOST = b"\0\0\0\x07started", b"\0\0\0\x04lost"
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
        self._controllers: list[Controller] = []
        self._server, self._stack = server, stack

    def start(self, name: str) -> Controller:
        """Start a controller, and wait until it is at work."""
        proxy = self._stack.enter_context(proxy_before(self._server))
        url = proxy.url(self.searches.database)
        controller = Controller(name, self.searches.start("controller", database=url, name=name), proxy)
        self._controllers.append(controller)
        self.wait_until(lambda: "Running what is recorded" in self.searches.said(name))
        return controller

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, and check that the controllers live meanwhile."""

        def is_so() -> bool:
            for controller in self._controllers:
                assert controller.process.poll() is None, self.searches.said(controller.name)
            return condition()

        wait_until(is_so)

    def kill(self, controller: Controller) -> None:
        """Kill a controller; what it has started lives on."""
        self._controllers.remove(controller)
        controller.process.kill()
        controller.process.wait()

    def create_and_open(self, trials: int, at_once: int = 2) -> None:
        """Put the searches on record, whose trials may end."""
        self.searches.open(*NAMES)
        for name in NAMES:
            self.searches.create(name, trials, at_once)

    def create_until(self, condition: Callable[[], bool], trials: int = 4) -> None:
        """Put searches on record until they have brought something about; their trials may end."""
        for number in range(len(self.searches.trials), len(self.searches.trials) + 40):
            name = f"more-{number}"
            self.searches.create(name, trials)
            self.searches.open(name)
            self.wait_until(lambda name=name: name in self.searches.begun())
            if condition():
                return
        raise AssertionError("40 searches did not bring it about")

    def two_with_work(self) -> tuple[Controller, Controller]:
        """Return two controllers, each of which has run something."""
        both = self.start("first"), self.start("second")
        self.create_until(lambda: all(self.searches.begun(controller.name) for controller in both))
        return both

    def two_at_work(self) -> tuple[Controller, Controller]:
        """Return a controller that runs searches whose trials wait for being let end, and one that is ready to."""
        first = self.start("first")
        for name in NAMES:
            self.searches.create(name, trials=8)
        self.wait_until(lambda: self.searches.begun("first") == set(NAMES))
        return first, self.start("second")

    def wait_for_take_over(self, since: float) -> None:
        """Wait until the second controller has started trials of all searches, and check that it took not too long."""
        self.wait_until(lambda: self.searches.begun("second", since) >= set(NAMES))
        firsts = [
            min(note.time for note in self.searches.book() if note.work == name and note.by == "second")
            for name in NAMES
        ]
        assert max(firsts) - since <= TAKE_OVER_SECONDS

    def check(self) -> None:
        """Wait for the end of all work and of the controllers, and check what they leave."""
        self.searches.wait_for_end()
        self.wait_until(lambda: True)
        for controller in self._controllers:
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
    bench.two_with_work()
    searches.wait_for_end()
    with searches.service() as service:
        for name in searches.trials:
            service.retrain(name)
    bench.check()
    assert {note.work for note in searches.book("ends")} == {*searches.trials, "job"}


def test_the_other_goes_on_when_one_is_killed(bench: Bench) -> None:
    """What a killed controller ran is taken over, with the trials that live on."""
    first, _ = bench.two_at_work()
    bench.kill(first)
    lost = time.monotonic()
    bench.searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    bench.check()


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


@pytest.mark.parametrize("lose", [stopped, *slow(cut_off, stalled)], ids=lambda lose: lose.__name__)
def test_one_that_is_away_loses_its_work(bench: Bench, lose: Callable[[Controller], Callable[[], None]]) -> None:
    """What an absent controller ran is taken over; when it is back, it leaves that alone, and takes other work."""
    searches = bench.searches
    first, _ = bench.two_at_work()
    come_back = lose(first)
    lost = time.monotonic()
    searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    come_back()
    bench.create_until(lambda: bool(searches.begun("first", since=lost) - set(NAMES)))
    bench.check()
    assert not searches.begun("first", since=lost) & set(NAMES)


@pytest.mark.slow
def test_short_cuts_change_nothing(bench: Bench) -> None:
    """Connections that are cut, and made again at once, cost neither controller its work for good."""
    searches = bench.searches
    both = bench.two_with_work()
    bench.create_and_open(trials=20)
    for number in range(6):
        both[number % 2].proxy.cut()
        now = len(searches.book())
        bench.wait_until(lambda now=now: len(searches.book()) >= now + 4)
    bench.check()


@pytest.mark.slow
def test_a_start_that_comes_too_late_is_none(bench: Bench) -> None:
    """A controller that is stopped between the record of a start and the start itself starts nothing when it wakes up.

    Another one has found the attempt on record, and begun the next.
    """
    searches = bench.searches
    first, _ = bench.two_at_work()
    first.proxy.at_commit(lambda: first.signal(signal.SIGSTOP), about=STARTED)
    searches.open("a")
    bench.wait_until(lambda: first.proxy.commits == 1)
    lost = time.monotonic()
    searches.open(*NAMES)
    bench.wait_for_take_over(lost)
    first.signal(signal.SIGCONT)
    bench.create_until(lambda: bool(searches.begun("first", since=lost) - set(NAMES)))
    bench.check()
    assert not searches.begun("first", since=lost) & set(NAMES)
    with searches.service() as service:
        assert {row.attempt for row in service.store.trials("a")} == {1, 2}


@pytest.mark.slow
def test_a_next_attempt_that_comes_too_late_is_none(bench: Bench) -> None:
    """A controller that is stopped before it prepares a next attempt leaves alone the one that another has begun."""
    searches = bench.searches
    first, _ = bench.two_at_work()
    first.proxy.at_commit(lambda: first.signal(signal.SIGSTOP), about=LOST)
    processes_below(searches.home / "experiments" / "a")[0].kill()
    bench.wait_until(lambda: first.proxy.commits == 1)
    lost = time.monotonic()
    bench.wait_until(lambda: any(note.attempt == 2 for note in searches.book()))
    first.signal(signal.SIGCONT)
    bench.create_until(lambda: bool(searches.begun("first", since=lost) - set(NAMES)))
    searches.open(*NAMES)
    bench.check()
    assert not searches.begun("first", since=lost) & set(NAMES)
    with searches.service() as service:
        assert sorted(row.attempt for row in service.store.trials("a")) == [1] * 7 + [2]


@pytest.mark.slow
def test_pauses_at_any_moment(bench: Bench) -> None:
    """Controllers that are stopped and woken in turns, for longer than their sessions last, double nothing."""
    first, second = bench.two_with_work()
    bench.create_and_open(trials=60, at_once=1)
    for controller in (first, second, first):
        controller.signal(signal.SIGSTOP)
        time.sleep(AWAY_SECONDS)
        controller.signal(signal.SIGCONT)
    bench.check()


@pytest.mark.slow
def test_a_follower_is_not_told_of_a_change_of_controllers(bench: Bench) -> None:
    """A search that follows goes on following whichever controller has its experiment."""
    searches = bench.searches
    first, _ = bench.two_at_work()
    search = searches.start("search", searches.folder / "a.yaml", database=searches.database, name="search")
    bench.wait_until(lambda: "is to run the search" in searches.said("search"))
    bench.kill(first)
    searches.open(*NAMES)
    assert search.wait(60) == 0, searches.said("search")
    bench.check()
    assert searches.begun("search") == set()
