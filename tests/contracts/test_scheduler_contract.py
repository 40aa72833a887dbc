"""What every scheduler promises, run over each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers import behaviours
from tests.schedulers.bench import PATIENCE_SECONDS, Bench
from tests.schedulers.ray_cluster import scheduler_of
from tests.schedulers.workers import AttendedScheduler
from tunewell.schedulers.contract import LOST
from tunewell.schedulers.inline import InlineScheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, JobKey, Launch, Refused, Reported, Resources, Started
from tunewell.spec.states import Cause

#: Makes a bench on whose scheduler every attempt calls the function of that name in `behaviours`.
MakeBench = Callable[[str], Bench]


@pytest.fixture(params=["local", "inline", "workers", "ray"])
def make_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBench]:
    """One scheduler after the other."""
    benches: list[Bench] = []

    def make(behaviour: str) -> Bench:
        folder = tmp_path
        if request.param == "inline":
            scheduler: Any = InlineScheduler(getattr(behaviours, behaviour), "score")
        elif request.param == "workers":
            scheduler = AttendedScheduler(tmp_path, getattr(behaviours, behaviour))
        elif request.param == "ray":
            home, scheduler = request.getfixturevalue("ray_home")
            folder = home / tmp_path.name
        elif request.param == "own ray":
            cluster = request.getfixturevalue("ray_cluster")
            new_scheduler = partial(scheduler_of, cluster, tmp_path / "home", tmp_path / "nodes")
            scheduler, folder = new_scheduler(), tmp_path / "home" / "trials"
        else:
            scheduler = LocalScheduler(cpus=2, gpus=())
        benches.append(Bench(folder, scheduler))
        if request.param == "own ray":
            benches[-1].new_scheduler = new_scheduler  # another one's idle slots hold what there is for a while
            benches[-1].wait_until(lambda: scheduler.capacity().free(Resources()) == 4)
        benches[-1].fields = {
            "entry": "tests.schedulers.behaviours:run",
            "preload": ("tests.schedulers.behaviours",),
            "environment": {"BEHAVIOUR": behaviour, "TUNEWELL_METRIC": "score", "TUNEWELL_FIDELITY": "0.5"},
            # What is trained elsewhere takes nothing here.
            "resources": Resources(cpus=0 if request.param == "workers" else 1),
        }
        return benches[-1]

    yield make
    for bench in benches:
        if request.param == "ray":
            bench.end_all()
        else:
            bench.scheduler.close()


def test_life(make_bench: MakeBench) -> None:
    """An attempt starts, its reports come in order, then its end without a cause, then nothing more."""
    bench = make_bench("report_three")
    launch = bench.launch(parameters={"x": 2.0})
    exit_ = bench.run(launch)
    assert (exit_.cause, exit_.stopped) == (None, False)
    assert [(r.step, r.metrics) for r in bench.reports_of(launch)] == [
        (1, {"score": 2.0}),
        (5, {"score": 4.0, "loss": 0.5}),
        (6, {"score": 6.0}),
    ]
    bench.poll()
    assert [type(event) for event in bench.events] == [Started, *[Reported] * 3, Ended]


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
    assert [type(event) for event in bench.events] == [Started, *[Reported] * 3, Ended]


def test_room(make_bench: MakeBench) -> None:
    """`free` goes from `slots` down to zero with each start, and back with each end."""
    bench = make_bench("report_three")
    need = bench.fields["resources"]
    slots = bench.scheduler.capacity().slots(need)
    assert slots >= 1
    started: list[Launch] = []

    def is_taken(number: int) -> bool:
        return bench.scheduler.capacity().free(need) == slots - number

    for number in range(slots):  # what runs elsewhere may be counted a moment later
        bench.wait_until(lambda number=number: is_taken(number))  # type: ignore[misc]
        started.append(bench.start(bench.launch(number=number + 1, parameters={"x": 1.0})))
    for launch in started:
        bench.finish(launch)
    bench.wait_until(lambda: is_taken(0))
    assert bench.scheduler.capacity().slots(need) == slots


def test_one_after_the_other(make_bench: MakeBench) -> None:
    """Attempts leave no trace in each other: the second of the same kind behaves like the first."""
    bench = make_bench("report_three")
    launches = [bench.launch(number=number, parameters={"x": 1.0}) for number in (1, 2, 3)]
    for launch in launches:
        bench.run(launch)
    first, *others = [[(r.step, r.metrics) for r in bench.reports_of(launch)] for launch in launches]
    assert first and all(other == first for other in others)


def test_capacity_adds_up(make_bench: MakeBench) -> None:
    """What is free of cores, and what attempts have taken of them, is what there is."""
    bench = make_bench("report_three")
    (whole,) = bench.scheduler.capacity().nodes
    assert (whole.free_cpus, whole.free_memory_bytes) == (whole.cpus, whole.memory_bytes)
    assert whole.free_gpus == tuple(gpu.device for gpu in whole.gpus)
    launch = bench.start(bench.launch(parameters={"x": 1.0}))
    (left,) = bench.scheduler.capacity().nodes
    assert (left.cpus, left.memory_bytes, left.gpus) == (whole.cpus, whole.memory_bytes, whole.gpus)
    assert left.free_cpus == whole.cpus - launch.resources.cpus
    bench.finish(launch)
    assert bench.scheduler.capacity().nodes == (whole,)


def test_no_room(make_bench: MakeBench) -> None:
    """What is submitted beyond the room there is is refused, nothing else comes of it, and the others go on."""
    bench = make_bench("report_three")
    launches = [bench.launch(number=number, parameters={"x": 1.0}) for number in range(1, 9)]
    need = bench.fields["resources"]
    slots = bench.scheduler.capacity().slots(need)
    for launch in launches:
        bench.start(launch)
    assert bench.scheduler.capacity().free(need) == 0
    for launch in launches[:slots]:
        bench.finish(launch)
    for launch in launches[slots:]:
        (refused,) = [event for event in bench.events if event.key == launch.key]
        assert isinstance(refused, Refused) and refused.reason
    assert bench.scheduler.capacity().free(need) == slots


def test_stop_before_the_start(make_bench: MakeBench) -> None:
    """An attempt that is stopped before it has started ends as stopped, without a cause, having done nothing."""
    bench = make_bench("report_for_ever")
    launch = bench.start(bench.launch())
    bench.scheduler.stop(launch.key)
    exit_ = bench.finish(launch)
    assert (exit_.stopped, exit_.cause) == (True, None)
    # Where another process starts attempts, one may have been quicker than the order to stop.
    assert bench.reports_of(launch) == [] or exit_.duration_seconds


def test_jobs(make_bench: MakeBench) -> None:
    """A job lives as a trial does, under its own key."""
    bench = make_bench("report_three")
    launch = replace(bench.launch(parameters={"x": 1.0}), key=JobKey(7, 2))
    assert bench.run(launch).cause is None
    assert {event.key for event in bench.events} == {JobKey(7, 2)}
    assert len(bench.reports_of(launch)) == 3
    unknown = replace(launch, key=JobKey(8, 1), folder=bench.folder / "none")
    bench.scheduler.reconcile([unknown])
    assert bench.finish(unknown) == Exit(Cause.NODE_LOST, LOST)


def test_reconciling_the_unknown(make_bench: MakeBench) -> None:
    """Attempts that never ran end as lost, once for each, however often they are asked for; the scheduler is empty."""
    bench = make_bench("report_three")
    launches = [bench.launch(number=number, parameters={"x": 1.0}) for number in (1, 2, 3)]
    bench.scheduler.reconcile(launches)
    bench.scheduler.reconcile([*launches, launches[0]])
    assert bench.events == [], "answers are events"
    assert [bench.finish(launch) for launch in launches] == [Exit(Cause.NODE_LOST, LOST)] * 3
    bench.poll()
    assert len(bench.events) == 3
    need = bench.fields["resources"]
    assert bench.scheduler.capacity().free(need) == bench.scheduler.capacity().slots(need)
    bench.events.clear()
    bench.scheduler.reconcile(launches[:1])
    assert bench.finish(launches[0]).cause is Cause.NODE_LOST


def test_reconciling_what_has_not_started(make_bench: MakeBench) -> None:
    """An attempt that a scheduler was handed but has not started is known to it: it runs, once."""
    bench = make_bench("report_three")
    launch = bench.start(bench.launch(parameters={"x": 1.0}))
    bench.scheduler.reconcile([launch])
    assert bench.finish(launch).cause is None
    assert [type(event) for event in bench.events] == [Started, *[Reported] * 3, Ended]


def test_reconciling_nothing(make_bench: MakeBench) -> None:
    """A controller that finds nothing running gets no answer."""
    bench = make_bench("report_three")
    bench.scheduler.reconcile([])
    bench.poll(0.01)
    assert bench.events == []


#: Schedulers whose attempts live on without them.
_OUTLIVING = ["local", pytest.param("own ray", marks=pytest.mark.slow)]
outliving = pytest.mark.parametrize("make_bench", _OUTLIVING, indirect=True)


@outliving
def test_reconciling_all_kinds_at_once(make_bench: MakeBench) -> None:
    """Of a living, an ended and an unknown attempt a new scheduler tells all that there is to tell, each its own."""
    first = make_bench("report_for_ever")
    alive, ended = (first.start(first.launch(number=number)) for number in (1, 2))
    first.wait_until(lambda: all(len(first.reports_of(launch)) >= 2 for launch in (alive, ended)))
    first.scheduler.stop(ended.key)
    expected = first.finish(ended)
    first.scheduler.close()
    second, unknown = first.successor(), first.launch(number=3)
    second.scheduler.reconcile([alive, ended, unknown])
    assert second.scheduler.capacity().free(Resources()) <= 4 - 3, "each takes its place until its answer has come"
    assert second.finish(unknown) == Exit(Cause.NODE_LOST, LOST)
    assert second.finish(ended) == expected
    assert second.reports_of(ended) == first.reports_of(ended)
    second.wait_until(lambda: len(second.reports_of(alive)) > len(first.reports_of(alive)))
    assert next(event for event in second.events if event.key == alive.key) == Started(alive.key)
    assert second.reports_of(alive)[: len(first.reports_of(alive))] == first.reports_of(alive)
    second.wait_until(lambda: second.scheduler.capacity().free(Resources()) == 3)
    second.scheduler.stop(alive.key)
    assert second.finish(alive).stopped
    second.wait_until(lambda: second.scheduler.capacity().free(Resources()) == 4)
    second.scheduler.close()


@outliving
def test_reconciling_twice(make_bench: MakeBench) -> None:
    """An attempt that is asked for again tells all of its reports again, from the first, and ends once."""
    bench = make_bench("report_for_ever")
    launch = bench.start(bench.launch())
    bench.wait_until(lambda: len(bench.reports_of(launch)) >= 2)
    seen = bench.reports_of(launch)
    bench.events.clear()
    bench.scheduler.reconcile([launch, launch])
    bench.scheduler.reconcile([launch])
    bench.wait_until(lambda: len(bench.reports_of(launch)) > len(seen))
    assert bench.events[0] == Started(launch.key)
    assert [type(event) for event in bench.events].count(Started) == 1
    assert bench.reports_of(launch)[: len(seen)] == seen
    bench.scheduler.stop(launch.key)
    assert bench.finish(launch).stopped
    bench.events.clear()
    bench.scheduler.reconcile([launch])
    assert bench.finish(launch).stopped
    assert bench.reports_of(launch)[: len(seen)] == seen


@outliving
def test_stopping_what_is_being_reconciled(make_bench: MakeBench) -> None:
    """An attempt may be stopped before its answer has come."""
    bench = make_bench("report_for_ever")
    launch = bench.start(bench.launch())
    bench.wait_until(lambda: bench.reports_of(launch))
    bench.scheduler.close()
    successor = bench.successor()
    successor.scheduler.reconcile([launch])
    successor.scheduler.stop(launch.key)
    assert successor.finish(launch).stopped
    successor.scheduler.close()


def test_releasing_what_has_not_begun(make_bench: MakeBench) -> None:
    """Of an attempt that is let go of before anything was told of it, nothing ever is, and others have its room."""
    bench = make_bench("report_three")
    released = bench.start(bench.launch(1, parameters={"x": 1.0}))
    bench.release(released)
    other = bench.launch(2, parameters={"x": 2.0})
    assert bench.run(other).cause is None
    assert {event.key for event in bench.events} == {other.key}


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
