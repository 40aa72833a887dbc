"""Cores, memory and GPUs that all schedulers of a home count together."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedulers.bench import Bench, processes_below, script, wait_until
from tunewell.schedulers import claims as module
from tunewell.schedulers import records
from tunewell.schedulers.claims import Claim, Claims
from tunewell.schedulers.local import LocalScheduler
from tunewell.schedulers.processes import identity
from tunewell.spec.launch import AttemptKey, Launch, Refused, Resources
from tunewell.spec.states import Cause

GIB = 1 << 30
ONE_GPU = Resources(cpus=1, gpus=1)
CONTENDER = (
    "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')",
    str(Path(__file__).parent / "children" / "contender.py"),
)

MakeBench = Callable[[], Bench]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where claims are written."""
    return tmp_path / "claims.jsonl"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have written, and who of them lives, is looked at each time."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)


@pytest.fixture
def make_bench(tmp_path: Path, path: Path) -> Iterator[MakeBench]:
    """Makes benches on one machine of two GPUs, four cores and 8 GiB, each with a scheduler of its own."""
    benches: list[Bench] = []

    def make() -> Bench:
        scheduler = LocalScheduler(path, cpus=4, gpus=("0", "1"), memory_bytes=8 * GIB)
        benches.append(Bench(tmp_path / str(len(benches)), scheduler))
        return benches[-1]

    yield make
    for bench in benches:
        bench.scheduler.close()
    for process in processes_below(tmp_path):
        process.kill()


def contend(
    folder: Path, path: Path, at_once: int, total: int, resources: Resources, *command: str
) -> subprocess.Popen[bytes]:
    """Start a scheduler in a process of its own."""
    arguments = (folder, path, at_once, total, resources.cpus, resources.gpus, *command)
    return subprocess.Popen([sys.executable, "-c", *CONTENDER, *map(str, arguments)], cwd=Path(__file__).parents[2])


def free(bench: Bench, resources: Resources = ONE_GPU) -> int:
    """Return how many attempts still fit."""
    return bench.scheduler.capacity().free(resources)


def refused(bench: Bench, launch: Launch) -> bool:
    """Whether an attempt was refused, and nothing else became of it."""
    return [type(event) for event in bench.events if event.key == launch.key] == [Refused]


def long(bench: Bench, number: int = 1, **fields: Any) -> Launch:
    """Start an attempt that runs until it is stopped."""
    launch = bench.start(bench.launch(number, command=script("polite"), **fields))
    bench.wait_for_output(launch)
    return launch


def stop(bench: Bench, launch: Launch) -> None:
    """End an attempt."""
    bench.scheduler.stop(launch.key, 0.0)
    bench.finish(launch)


def test_schedulers_count_together(make_bench: MakeBench) -> None:
    """What one scheduler has started takes the room of the others, GPU by GPU, until it ends."""
    first, second = make_bench(), make_bench()
    one = long(first, resources=Resources(cpus=1, gpus=1, memory_bytes=GIB))
    (left,) = second.scheduler.capacity().nodes
    assert (left.free_cpus, left.free_memory_bytes, left.free_gpus) == (3, 7 * GIB, ("1",))
    two = long(second, resources=ONE_GPU)
    assert (free(first), free(second)) == (0, 0)
    late = first.start(first.launch(2, command=("true",), resources=ONE_GPU))
    first.poll()
    assert refused(first, late)
    stop(first, one)
    assert (free(first), free(second)) == (1, 1)
    three = second.launch(3, command=("sh", "-c", 'echo "<$CUDA_VISIBLE_DEVICES>"'), resources=ONE_GPU)
    second.run(three)
    assert (three.folder / "output.log").read_text() == "<0>\n"
    stop(second, two)
    assert (free(first), free(second)) == (2, 2)


@pytest.mark.parametrize(
    ("resources", "names"), [(Resources(cpus=0.5, gpus=1), "$CUDA_VISIBLE_DEVICES"), (Resources(cpus=1), "a b")]
)
def test_processes_never_get_the_same(tmp_path: Path, path: Path, resources: Resources, names: str) -> None:
    """Schedulers in processes of their own, all at once, never give a GPU or a core twice, and all attempts run."""
    # Making a folder succeeds for one process alone.
    command = f'for n in {names}; do mkdir "$0/$n" && sleep 0.01 && exec rmdir "$0/$n"; done; exit 7'
    (tmp_path / "taken").mkdir()
    contenders = [
        contend(tmp_path / f"c{number}", path, 2, 12, resources, "sh", "-c", command, str(tmp_path / "taken"))
        for number in range(3)
    ]
    assert [contender.wait() for contender in contenders] == [0, 0, 0]
    assert len(list(tmp_path.glob("c*/*/1/exit.json"))) == 3 * 12


def test_an_attempt_keeps_what_it_holds_when_its_scheduler_is_killed(
    make_bench: MakeBench, tmp_path: Path, path: Path
) -> None:
    """It counts for all others, passes to the scheduler that takes it over, and is free when it ends."""
    controller = contend(tmp_path / "c", path, 1, 1, Resources(cpus=0.5, gpus=1), *script("polite"))
    third = make_bench()
    launch = Bench(tmp_path / "c").launch(1, command=script("polite"), resources=ONE_GPU)
    third.wait_for_output(launch)
    controller.kill()
    controller.wait()
    assert free(third) == 1
    heir = make_bench()
    assert free(heir) == 1
    heir.scheduler.reconcile([launch])
    assert (free(heir), free(third)) == (1, 1)
    heir.wait_until(lambda: heir.events)
    held = heir.scheduler.capacity().nodes[0]
    assert (held.free_gpus, held.free_cpus) == (("1",), 3.5), "what it was started with"
    os.kill(heir.supervisor_of(launch)["supervisor"]["pid"], signal.SIGKILL)
    assert heir.finish(launch).cause is Cause.KILLED
    assert (free(heir), free(third)) == (2, 2)


def test_what_nobody_takes_over_is_free_when_it_ends(make_bench: MakeBench, tmp_path: Path, path: Path) -> None:
    """The claim of an attempt whose scheduler was killed ends with its supervisor."""
    controller = contend(tmp_path / "c", path, 1, 1, Resources(cpus=0.5, gpus=1), *script("polite"))
    other = make_bench()
    launch = Bench(tmp_path / "c").launch(1)
    other.wait_for_output(launch)
    controller.kill()
    controller.wait()
    assert free(other) == 1
    records.write_stop(launch.folder, 0.0)
    other.wait_until(lambda: free(other) == 2)


def test_a_closed_scheduler_leaves_its_attempts_what_they_hold(make_bench: MakeBench) -> None:
    """Attempts that live on keep it, in the process of their scheduler as in another one; those that end don't."""
    first, second = make_bench(), make_bench()
    launch = long(first, resources=ONE_GPU)
    first.scheduler.close()
    assert free(second) == 1
    records.write_stop(launch.folder, 0.0)
    second.wait_until(lambda: free(second) == 2)


DAMAGED = [b"", b"{", b"[]\n[1]\n", b"\xff\n1\n", b"[[], 1, 0, [], null, 1]", b"[" * 99999]


@pytest.mark.parametrize("content", [None, *DAMAGED], ids=range(7))
def test_a_lost_file_fills_again(make_bench: MakeBench, path: Path, content: bytes | None) -> None:
    """A file that was removed or damaged tells everything again once each scheduler has polled."""
    first, second = make_bench(), make_bench()
    launches = [long(first, resources=ONE_GPU), long(second, resources=ONE_GPU)]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for bench in (first, second):
        bench.scheduler.capacity()
        bench.poll(0.0)
    assert free(make_bench()) == 0
    for bench, launch in zip((first, second), launches, strict=True):
        stop(bench, launch)
    assert free(make_bench()) == 2


# Without processes ----------------------------------------------------------------------------------------------


def dead() -> records.Process:
    """Return a process that has ended."""
    process = subprocess.Popen(["true"])
    known = records.Process(process.pid, identity(process.pid) or "")
    process.wait()
    return known


def total(claims: Sequence[Claim]) -> float:
    """Return the cores that are claimed."""
    return sum(claim.cpus for claim in claims)


def take(claims: Claims, folder: Path, cpus: float = 1.0, limit: float = 4.0) -> Claim | None:
    """Claim cores, of which there are as many as `limit`."""
    return claims.take(lambda held: Claim(folder, cpus) if total(held) + cpus <= limit else None)


@given(operations=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=40))
def test_never_more_than_there_is(tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[int, int]]) -> None:
    """Whoever claims and gives up in whatever order, all claims together fit, and all schedulers agree on them."""
    folder = tmp_path_factory.mktemp("claims")
    schedulers = [Claims(folder / "claims.json") for _ in range(3)]
    held: list[set[Path]] = [set(), set(), set()]
    for number, (index, cpus) in enumerate(operations):
        if cpus == 0 and held[index]:
            schedulers[index].give_up(held[index].pop())
            schedulers[index].sync()
        elif cpus:
            claim = take(schedulers[index], folder / str(number), cpus)
            held[index] |= {claim.folder} if claim is not None else set()
            assert claim is not None or total(schedulers[index].held()) + cpus > 4
        together = set().union(*held)
        assert all({claim.folder for claim in claims.held()} == together for claims in schedulers)
        assert total(schedulers[0].held()) <= 4


def test_what_is_written_once_is_not_written_again(tmp_path: Path, path: Path) -> None:
    """A scheduler that nothing happens to leaves the file alone, and so does one that is closed with nothing held."""
    first, second = Claims(path), Claims(path)
    take(first, tmp_path / "1")
    written = path.stat()
    for claims in (first, second):
        claims.held()
        claims.sync()
    second.close()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize("begun", ["not launched", "launched", "launched long ago", "supervised", "ended"])
def test_the_claim_of_a_dead_scheduler(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, begun: str) -> None:
    """It lasts as long as its attempt runs, or may still be started by what the scheduler has left."""
    claims, folder = Claims(path), tmp_path / "1"
    folder.mkdir()
    monkeypatch.setattr(claims, "_claimant", dead())
    take(claims, folder)
    if begun != "not launched":
        records.write_launch(Launch(AttemptKey("e", 1, 1), folder), ())
    if begun == "launched long ago":
        monkeypatch.setattr(module, "BEGIN_SECONDS", 0.0)
    if begun == "ended":
        (folder / records.EXIT).write_text("{}")
    with records.locked(folder, wait=True) if begun == "supervised" else nullcontext():
        assert total(Claims(path).held()) == (1.0 if begun in ("launched", "supervised") else 0.0)


def test_the_dead_make_room_when_it_is_needed(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, whether all claimants live is looked at again; those that don't leave the file."""
    first, second = Claims(path), Claims(path)
    process = subprocess.Popen(["sleep", "1000"])
    monkeypatch.setattr(first, "_claimant", records.Process(process.pid, identity(process.pid) or ""))
    monkeypatch.setattr(module, "CHECK_SECONDS", 1e9)
    take(first, tmp_path / "1", 4)
    assert total(second.held()) == 4
    process.kill()
    process.wait()
    assert total(second.held()) == 4, "it is not looked at all the time"
    assert take(second, tmp_path / "2", 3) is not None
    assert [claim.folder.name for claim in Claims(path).held()] == ["2"]
    third, fourth = Claims(path), Claims(path)
    monkeypatch.setattr(third, "_claimant", dead())
    assert take(third, tmp_path / "3") is not None
    assert total(fourth.held()) == 3
    fourth.sync()
    assert len(path.read_bytes().splitlines()) == 1


def test_what_is_taken_over_counts_once(tmp_path: Path, path: Path) -> None:
    """An attempt that two schedulers claim, the one that is gone and the one that follows it, holds what it holds."""
    first, heir, third = Claims(path), Claims(path), Claims(path)
    take(first, tmp_path / "1")
    assert total(heir.held()) == 1
    heir.hold(Claim(tmp_path / "1", 1.0))
    take(third, tmp_path / "2")
    assert total(heir.held()) == 2
    heir.sync()
    assert total(third.held()) == 2


def test_a_zombie_claims_nothing(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that was killed holds nothing even if nobody reaps it."""
    process = subprocess.Popen(["sleep", "1000"])
    claims = Claims(path)
    monkeypatch.setattr(claims, "_claimant", records.Process(process.pid, identity(process.pid) or ""))
    take(claims, tmp_path / "1")
    assert total(Claims(path).held()) == 1.0
    process.kill()
    wait_until(lambda: total(Claims(path).held()) == 0.0)
    assert identity(process.pid) is not None, "it is still there"
    process.wait()


def test_counting_alone(tmp_path: Path) -> None:
    """Without a file, or where none can be written, a scheduler counts its own attempts alone."""
    for path in (None, tmp_path / "missing" / "claims.json", Path("/proc/claims.json")):
        claims = Claims(path)
        assert [take(claims, tmp_path / str(number), 2) is not None for number in range(3)] == [True, True, False]
        claims.give_up(tmp_path / "0")
        claims.sync()
        assert total(claims.held()) == 2
        claims.close()


def test_a_home_that_comes_back(tmp_path: Path) -> None:
    """What was claimed while the folder was away is written when it is there again."""
    path = tmp_path / "home" / "claims.json"
    claims = Claims(path)
    take(claims, tmp_path / "1")
    path.parent.mkdir()
    claims.sync()
    assert total(Claims(path).held()) == 1.0


def refuse(*arguments: object) -> int:
    """Be a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_no_room_for_a_claim(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk nothing is claimed, and the disk is to blame; what ends meanwhile is free with room again."""
    claims = Claims(path)
    take(claims, tmp_path / "1")

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse)
        with pytest.raises(OSError, match="No space left"):
            take(claims, tmp_path / "2")
        assert total(claims.held()) == 1.0
        claims.give_up(tmp_path / "1")
        claims.sync()
        assert (total(claims.held()), total(Claims(path).held())) == (0.0, 1.0)
    claims.sync()
    assert total(Claims(path).held()) == 0.0


def test_room_for_a_part(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that finds room for half of it is none, and those of others are still there."""
    others, claims, write = Claims(path), Claims(path), os.pwrite
    take(others, tmp_path / "1")
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:-20], offset))
        with pytest.raises(OSError, match="in part only"):
            take(claims, tmp_path / "2")
    assert [claim.folder.name for claim in Claims(path).held()] == ["1"]
    claims.sync()
    assert take(claims, tmp_path / "3") is not None
    assert {claim.folder.name for claim in others.held()} == {"1", "3"}


def test_an_attempt_without_room_for_its_claim(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not begun, the disk is to blame, and its room is free."""

    bench = make_bench()
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse)
        exit_ = bench.run(bench.launch(command=("true",), resources=ONE_GPU))
    assert (exit_.cause, exit_.started_at) == (Cause.DISK_FULL, None)
    assert free(bench) == 2


def test_a_lock_that_is_held(make_bench: MakeBench, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process that hangs keeps the file locked, attempts are refused for the time being."""
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.01)
    bench = make_bench()
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        launch = bench.start(bench.launch(command=("true",), resources=ONE_GPU))
        bench.poll()
        assert refused(bench, launch)
        assert free(bench) == 2
    assert bench.run(bench.launch(2, command=("true",), resources=ONE_GPU)).cause is None
