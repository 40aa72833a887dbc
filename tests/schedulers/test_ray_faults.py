"""Faults of a Ray cluster of several nodes, each with a folder of its own: nothing is lost, and nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers.bench import Bench, processes_below, script, wait_until
from tests.schedulers.ray_cluster import RayCluster, running_cluster, scheduler_of
from tests.schedulers.test_apart import counting, process_of, steps_of
from tests.schedulers.test_ray import python
from tunewell.schedulers.ray import node_of, ray_scheduler
from tunewell.spec.launch import Launch, Refused, Resources, Started
from tunewell.spec.states import Cause

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A cluster of three nodes, of two cores each."""
    with running_cluster(3, num_cpus=2) as cluster:
        yield cluster


@pytest.fixture
def bench(cluster: RayCluster, tmp_path: Path) -> Iterator[Bench]:
    """A home of its own, with a scheduler; at least three nodes live."""
    while len(cluster.nodes) < 3:
        cluster.add_node(num_cpus=2)
    with bench_on(cluster, tmp_path) as bench:
        bench.wait_until(lambda: bench.scheduler.capacity().free(Resources(cpus=2)) >= 3)
        yield bench


@contextmanager
def bench_on(cluster: RayCluster, folder: Path) -> Iterator[Bench]:
    """Give a bench with a home below a folder; what is left running is ended."""
    bench = Bench(folder / "home" / "trials", scheduler_of(cluster, folder / "home", folder / "nodes"))
    try:
        yield bench
        bench.end_all()
    finally:
        bench.scheduler.close()


def there(launch: Launch, folder: Path) -> Path:
    """Return the folder that an attempt has on its node."""
    wait_until(lambda: node_of(launch.folder))
    return folder / "nodes" / "home" / node_of(launch.folder) / launch.folder.relative_to(folder / "home")


def wait_until_clean(folder: Path) -> None:
    """Wait until no file of an attempt is left on any node."""

    def left_over() -> list[Path]:
        return [path for path in (folder / "nodes").rglob("*") if path.is_file() and ".inputs" not in path.parts]

    try:
        wait_until(lambda: not left_over())
    except AssertionError:
        raise AssertionError(f"left on nodes: {left_over()}") from None


def test_a_faulty_gpu_is_left_out(cluster: RayCluster, tmp_path: Path) -> None:
    """A GPU on which two attempts in a row fail gets no more: its slot keeps it, and others are used."""
    node = cluster.add_node(num_cpus=2, num_gpus=2)
    fails = "if os.environ['CUDA_VISIBLE_DEVICES'] == '0': sys.exit('CUDA error: uncorrectable ECC error encountered')"
    with bench_on(cluster, tmp_path) as bench:
        need = {"resources": Resources(cpus=1, gpus=1)}
        bench.wait_until(lambda: bench.scheduler.capacity().free(Resources(gpus=1)) == 2)
        ends = [bench.run(bench.launch(number, command=python(fails), **need)) for number in range(1, 6)]
        causes = [end.cause for end in ends]
        assert causes.count(Cause.GPU_ERROR) == 2 and causes[-1] is None
        (note,) = [note for end in ends for note in end.notes]
        assert "GPU 0 of " in note
        assert bench.scheduler.capacity().free(Resources(gpus=1)) == 1
    cluster.kill_node(node["node"])


def test_parts_of_gpus(cluster: RayCluster, tmp_path: Path) -> None:
    """What is left of two GPUs does not add up to room for an attempt, which would wait there in vain."""
    node = cluster.add_node(num_cpus=4, num_gpus=2)
    with bench_on(cluster, tmp_path) as bench:
        need = Resources(cpus=0.1, gpus=0.4)
        bench.wait_until(lambda: bench.scheduler.capacity().free(need) == 4)
        fields = {"command": script("polite"), "resources": need}
        for launch in [bench.start(bench.launch(number, **fields)) for number in range(1, 5)]:
            bench.wait_for_output(launch)
        (parts,) = [one.free_gpu_parts for one in bench.scheduler.capacity().nodes if one.name == node["node"]]
        assert parts == (0.2, 0.2) and bench.scheduler.capacity().free(need) == 0
    cluster.kill_node(node["node"])


def test_a_node_dies(bench: Bench, cluster: RayCluster, tmp_path: Path) -> None:
    """With its node an attempt is lost, its tree ends, and the next attempt goes on elsewhere from what is at home."""
    code = """
import json, time
path = "checkpoint/state.json"
step = json.load(open(path))["step"] if os.path.exists(path) else 0
while step < 1000:
    step += 1
    with open("new", "w") as file: json.dump({"step": step}, file)
    os.replace("new", path)
    with open("reports.jsonl", "a") as file: file.write(json.dumps({"score": step, "step": step}) + chr(10))
    time.sleep(0.05)
    if os.environ.get("ENOUGH"): break
"""
    launch = bench.launch(command=python(code))
    (launch.folder / "checkpoint").mkdir()
    head = next(iter(cluster.nodes))
    other = bench.start(bench.launch(2, command=counting(), resources=Resources(cpus=2)))  # it is given the head
    bench.wait_until(lambda: bench.reports_of(other))
    bench.start(launch)
    state = launch.folder / "checkpoint" / "state.json"
    bench.wait_until(state.exists)
    victim = node_of(launch.folder)
    if victim == head:
        pytest.skip("it runs on the head, which is another test")
    known = json.loads(state.read_text())["step"]
    folder = there(launch, tmp_path)
    cluster.kill_node(victim)
    exit_ = bench.finish(launch)
    assert exit_.cause is Cause.NODE_LOST and "node" in exit_.detail
    wait_until(lambda: not processes_below(folder))
    found = json.loads(state.read_text())["step"]
    assert found >= known
    again = replace(launch, key=replace(launch.key, attempt=2), folder=launch.folder.parent / "2")  # type: ignore[arg-type]
    again = replace(again, environment={"ENOUGH": "yes"})
    (again.folder).mkdir()
    for name in ("identity.json", "parameters.json"):
        (again.folder / name).write_bytes((launch.folder / name).read_bytes())
    (launch.folder / "checkpoint").rename(again.folder / "checkpoint")
    assert bench.run(again).cause is None
    assert steps_of(bench, again) == [found + 1] and node_of(again.folder) != victim
    if node_of(other.folder) != victim:
        assert bench.exit_of(other) is None
    bench.wait_until(lambda: victim not in {node.name for node in bench.scheduler.capacity().nodes})
    cluster.add_node(num_cpus=2)  # on the same machine: now somebody can look
    bench.wait_until(lambda: not folder.exists())


def test_the_scheduler_is_killed(bench: Bench, tmp_path: Path) -> None:
    """Attempts live on without the process that drives them; each report is told once, and nothing is left."""
    running = bench.start(bench.launch(1, command=counting()))
    ending = bench.start(bench.launch(2, command=python("import time; time.sleep(3); print('accuracy=0.5')")))
    bench.wait_until(lambda: len(bench.reports_of(running)) > 3)
    bench.wait_until(lambda: any(event == Started(ending.key) for event in bench.events))
    process_of(bench.scheduler).kill()  # type: ignore[arg-type]
    count = len(bench.reports_of(running))
    assert bench.finish(ending).cause is None
    bench.wait_until(lambda: len(bench.reports_of(running)) > count + 3)
    process_of(bench.scheduler).kill()  # type: ignore[arg-type]
    bench.scheduler.stop(running.key, 0.0)
    assert bench.finish(running).stopped
    steps = steps_of(bench, running)
    assert steps == list(range(1, len(steps) + 1))
    bench.scheduler.close()
    wait_until_clean(tmp_path)
    assert not processes_below(tmp_path)


def test_nothing_is_left(bench: Bench, cluster: RayCluster, tmp_path: Path) -> None:
    """After `close` no slot, no process and no file is left; what still runs goes on, until it is stopped."""
    done = bench.launch(1, command=("true",))
    bench.run(done)
    running = bench.start(bench.launch(2, command=counting()))
    bench.wait_until(lambda: bench.reports_of(running))
    bench.scheduler.close()
    wait_until(lambda: len(cluster.slots()) == 1)
    assert processes_below(tmp_path)
    with closing(scheduler_of(cluster, tmp_path / "home", tmp_path / "nodes")) as scheduler:
        bench.scheduler = scheduler
        bench.scheduler.reconcile([running])
        bench.scheduler.stop(running.key, 0.0)
        assert bench.finish(running).stopped
        bench.begun.clear()
    wait_until(lambda: not cluster.slots() and not processes_below(tmp_path))
    wait_until_clean(tmp_path)
    bench.scheduler = scheduler_of(cluster, tmp_path / "home", tmp_path / "nodes")


def test_ended_meanwhile(bench: Bench, cluster: RayCluster, tmp_path: Path) -> None:
    """Of an attempt that has ended while there was no controller, the next one tells all, and has all of its files."""
    code = """
import json, time
for step in range(1, 21):
    time.sleep(0.1)
    with open("reports.jsonl", "a") as file: file.write(json.dumps({"score": step, "step": step}) + chr(10))
os.mkdir("artifacts")
open("artifacts/model", "w").write("trained")
print("done")
"""
    launch = bench.start(bench.launch(command=python(code)))
    bench.wait_until(lambda: bench.reports_of(launch))
    bench.scheduler.close()
    wait_until((there(launch, tmp_path) / "exit.json").exists)
    assert not (launch.folder / "exit.json").exists()
    other = Bench(bench.folder, scheduler_of(cluster, tmp_path / "home", tmp_path / "nodes"))
    bench.scheduler = other.scheduler
    assert other.take_over(launch) == "ended"
    assert steps_of(other, launch) == list(range(1, 21))
    assert not any(isinstance(event, Started) for event in other.events)
    assert (launch.folder / "artifacts" / "model").read_text() == "trained"
    assert (launch.folder / "output.log").read_text() == "done\n"
    bench.begun.clear()


def test_a_checkpoint_that_changes(bench: Bench) -> None:
    """A checkpoint at home is always one that was there at one moment, though it changes all the time."""
    code = """
import itertools, time
for turn in itertools.count():
    for name in "abc":
        with open("new", "w") as file: file.write(str(turn) + " " * 3_000_000)
        os.replace("new", "checkpoint/" + name)
    if turn % 3 == 0: time.sleep(1.5)
"""
    launch = bench.launch(command=python(code))
    (launch.folder / "checkpoint").mkdir()
    bench.start(launch)
    copies: set[tuple[int, ...]] = set()

    def look() -> bool:
        try:
            turns = tuple(int((launch.folder / "checkpoint" / name).read_text()) for name in "abc")
        except FileNotFoundError:
            return False
        assert turns[0] >= turns[1] >= turns[2] >= turns[0] - 1, turns
        copies.add(turns)
        return len(copies) >= 2

    bench.wait_until(look)
    bench.scheduler.stop(launch.key, 0.0)
    assert bench.finish(launch).stopped
    look()


def test_large_output(bench: Bench) -> None:
    """50 MB of output come home as they were."""
    code = "for number in range(1_000_000): print(f'line {number:045}')"
    launch = bench.launch(command=python(code))
    exit_ = bench.run(launch)
    assert exit_.cause is None, exit_
    log = (launch.folder / "output.log").read_text()
    assert log == "".join(f"line {number:045}\n" for number in range(1_000_000))


def test_full_disk_at_home(cluster: RayCluster, tmp_path: Path) -> None:
    """On a full disk at home nothing gets lost: it is fetched once there is room."""
    disk = tmp_path / "home"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        with bench_on(cluster, tmp_path) as bench:
            bench.wait_until(lambda: bench.scheduler.capacity().free(Resources()))
            code = "import time\nprint('ready', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
            code += (
                "os.mkdir('artifacts'); open('artifacts/large', 'wb').write(bytes(1_500_000)); print('x' * 1_500_000)"
            )
            launch = bench.start(bench.launch(command=python(code)))
            bench.wait_for_output(launch)
            (disk / "filler").write_bytes(bytes(3_000_000))
            (there(launch, tmp_path) / "go").touch()
            wait_until((there(launch, tmp_path) / "exit.json").exists, bench.poll)
            bench.poll(1.0)
            assert bench.exit_of(launch) is None
            (disk / "filler").unlink()
            assert bench.finish(launch).cause is None
            assert (launch.folder / "artifacts" / "large").stat().st_size == 1_500_000
            assert (launch.folder / "output.log").stat().st_size == len("ready\n") + 1_500_001
    finally:
        wait_until(lambda: subprocess.run(["umount", disk], capture_output=True).returncode == 0)


def test_use_by_others(bench: Bench, cluster: RayCluster) -> None:
    """What others do on the cluster is not free; what they have taken meanwhile is no error, and costs nothing."""
    code = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
class Guest:
    def here(self): return 1
guests = [ray.remote(Guest).options(num_cpus=2).remote() for _ in range(2)]
ray.get([guest.here.remote() for guest in guests])
print("here", flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", code, cluster.address], text=True, env=environment, **pipes) as guest:
        assert guest.stdout is not None and guest.stdin is not None
        assert guest.stdout.readline() == "here\n"
        bench.wait_until(lambda: bench.scheduler.capacity().free(Resources(cpus=2)) == 1)
        assert bench.scheduler.capacity().slots(Resources(cpus=2)) == 3
        launches = [
            bench.start(bench.launch(number, command=counting(), resources=Resources(cpus=2))) for number in (1, 2)
        ]
        bench.wait_until(lambda: any(isinstance(event, Refused) for event in bench.events))
        assert bench.exit_of(launches[0]) is None
        guest.stdin.close()
    bench.wait_until(lambda: bench.scheduler.capacity().free(Resources(cpus=2)) == 2)


def test_other_version(cluster: RayCluster, tmp_path: Path) -> None:
    """Where nodes have no Tunewell, or another one, a sentence says so, and no attempt is used up."""
    fake = tmp_path / "other" / "tunewell-9.9.9.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: tunewell\nVersion: 9.9.9\n")
    paths = os.pathsep.join([str(fake.parent), os.environ["PYTHONPATH"]])
    arguments: Mapping[str, Any] = {"root": str(tmp_path / "nodes")}
    homes = [str(tmp_path / "home")]
    other = ray_scheduler(cluster.address, homes, "one", environment={"env_vars": {"PYTHONPATH": paths}}, **arguments)
    with closing(other) as scheduler:
        assert scheduler.wait_until_ready()
        wait_until(lambda: scheduler.problem, lambda: scheduler.poll(print, 0.1))
        assert "has Tunewell 9.9.9, and this service" in scheduler.problem
        assert scheduler.problem.endswith("install the same version there")
        assert scheduler.capacity().slots(Resources()) == 0
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "tunewell.py").write_text("raise ModuleNotFoundError(\"No module named 'tunewell'\")")
    environment = {"env_vars": {"PYTHONPATH": str(hidden)}}
    with closing(ray_scheduler(cluster.address, homes, "two", environment=environment, **arguments)) as scheduler:
        assert scheduler.wait_until_ready()
        wait_until(lambda: scheduler.problem, lambda: scheduler.poll(print, 0.1))
        assert "has no Tunewell: install tunewell[ray]" in scheduler.problem


def test_wrong_token(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wrong token, a sentence says so."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with closing(ray_scheduler(cluster.address, ["/nowhere"], "home", root="/nowhere")) as scheduler:
        assert not scheduler.wait_until_ready()
        assert "does not accept the token: RAY_AUTH_TOKEN" in scheduler.problem


def test_forsaken(bench: Bench, cluster: RayCluster, tmp_path: Path) -> None:
    """Slots whose controller is gone end by themselves, those that run nothing soon."""
    bench.run(bench.launch(1, command=("true",)))
    assert cluster.slots()
    controller = process_of(bench.scheduler)  # type: ignore[arg-type]
    controller.kill()
    bench.scheduler.close()
    deadline = time.monotonic() + 60
    while cluster.slots():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    wait_until_clean(tmp_path)
    bench.scheduler = scheduler_of(cluster, tmp_path / "home", tmp_path / "nodes")
