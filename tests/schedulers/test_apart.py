from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.schedulers.bench import PATIENCE_SECONDS, Bench, script, wait_until
from tunewell.schedulers.apart import FIRST_RETRY_SECONDS, SchedulerApart
from tunewell.schedulers.contract import LOST
from tunewell.spec.launch import Ended, Exit, Refused, Reported, Resources, Started
from tunewell.spec.states import Cause

#: Reports its step, again and again, until it is told to end.
COUNTING = """
import itertools, json, os, time
path = os.path.join(os.environ["TUNEWELL_TRIAL_FOLDER"], "reports.jsonl")
for step in itertools.count(1):
    with open(path, "a") as file:
        file.write(json.dumps({"score": step, "step": step}) + chr(10))
    time.sleep(0.02)
"""


def counting() -> tuple[str, ...]:
    """Return the command of a trial that counts."""
    return (sys.executable, "-S", "-c", COUNTING)


def process_of(scheduler: SchedulerApart) -> psutil.Process:
    """Return the process in which a scheduler runs."""
    assert scheduler.pid is not None
    return psutil.Process(scheduler.pid)


def steps_of(bench: Bench, launch: Any) -> list[int]:
    """Return the steps that were told of an attempt."""
    return [report.step for report in bench.reports_of(launch)]


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose scheduler of this machine runs in a process of its own."""
    bench = Bench(tmp_path, SchedulerApart("tests.schedulers.apart_entries:local", {}))
    assert bench.scheduler.wait_until_ready()  # type: ignore[attr-defined]
    yield bench
    for key in bench.begun:
        bench.scheduler.stop(key, 0.0)
    bench.poll(0.2)
    bench.scheduler.close()


def test_killed(apart: Bench) -> None:
    """The process is killed, and killed again: the attempt goes on, and each of its reports is told once, in order."""
    launch = apart.start(apart.launch(command=counting()))
    for _ in range(2):
        before = len(apart.reports_of(launch))
        apart.wait_until(lambda before=before: len(apart.reports_of(launch)) > before + 3)
        process_of(apart.scheduler).kill()  # type: ignore[arg-type]
        apart.wait_until(lambda: apart.scheduler.problem)  # type: ignore[attr-defined]
        assert "signal 9" in apart.scheduler.problem  # type: ignore[attr-defined]
        assert apart.scheduler.capacity().free(Resources()) == 0
        apart.wait_until(lambda: not apart.scheduler.problem)  # type: ignore[attr-defined]
    apart.scheduler.stop(launch.key, 0.0)
    assert apart.finish(launch).stopped
    steps = steps_of(apart, launch)
    assert steps == list(range(1, len(steps) + 1))
    assert [type(event) for event in apart.events].count(Started) == 1


def test_stopped_while_there_is_no_process(apart: Bench) -> None:
    """Who is told to end while nobody could pass it on ends as soon as somebody can; what is new is refused."""
    launch = apart.start(apart.launch(1, command=counting()))
    apart.wait_until(lambda: apart.reports_of(launch))
    process_of(apart.scheduler).kill()  # type: ignore[arg-type]
    apart.wait_until(lambda: apart.scheduler.problem)  # type: ignore[attr-defined]
    apart.scheduler.stop(launch.key, 0.0)
    late = apart.start(apart.launch(2, command=("true",)))
    assert apart.finish(launch).stopped
    (refused,) = [event for event in apart.events if event.key == late.key]
    assert isinstance(refused, Refused) and "signal 9" in refused.reason


def test_handed_over_and_killed(apart: Bench) -> None:
    """What the process was handed when it died has run once, or is lost and never runs."""
    process = process_of(apart.scheduler)  # type: ignore[arg-type]
    process.suspend()
    launch = apart.start(apart.launch(command=("true",)))
    process.kill()
    exit_ = apart.finish(launch)
    assert exit_ == Exit(Cause.NODE_LOST, LOST)
    assert "was running" not in exit_.detail and "controller" not in exit_.detail, "it never began, and that one lives"
    apart.poll(0.3)
    assert len(apart.events) == 1 and not (launch.folder / "output.log").exists()


class Lengthy:
    """A number that takes until it is told to become a message."""

    def __init__(self) -> None:
        """Wait to be told."""
        self.begun, self.told = threading.Event(), threading.Event()

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        """Return what makes the number."""
        self.begun.set()
        assert self.told.wait(PATIENCE_SECONDS)
        return float, (1.0,)


def test_killed_while_it_is_handed_over(apart: Bench) -> None:
    """A process that dies while something is being sent to it is followed by another one, and nobody complains."""
    number = Lengthy()
    launch = apart.start(apart.launch(command=("true",), parameters={"x": 1.0}))
    apart.finish(launch)
    lengthy = apart.start(replace(apart.launch(2, command=("true",)), parameters={"x": number}))
    assert number.begun.wait(PATIENCE_SECONDS)
    process_of(apart.scheduler).kill()  # type: ignore[arg-type]
    apart.wait_until(lambda: apart.scheduler.problem)  # type: ignore[attr-defined]
    number.told.set()
    assert apart.finish(lengthy) == Exit(Cause.NODE_LOST, LOST)


def test_asked_anew(apart: Bench) -> None:
    """What was on its way when an attempt is asked for anew is not told before it is told again from its first."""
    launch = apart.start(apart.launch(command=counting()))
    apart.wait_until(lambda: len(apart.reports_of(launch)) > 2)
    for _ in range(5):
        apart.wait_until(lambda: len(apart.reports_of(launch)) > 5)
        apart.events.clear()
        apart.scheduler.reconcile([launch])
        apart.wait_until(lambda: len(apart.reports_of(launch)) > 5)
        assert isinstance(apart.events[0], Started)
        assert steps_of(apart, launch) == list(range(1, 1 + len(apart.reports_of(launch))))


def test_close_while_it_has_much_to_say(tmp_path: Path) -> None:
    """A process that has more to say than anybody has heard ends when it is closed, in an orderly way."""
    bench = Bench(tmp_path, SchedulerApart("tests.schedulers.apart_entries:local", {}))
    launch = bench.launch(command=script("polite"))
    lines = "".join(f'{{"score": {step}, "step": {step}}}\n' for step in range(20_000))
    (launch.folder / "reports.jsonl").write_text(lines)
    bench.start(launch)
    bench.wait_until(lambda: any(isinstance(event, Reported) for event in bench.events))
    process = process_of(bench.scheduler)  # type: ignore[arg-type]
    handle = psutil.Process(process.pid)
    bench.scheduler.stop(launch.key, 0.0)
    began = time.monotonic()
    bench.scheduler.close()
    assert not handle.is_running() and time.monotonic() - began < 10
    wait_until((launch.folder / "exit.json").exists)


def test_nobody_there(tmp_path: Path) -> None:
    """Where it can't be reached, a sentence says so; it is tried again, not too often, and found when it is there."""
    tried = tmp_path / "tried"
    bench = Bench(tmp_path, SchedulerApart("tests.schedulers.apart_entries:absent", {"attempts": str(tried)}))
    scheduler: Any = bench.scheduler
    assert not scheduler.wait_until_ready()
    assert scheduler.problem == "no cluster answers at 10.0.0.1:6379"
    assert scheduler.capacity().slots(Resources()) == 0
    began = time.monotonic()
    bench.wait_until(lambda: not scheduler.problem)
    assert time.monotonic() - began > 2
    assert bench.run(bench.launch(command=("true",))).cause is None
    scheduler.close()


def test_failure(tmp_path: Path) -> None:
    """A scheduler that fails is a problem with a sentence; its attempts are lost, and the next one is started."""
    bench = Bench(tmp_path, SchedulerApart("tests.schedulers.apart_entries:failing", {}))
    scheduler: Any = bench.scheduler
    assert scheduler.wait_until_ready()
    launch = bench.start(bench.launch(command=("true",)))
    bench.wait_until(lambda: scheduler.problem)
    assert scheduler.problem == "the process that speaks with it failed: out of order"
    assert bench.finish(launch) == Exit(Cause.NODE_LOST, LOST)
    assert isinstance(bench.events[-1], Ended)
    scheduler.close()


def test_no_word() -> None:
    """Where the process ends before it has begun, and says nothing, the problem is what was given for that."""
    entry = "tests.schedulers.apart_entries:aborting"
    with closing(SchedulerApart(entry, {}, silent="something else answers there")) as scheduler:
        assert not scheduler.wait_until_ready()
        assert scheduler.problem == "something else answers there"


def test_what_libraries_print(capfd: pytest.CaptureFixture[str]) -> None:
    """On standard error there is what the process logs, and nothing that a library prints past that."""
    with closing(SchedulerApart("tests.schedulers.apart_entries:noisy", {})) as scheduler:
        assert scheduler.wait_until_ready()
    assert capfd.readouterr().err == "a node is left out\n"


@pytest.mark.parametrize("entry", ["local", "aborting"])
def test_closed(entry: str) -> None:
    """Once it is closed nothing is started again, whatever is asked of it."""
    scheduler = SchedulerApart(f"tests.schedulers.apart_entries:{entry}", {})
    scheduler.wait_until_ready()
    scheduler.close()
    events: list[Any] = []
    scheduler.poll(events.append, FIRST_RETRY_SECONDS + 0.2)
    scheduler.poll(events.append, 0.0)
    assert scheduler.pid is None and not events
    assert not scheduler.wait_until_ready(0.1) and scheduler.capacity().slots(Resources()) == 0


def test_orphan(tmp_path: Path) -> None:
    """The process ends with the one that has started it, however that ends."""
    code = """
import os, sys
from tunewell.schedulers.apart import SchedulerApart
scheduler = SchedulerApart("tests.schedulers.apart_entries:local", {})
assert scheduler.wait_until_ready()
print(scheduler.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as controller:
        assert controller.stdout is not None
        process = psutil.Process(int(controller.stdout.readline()))
        os.kill(controller.pid, signal.SIGKILL)
        process.wait(10)
