"""What every scheduler promises, run over each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers import behaviours
from tests.schedulers.bench import PATIENCE_SECONDS, Bench
from tunewell.schedulers.inline import InlineScheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import AttemptKey, Ended, Event, Launch, Reported, Resources
from tunewell.spec.states import Cause

#: Makes a bench on whose scheduler every attempt calls the function of that name in `behaviours`.
MakeBench = Callable[[str], Bench]


@pytest.fixture(params=["local", "inline"])
def make_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBench]:
    """One scheduler after the other."""
    benches: list[Bench] = []

    def make(behaviour: str) -> Bench:
        if request.param == "inline":
            scheduler: Any = InlineScheduler(getattr(behaviours, behaviour), "score")
        else:
            scheduler = LocalScheduler(cpus=2, gpus=())
        benches.append(Bench(tmp_path, scheduler))
        benches[-1].fields = {
            "entry": "tests.schedulers.behaviours:run",
            "preload": ("tests.schedulers.behaviours",),
            "environment": {"BEHAVIOUR": behaviour, "TUNEWELL_METRIC": "score", "TUNEWELL_FIDELITY": "0.5"},
        }
        return benches[-1]

    yield make
    for bench in benches:
        bench.scheduler.close()


def test_life(make_bench: MakeBench) -> None:
    """An attempt's reports come in order, then its end without a cause, then nothing more."""
    bench = make_bench("report_three")
    launch = bench.launch(parameters={"x": 2.0})
    exit_ = bench.run(launch)
    assert (exit_.cause, exit_.stopped) == (None, False)
    assert [(r.step, r.metrics) for r in bench.reports_of(launch)] == [
        (1, {"score": 2.0}),
        (5, {"score": 4.0, "loss": 0.5}),
        (6, {"score": 6.0}),
    ]
    assert isinstance(bench.events[-1], Ended)
    bench.poll()
    assert len(bench.events) == 4


def test_times(make_bench: MakeBench) -> None:
    """Start, reports and end are dated, in this order, and the duration is measured."""
    bench = make_bench("report_three")
    launch = bench.launch(parameters={"x": 1.0})
    exit_ = bench.run(launch)
    times = [exit_.started_at, *(report.time for report in bench.reports_of(launch)), exit_.ended_at]
    assert None not in times and times == sorted(times)  # type: ignore[type-var]
    assert exit_.duration_seconds is not None and 0 < exit_.duration_seconds < PATIENCE_SECONDS


def test_trial_knows_itself(make_bench: MakeBench) -> None:
    """The trial has its number, parameters, fidelity and folders."""
    bench = make_bench("describe")
    launch = bench.launch(number=9, parameters={"x": 1.5, "name": "adam", "on": True})
    assert bench.run(launch).cause is None
    (report,) = bench.reports_of(launch)
    assert report.metrics == {"number": 9.0, "fidelity": 0.5, "x": 1.5, "sound": 1.0}
    assert (launch.folder / "artifacts" / "kept").exists() and (launch.folder / "checkpoint" / "kept").exists()


@pytest.mark.parametrize(
    ("behaviour", "cause", "detail"),
    [
        ("crash", Cause.CRASHED, "ValueError: bad luck"),
        ("exhaust_memory", Cause.HOST_OOM, "MemoryError"),
        ("exhaust_gpu", Cause.GPU_OOM, "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"),
        ("give_up", Cause.INVALID_PARAMETERS, "depth exceeds width"),
    ],
)
def test_causes(make_bench: MakeBench, behaviour: str, cause: Cause, detail: str) -> None:
    """The same failure has the same cause and detail everywhere, and leaves a log."""
    bench = make_bench(behaviour)
    launch = bench.launch()
    exit_ = bench.run(launch)
    assert (exit_.cause, exit_.detail, exit_.stopped) == (cause, detail, False)


def test_stop_from_the_sink(make_bench: MakeBench) -> None:
    """The sink may stop an attempt during its report; the attempt ends as stopped, without a cause."""
    bench = make_bench("report_for_ever")
    launch = bench.start(bench.launch())

    def sink(event: Event) -> None:
        bench.events.append(event)
        if isinstance(event, Reported):
            bench.scheduler.stop(event.key)

    while bench.exit_of(launch) is None:
        bench.scheduler.poll(sink, 0.05)
    exit_ = bench.finish(launch)
    assert (exit_.stopped, exit_.cause) == (True, None)
    assert bench.reports_of(launch)[0].metrics == {"score": 1.0}


def test_stopping_the_unknown(make_bench: MakeBench) -> None:
    """Stopping an attempt that has ended, or never was, does nothing."""
    bench = make_bench("report_three")
    launch = bench.launch(parameters={"x": 1.0})
    bench.run(launch)
    bench.scheduler.stop(launch.key)
    bench.scheduler.stop(AttemptKey("another", 1, 1), 0.0)
    bench.poll()
    assert len(bench.events) == 4


def test_room(make_bench: MakeBench) -> None:
    """`free` goes from `slots` down to zero with each start, and back with each end."""
    bench = make_bench("report_three")
    need = Resources(cpus=1)
    slots = bench.scheduler.slots(need)
    assert slots >= 1
    started: list[Launch] = []
    while bench.scheduler.free(need):
        assert bench.scheduler.free(need) == slots - len(started)
        started.append(bench.start(bench.launch(number=len(started) + 1, parameters={"x": 1.0})))
    assert len(started) == slots
    for launch in started:
        bench.finish(launch)
    assert bench.scheduler.free(need) == bench.scheduler.slots(need) == slots


def test_one_after_the_other(make_bench: MakeBench) -> None:
    """Attempts leave no trace in each other: the second of the same kind behaves like the first."""
    bench = make_bench("report_three")
    launches = [bench.launch(number=number, parameters={"x": 1.0}) for number in (1, 2, 3)]
    for launch in launches:
        bench.run(launch)
    first, *others = [[(r.step, r.metrics) for r in bench.reports_of(launch)] for launch in launches]
    assert first and all(other == first for other in others)


def test_adopting_the_unknown(make_bench: MakeBench) -> None:
    """An attempt that never ran is unknown to a new scheduler, which stays empty."""
    bench = make_bench("report_three")
    assert bench.scheduler.adopt(bench.launch(parameters={"x": 1.0})) == "unknown"
    bench.poll()
    assert bench.events == []
    assert bench.scheduler.free(Resources()) == bench.scheduler.slots(Resources())


def test_poll_without_attempts(make_bench: MakeBench) -> None:
    """Polling an idle scheduler returns in time."""
    bench = make_bench("report_three")
    bench.poll(0.01)
    assert bench.events == []


def test_behaviours_are_used() -> None:
    """Every behaviour written for this suite is exercised by it."""
    source = Path(__file__).read_text()
    functions = [
        name for name, value in vars(behaviours).items() if getattr(value, "__module__", "") == behaviours.__name__
    ]
    assert all(f'"{name}"' in source for name in functions if name != "run")
