"""What each trial gets of a machine."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.controller.resources import plan_again, plan_resources
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import Resources

GIB = 1 << 30
GPUS = (Gpu("0"), Gpu("1"))
SPEC = {"name": "e", "command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "accuracy"}}


def machine(gpus: tuple[Gpu, ...] = ()) -> Capacity:
    """Return a machine with 8 cores and 16 GiB."""
    return Capacity((Node("here", 8, 16 * GIB, gpus, 8, 16 * GIB, tuple(gpu.device for gpu in gpus)),))


@pytest.mark.parametrize(
    ("fields", "gpus", "expected"),
    [
        ({}, (), Resources(cpus=1)),
        ({"max_concurrency": 2}, (), Resources(cpus=4)),
        ({}, GPUS, Resources(cpus=4, gpus=1)),
        ({"resources": {"gpus": 2}}, GPUS, Resources(cpus=8, gpus=2)),
        ({"resources": {"gpus": 0}}, GPUS, Resources(cpus=1)),
        ({"resources": {"cpus": 0.5}}, GPUS, Resources(cpus=0.5, gpus=1)),
        ({"resources": {"memory": "4G"}}, (), Resources(cpus=2, memory_bytes=4 * GIB)),
        ({"resources": {"memory": "16G"}}, GPUS, Resources(cpus=8, gpus=1, memory_bytes=16 * GIB)),
        ({"resources": {"memory": "1G", "cpus": 3}}, (), Resources(cpus=3, memory_bytes=GIB)),
    ],
)
def test_all_is_divided_among_those_at_once(fields: dict[str, Any], gpus: tuple[Gpu, ...], expected: Resources) -> None:
    """Cores are divided among as many trials as GPUs, memory and the user let run at once."""
    assert plan_resources(parse_spec({**SPEC, **fields}), machine(gpus)) == expected


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": 9}, r"resources\.cpus: 9.* a trial, but this machine offers trials 8\. Give 8 at most"),
        ({"gpus": 3}, r"resources\.gpus: 3 a trial, but this machine offers trials 2\. Give 2 at most"),
        (
            {"memory": "17G"},
            r"17408 MiB a trial, but this machine offers trials 16384 MiB\. Give 16384M at most",
        ),
    ],
)
def test_more_than_there_is(resources: dict[str, Any], message: str) -> None:
    """What no trial can ever get is an error that says how much there is."""
    with pytest.raises(SpecError, match=message):
        plan_resources(parse_spec({**SPEC, "resources": resources}), machine(GPUS))


CLUSTER = Capacity(
    (
        Node("a", 4, 8 * GIB, (), 4, 8 * GIB, (), labels=(("zone", "y"),)),
        Node(
            "b", 16, 64 * GIB, (Gpu("0", "H100"), Gpu("1", "H100")), 16, 64 * GIB, ("0", "1"), labels=(("zone", "x"),)
        ),
        Node("c", 8, 32 * GIB, (Gpu("0", "L4"),), 8, 32 * GIB, ("0",), custom=(("licence", 2.0),)),
    )
)


@pytest.mark.parametrize(
    ("resources", "expected", "slots"),
    [
        ({}, Resources(cpus=8, gpus=1), 3),
        ({"gpus": 0}, Resources(cpus=1), 28),
        ({"gpus": 0.5}, Resources(cpus=4, gpus=0.5), 6),
        ({"gpus": 2, "cpus": 1}, Resources(cpus=1, gpus=2), 1),
        ({"gpu_type": "L4"}, Resources(cpus=8, gpus=1, gpu_type="L4"), 1),
        ({"gpus": 0, "labels": {"zone": "x"}}, Resources(cpus=1, labels=(("zone", "x"),)), 16),
        ({"labels": {"zone": "y"}}, Resources(cpus=1, labels=(("zone", "y"),)), 4),
        ({"labels": {"zone": "x"}}, Resources(cpus=8, gpus=1, labels=(("zone", "x"),)), 2),
        ({"cpus": 9, "memory": "40G"}, Resources(cpus=9, gpus=1, memory_bytes=40 * GIB), 1),
        ({"gpus": 0, "custom": {"licence": 1}}, Resources(cpus=4, custom=(("licence", 1),)), 2),
        ({"gpus": 0, "memory": "30G"}, Resources(cpus=8, memory_bytes=30 * GIB), 3),
    ],
)
def test_a_trial_stays_on_one_node(resources: dict[str, Any], expected: Resources, slots: int) -> None:
    """What a trial gets is what single nodes can give to as many as fit on all of them."""
    spec = parse_spec({**SPEC, "scheduler": "ray", "resources": resources})
    assert plan_resources(spec, CLUSTER) == expected
    assert CLUSTER.slots(expected) == slots


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": 17}, r"resources\.cpus: 17.* no node of the cluster offers trials more than 16\. Give 16 at most"),
        ({"gpus": 3}, r"resources\.gpus: 3.* no node of the cluster offers trials more than 2"),
        ({"gpu_type": "H200"}, r"no node of the cluster has GPUs of the type H200\. There are: H100, L4"),
        ({"labels": {"zone": "z"}}, r"no node of the cluster has the label zone: z\. There are: x, y"),
        ({"labels": {"rack": "1"}}, r"has the label rack: 1\. Drop it, or give a node that label"),
        ({"custom": {"licence": 3}}, r"3 of licence a trial, but .* offers more than 2\. Give 2 at most"),
        (
            {"custom": {"permit": 1}},
            r"1 of permit a trial, .* offers any\. Drop it, or start a node that",
        ),
        ({"cpus": 16, "gpu_type": "L4"}, r"no node of the cluster has all of it together \(16 cores, 1 L4 GPU\)"),
    ],
)
def test_more_than_a_node_has(resources: dict[str, Any], message: str) -> None:
    """What no node can ever give is an error that says what there is."""
    with pytest.raises(SpecError, match=message):
        plan_resources(parse_spec({**SPEC, "scheduler": "ray", "resources": resources}), CLUSTER)


def test_a_part_of_a_gpu_where_there_is_none() -> None:
    """The error tells what was asked for, as it was asked."""
    spec = parse_spec({**SPEC, "scheduler": "ray", "resources": {"gpus": 0.5}})
    with pytest.raises(SpecError, match=r"resources\.gpus: 0\.5 a trial, but no node .* more than 0\. Drop it"):
        plan_resources(spec, Capacity((Node("a", 4, GIB, (), 4, GIB, ()),)))


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"gpus": 0.5}, r"resources\.gpus: .*trials share a GPU only on a cluster"),
        ({"gpu_type": "H100"}, r"resources\.gpu_type: .*only the nodes of a cluster are told apart by it"),
        ({"labels": {"zone": "x"}}, r"resources\.labels: "),
    ],
)
def test_what_only_a_cluster_offers(resources: dict[str, Any], message: str) -> None:
    """On one machine, parts of GPUs and kinds of nodes are an error."""
    with pytest.raises(SpecError, match=message):
        parse_spec({**SPEC, "resources": resources})


def test_shared_gpus_fill_up() -> None:
    """Attempts that take parts of GPUs fill one after the other; whole ones are left for those who need them."""
    part, whole = Resources(cpus=1, gpus=0.5), Resources(cpus=1, gpus=1)
    left, free = CLUSTER, []
    for _ in range(6):
        free.append((left.free(part), left.free(whole)))
        left = left.less(part)
    assert free == [(6, 3), (5, 2), (4, 2), (3, 1), (2, 1), (1, 0)]
    assert left.free(part) == 0


def test_nodes_that_are_away_may_come_back() -> None:
    """A search goes on with what its trials had where no node has it now; one that never had it asks for too much."""
    spec = parse_spec({**SPEC, "scheduler": "ray", "resources": {"gpus": 2}})
    before = plan_resources(spec, CLUSTER)
    for left in (Capacity(CLUSTER.nodes[:1]), Capacity(())):
        assert plan_again(spec, left, before.to_json()) == before
        with pytest.raises(SpecError):
            plan_again(spec, left, None)
    here = parse_spec({**SPEC, "resources": {"gpus": 2}})
    with pytest.raises(SpecError):
        plan_again(here, machine(), before.to_json())
