"""What a supervisor does with a trial, seen through a local scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.bench import (
    CHILDREN,
    PATIENCE_SECONDS,
    Bench,
    has_ended,
    processes_below,
    processes_of,
    script,
    wait_until,
    with_environment,
)
from tunewell.schedulers import processes, records
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import Exit, Launch, Limits, Resources
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN
from tunewell.spec.states import Cause

ENTRIES = "tests.schedulers.children.entries"


@pytest.fixture(scope="module")
def scheduler() -> Iterator[LocalScheduler]:
    """One scheduler for all these tests: what they look at are supervisors."""
    scheduler = LocalScheduler(cpus=4, gpus=())
    yield scheduler
    scheduler.close()


@pytest.fixture
def bench(tmp_path: Path, scheduler: LocalScheduler) -> Iterator[Bench]:
    """A bench on that scheduler; whatever a test leaves running is ended."""
    bench = Bench(tmp_path, scheduler)
    yield bench
    for process in processes_below(tmp_path):
        process.kill()
    bench.wait_until(lambda: scheduler.capacity().free(Resources()) == 4)


def test_success(bench: Bench) -> None:
    """A command that ends well has no cause, and its times and memory are on record."""
    before = time.time()
    exit_ = bench.run(bench.launch(command=script("ender", 0, "hello")))
    assert (exit_.cause, exit_.detail, exit_.exit_code, exit_.stopped) == (None, "", 0, False)
    assert exit_.started_at is not None and exit_.ended_at is not None
    assert before <= exit_.started_at <= exit_.ended_at <= time.time()
    assert exit_.peak_memory_bytes is not None and exit_.peak_memory_bytes > 1 << 20


@pytest.mark.parametrize(
    ("arguments", "cause", "detail"),
    [
        ((3, "one", "two"), Cause.CRASHED, "exit code 3: two"),
        ((3,), Cause.CRASHED, "exit code 3"),
        ((-11, "bye"), Cause.CRASHED, "it died of SIGSEGV: bye"),
        ((-9,), Cause.KILLED, "it was ended from outside by SIGKILL"),
        ((137,), Cause.KILLED, "it was ended from outside by SIGKILL"),
        ((-15,), Cause.KILLED, "it was ended from outside by SIGTERM"),
        ((1, "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB"), Cause.GPU_OOM, None),
        ((1, "MemoryError"), Cause.HOST_OOM, None),
    ],
)
def test_cause(bench: Bench, arguments: tuple[object, ...], cause: Cause, detail: str | None) -> None:
    """The cause of a failure follows from exit code, signal and the end of the log."""
    exit_ = bench.run(bench.launch(command=script("ender", *arguments)))
    assert exit_.cause is cause
    if detail is not None:
        assert exit_.detail == detail


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("nonsense-program", "there is no such program"),
        ("./plain", "it is not executable"),
        ("./lost", "the interpreter in its first line is not there"),
        ("./empty", "it is no program"),
    ],
)
def test_program_that_cannot_be_started(bench: Bench, program: str, reason: str) -> None:
    """A program that can't be started is a crash whose detail names it, the reason and the working directory."""
    (bench.folder / "plain").write_text("")
    for name, text in (("lost", "#!/no/such/interpreter\n"), ("empty", "hello")):
        (bench.folder / name).write_text(text)
        (bench.folder / name).chmod(0o755)
    exit_ = bench.run(bench.launch(command=(program,)))
    assert exit_.cause is Cause.CRASHED
    assert f"'{program}'" in exit_.detail and reason in exit_.detail and str(bench.folder) in exit_.detail


def test_missing_working_directory(bench: Bench) -> None:
    """A working directory that is not there is named as the reason."""
    exit_ = bench.run(bench.launch(command=("true",), working_directory=bench.folder / "nowhere"))
    assert exit_.cause is Cause.CRASHED
    assert f"{bench.folder / 'nowhere'} can't be entered" in exit_.detail


def test_environment(bench: Bench) -> None:
    """A command finds folders, identity and thread counts in its environment; the launch's own variables win."""
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    launch = bench.launch(number=7, command=(sys.executable, "-S", "-c", program), resources=Resources(cpus=3))
    launch = with_environment(launch, MKL_NUM_THREADS="8", TUNEWELL_METRIC="accuracy")
    assert bench.run(launch).cause is None
    seen = json.loads((launch.folder / "output.log").read_text())
    expected = {
        "TUNEWELL_TRIAL_FOLDER": str(launch.folder),
        "TUNEWELL_PARAMETERS": str(launch.folder / "parameters.json"),
        "TUNEWELL_EXPERIMENT": "bench",
        "TUNEWELL_TRIAL": "7",
        "TUNEWELL_ATTEMPT": "1",
        "TUNEWELL_OUTPUT_DIR": str(launch.folder / "artifacts"),
        "TUNEWELL_CHECKPOINT_DIR": str(launch.folder / "checkpoint"),
        "TUNEWELL_METRIC": "accuracy",
        "PYTHONUNBUFFERED": "1",
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "3"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "3"),
        "MKL_NUM_THREADS": "8",
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }
    assert {name: seen.get(name) for name in expected} == expected


@pytest.mark.skipif(not processes.LINUX, reason="the priority of sessions is a matter of Linux")
def test_trials_give_way(bench: Bench) -> None:
    """A trial has a lower priority than what runs it, within its session and among sessions."""
    launch = bench.launch(command=("sh", "-c", "nice; cat /proc/self/autogroup 2>/dev/null || true"))
    assert bench.run(launch).cause is None
    own, *session = (launch.folder / "output.log").read_text().splitlines()
    assert int(own) == min(os.nice(0) + processes.NICENESS, 19)
    if os.geteuid() == 0:  # others may say so ten times a second, all together
        assert all(line.endswith(f" nice {processes.NICENESS}") for line in session)


def test_stop_is_polite(bench: Bench) -> None:
    """A stopped trial gets SIGTERM, may still report, and counts as stopped whatever its exit code."""
    launch = bench.start(bench.launch(command=script("polite"), metric_pattern=DEFAULT_METRIC_PATTERN))
    bench.wait_for_output(launch)
    bench.scheduler.stop(launch.key, 20.0)
    exit_ = bench.finish(launch)
    assert (exit_.stopped, exit_.cause, exit_.exit_code) == (True, None, 0)
    assert [report.metrics for report in bench.reports_of(launch)] == [{"accuracy": 0.25}]


def test_stop_ends_the_deaf(bench: Bench) -> None:
    """A trial that ignores SIGTERM is killed after the grace time of its limits."""
    launch = bench.start(bench.launch(command=script("deaf"), limits=Limits(grace_seconds=0.3)))
    bench.wait_for_output(launch)
    begin = time.monotonic()
    bench.scheduler.stop(launch.key)
    exit_ = bench.finish(launch)
    assert (exit_.stopped, exit_.exit_code) == (True, -signal.SIGKILL)
    assert time.monotonic() - begin >= 0.3


def test_second_stop_kills_at_once(bench: Bench) -> None:
    """A second request without grace ends what the first one, with an hour of it, did not."""
    launch = bench.start(bench.launch(command=script("deaf")))
    bench.wait_for_output(launch)
    bench.scheduler.stop(launch.key, 3600.0)
    bench.scheduler.stop(launch.key, 0.0)
    assert bench.finish(launch).stopped


def test_stop_before_the_start(bench: Bench) -> None:
    """A stop that comes before the trial began keeps it from beginning."""
    launch = bench.launch(command=("touch", "began"))
    records.write_stop(launch.folder, 10.0)
    exit_ = bench.run(launch)
    assert exit_.stopped and not (bench.folder / "began").exists()


def test_stop_without_a_nudge(bench: Bench) -> None:
    """The request in the folder is enough: it is seen without a signal, too."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    records.write_stop(launch.folder, 20.0)
    assert bench.finish(launch).stopped


def test_signal_without_a_request(bench: Bench) -> None:
    """A supervisor that is ended by SIGTERM (a machine that shuts down) ends its trial as lost, not as stopped."""
    launch = bench.start(bench.launch(command=script("polite")))
    bench.wait_for_output(launch)
    os.kill(bench.supervisor_of(launch)["supervisor"]["pid"], signal.SIGTERM)
    exit_ = bench.finish(launch)
    assert (exit_.cause, exit_.stopped) == (Cause.KILLED, False)


def test_report_ends_an_entry_that_is_stopped(bench: Bench) -> None:
    """A Python trial that is asked to end sees `Pruned` and counts as stopped."""
    launch = bench.start(bench.launch(entry=f"{ENTRIES}:report_until_pruned"))
    bench.wait_until(lambda: bench.reports_of(launch))
    records.write_stop(launch.folder, 20.0)
    exit_ = bench.finish(launch)
    assert exit_.stopped and exit_.exit_code != -signal.SIGKILL
    assert (launch.folder / "output.log").read_text() == ""


def test_wall_limit(bench: Bench) -> None:
    """A trial that runs too long ends with the cause `timeout`."""
    limits = Limits(wall_seconds=0.3, grace_seconds=0.1)
    exit_ = bench.run(bench.launch(command=script("deaf"), limits=limits))
    assert (exit_.cause, exit_.detail) == (Cause.TIMEOUT, "it ran longer than 0.3 s")


def test_silence_limit(bench: Bench) -> None:
    """A trial that neither prints nor reports for too long ends with the cause `silent`."""
    exit_ = bench.run(bench.launch(command=script("deaf"), limits=Limits(silence_seconds=0.4, grace_seconds=0.1)))
    assert (exit_.cause, exit_.detail) == (Cause.SILENT, "it printed and reported nothing for 0.4 s")


@pytest.mark.parametrize("target", ["output.log", "reports.jsonl"])
def test_signs_of_life(bench: Bench, target: str) -> None:
    """Neither a trial that keeps printing nor one that keeps reporting is silent."""
    line = '{"accuracy": 0.5}' if target == "reports.jsonl" else "still here"
    program = f"for i in 1 2 3 4 5 6 7 8 9; do echo '{line}' >> $TUNEWELL_TRIAL_FOLDER/{target}; sleep 0.2; done"
    limits = Limits(silence_seconds=1.4, grace_seconds=0.1)
    assert bench.run(bench.launch(command=("sh", "-c", program), limits=limits)).cause is None


def test_memory_limit(bench: Bench) -> None:
    """A trial whose processes together take more memory than allowed is killed as `host_oom`."""
    program = f"{' '.join(script('hungry', 60))} & {' '.join(script('hungry', 60))}"
    limits = Limits(memory_bytes=100 << 20)
    launch = bench.launch(command=("sh", "-c", program), limits=limits)
    exit_ = bench.run(launch)
    assert exit_.cause is Cause.HOST_OOM and "more than the 100 MiB allowed" in exit_.detail
    assert exit_.peak_memory_bytes is not None and exit_.peak_memory_bytes > 100 << 20
    assert processes_of(launch.folder) == []


def test_shared_memory_counts_once(bench: Bench) -> None:
    """Memory that the processes of a trial share is not taken for more than it is."""
    launch = bench.launch(command=script("sharing", 80), limits=Limits(memory_bytes=180 << 20))
    exit_ = bench.run(launch)
    assert exit_.cause is None, exit_.detail


def test_no_orphans_after_the_end(bench: Bench) -> None:
    """Grandchildren that left the session don't outlive a trial that ends by itself."""
    launch = bench.launch(command=script("breeder"))
    assert bench.run(launch).cause is None
    log = (launch.folder / "output.log").read_text()
    children = [int(line.split()[1]) for line in log.splitlines() if line.startswith("child")]
    assert len(children) == 3 and all(map(has_ended, children))


def test_no_orphans_after_a_kill(bench: Bench) -> None:
    """A stop without grace takes grandchildren along that left the session and ignore SIGTERM."""
    launch = bench.start(bench.launch(command=script("breeder", "stay")))
    log = bench.wait_for_output(launch)
    bench.scheduler.stop(launch.key, 0.0)
    bench.finish(launch)
    children = [int(line.split()[1]) for line in log.splitlines() if line.startswith("child")]
    assert len(children) == 3 and all(map(has_ended, children))


def test_metric_lines(bench: Bench) -> None:
    """Metric lines count in all their shapes, with their steps, up to a last one without an end."""
    launch = bench.launch(command=script("metric_lines"), metric_pattern=DEFAULT_METRIC_PATTERN)
    assert bench.run(launch).cause is None
    assert [(report.step, report.metrics) for report in bench.reports_of(launch)] == [
        (1, {"accuracy": 0.1}),
        (1, {"loss": 2.0}),
        (2, {"accuracy": 0.2, "loss": 1.5}),
        (7, {"accuracy": 0.7, "val/f1": 0.6}),
        (8, {"accuracy": 0.8}),
        (3, {"loss": 0.5}),
        (9, {"accuracy": float("-inf")}),
        (10, {"accuracy": 0.9}),
    ]


def test_own_pattern_and_none(bench: Bench) -> None:
    """A pattern of the user replaces the rule; without any, output is left alone."""
    own = bench.launch(
        1, command=script("ender", 0, "accuracy=1", "Result <f1> 0.5"), metric_pattern=r"<(?P<name>\w+)> (?P<value>\S+)"
    )
    none = bench.launch(2, command=script("ender", 0, "accuracy=1"))
    for launch in (own, none):
        bench.run(launch)
    assert [report.metrics for report in bench.reports_of(own)] == [{"f1": 0.5}]
    assert bench.reports_of(none) == []


def test_own_reports_replace_metric_lines(bench: Bench) -> None:
    """Once a trial reports through the file, what it prints counts no more."""
    launch = bench.launch(command=script("both_ways"), metric_pattern=DEFAULT_METRIC_PATTERN)
    bench.run(launch)
    assert [(report.step, report.metrics["accuracy"]) for report in bench.reports_of(launch)] == [(1, 0.1), (1, 0.5)]


def test_garbage(bench: Bench) -> None:
    """Binary output, endless lines and broken reports harm nothing, and the sound reports count."""
    launch = bench.launch(command=script("noisy"), metric_pattern=DEFAULT_METRIC_PATTERN)
    assert bench.run(launch).cause is None
    assert [(r.step, r.metrics) for r in bench.reports_of(launch)] == [(1, {"accuracy": 0.5}), (3, {"accuracy": 0.75})]


def test_all_reports_before_the_end(bench: Bench) -> None:
    """However many reports a trial writes just before its end, all of them come before it, the last one too."""
    launch = bench.launch(command=script("reporter", 20_000))
    assert bench.run(launch).cause is None
    assert [report.step for report in bench.reports_of(launch)] == list(range(1, 20_001))


def test_traceback(bench: Bench) -> None:
    """The exception of an entry is the detail of its crash, and its traceback is in the log."""
    launch = bench.launch(entry=f"{ENTRIES}:raise_error")
    exit_ = bench.run(launch)
    assert (exit_.cause, exit_.detail, exit_.exit_code) == (Cause.CRASHED, "ValueError: the learning rate", 1)
    assert "raise ValueError" in (launch.folder / "output.log").read_text()


def test_declared_failure(bench: Bench) -> None:
    """A trial's own word on why it failed counts."""
    exit_ = bench.run(bench.launch(entry=f"{ENTRIES}:fail"))
    assert (exit_.cause, exit_.detail) == (Cause.DATA_ERROR, "picture 7 is broken")


def test_entry_that_is_not_there(bench: Bench) -> None:
    """An entry that can't be found is a crash that names it."""
    exit_ = bench.run(bench.launch(entry="tests.schedulers.children.nowhere:run"))
    assert exit_.cause is Cause.CRASHED and "tests.schedulers.children.nowhere" in exit_.detail


def supervise_alone(launch: Launch, *arguments: object) -> None:
    """Run a supervisor for `launch` in a process of its own, without scheduler and fork server."""
    records.write_launch(launch, ())
    command = [sys.executable, CHILDREN / "supervise.py", launch.folder, *map(str, arguments)]
    subprocess.run(command, check=True, start_new_session=True, timeout=PATIENCE_SECONDS)


def test_refuses_where_an_attempt_has_ended(bench: Bench) -> None:
    """A supervisor that comes late, after somebody recorded the attempt's end, starts nothing."""
    launch = bench.launch(command=("touch", "began"))
    records.write_exit(launch.folder, Exit(Cause.NODE_LOST, "gone"))
    supervise_alone(launch)
    assert not (bench.folder / "began").exists()
    assert records.read_exit(launch.folder) == Exit(Cause.NODE_LOST, "gone")
    (launch.folder / "exit.json").unlink()
    supervise_alone(launch)
    assert (bench.folder / "began").exists()


def test_waits_for_the_lock(bench: Bench) -> None:
    """A supervisor does not begin before the one that has the attempt's lock has gone."""
    launch = bench.launch(command=("true",))
    with records.locked(launch.folder, wait=False) as lock:
        assert lock is not None
        bench.start(launch)
        bench.wait_until(lambda: bench.scheduler._attempts[launch.key].supervisor)  # type: ignore[attr-defined]
        bench.poll()
        assert bench.exit_of(launch) is None
    assert bench.finish(launch).cause is None


@pytest.mark.parametrize(
    ("code", "cause"), [(1, Cause.DISK_FULL), (-11, Cause.DISK_FULL), (0, None), (-9, Cause.KILLED)]
)
def test_failure_on_a_full_disk(bench: Bench, code: int, cause: Cause | None) -> None:
    """A program that fails while the disk is full has failed for that, whatever it managed to say."""
    launch = bench.launch(command=script("ender", code, "bad luck"))
    supervise_alone(launch, "full")
    exit_ = records.read_exit(launch.folder)
    assert exit_ is not None and exit_.cause is cause
    if cause is Cause.DISK_FULL:
        assert exit_.detail.startswith("the disk was full while it ran; ") and "bad luck" in exit_.detail


def test_limits_leave_out_a_full_disk(bench: Bench) -> None:
    """Time in which the disk is full, and a trial may wait for room, is none that its limits count, but its cost."""
    limits = Limits(wall_seconds=0.2, silence_seconds=0.2)
    launch = bench.launch(command=("sh", "-c", "sleep 0.8"), limits=limits)
    supervise_alone(launch, "full")
    exit_ = records.read_exit(launch.folder)
    assert exit_ is not None and exit_.cause is None
    assert exit_.duration_seconds is not None and exit_.duration_seconds >= 0.8


def test_notes(bench: Bench) -> None:
    """What a trial prints and reports that does not count comes with its end, with the lines."""
    program = "echo accuracy=0.5; echo accuracy=n/a; echo garbage >> $TUNEWELL_TRIAL_FOLDER/reports.jsonl"
    launch = bench.launch(command=("sh", "-c", program), metric_pattern=DEFAULT_METRIC_PATTERN, metric="accuracy")
    unread, no_report = bench.run(launch).notes
    assert unread.endswith("line 2 of the output, 'accuracy=n/a'.")
    assert no_report.startswith("1 line of reports.jsonl is no report: line ") and "'garbage'" in no_report


def test_burst(bench: Bench) -> None:
    """All of a hundred thousand lines that are printed at once are reported, in order."""
    program = "import os; os.write(1, b''.join(b'step=%d loss=%d\\n' % (n, n) for n in range(100_000)))"
    launch = bench.launch(
        command=(sys.executable, "-S", "-c", program), metric_pattern=DEFAULT_METRIC_PATTERN, metric="loss"
    )
    assert bench.run(launch).cause is None
    assert [report.step for report in bench.reports_of(launch)] == list(range(100_000))


def test_an_endless_burst_is_stopped(bench: Bench) -> None:
    """A trial that prints metric lines without end is stopped as any other one."""
    launch = bench.start(bench.launch(command=("yes", "loss=1"), metric_pattern=DEFAULT_METRIC_PATTERN, metric="loss"))
    bench.wait_until(lambda: bench.reports_of(launch))
    bench.scheduler.stop(launch.key)
    assert bench.finish(launch).stopped


def _oom_cgroup() -> Path | None:
    folder = Path(f"/sys/fs/cgroup/memory/tunewell-test-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(60 << 20))
    except OSError:
        return None
    return folder


def test_oom_killer(bench: Bench) -> None:
    """A trial that the kernel kills for its memory has the cause `host_oom`."""
    group = _oom_cgroup()
    if group is None:
        pytest.skip("needs control groups (version 1) that this user may make")
    try:
        launch = bench.launch(command=script("hungry", 200))
        supervise_alone(launch, group)
        exit_ = records.read_exit(launch.folder)
        assert exit_ is not None
        assert (exit_.cause, exit_.exit_code) == (Cause.HOST_OOM, -signal.SIGKILL)
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_an_attempt_ends_with_the_process_that_it_is_tied_to(bench: Bench) -> None:
    """A program whose worker is killed does not train on for nobody."""
    with subprocess.Popen(["sleep", "1000"]) as owner:
        tie = (owner.pid, processes.identity(owner.pid) or "")
        launch = bench.start(bench.launch(command=["sleep", "1000"], ends_with=tie))
        bench.supervisor_of(launch)
        assert bench.exit_of(launch) is None
        owner.kill()
    exit_ = bench.finish(launch)
    assert exit_.cause is Cause.NODE_LOST and "is gone" in exit_.detail
    assert processes_of(launch.folder) == []
