"""Room on the machine, and what goes where."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.schedulers.bench import Bench, script, wait_until, with_environment
from tests.schedulers.children import entries
from tunewell.schedulers import records
from tunewell.schedulers.fork_client import ForkServerGone, ForkServerProcess
from tunewell.schedulers.local import MOST_EVENTS, LocalScheduler
from tunewell.spec.launch import Ended, Event, Refused, Reported, Resources, Started
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN
from tunewell.spec.states import Cause

#: Fails on the first GPU alone.
FAULTY = ("sh", "-c", '[ "$CUDA_VISIBLE_DEVICES" != 0 ] || { echo "CUDA error: uncorrectable ECC error"; exit 1; }')
SHOW = ("sh", "-c", 'echo "${CUDA_VISIBLE_DEVICES-unset}"')


@pytest.mark.parametrize(
    ("resources", "slots"),
    [
        (Resources(cpus=1), 8),
        (Resources(cpus=3), 2),
        (Resources(cpus=9), 0),
        (Resources(cpus=0.1), 80),
        (Resources(cpus=0.3), 26),
        (Resources(cpus=1.5), 5),
        (Resources(cpus=0, gpus=1), 3),
        (Resources(cpus=1, gpus=1), 3),
        (Resources(cpus=1, gpus=2), 1),
        (Resources(cpus=4, gpus=1), 2),
        (Resources(cpus=1, gpus=4), 0),
    ],
)
def test_slots(resources: Resources, slots: int) -> None:
    """Slots are what cores and GPUs both allow."""
    scheduler = LocalScheduler(cpus=8, gpus=("0", "1", "2"))
    assert scheduler.capacity().slots(resources) == scheduler.capacity().free(resources) == slots
    scheduler.close()


def test_free_follows_the_attempts(bench: Bench) -> None:
    """Cores are taken from the start of an attempt to its end."""
    launch = bench.start(bench.launch(command=script("polite"), resources=Resources(cpus=3)))
    assert bench.scheduler.capacity().free(Resources(cpus=1)) == 1
    assert bench.scheduler.capacity().free(Resources(cpus=2)) == 0
    bench.wait_for_output(launch)
    bench.scheduler.stop(launch.key)
    bench.finish(launch)
    assert bench.scheduler.capacity().free(Resources(cpus=1)) == 4


def test_a_fork_server_is_made_ready_before_it_is_needed(bench: Bench) -> None:
    """An attempt is forked by the process that a hint has set to importing what the attempt needs."""
    bench.scheduler.preload((entries.__name__,))
    (ready,) = wait_until(_fork_servers)
    launch = bench.launch(command=None, entry=f"{entries.__name__}:describe", preload=(entries.__name__,))
    assert bench.finish(bench.start(launch)).cause is None
    assert _fork_servers() == [ready]


@pytest.mark.parametrize(("behaviour", "reports"), [("report_three", 3), ("crash", 0)])
def test_started_comes_first(bench: Bench, monkeypatch: pytest.MonkeyPatch, behaviour: str, reports: int) -> None:
    """What a fork server began, and did not say so before its end, is told as what has started, and ended."""
    launch = bench.launch(
        parameters={"x": 1.0} if reports else {},
        entry="tests.schedulers.behaviours:run",
        preload=("tests.schedulers.behaviours",),
        environment={"BEHAVIOUR": behaviour, "TUNEWELL_METRIC": "score"},
    )

    def answers(_server: ForkServerProcess) -> Iterator[ForkServerGone]:
        if records.read_exit(launch.folder) is not None:
            yield ForkServerGone((launch.folder,), "", "it ended with code 1", killed=False)

    monkeypatch.setattr(ForkServerProcess, "answers", answers)
    bench.run(launch)
    assert [type(event) for event in bench.events] == [Started, *[Reported] * reports, Ended]


def _fork_servers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "tunewell.schedulers.fork_server" in child.cmdline()]


def test_gpus_are_exclusive(tmp_path: Path) -> None:
    """Attempts at the same time see different GPUs; one without GPUs sees none; the user's own word wins."""
    bench = Bench(tmp_path, LocalScheduler(cpus=8, gpus=("4", "GPU-5")))
    launches = [
        bench.launch(1, command=SHOW, resources=Resources(gpus=1)),
        bench.launch(2, command=SHOW, resources=Resources(gpus=1)),
        bench.launch(3, command=SHOW),
        with_environment(bench.launch(4, command=SHOW), CUDA_VISIBLE_DEVICES="7"),
    ]
    for launch in launches:
        bench.start(launch)
    assert bench.scheduler.capacity().free(Resources(gpus=1)) == 0
    for launch in launches:
        bench.finish(launch)
    shown = [(launch.folder / "output.log").read_text().strip() for launch in launches]
    assert shown == ["4", "GPU-5", "", "7"]
    assert bench.scheduler.capacity().free(Resources(gpus=2)) == 1
    bench.scheduler.close()


def test_a_faulty_gpu_is_left_out(tmp_path: Path) -> None:
    """A GPU on which two attempts in a row fail gets no more, while others do; the end says so."""
    bench = Bench(tmp_path, LocalScheduler(cpus=8, gpus=("0", "1")))
    gpu = {"resources": Resources(gpus=1)}
    ends = [bench.run(bench.launch(number, command=FAULTY, **gpu)) for number in (1, 2, 3)]
    assert [end.cause for end in ends] == [Cause.GPU_ERROR, Cause.GPU_ERROR, None]
    assert [len(end.notes) for end in ends] == [0, 1, 0] and "GPU 0" in ends[1].notes[0]
    assert bench.scheduler.capacity().slots(Resources(gpus=1)) == 2
    assert bench.scheduler.capacity().free(Resources(gpus=1)) == 1
    first, second = (bench.start(bench.launch(number, command=("sleep", "60"), **gpu)) for number in (4, 5))
    bench.wait_until(lambda: any(isinstance(event, Refused) and event.key == second.key for event in bench.events))
    bench.scheduler.stop(first.key, 0.0)
    bench.finish(first)
    bench.scheduler.close()


def test_no_gpus_no_variable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without GPUs CUDA_VISIBLE_DEVICES is left alone."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    launch = bench.launch(command=SHOW)
    bench.run(launch)
    assert (launch.folder / "output.log").read_text() == "unset\n"


def test_relative_working_directory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative working directory means this process's, not the fork server's."""
    bench.run(bench.launch(1, command=("true",)))
    (bench.folder / "elsewhere").mkdir()
    monkeypatch.chdir(bench.folder / "elsewhere")
    launch = bench.launch(2, command=("pwd",), working_directory=Path())
    bench.run(launch)
    assert (launch.folder / "output.log").read_text() == f"{bench.folder}/elsewhere\n"


def test_failing_sink_loses_no_event(bench: Bench) -> None:
    """Events that a failing sink has not seen come with the next poll."""
    launches = [bench.start(bench.launch(number, command=("true",))) for number in (1, 2)]

    def fail(event: Event) -> None:
        bench.events.append(event)
        if isinstance(event, Ended):
            raise RuntimeError("no room")

    raised = 0
    while not all(map(bench.exit_of, launches)):
        try:
            bench.scheduler.poll(fail, 0.05)
        except RuntimeError:
            raised += 1
    assert raised == 2


def test_secrets_are_private(bench: Bench) -> None:
    """The file that holds an attempt's environment can be read by its owner alone."""
    launch = with_environment(bench.launch(command=("true",)), TOKEN="secret")
    bench.run(launch)
    assert (launch.folder / "launch.json").stat().st_mode & 0o077 == 0


def test_no_room_for_the_lock(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that finds no room for its lock has not begun, and the disk is to blame."""

    def refuse(path: Path, mode: int = 0o666) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    exit_ = bench.run(bench.launch(command=("true",)))
    assert (exit_.cause, exit_.started_at) == (Cause.DISK_FULL, None)


def test_a_flood_of_reports_keeps_nobody_waiting(bench: Bench) -> None:
    """One poll hands over so many events at most; an attempt that has ended meanwhile is told; none gets lost."""
    lines, code = 5 * MOST_EVENTS, "import sys; [print(f'm={i}') for i in range(int(sys.argv[1]))]"
    command = (sys.executable, "-c", code, str(lines))
    flood = bench.start(bench.launch(1, command=command, metric_pattern=DEFAULT_METRIC_PATTERN, metric="m"))
    wait_until(lambda: (flood.folder / "exit.json").exists())
    quiet = bench.start(bench.launch(2, command=("true",)))
    wait_until(lambda: (quiet.folder / "exit.json").exists())
    handed: list[int] = []
    while bench.exit_of(flood) is None:
        before = len(bench.events)
        bench.poll()
        handed.append(len(bench.events) - before)
        assert handed[-1] <= MOST_EVENTS
    told = [event for event in bench.events if event.key == flood.key]
    assert isinstance(told[-1], Ended)
    assert [report.metrics["m"] for report in bench.reports_of(flood)] == list(range(lines))
    place = next(n for n, event in enumerate(bench.events) if isinstance(event, Ended) and event.key == quiet.key)
    assert place < len(bench.events) - MOST_EVENTS
