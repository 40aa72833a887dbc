"""Two searches at once in one home count the cores of the machine together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers.bench import wait_until
from tests.system import ledger
from tunewell.home.home import Home
from tunewell.schedulers.claims import Claims
from tunewell.schedulers.hardware import machine

#: Notes when it begins and ends, by a clock that all processes share; ends once the gate of its search is open.
PROGRAM = """
import json, os, sys, time

folder, search = sys.argv[1], os.environ["TUNEWELL_EXPERIMENT"]

def note(kind):
    line = json.dumps([time.monotonic(), kind, search, os.environ["TUNEWELL_TRIAL"]]) + "\\n"
    descriptor = os.open(folder + "/book.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

note("begins")
time.sleep(0.2)
while not os.path.exists(folder + "/open-" + search):
    time.sleep(0.01)
print("score=1")
note("ends")
"""
#: A trial takes half of the machine.
AT_ONCE = 2


class Searches:
    """Searches in one home, each run by a process of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Work in `folder`."""
        self.folder, self._stack = folder, stack
        self.home = folder / "home"
        (folder / "train.py").write_text(PROGRAM)

    def start(self, name: str, trials: int) -> subprocess.Popen[bytes]:
        """Run a search, or go on with it."""
        spec = {
            "name": name,
            "command": [sys.executable, "-S", "-E", "train.py", str(self.folder)],
            "working_directory": str(self.folder),
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"low": 0.0, "high": 1.0}},
            "algorithm": "random",
            "max_trials": trials,
            "max_concurrency": AT_ONCE,
            "resources": {"cpus": max(1, machine().cpus // AT_ONCE)},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(spec))
        search = subprocess.Popen(ledger.command(path, self.home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._stack.enter_context(search)
        self._stack.callback(search.kill)
        return search

    def open(self, name: str) -> None:
        """Let the trials of a search end."""
        (self.folder / f"open-{name}").touch()

    def book(self) -> list[Any]:
        """Return what has been noted: when, what, by which search and trial."""
        path = self.folder / "book.jsonl"
        return sorted(json.loads(line) for line in path.read_text().splitlines()) if path.exists() else []

    def running(self) -> list[set[str]]:
        """Return the searches and trials that ran at once, after each note."""
        now: set[str] = set()
        found = []
        for _, kind, search, trial in self.book():
            now = now | {f"{search} {trial}"} if kind == "begins" else now - {f"{search} {trial}"}
            found.append(now)
        return found

    def is_running(self, name: str) -> bool:
        """Whether the controller of a search is at work."""
        return Home(self.home).is_running(name)


@pytest.fixture
def searches(tmp_path: Path) -> Iterator[Searches]:
    """No search yet."""
    with ExitStack() as stack:
        yield Searches(tmp_path, stack)


@pytest.mark.timeout(300)
def test_searches_share_the_cores(searches: Searches) -> None:
    """Two searches never run more trials at once than there is room for, and both end."""
    for name in ("a", "b"):
        searches.open(name)
    both = [searches.start(name, trials=6) for name in ("a", "b")]
    assert [search.wait(100) for search in both] == [0, 0]
    assert len(searches.book()) == 2 * 2 * 6
    assert max(len(trials) for trials in searches.running()) <= AT_ONCE


@pytest.mark.timeout(300)
def test_the_cores_of_a_killed_search_are_free_once_its_trials_have_ended(searches: Searches) -> None:
    """A search goes on when another one is killed, whose trials keep the cores that they hold until they end."""
    killed = searches.start("a", trials=4)
    wait_until(lambda: len(searches.book()) == AT_ONCE)
    other = searches.start("b", trials=4)
    wait_until(lambda: searches.is_running("b"))
    killed.kill()
    killed.wait()
    searches.open("b")
    searches.open("a")
    assert other.wait(100) == 0
    names = [search for _, _, search, _ in searches.book()]
    assert (names.count("a"), names.count("b")) == (2 * AT_ONCE, 2 * 4)
    assert searches.start("a", trials=4).wait(100) == 0
    assert len(searches.book()) == 2 * (4 + 4)
    assert max(len(trials) for trials in searches.running()) <= AT_ONCE
    assert not Claims(Home(searches.home).claims).held()
