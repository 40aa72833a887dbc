"""A simulated cluster, and what `benchmarks/scale.py` makes of it, in small."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controller.simulated import DETECTION_SECONDS, Cluster, SimulatedClock, SimulatedScheduler, Training
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Report, Reported, Resources, Started
from tunewell.spec.states import Cause

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scale.py"
ONE = Resources(cpus=1)


def train(launch: Launch, reached: int) -> Training:
    """Report three times, a minute apart, and end a minute later."""
    steps = range(reached + 1, 4)
    reports = [(60.0 * (step - reached), Report(step, {"loss": 1.0}, 0.0)) for step in steps]
    return Training(reports, 60.0 * (len(steps) + 1))


def launch(trial: int, attempt: int = 1) -> Launch:
    """Return the launch of an attempt."""
    return Launch(AttemptKey("e", trial, attempt), Path(), command=("true",), resources=ONE)


def events(clock: SimulatedClock, scheduler: SimulatedScheduler, seconds: float) -> list[Event]:
    """Return what happens in so much simulated time."""
    found: list[Event] = []
    end = clock.monotonic() + seconds
    while (left := end - clock.monotonic()) > 0:
        scheduler.poll(found.append, left)
    return found


def test_time_jumps_to_what_happens() -> None:
    """Of an attempt come its start, its reports and its end, at their times, without anybody waiting for them."""
    clock = SimulatedClock()
    scheduler = SimulatedScheduler(clock, Cluster(1, 2), train)
    began = clock.monotonic()
    scheduler.submit(launch(1))
    assert scheduler.capacity().free(ONE) == 1
    told = events(clock, scheduler, 230.0)
    assert [type(event) for event in told] == [Started, Reported, Reported, Reported]
    (end,) = events(clock, scheduler, 20.0)
    assert isinstance(end, Ended)
    assert end.exit.cause is None and end.exit.duration_seconds == pytest.approx(240.0)
    assert scheduler.capacity().free(ONE) == 2
    assert clock.monotonic() - began == pytest.approx(250.0, abs=1.0)
    assert scheduler.slot_seconds(began, began + 400.0) == (pytest.approx(800.0), pytest.approx(240.0, abs=1.0), 0.0)


def test_time_does_not_jump_over_what_is_computed() -> None:
    """While somebody computes, a wait takes as long as it says: slots stand idle meanwhile."""
    clock, waits = SimulatedClock(), True
    scheduler = SimulatedScheduler(clock, Cluster(1, 1), train, lambda: waits)
    began = clock.monotonic()
    scheduler.poll(lambda event: None, 0.02)
    assert clock.monotonic() - began < 10.0
    waits = False
    scheduler.poll(lambda event: None, 1000.0)
    assert clock.monotonic() - began > 1000.0


def test_a_node_is_lost_and_comes_back() -> None:
    """Its attempts end a while later; the next ones go on behind the last report. Time since then was in vain."""
    clock = SimulatedClock()
    scheduler = SimulatedScheduler(clock, Cluster(1, 1, lifetime_seconds=100.0, absence_seconds=50.0, seed=1), train)
    began = clock.monotonic()
    attempt, reports, lost = 1, 0, 0
    while True:
        while not scheduler.capacity().free(ONE):
            events(clock, scheduler, 1.0)
        scheduler.submit(launch(1, attempt))
        told: list[Event] = []
        while not told or not isinstance(told[-1], Ended):
            told += events(clock, scheduler, 1.0)
        reports += sum(isinstance(event, Reported) for event in told)
        end = told[-1].exit
        if end.cause is None:
            break
        assert end.cause is Cause.NODE_LOST
        attempt, lost = attempt + 1, lost + 1
    assert lost and reports == 3, "no step is reported twice, and none is left out"
    there, busy, in_vain = scheduler.slot_seconds(began, clock.monotonic())
    assert 0 < in_vain < busy <= there < clock.monotonic() - began - lost * DETECTION_SECONDS
    assert busy - in_vain == pytest.approx(240.0, abs=60.0)


def test_a_stop_ends_an_attempt_at_once() -> None:
    """Nothing is told of it after that."""
    clock = SimulatedClock()
    scheduler = SimulatedScheduler(clock, Cluster(1, 1), train)
    scheduler.submit(launch(1))
    scheduler.stop(launch(1).key)
    told = events(clock, scheduler, 1000.0)
    assert [type(event) for event in told] == [Started, Ended]
    assert isinstance(told[-1], Ended) and told[-1].exit.stopped
    scheduler.reconcile([launch(1)])
    (lost,) = events(clock, scheduler, 1.0)
    assert isinstance(lost, Ended) and lost.exit == Exit(Cause.NODE_LOST, lost.exit.detail)


@pytest.mark.parametrize("algorithm", ["random", "asynchronous"])
def test_the_benchmark_in_small(algorithm: str) -> None:
    """All trials of a search on 20 slots end, and hardly a slot is idle as long as there are trials to start."""
    given = ["--slots", "20", "--trials", "200", "--seconds", "20", "--algorithms", algorithm]
    done = subprocess.run([sys.executable, str(SCRIPT), *given], stdout=subprocess.PIPE, text=True, check=True)
    counts = re.findall(r"(\d+) (?:succeeded|pruned|failed|stopped)", done.stdout)
    assert sum(map(int, counts)) == 200
    used = re.search(r"([\d.]+)% until the last trial began", done.stdout)
    assert used is not None and float(used[1]) > 60.0
