"""The record of a cluster in a home."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunewell.home.cluster import FILE, Cluster, has_cluster, last_cluster, read_cluster, write_cluster
from tunewell.spec.capacity import Capacity, Gpu, Node

NODE = Node(
    name="a",
    cpus=4,
    memory_bytes=1 << 30,
    gpus=(Gpu("0", "L4", 1 << 34, "GPU-1", (8, 9)), Gpu("1")),
    free_cpus=0.5,
    free_memory_bytes=1 << 20,
    free_gpus=("0",),
    free_gpu_parts=(0.25,),
    labels=(("zone", "b"),),
    custom=(("tpu", 2.0),),
    free_custom=(("tpu", 0.5),),
)
CLUSTER = Cluster("head:6379", Capacity((NODE,)), 17.5, "nothing answers there")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """With all that its nodes have."""
    assert read_cluster(tmp_path) is None
    write_cluster(tmp_path, CLUSTER)
    assert read_cluster(tmp_path) == CLUSTER


def test_what_a_killed_process_has_left_is_no_cluster(tmp_path: Path) -> None:
    """Who was killed takes nothing away: the record of a process that is gone counts for the next controller alone."""
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.home.test_cluster import CLUSTER; "
        "from tunewell.home.cluster import write_cluster; write_cluster(Path(sys.argv[1]), CLUSTER); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    assert read_cluster(tmp_path) is None and not has_cluster(tmp_path)
    assert last_cluster(tmp_path) == CLUSTER


def test_what_another_machine_has_written_counts(tmp_path: Path) -> None:
    """Whether a process of another machine is there can't be known here."""
    write_cluster(tmp_path, CLUSTER)
    file = tmp_path / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"written_by": ["another-machine", 1, "gone"]}))
    assert read_cluster(tmp_path) == CLUSTER and has_cluster(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"address": 1},
        {"capacity": []},
        {"capacity": {"nodes": 7}},
        {"capacity": {"nodes": [{}]}},
        {"capacity": {"nodes": [{"name": "a", "cpus": "many"}]}},
        {"away_since": "yesterday"},
        {"problem": 3},
    ],
)
def test_a_damaged_record_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    """The next controller writes it again; until then nobody knows of a cluster."""
    write_cluster(tmp_path, CLUSTER)
    file = tmp_path / FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert read_cluster(tmp_path) is None
    file.write_text(json.dumps({"address": "head:1"}))
    assert read_cluster(tmp_path) is None
