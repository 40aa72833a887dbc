"""What waits, as commands tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tunewell.home.cluster import Cluster, write_cluster
from tunewell.service.runs import Situation
from tunewell.service.service import Service
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.errors import SpecError
from tunewell.spec.files import read_spec_file
from tunewell.spec.quota import used_amount
from tunewell.spec.states import ExperimentState
from tunewell.spec.waits import Reason

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
    there = run("resources").out
    assert "of memory not reserved" in there and ("no GPU" in there) != ("GPU 0" in there)


NODE = Node(
    "a" * 56,
    cpus=4,
    memory_bytes=1 << 30,
    gpus=(Gpu("0", "H100", 80 << 30), Gpu("1", "H100", 80 << 30), Gpu("2")),
    free_cpus=4,
    free_memory_bytes=1 << 30,
    free_gpus=("0",),
    called="host, node aaaaaaaa",
    free_gpu_parts=(0.5, 0.25),
    labels=(("ray.io/node-id", "a" * 56), ("zone", "a")),
    custom=(("licence", 2.0),),
    free_custom=(("licence", 1.5),),
)


def test_nodes_of_a_cluster(run: Run, tmp_path: Path) -> None:
    """What a spec can ask of them is told: labels, own resources, GPUs with their parts; a name only where it is known.

    Which GPUs are free, nobody knows, so nobody says. Programs get the same.
    """
    home = tmp_path / "home"
    Service(home).close()
    write_cluster(home, Cluster("10.0.0.1:6379", Capacity((NODE,))))
    told = run("resources", "--home", home).out
    assert "  GPUs: 1.75 of 3 free (2 H100, 80 GiB each)\n" in told
    assert "  licence: 1.5 of 2 free\n" in told and "  labels: zone: a\n" in told
    assert "can't be used" not in told
    found = run("resources", "--home", home, "--json").json
    assert found["cluster"] == {"address": "10.0.0.1:6379", "away_since": None, "problem": ""}
    (node,) = [node for node in found["nodes"] if node["cluster"]]
    assert (node["free_gpus"], node["free_devices"]) == (1.75, [])
    assert node["labels"] == dict(NODE.labels)
    assert (node["custom"], node["free_custom"]) == ({"licence": 2.0}, {"licence": 1.5})


def test_a_check_plans_for_where_the_search_will_run(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """That is the cluster where the home's controller drives one, this machine elsewhere; it is said, and is so."""
    home, spec = tmp_path / "home", write(max_trials=9)
    here = run("check", spec, "--home", home, COLUMNS="").out
    assert "at once: this machine has" in here
    with Service(home) as service:
        write_cluster(home, Cluster("10.0.0.1:6379", Capacity((replace(NODE, gpus=()),))))
        assert run("check", spec, "--home", home, COLUMNS="").out == here, "nobody drives that cluster"
        with service.home.serve():
            told = run("check", spec, "--home", home, COLUMNS="").out
            assert "At most 4 trials at once: the cluster has 4 cores and each trial takes 1." in told
            assert run("check", spec, "--home", home, "--json").json["concurrency"] in told
            assert service.experiment(service.create(read_spec_file(spec)).name).spec["scheduler"] == "ray"
            away = Cluster("10.0.0.1:6379", Capacity(()), 1772373600.0, "nothing answers there (Connection refused)")
            write_cluster(home, away)
            refused = run("check", spec, "--home", home, COLUMNS="")
    assert refused.code == 2
    assert "the Ray cluster at 10.0.0.1:6379 can't be used (nothing answers there (Connection ref" in refused.err


def test_a_search_that_waits_for_its_cluster(run: Run, tmp_path: Path) -> None:
    """It is waiting, not paused, and nobody is told to begin it again; what is not known of the cluster is no error."""
    home, why = tmp_path / "home", "The Ray cluster at 10.0.0.1:6379 can't be used: nothing answers there."
    spec = {**SPEC, "name": "e", "scheduler": "ray", "resources": {"gpus": 0.5}}

    def interrupt(situation: Situation) -> None:
        if situation.problem:
            raise KeyboardInterrupt(situation.problem)

    with Service(home) as service, service.home.serve():
        write_cluster(home, Cluster("10.0.0.1:6379", Capacity((NODE,))))
        service.create(spec)
        with service.store.transaction() as tx:
            tx.set_experiment_state("e", ExperimentState.CREATED, ExperimentState.RUNNING)
            tx.set_wait("e", Reason("no_cluster", why).to_json(1.0))
        assert "waiting (no cluster)" in run("list", "--home", home, COLUMNS="").out
        told = run("show", "e", "--home", home, COLUMNS="").out
        assert why in told and "It goes on by itself once the cluster can be used." in told
        with pytest.raises(KeyboardInterrupt, match=why):  # who follows it is told at once
            service.run("e", on_step=interrupt)
        write_cluster(home, Cluster("10.0.0.1:6379", Capacity(()), 1772373600.0, "nothing answers there"))
        with pytest.raises(SpecError, match="nothing answers there") as caught:
            service.check({**spec, "name": "f"})
        assert caught.value.field == "scheduler", "all else can't be judged"


def test_a_cluster_that_is_away(run: Run, tmp_path: Path) -> None:
    """One that was never reached is told with its address, the reason and the time, and so is what waits for it."""
    home = tmp_path / "home"
    Service(home).close()
    away = Cluster("10.0.0.1:6379", Capacity(()), 1772373600.0, "nothing answers there (Connection refused)")
    write_cluster(home, away)
    told = run("resources", "--home", home, COLUMNS="").out
    assert (
        "The Ray cluster at 10.0.0.1:6379 can't be used: nothing answers there (Connection refused). "
        "Noticed 2026-03-01 14:00 UTC; searches for it wait, and go on by themselves.\n"
    ) in told
    write_cluster(home, replace(away, address="auto", problem=""))
    assert "The Ray cluster of this machine has not answered yet. Noticed 2026" in run("resources", "--home", home).out
