"""Bringing what attempts read to a node of a real cluster."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.schedulers.bench import Bench
from tests.schedulers.ray_cluster import RayCluster, scheduler_of
from tunewell.schedulers.apart import SchedulerApart
from tunewell.spec.states import Cause

#: Prints a checksum of all files below the folder in its argument, by their names.
DIGEST = """
import hashlib, pathlib, sys
root, digest = pathlib.Path(sys.argv[1]), hashlib.sha256()
for path in sorted(root.rglob("*")):
    if path.is_file():
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
print("read", digest.hexdigest(), root)
"""


@pytest.fixture
def bench(ray_home: tuple[Path, SchedulerApart], tmp_path: Path) -> Iterator[Bench]:
    """A bench in the home of the cluster's scheduler."""
    home, scheduler = ray_home
    made = Bench(home / tmp_path.name, scheduler)
    yield made
    made.end_all()


def test_large_and_small_files(bench: Bench) -> None:
    """A file of many pieces, and hundreds of small ones, are on the node as they are at home."""
    data = bench.folder / "data"
    (data / "small").mkdir(parents=True)
    (data / "large").write_bytes(os.urandom(20 << 20))
    for number in range(300):
        (data / "small" / f"{number:03}").write_bytes(os.urandom(number))
    digest = hashlib.sha256()
    for path in sorted(data.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(data)).encode() + path.read_bytes())
    launch = bench.launch(command=(sys.executable, "-c", DIGEST, str(data)), inputs=(data,))
    assert bench.run(launch).cause is None
    said, found, place = bench.wait_for_output(launch, "read").split()
    assert (said, found) == ("read", digest.hexdigest())
    assert place != str(data) and not Path(place).is_relative_to(bench.folder)


def test_missing_input(bench: Bench) -> None:
    """An attempt whose input is gone at home does not begin, and says what it misses."""
    exit_ = bench.run(bench.launch(command=("true",), inputs=(bench.folder / "nothing",)))
    assert exit_.cause is Cause.NODE_LOST
    assert "what it reads is not there" in exit_.detail and str(bench.folder / "nothing") in exit_.detail


def test_no_room(ray_cluster: RayCluster, tmp_path: Path) -> None:
    """Where a node has no room for what an attempt reads, the attempt does not begin, and says so in numbers."""
    with closing(scheduler_of(ray_cluster, tmp_path / "home", tmp_path / "node", cache_bytes=1000)) as scheduler:
        bench = Bench(tmp_path / "home", scheduler)
        bench.folder.mkdir()
        (bench.folder / "large").write_bytes(bytes(2000))
        exit_ = bench.run(bench.launch(command=("true",), inputs=(bench.folder / "large",)))
        assert exit_.cause is Cause.DISK_FULL
        assert "no room on" in exit_.detail and "files that trials share may take" in exit_.detail
        assert bench.run(bench.launch(2, command=("true",))).cause is None
