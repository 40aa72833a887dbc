"""What each trial gets of a machine."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.controller.resources import plan_resources
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
