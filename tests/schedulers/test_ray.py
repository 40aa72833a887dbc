"""Attempts on a Ray cluster of one node: what comes back, what is left, and what happens when something is killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.schedulers.bench import Bench, has_ended, processes_below, script, wait_until
from tests.schedulers.ray_cluster import RayCluster
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.ray import locks, node_of, ray_scheduler
from tunewell.spec.launch import Launch, Refused, Resources
from tunewell.spec.states import Cause


def python(code: str) -> tuple[str, ...]:
    """Return the command that runs a program in its own folder."""
    return (sys.executable, "-S", "-c", f"import os, sys\nos.chdir(os.environ['TUNEWELL_TRIAL_FOLDER'])\n{code}")


@pytest.fixture
def bench(ray_home: tuple[Path, SchedulerApart], tmp_path: Path) -> Iterator[Bench]:
    """A bench on the cluster that all tests of this process share."""
    home, scheduler = ray_home
    bench = Bench(home / tmp_path.name, scheduler)
    yield bench
    bench.end_all()


@pytest.fixture
def there(ray_home: tuple[Path, SchedulerApart]) -> Callable[[Launch], Path]:
    """Gives the folder that an attempt has on its node."""
    home, _ = ray_home
    nodes = home.parent / "node" / "home"

    def there(launch: Launch) -> Path:
        wait_until(lambda: node_of(launch.folder))
        return nodes / node_of(launch.folder) / launch.folder.relative_to(home)

    return there


Place = Callable[[Launch], Path]


def test_stop_reaches_all(bench: Bench, ray_home: tuple[Path, SchedulerApart], there: Place) -> None:
    """A stop ends a trial's whole tree, with what has left its session and is deaf; its folder on the node is gone."""
    launch = bench.start(bench.launch(command=script("breeder", "stay")))
    bench.wait_for_output(launch)
    folder = there(launch)
    tree = processes_below(folder)
    assert len(tree) >= 1 and (folder / "output.log").exists()
    children = [int(line.split()[1]) for line in (folder / "output.log").read_text().splitlines() if "child" in line]
    # Others' locks are there where a test has let go of what a slot had begun.
    home, _ = ray_home
    lock = locks.path_of(folder.parents[2] / ".attempts", str(launch.folder.relative_to(home)))
    assert lock.exists()
    bench.scheduler.stop(launch.key, 0.0)
    assert bench.finish(launch).stopped
    assert len(children) == 3 and all(map(has_ended, children)) and not processes_below(folder)
    bench.wait_until(lambda: not folder.exists())
    bench.wait_until(lambda: not lock.exists())


def test_files(bench: Bench, there: Place) -> None:
    """All that a trial leaves comes home: odd names, links, empty folders, large files; and its log, complete."""
    code = """
os.makedirs("artifacts/empty/er"); os.makedirs("artifacts/sub")
for name in ["plain", "with space", "new\\nline", "-dash", "ünï", "n" * 255, b"by\\xfftes"]:
    place = os.path.join(b"artifacts", name if isinstance(name, bytes) else name.encode())
    open(place, "wb").write(b"content of " + os.path.basename(place))
open("artifacts/none", "w"); open("artifacts/large", "wb").write(os.urandom(20_000_000))
os.symlink("plain", "artifacts/link"); os.symlink("../plain", "artifacts/sub/up")
os.symlink("/etc/hostname", "artifacts/away"); os.symlink(os.path.abspath("artifacts/sub"), "artifacts/absolute")
os.mkfifo("artifacts/pipe"); os.chmod("artifacts/plain", 0o640)
for number in range(200_000): print("line", number)
"""
    launch = bench.launch(command=python(code))
    exit_ = bench.run(launch)
    assert (exit_.cause, exit_.notes) == (None, ())
    kept = launch.folder / "artifacts"
    for name in (b"plain", b"with space", b"new\nline", b"-dash", "ünï".encode(), b"n" * 255, b"by\xfftes"):
        assert (kept / os.fsdecode(name)).read_bytes() == b"content of " + name
    assert (kept / "empty" / "er").is_dir() and (kept / "none").stat().st_size == 0
    assert (kept / "large").stat().st_size == 20_000_000
    assert (kept / "link").readlink() == Path("plain") and (kept / "sub" / "up").resolve() == kept / "plain"
    assert (kept / "absolute").resolve() == kept / "sub" and (kept / "away").readlink() == Path("/etc/hostname")
    assert not (kept / "pipe").exists() and (kept / "plain").stat().st_mode & 0o777 == 0o640
    assert (launch.folder / "output.log").read_text() == "".join(f"line {number}\n" for number in range(200_000))
    assert not list(launch.folder.glob(".incoming-*")) and not list(launch.folder.glob(".*.part"))


def test_reports_that_are_emptied(bench: Bench) -> None:
    """A trial may empty its reports, and have more of them at once than there were: all count, in order."""
    code = """
import json, time
def write(mode, steps):
    with open("reports.jsonl", mode) as file:
        for step in steps: file.write(json.dumps({"score": step, "step": step}) + "\\n")
write("w", range(1, 4))
while not os.path.exists("seen"): time.sleep(0.01)
write("w", range(4, 40))
"""
    launch = bench.start(bench.launch(command=python(code)))
    bench.wait_until(lambda: len(bench.reports_of(launch)) == 3)
    (folder,) = {of for _, of in _processes(launch)}
    (folder / "seen").touch()
    assert bench.finish(launch).cause is None
    assert [report.step for report in bench.reports_of(launch)] == list(range(1, 40))


def _processes(launch: Launch) -> list[tuple[psutil.Process, Path]]:
    found = []
    for process in psutil.process_iter():
        try:
            folder = process.environ().get("TUNEWELL_TRIAL_FOLDER", "")
        except psutil.Error:
            continue
        if folder.endswith("/".join(launch.folder.parts[-3:])):
            found.append((process, Path(folder)))
    return found


def test_what_it_goes_on_from(bench: Bench) -> None:
    """An attempt finds what was put into its folder, and its inputs, and leaves a checkpoint as a whole."""
    launch = bench.launch(command=python(_GOES_ON), inputs=(bench.folder / "data",))
    launch = replace(launch, environment={"DATA": str(bench.folder / "data" / "numbers")})
    (bench.folder / "data").mkdir()
    (bench.folder / "data" / "numbers").write_text("1 2 3")
    (launch.folder / "checkpoint").mkdir()
    (launch.folder / "checkpoint" / "state").write_text("before")
    (launch.folder / "checkpoint" / "old").touch()
    exit_ = bench.run(launch)
    assert exit_.cause is None, exit_
    assert sorted(path.name for path in (launch.folder / "checkpoint").iterdir()) == ["new", "state"]
    assert (launch.folder / "checkpoint" / "state").read_text() == "before 1 2 3"


_GOES_ON = """
assert os.environ["DATA"] != "" and os.path.exists("checkpoint/old")
state = open("checkpoint/state").read() + " " + open(os.environ["DATA"]).read()
open("checkpoint/state", "w").write(state)
os.remove("checkpoint/old"); open("checkpoint/new", "w")
"""


def test_slot_killed(bench: Bench, ray_cluster: RayCluster, there: Place) -> None:
    """Where the slot is killed the attempt is lost, its processes end, and what it has left there is removed."""
    launch = bench.launch(command=script("breeder", "stay"))
    bench.start(replace(launch, limits=replace(launch.limits, grace_seconds=1.0)))
    bench.wait_for_output(launch)
    folder = there(launch)
    children = [int(line.split()[1]) for line in (folder / "output.log").read_text().splitlines() if "child" in line]
    slots = ray_cluster.slots()
    assert slots
    for slot in slots:
        slot.kill()
    exit_ = bench.finish(launch)
    assert exit_.cause is Cause.NODE_LOST and "its slot is gone" in exit_.detail
    wait_until(lambda: all(map(has_ended, children)))
    bench.wait_until(lambda: not folder.exists())
    assert bench.run(bench.launch(2, command=("true",))).cause is None


def test_supervisor_killed(bench: Bench, there: Place) -> None:
    """Where its supervisor is killed an attempt ends as killed, with all of its processes."""
    launch = bench.start(bench.launch(command=script("breeder", "stay")))
    bench.wait_for_output(launch)
    folder = there(launch)
    children = [int(line.split()[1]) for line in (folder / "output.log").read_text().splitlines() if "child" in line]
    psutil.Process(json.loads((folder / "supervisor.json").read_text())["supervisor"]["pid"]).kill()
    assert bench.finish(launch).cause is Cause.KILLED
    assert len(children) == 3 and all(map(has_ended, children))


def test_shapes(bench: Bench) -> None:
    """Idle slots give way to attempts of another shape, fractions of cores add up, and what does not fit waits."""
    everything = bench.launch(1, command=("true",), resources=Resources(cpus=4))
    assert bench.run(everything).cause is None
    halves = [bench.launch(number, command=script("polite"), resources=Resources(cpus=1.5)) for number in (2, 3)]
    for launch in halves:
        bench.start(launch)
    for launch in halves:
        bench.wait_for_output(launch)
    capacity = bench.scheduler.capacity()
    assert (capacity.free(Resources(cpus=1)), capacity.free(Resources(cpus=0.25))) == (1, 4)
    (node,) = capacity.nodes
    large = bench.start(
        bench.launch(4, command=("true",), resources=Resources(cpus=0, memory_bytes=2 * node.memory_bytes))
    )
    whole = bench.start(bench.launch(5, command=("true",), resources=Resources(cpus=4)))
    bench.wait_until(lambda: len([event for event in bench.events if isinstance(event, Refused)]) == 2)
    assert {event.key for event in bench.events if isinstance(event, Refused)} == {large.key, whole.key}
    for launch in halves:
        bench.scheduler.stop(launch.key)
        assert bench.finish(launch).stopped


def test_nobody_there() -> None:
    """Where no cluster is, that is said in a sentence, soon."""
    scheduler = ray_scheduler("127.0.0.1:1", ["/nowhere"], "home", root="/nowhere")
    assert not scheduler.wait_until_ready()
    assert scheduler.problem == "nothing answers there (Connection refused)"
    scheduler.close()
