"""Function calls in the controller's own thread."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunewell.trial
from tests.schedulers.bench import Bench, with_environment
from tunewell.schedulers.inline import InlineScheduler
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Reported, Resources, Started
from tunewell.spec.states import Cause
from tunewell.trial import Failed, Pruned, Trial

KEY = AttemptKey("inline", 3, 1)


def launch(folder: Path, **parameters: Any) -> Launch:
    """Return a launch without a folder."""
    return Launch(KEY, folder / "never-made", parameters=parameters)


def run(function: Any, folder: Path, **parameters: Any) -> tuple[list[tuple[int, dict[str, float]]], Exit]:
    """Call `function` as an attempt; return its reports as (step, metrics), and its end."""
    scheduler = InlineScheduler(function, "score")
    events: list[Event] = []
    scheduler.submit(launch(folder, **parameters))
    scheduler.poll(events.append, 0.0)
    start, *reports, end = events
    assert start == Started(KEY) and isinstance(end, Ended)
    return [(e.report.step, dict(e.report.metrics)) for e in reports if isinstance(e, Reported)], end.exit


def test_plain_function(tmp_path: Path) -> None:
    """Parameters come as keywords, a returned number is the objective, and nothing is written."""
    reports, exit_ = run(lambda x, y: x + y, tmp_path, x=1, y=0.5)
    assert reports == [(1, {"score": 1.5})]
    assert (exit_.cause, exit_.stopped) == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_function_with_trial(tmp_path: Path) -> None:
    """A first argument named `trial` is the trial, with all that belongs to it."""
    seen: dict[str, Any] = {}

    def function(trial: Trial, x: float) -> None:
        seen.update(number=trial.number, parameters=trial.parameters, fidelity=trial.fidelity)
        seen.update(checkpoint=trial.checkpoint_dir, output=trial.output_dir, sampling=trial.sampling)
        assert tunewell.trial.current() is trial

    scheduler = InlineScheduler(function, "score")
    scheduler.submit(with_environment(launch(tmp_path, x=2), TUNEWELL_FIDELITY="0.5", TUNEWELL_SAMPLING="0.1"))
    scheduler.poll(lambda event: None, 0.0)
    folder = tmp_path / "never-made"
    assert seen == {
        "number": 3,
        "parameters": {"x": 2},
        "fidelity": 0.5,
        "sampling": 0.1,
        "checkpoint": folder / "checkpoint",
        "output": folder / "artifacts",
    }
    assert (folder / "checkpoint").is_dir() and (folder / "artifacts").is_dir()
    assert tunewell.trial.current() is not seen


def test_reports_and_return_value(tmp_path: Path) -> None:
    """Reports come in order, by method and by function, and what is returned is one more step."""

    def function(trial: Trial) -> dict[str, float]:
        trial.report(score=1, loss=2.0)
        tunewell.trial.report({"score": 2}, step=5)
        return {"score": 3, "f1": math.inf}

    reports, _ = run(function, tmp_path)
    assert reports == [(1, {"score": 1.0, "loss": 2.0}), (5, {"score": 2.0}), (6, {"score": 3.0, "f1": math.inf})]


def test_reports_come_at_once(tmp_path: Path) -> None:
    """A report reaches the controller while the function still runs."""
    events: list[Event] = []

    def function(trial: Trial) -> None:
        trial.report(score=1)
        assert isinstance(events[-1], Reported)

    scheduler = InlineScheduler(function, "score")
    scheduler.submit(launch(tmp_path))
    scheduler.poll(events.append, 0.0)
    assert isinstance(events[-1], Ended) and events[-1].exit.cause is None


def test_stop_from_the_sink(tmp_path: Path) -> None:
    """A stop during a report raises `Pruned` there, and the attempt ends as stopped."""
    events: list[Event] = []
    after: list[str] = []

    def function(trial: Trial) -> float:
        trial.report(score=1)
        after.append("went on")
        return 2.0

    def sink(event: Event) -> None:
        events.append(event)
        if isinstance(event, Reported):
            scheduler.stop(KEY)

    scheduler = InlineScheduler(function, "score")
    scheduler.submit(launch(tmp_path))
    scheduler.poll(sink, 0.0)
    assert after == [] and [type(event) for event in events] == [Started, Reported, Ended]
    assert isinstance(events[-1], Ended) and events[-1].exit.stopped


def test_stop_at_the_last_report_is_too_late(tmp_path: Path) -> None:
    """A function that has returned is complete, even if its last report brings a stop."""
    events: list[Event] = []

    def sink(event: Event) -> None:
        events.append(event)
        if isinstance(event, Reported):
            scheduler.stop(KEY)

    scheduler = InlineScheduler(lambda: 1.0, "score")
    scheduler.submit(launch(tmp_path))
    scheduler.poll(sink, 0.0)
    assert isinstance(events[-1], Ended) and not events[-1].exit.stopped


def test_stop_before_the_call(tmp_path: Path) -> None:
    """An attempt that is stopped before its call is never called."""
    calls: list[int] = []
    scheduler = InlineScheduler(lambda: calls.append(1), "score")
    events: list[Event] = []
    scheduler.submit(launch(tmp_path))
    scheduler.stop(AttemptKey("inline", 4, 1))
    scheduler.stop(KEY)
    scheduler.poll(events.append, 0.0)
    assert calls == [] and isinstance(events[-1], Ended) and events[-1].exit.stopped


@pytest.mark.parametrize(
    ("error", "cause", "detail"),
    [
        (ValueError("bad\nvalue"), Cause.CRASHED, "ValueError: bad value"),
        (KeyError("x"), Cause.CRASHED, "KeyError: 'x'"),
        (AssertionError(), Cause.CRASHED, "AssertionError"),
        (MemoryError(), Cause.HOST_OOM, "MemoryError"),
        (RuntimeError("CUDA out of memory. Tried"), Cause.GPU_OOM, "RuntimeError: CUDA out of memory. Tried"),
        (SystemExit(3), Cause.CRASHED, "SystemExit: 3"),
        (SystemExit(0), None, ""),
    ],
)
def test_exceptions(tmp_path: Path, error: BaseException, cause: Cause | None, detail: str) -> None:
    """An exception is the cause of the end, and leaves its traceback in the attempt's log."""

    def function() -> None:
        raise error

    _, exit_ = run(function, tmp_path)
    assert (exit_.cause, exit_.detail, exit_.stopped) == (cause, detail, False)
    log = tmp_path / "never-made" / "output.log"
    assert log.exists() == (cause is not None)
    if cause is not None:
        assert "raise error" in log.read_text()


def test_declared_failure(tmp_path: Path) -> None:
    """A function's own word on why it failed counts."""
    _, exit_ = run(lambda trial: trial.fail("invalid_parameters", "width below depth"), tmp_path)
    assert (exit_.cause, exit_.detail) == (Cause.INVALID_PARAMETERS, "width below depth")


def test_wrong_result(tmp_path: Path) -> None:
    """A result that is no number is a crash that says what to return."""
    _, exit_ = run(lambda: "0.5", tmp_path)
    assert exit_.cause is Cause.CRASHED and "return a number" in exit_.detail


class Unspeakable(Exception):
    """Can't say what it is."""

    def __str__(self) -> str:
        raise LookupError("no text")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (Unspeakable(), "Unspeakable: (its text can't be had: LookupError)"),
        (ValueError("caf\udce9"), "ValueError: caf\N{REPLACEMENT CHARACTER}"),
        (Failed("no such cause", "why"), "Failed: 1"),
    ],
)
def test_exceptions_that_are_hard_to_tell(error: BaseException, detail: str, tmp_path: Path) -> None:
    """An exception without a text, or with one that is no Unicode, is a crash like any other, with a traceback."""

    def function() -> None:
        raise error

    _, exit_ = run(function, tmp_path)
    assert (exit_.cause, exit_.detail) == (Cause.CRASHED, detail)
    log = (tmp_path / "never-made" / "output.log").read_text(encoding="utf-8")
    assert log.startswith("Traceback") and type(error).__name__ in log


class Unformattable(Exception):
    """Fails while its traceback is being formatted."""

    @property
    def __notes__(self) -> list[str]:
        raise LookupError("no notes")


def test_a_traceback_that_cannot_be_made(tmp_path: Path) -> None:
    """Where a traceback can't even be formatted, the trial is a crash all the same."""

    def function() -> None:
        raise Unformattable("bad")

    _, exit_ = run(function, tmp_path)
    assert (exit_.cause, exit_.detail) == (Cause.CRASHED, "Unformattable: bad")


def test_interrupt(tmp_path: Path) -> None:
    """A keyboard interrupt goes on to the caller, the attempt's end having been told before."""

    def function() -> None:
        assert scheduler.calling
        raise KeyboardInterrupt

    scheduler = InlineScheduler(function, "score")
    events: list[Event] = []
    scheduler.submit(launch(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        scheduler.poll(events.append, 0.0)
    assert isinstance(events[-1], Ended) and events[-1].exit.stopped and events[-1].exit.cause is None
    assert not scheduler.calling and scheduler.capacity().free(Resources()) == 1


def test_threads_of_the_function_report(tmp_path: Path) -> None:
    """Threads that the function starts report for its trial, one step after the other."""

    def function() -> None:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(tunewell.trial.report, score=1) for _ in range(100)]:
                done.result()

    reports, exit_ = run(function, tmp_path)
    assert [step for step, _ in reports] == list(range(1, 101))
    assert exit_.cause is None


def test_a_thread_that_outlives_its_trial_reports_nothing(tmp_path: Path) -> None:
    """What a left-behind thread reports is refused there, and disturbs neither the scheduler nor the next trial."""
    trials: list[Trial] = []

    def function(trial: Trial) -> float:
        trials.append(trial)
        if len(trials) > 1:
            with pytest.raises(RuntimeError, match="the trial has ended"):
                pool.submit(trials[0].report, score=9).result()
        return 1.0

    scheduler = InlineScheduler(function, "score")
    events: list[Event] = []
    with ThreadPoolExecutor(1) as pool:
        for attempt in (1, 2):
            scheduler.submit(replace(launch(tmp_path), key=replace(KEY, attempt=attempt)))
            scheduler.poll(events.append, 0.0)
            with pytest.raises(RuntimeError, match="the trial has ended"):
                pool.submit(trials[-1].report, score=9).result()
    assert [type(event) for event in events] == [Started, Reported, Ended] * 2
    assert all(event.exit.cause is None for event in events if isinstance(event, Ended))


def test_error_of_the_sink(tmp_path: Path) -> None:
    """What goes wrong in the controller is not blamed on the function, even if that swallows it."""

    def function(trial: Trial) -> None:
        with suppress(Exception):
            trial.report(score=1)

    def sink(event: Event) -> None:
        assert not scheduler.calling
        if isinstance(event, Started):
            return
        raise LookupError("the store is gone")

    scheduler = InlineScheduler(function, "score")
    scheduler.submit(launch(tmp_path))
    with pytest.raises(LookupError):
        scheduler.poll(sink, 0.0)


def test_function_that_swallows_the_stop(tmp_path: Path) -> None:
    """A function that goes on in spite of a stop is asked again at every report."""
    asked: list[int] = []

    def function(trial: Trial) -> None:
        for _ in range(3):
            try:
                trial.report(score=1)
            except Pruned:
                asked.append(1)
                assert trial.should_stop

    scheduler = InlineScheduler(function, "score")
    scheduler.submit(launch(tmp_path))
    scheduler.poll(lambda event: scheduler.stop(KEY) if isinstance(event, Reported) else None, 0.0)
    assert len(asked) == 3


def test_room(tmp_path: Path) -> None:
    """There is one slot, without GPUs, and it is taken from start to end."""
    scheduler = InlineScheduler(lambda: 1.0, "score")
    assert scheduler.capacity().slots(Resources()) == scheduler.capacity().free(Resources()) == 1
    assert scheduler.capacity().slots(Resources(gpus=1)) == 0
    scheduler.submit(launch(tmp_path))
    assert scheduler.capacity().free(Resources()) == 0
    scheduler.poll(lambda event: None, 0.0)
    assert scheduler.capacity().free(Resources()) == 1


def test_cheap(tmp_path: Path) -> None:
    """A trivial trial costs next to nothing (goal: 60 µs; the bound is wide, for busy machines)."""
    bench = Bench(tmp_path, InlineScheduler(lambda x: x, "score"))
    one = launch(tmp_path, x=1.0)
    events: list[Event] = []
    begin = time.process_time()
    for _ in range(1000):
        bench.scheduler.submit(one)
        bench.scheduler.poll(events.append, 0.0)
    assert len(events) == 3000
    assert (time.process_time() - begin) / 1000 < 600e-6
