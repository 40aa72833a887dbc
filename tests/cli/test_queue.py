"""What waits, as commands tell it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Run
from tunewell.home.cluster import write_cluster
from tunewell.service.service import Service
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.quota import used_amount

SPEC = {"command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "score", "goal": "maximize"}}


def test_what_waits_is_told(run: Run, tmp_path: Path) -> None:
    """`queue` lists what waits with the reason, and `show` tells that of one."""
    home = tmp_path / "home"
    with Service(home) as service:
        service.create({**SPEC, "name": "slow"})
        service.create({**SPEC, "name": "long-" * 19})
    assert "long-" * 19 in run("list", "--home", home, COLUMNS="").out, "nobody cuts what is piped"
    told = "No controller runs what is on record here."
    answer = run("queue", "--home", home)
    assert answer.code == 0 and "slow" in answer.out and told in answer.out
    entry, _ = run("queue", "--home", home, "--json").json["entries"]
    assert (entry["experiment"], entry["owner"], entry["place"]) == ("slow", "owner", None)
    assert entry["waits_for"]["code"] == "no_controller"
    assert told in run("show", "slow", "--home", home).out


def test_use_is_told_in_words(run: Run, write: Callable[..., Path]) -> None:
    """Columns are called as in the console, and little time is told in seconds; memory that is free is not reserved."""
    write(name="quick", max_trials=1)
    assert run("search", "quick.yaml").code == 0
    told = run("usage").out
    assert "core time" in told and "cpu_hours" not in told and " h" not in told.splitlines()[1]
    assert (
        used_amount("cpu_hours", 0.01) == "36 s"
        and used_amount("gpu_hours", 2.5) == "2.5 h"
        and used_amount("cpu_hours", 0) == "0"
    )
    assert "of memory not reserved" in run("resources").out


def test_gpus_whose_type_no_node_tells(run: Run, tmp_path: Path) -> None:
    """Where a name is not known, nothing stands for it."""
    home = tmp_path / "home"
    Service(home).close()
    gpus = (Gpu("0"), Gpu("1", "H100"))
    write_cluster(home, Capacity((Node("a", 4, 1 << 30, gpus, 4, 1 << 30, ("0",)),)))
    told = run("resources", "--home", home).out
    assert "  GPU 0: free\n" in told and "  GPU 1  H100: in use\n" in told
