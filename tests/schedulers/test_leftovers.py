"""Sudden deaths of supervisor, fork server and scheduler, and what the next scheduler makes of what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.schedulers.bench import Bench, has_ended, open_descriptors, processes_of, script, wait_until
from tunewell.schedulers import local, records
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import Ended, Exit, Launch, Resources
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN
from tunewell.spec.states import Cause

ENTRIES = "tests.schedulers.children.entries"
#: Trials with children that leave their session.
BREEDERS: dict[str, Any] = {
    "command": {"command": script("breeder", "stay")},
    "entry": {"entry": f"{ENTRIES}:fork_and_wait"},
}


def fork_servers() -> list[psutil.Process]:
    """Return this process's fork servers."""
    return [p for p in psutil.Process().children() if "tunewell.schedulers.fork_server" in p.cmdline()]


def children_in(log: str) -> list[int]:
    """Return the process numbers that a trial has printed."""
    return [int(line.split()[1]) for line in log.splitlines() if line.startswith("child")]


def kill(pid: int) -> None:
    """Kill without warning."""
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("program", ["command", "entry"])
def test_supervisor_killed(bench: Bench, program: str) -> None:
    """The trial of a killed supervisor dies with all that it has started, and its attempt ends as killed."""
    launch = bench.start(bench.launch(**BREEDERS[program]))
    bench.wait_for_output(launch, "child")
    log = bench.wait_for_output(launch)
    pids = bench.supervisor_of(launch)
    kill(pids["supervisor"]["pid"])
    exit_ = bench.finish(launch)
    assert (exit_.cause, exit_.detail, exit_.stopped) == (Cause.KILLED, "its supervisor was killed", False)
    assert records.read_exit(launch.folder) == exit_
    started = [pids["trial"]["pid"], *children_in(log)]
    assert len(started) >= 2
    wait_until(lambda: all(map(has_ended, started)))


def test_supervisor_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that does not end its trial in time is killed, and its trial with it."""
    monkeypatch.setattr(local, "OVERDUE_SECONDS", 0.2)
    launch = bench.start(bench.launch(**BREEDERS["command"]))
    bench.wait_for_output(launch, "child")
    log = bench.wait_for_output(launch)
    pids = bench.supervisor_of(launch)
    os.kill(pids["supervisor"]["pid"], signal.SIGSTOP)
    bench.scheduler.stop(launch.key, grace_seconds=0.1)
    assert bench.finish(launch).cause is Cause.KILLED
    wait_until(lambda: all(map(has_ended, [pids["trial"]["pid"], *children_in(log)])))


def test_supervisor_at_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor lives as long as it writes what its trial had printed, however long that takes on a busy machine."""
    monkeypatch.setattr(local, "OVERDUE_SECONDS", 0.05)
    launch = bench.start(bench.launch(**BREEDERS["command"]))
    bench.wait_for_output(launch)
    os.kill(bench.supervisor_of(launch)["supervisor"]["pid"], signal.SIGSTOP)
    bench.scheduler.stop(launch.key, grace_seconds=0.0)
    until = time.monotonic() + 20 * local.OVERDUE_SECONDS
    while time.monotonic() < until:
        with (launch.folder / "output.log").open("a") as log:
            log.write("more")
        bench.poll(0.01)
    assert bench.exit_of(launch) is None
    assert bench.finish(launch).cause is Cause.KILLED


@pytest.mark.parametrize("program", ["command", "entry"])
def test_supervisor_killed_without_a_scheduler(bench: Bench, program: str) -> None:
    """Adopting an attempt whose supervisor died meanwhile leaves no process of it and never lets it begin."""
    launch = bench.start(bench.launch(**BREEDERS[program]))
    bench.wait_for_output(launch, "child")
    log = bench.wait_for_output(launch)
    pids = bench.supervisor_of(launch)
    bench.scheduler.close()
    kill(pids["supervisor"]["pid"])
    wait_until(lambda: has_ended(pids["supervisor"]["pid"]) and has_ended(pids["trial"]["pid"]))
    successor = bench.successor()
    assert successor.take_over(launch) == "unknown"
    assert all(map(has_ended, children_in(log))) and processes_of(launch.folder) == []
    recorded = records.read_exit(launch.folder)
    assert recorded is not None and recorded.cause is Cause.NODE_LOST
    assert successor.scheduler.capacity().free(Resources()) == successor.scheduler.capacity().slots(Resources())
    successor.scheduler.close()


def test_fork_server_killed(bench: Bench) -> None:
    """Attempts survive their fork server, and the next attempt gets a new one."""
    first = bench.start(bench.launch(1, command=script("polite")))
    bench.wait_for_output(first)
    (fork_server,) = fork_servers()
    fork_server.kill()
    assert bench.run(bench.launch(2, command=("true",))).cause is None
    bench.scheduler.stop(first.key)
    exit_ = bench.finish(first)
    assert exit_.stopped and exit_.exit_code == 0


def test_fork_server_killed_with_a_request(bench: Bench) -> None:
    """A request that a fork server took along when it died is made again, and the attempt runs once."""
    bench.run(bench.launch(1, command=("true",)))
    (fork_server,) = fork_servers()
    fork_server.suspend()
    second = bench.start(bench.launch(2, command=("sh", "-c", "echo ran >> trace")))
    fork_server.kill()
    assert bench.finish(second).cause is None
    assert (bench.folder / "trace").read_text() == "ran\n"


def test_fork_server_ends_with_the_scheduler(bench: Bench) -> None:
    """Closing a scheduler ends its fork servers and leaves attempts alone."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    (fork_server,) = fork_servers()
    trial = bench.supervisor_of(launch)["trial"]["pid"]
    bench.scheduler.close()
    assert has_ended(fork_server.pid) and not has_ended(trial)


@pytest.mark.parametrize("ending", ["after", "before"])
def test_scheduler_killed(bench: Bench, ending: str) -> None:
    """An attempt survives a SIGKILL of its scheduler; another process's gets all reports and the end."""
    command = ("sh", "-c", "echo accuracy=0.5; while [ ! -e go ]; do sleep 0.02; done; echo accuracy=0.75; exit 3")
    program = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    controller = subprocess.Popen(
        [sys.executable, "-c", program, Path(__file__).parent / "children/controller.py", bench.folder, *command],
        cwd=Path(__file__).parents[2],
    )
    launch = replace(bench.launch(command=command), metric_pattern=DEFAULT_METRIC_PATTERN)
    bench.wait_for_output(launch, "accuracy=0.5")
    controller.kill()
    controller.wait()
    if ending == "before":
        (bench.folder / "go").touch()
        wait_until((launch.folder / "exit.json").exists)
        supervisor = bench.supervisor_of(launch)["supervisor"]["pid"]
        wait_until(lambda: has_ended(supervisor))
    assert bench.take_over(launch) == ("ended" if ending == "before" else "alive")
    assert bench.scheduler.capacity().free(Resources()) == (4 if ending == "before" else 3)
    (bench.folder / "go").touch()
    exit_ = bench.finish(launch)
    assert (exit_.cause, exit_.exit_code) == (Cause.CRASHED, 3)
    assert [report.metrics["accuracy"] for report in bench.reports_of(launch)] == [0.5, 0.75]


def test_adopted_attempt_can_be_stopped(bench: Bench) -> None:
    """An adopting scheduler can stop what it has adopted."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    bench.scheduler.close()
    successor = bench.successor()
    assert successor.take_over(launch) == "alive"
    successor.scheduler.stop(launch.key, 0.0)
    assert successor.finish(launch).stopped
    successor.scheduler.close()


def test_adoption_restores_gpus(tmp_path: Path) -> None:
    """The GPUs of an adopted attempt are occupied, and free again after its end."""
    first = Bench(tmp_path, LocalScheduler(cpus=4, gpus=("0", "1", "2")))
    filler = first.start(first.launch(1, command=script("polite"), resources=Resources(gpus=1)))
    kept = first.start(first.launch(2, command=script("polite"), resources=Resources(gpus=1)))
    for launch in (filler, kept):
        first.wait_for_output(launch)
    first.scheduler.close()
    second = Bench(tmp_path, LocalScheduler(cpus=4, gpus=("0", "1", "2")))
    assert second.take_over(kept) == "alive"
    assert second.scheduler.capacity().free(Resources(gpus=1)) == 2
    program = ("sh", "-c", 'echo "<$CUDA_VISIBLE_DEVICES>"')
    other = second.launch(3, command=program, resources=Resources(gpus=2))
    second.run(other)
    assert (other.folder / "output.log").read_text() == "<0,2>\n"
    assert second.take_over(filler) == "alive"
    for launch in (filler, kept):
        second.scheduler.stop(launch.key, 0.0)
        second.finish(launch)
    assert second.scheduler.capacity().free(Resources(gpus=1)) == 3
    second.scheduler.close()


@pytest.mark.parametrize("state", ["folder only", "launch written", "no folder"])
def test_adopting_what_never_ran(bench: Bench, state: str) -> None:
    """An attempt that never began is unknown, and a supervisor that comes late can't begin it."""
    launch = bench.launch(command=("touch", "began"))
    if state == "launch written":
        records.write_launch(launch, ())
    if state == "no folder":
        shutil.rmtree(launch.folder)
    assert bench.take_over(launch) == "unknown"
    if state != "no folder":
        late = bench.successor()
        late.scheduler.submit(launch)
        late.wait_until(lambda: late.exit_of(launch))
        late.scheduler.close()
    assert not (bench.folder / "began").exists()


@pytest.mark.parametrize("state", ["alive", "ended"])
def test_the_attempt_of_another_life_is_left_alone(bench: Bench, state: str) -> None:
    """An attempt in a folder that has another identity is not this one: nothing of it is told, ended or changed."""
    other = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(other)
    pids = bench.supervisor_of(other)
    if state == "ended":
        bench.scheduler.stop(other.key, 0.0)
        bench.finish(other)
    bench.scheduler.close()
    successor = bench.successor()
    before = sorted(path.name for path in other.folder.iterdir())
    assert successor.take_over(replace(other, identity="1" * 32)) == "unknown"
    successor.poll()
    assert [type(event) for event in successor.events] == [Ended]
    assert successor.scheduler.capacity().free(Resources()) == 4
    assert sorted(path.name for path in other.folder.iterdir()) == before
    if state == "alive":
        assert not has_ended(pids["trial"]["pid"])
        successor.events.clear()
        assert successor.take_over(other) == "alive"
        successor.scheduler.stop(other.key, 0.0)
        successor.finish(other)
    successor.scheduler.close()


def test_a_copied_folder_ends_no_process_of_its_original(bench: Bench) -> None:
    """What was copied while it ran is lost in the copy, and runs on where it was copied from."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    pids = bench.supervisor_of(launch)
    copy = bench.folder / "copy" / "1"
    shutil.copytree(launch.folder, copy)
    successor = bench.successor()
    assert successor.take_over(replace(launch, folder=copy)) == "unknown"
    assert records.read_exit(copy) is not None
    assert not any(has_ended(process["pid"]) for process in (pids["supervisor"], pids["trial"]))
    bench.scheduler.stop(launch.key, 0.0)
    assert bench.finish(launch).stopped
    shutil.rmtree(copy)
    shutil.copytree(launch.folder, copy)
    assert successor.take_over(replace(launch, folder=copy)) == "unknown", "the last reports may be missing"
    successor.scheduler.close()


def test_adopting_twice(bench: Bench) -> None:
    """What an earlier adoption found to be lost comes as an end, so it can't be missed."""
    launch = bench.launch(command=("true",))
    assert bench.take_over(launch) == "unknown"
    successor = bench.successor()
    assert successor.take_over(launch) == "ended"
    assert successor.finish(launch).cause is Cause.NODE_LOST
    successor.scheduler.close()


def test_adopting_before_the_supervisor_is_known(bench: Bench) -> None:
    """An attempt whose lock is held is alive, even while nothing tells by whom."""
    launch = bench.launch(command=("true",))
    with records.locked(launch.folder, wait=False):
        assert bench.take_over(launch) == "alive"
        bench.poll()
        assert bench.exit_of(launch) is None
        records.write_exit(launch.folder, Exit())
    assert bench.finish(launch) == Exit()


def test_folder_vanishes(bench: Bench) -> None:
    """A folder that is deleted under a running attempt harms neither `poll` nor the other attempts."""
    doomed = bench.start(bench.launch(1, command=script("polite")))
    other = bench.start(bench.launch(2, command=script("polite")))
    for launch in (doomed, other):
        bench.wait_for_output(launch)
    pids = bench.supervisor_of(doomed)
    shutil.rmtree(doomed.folder)
    bench.scheduler.stop(doomed.key, 0.0)
    bench.scheduler.stop(other.key)
    assert bench.finish(other).stopped
    exit_ = bench.finish(doomed)
    assert (exit_.cause, exit_.detail) == (Cause.KILLED, "its folder was removed")
    assert has_ended(pids["trial"]["pid"])


def test_start_in_a_folder_that_is_not_there(bench: Bench) -> None:
    """An attempt whose folder can't be written ends at once, as lost."""
    launch = bench.launch(command=("true",))
    shutil.rmtree(launch.folder)
    exit_ = bench.run(launch)
    assert exit_.cause is Cause.NODE_LOST and "could not be started" in exit_.detail
    assert bench.scheduler.capacity().free(Resources()) == 4


def test_full_disk(bench: Bench) -> None:
    """On a full disk attempts end with a cause, and `poll` goes on; with room again, all is well."""
    disk = bench.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    small = Bench(disk, bench.scheduler)
    try:
        running = small.start(small.launch(1, command=script("polite"), working_directory=bench.folder))
        small.wait_for_output(running)
        blocked = small.launch(2, command=("true",), working_directory=bench.folder)
        with (disk / "filler").open("wb") as filler, pytest.raises(OSError, match="No space left"):
            while True:
                os.write(filler.fileno(), bytes(4096))
        assert small.run(blocked).cause is Cause.DISK_FULL
        small.scheduler.stop(running.key)
        small.poll()
        (disk / "filler").unlink()
        exit_ = small.finish(running)
        assert exit_.stopped or exit_.cause is Cause.KILLED
        assert small.run(small.launch(3, command=("true",), working_directory=bench.folder)).cause is None
    finally:
        bench.scheduler.close()
        wait_until(lambda: subprocess.run(["umount", disk], capture_output=True).returncode == 0)


def test_a_trial_on_a_full_disk(bench: Bench) -> None:
    """A trial that prints more than there is room for waits, and all its reports are there in the end."""
    disk = bench.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    small = Bench(disk, bench.scheduler)
    try:
        command = script("filler", disk / "filler", bench.folder / "filled")
        running = small.start(
            small.launch(
                command=command,
                working_directory=bench.folder,
                metric_pattern=DEFAULT_METRIC_PATTERN,
                metric="loss",
            )
        )
        small.wait_until((bench.folder / "filled").exists)
        small.poll(0.5)
        assert small.exit_of(running) is None
        (disk / "filler").unlink()
        exit_ = small.finish(running)
        assert (exit_.cause, exit_.notes) == (None, ())
        assert [report.metrics["loss"] for report in small.reports_of(running)] == list(range(3001))
    finally:
        bench.scheduler.close()
        wait_until(lambda: subprocess.run(["umount", disk], capture_output=True).returncode == 0)


def test_nothing_leaks(bench: Bench) -> None:
    """200 attempts leave neither descriptors nor processes behind."""

    def run_some(numbers: range) -> None:
        launches: list[Launch] = []
        for number in numbers:
            bench.wait_until(lambda: bench.scheduler.capacity().free(Resources()))
            launches.append(bench.start(bench.launch(number, command=("true",))))
        assert {bench.finish(launch).cause for launch in launches} == {None}

    run_some(range(1, 11))
    descriptors = open_descriptors()
    (fork_server,) = fork_servers()
    held = fork_server.num_fds()
    run_some(range(11, 211))
    assert open_descriptors() == descriptors
    wait_until(lambda: fork_server.children() == [])
    assert fork_server.num_fds() == held


def test_released_attempts_live_on(bench: Bench) -> None:
    """What another controller follows is told of no more, holds nothing here, and goes on."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    bench.scheduler.release([launch.key])
    told = len(bench.events)
    other = bench.successor()
    assert other.take_over(launch) == "alive"
    other.scheduler.stop(launch.key)
    assert other.finish(launch).stopped
    bench.poll()
    assert len(bench.events) == told
    other.scheduler.close()


def test_a_folder_that_comes_too_late(bench: Bench) -> None:
    """Where an attempt has never begun, its place is taken: a folder that is moved there later finds no way in."""
    launch = bench.launch()
    late = launch.folder.with_name("late")
    launch.folder.rename(late)
    assert bench.take_over(launch) == "unknown"
    with pytest.raises(OSError, match="not empty"):
        late.rename(launch.folder)
    assert records.read_exit(launch.folder) is not None
