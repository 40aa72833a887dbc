"""Image and batch sizes that a GPU's memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.image_classification.networks import ARCHITECTURES as CLASSIFIERS
from tunewell.tasks.object_detection import building, detectors
from tunewell.tasks.object_detection.networks import ARCHITECTURES as DETECTORS
from tunewell.tasks.vision.memory_ranges import REFERENCE_SIDE, GpuMemory, Needs, fitted_parameters, ranges_on

GIB = 1 << 30
NEEDS = {name: design.needs for name, design in (*CLASSIFIERS.items(), *DETECTORS.items())}
#: Task → a network of it, and what is told of the largest GPU.
TOLD = {
    "image-classification": ("resnet18", "80 GiB: image_size 96 to 288, batch_size 16 to 256"),
    "multilabel-classification": ("resnet18", "80 GiB: image_size 96 to 288, batch_size 16 to 256"),
    "object-detection": ("faster-rcnn-resnet50", "80 GiB: image_size 320 to 800, batch_size 2 to 32"),
    "instance-segmentation": ("mask-rcnn-resnet50", "80 GiB: image_size 320 to 800, batch_size 2 to 32"),
}


def gpu(gib: int, capability: tuple[int, int] = (9, 0)) -> Gpu:
    """Return a GPU with so much memory."""
    return Gpu("0", memory_bytes=gib * GIB, compute_capability=capability)


def node(*gpus: Gpu) -> Node:
    """Return a machine with these GPUs."""
    return Node("here", 8, 64 * GIB, gpus, 8, 64 * GIB, tuple(one.device for one in gpus))


@pytest.mark.parametrize("needs", NEEDS.values(), ids=NEEDS)
def test_more_memory_holds_more(needs: Needs) -> None:
    """Ranges grow with the memory, are halved without bfloat16, and hold their defaults."""
    largest = []
    for gib in (2, 4, 8, 24, 80):
        found = ranges_on(GpuMemory(gib * GIB, True), needs, {})
        for declaration in found.values():
            assert declaration["default"] in declaration["ordinal"]
        largest.append(found["image_size"]["ordinal"][-1] ** 2 * found["batch_size"]["ordinal"][-1])
        older = ranges_on(GpuMemory(gib * GIB, False), needs, {})
        assert older["image_size"]["ordinal"][-1] ** 2 * older["batch_size"]["ordinal"][-1] <= largest[-1]
    assert largest == sorted(largest)
    assert found["image_size"]["ordinal"] == list(needs.offer.sides)
    assert found["image_size"]["default"] == needs.offer.usual_side or needs.offer.sides[-1] < needs.offer.usual_side
    assert found["batch_size"]["ordinal"] == list(needs.offer.batches)


def test_what_is_given_is_kept() -> None:
    """A given image size decides how large batches may be; a given batch size is left alone."""
    gpu, needs = GpuMemory(8 * GIB, True), NEEDS["efficientnetv2-s"]
    small = ranges_on(gpu, needs, {"image_size": [64, 96]})
    large = ranges_on(gpu, needs, {"image_size": {"ordinal": [64, 512], "default": 64}})
    assert set(small) == set(large) == {"batch_size"}
    assert small["batch_size"]["ordinal"] == [16, 32, 64, 128, 256]
    assert max(large["batch_size"]["ordinal"]) <= 16
    assert ranges_on(gpu, needs, {"image_size": 64, "batch_size": 8}) == {}
    assert ranges_on(GpuMemory(GIB, True), needs, {"image_size": 64})["batch_size"]["ordinal"] == [1]


def test_what_is_kept_of_a_picture_of_any_size_counts() -> None:
    """Masks of sampled boxes leave room for fewer pictures, however small."""
    gpu = GpuMemory(24 * GIB, True)
    found = [
        ranges_on(gpu, NEEDS[name], {"image_size": 64})["batch_size"]["ordinal"][-1]
        for name in ("fcos-resnet50", "mask-rcnn-resnet50")
    ]
    assert found == [32, 16]


@pytest.mark.parametrize("task", TOLD)
def test_ranges_enter_the_space(task: str, tmp_path: Path) -> None:
    """With a GPU the space holds what the spec leaves open; without one, or without use for it, the network's own."""
    raw: dict[str, Any] = {"name": "e", "task": task, "data": str(tmp_path), "network": TOLD[task][0]}
    raw |= {"weights": "none", "parameters": {"batch_size": [4, 8]}}
    own = task_for(raw)
    spec, without = (parse_spec(own.complete({**raw, **more})) for more in ({}, {"resources": {"gpus": 0}}))
    gpus = tuple(gpu(gib) for gib in (96, 80))
    machine = Capacity((node(*gpus),))
    small, large = own.space(spec, Capacity(())), own.space(spec, machine)
    offer = NEEDS[TOLD[task][0]].offer
    assert large["image_size"].default == offer.usual_side
    assert large["image_size"].values(9) == list(offer.sides)
    assert small["image_size"].values(9) == own.networks[TOLD[task][0]].space["image_size"].values(9)
    assert large["batch_size"].values(9) == small["batch_size"].values(9) == [4, 8]
    assert own.space(without, machine) == small
    assert parse_spec(own.complete(raw)) == spec


def test_the_smallest_gpu_counts(tmp_path: Path) -> None:
    """Of several GPUs each trial gets at least the least memory, and bfloat16 only if all have it; none if unknown."""
    raw = {"name": "e", "task": "image-classification", "data": str(tmp_path), "network": "resnet50"}
    spec, needs = parse_spec(task_for(raw).complete(raw)), NEEDS["resnet50"]

    def found(*gpus: Gpu) -> dict[str, Any]:
        return fitted_parameters(spec, needs, Capacity((node(*gpus),)))

    large, small, old = gpu(80), gpu(8), gpu(80, (7, 5))
    assert found(large, small) == ranges_on(GpuMemory(8 * GIB, True), needs, {})
    assert found(large, old) == ranges_on(GpuMemory(80 * GIB, False), needs, {})
    assert found(Gpu("0")) == found() == {}


def test_nodes_count_that_a_trial_can_run_on(tmp_path: Path) -> None:
    """Of a cluster those that have its labels, its memory and all else; none of them may have a GPU."""
    raw = {"name": "e", "task": "image-classification", "data": str(tmp_path), "network": "resnet50"}
    cluster = Capacity((node(gpu(8)), replace(node(gpu(80)), labels=(("zone", "a"),), memory_bytes=32 * GIB)))
    bare = Capacity((*cluster.nodes, replace(node(), labels=(("zone", "b"),))))

    def found(capacity: Capacity, **resources: Any) -> dict[str, Any]:
        spec = parse_spec(task_for(raw).complete({**raw, "scheduler": "ray", "resources": resources}))
        return fitted_parameters(spec, NEEDS["resnet50"], capacity)

    small, large = (ranges_on(GpuMemory(gib * GIB, True), NEEDS["resnet50"], {}) for gib in (8, 80))
    assert found(cluster) == found(cluster, memory="48G") == small
    assert found(cluster, labels={"zone": "a"}) == large
    assert found(bare, labels={"zone": "b"}) == {}


@pytest.mark.parametrize("task", TOLD)
def test_ranges_are_told(task: str) -> None:
    """Every network says what is searched on GPUs of several sizes."""
    networks = task_for({"task": task}).networks
    for network in networks.values():
        sizes = [text.split(" GiB:")[0] for text in network.on_gpus.split("; ")]
        assert " ".join(sizes).replace("8 to 80", "8 24 80").replace(" to ", " ").split() == ["8", "24", "80"]
    name, told = TOLD[task]
    assert networks[name].on_gpus.endswith(told)


@contextmanager
def counted(module: torch.nn.Module) -> Iterator[dict[int, tuple[int, Any]]]:
    """Yield a table that fills with the storages, but for the weights', that the backward pass keeps."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in module.parameters()}
    kept: dict[int, tuple[int, Any]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_declared_sizes_are_those_of_the_classifier(name: str) -> None:
    """Number of weights and kept memory are what building the network and a forward pass show."""
    torch.set_num_threads(1)
    design = CLASSIFIERS[name]
    network = design.build(10).train()
    assert millions(network) == pytest.approx(design.needs.million_weights, rel=0.1)
    sizes = []
    for batch in (2, 3):
        images = torch.rand(batch, 3, 112, 112).to(memory_format=torch.channels_last)
        with counted(network) as kept, torch.autocast("cpu", torch.bfloat16):
            network(images)
        sizes.append(sum(number for number, _ in kept.values()))
    assert (sizes[1] - sizes[0]) / (1 << 20) * 4 == pytest.approx(design.needs.kept_mib, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_declared_sizes_are_those_of_the_detector(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with as many objects in a picture as its heads sample."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    monkeypatch.setattr(detectors, "mixed_precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    side, design = 192, DETECTORS[name]
    network = building.build_module(name, 10).train()
    assert millions(network) == pytest.approx(design.needs.million_weights, rel=0.1)
    corners = torch.cartesian_prod(torch.arange(0, side, 16.0), torch.arange(0, side, 16.0))
    target = {
        "boxes": torch.cat([corners, corners + 15], dim=1),
        "labels": torch.ones(len(corners), dtype=torch.int64),
        "masks": torch.ones(len(corners), side, side, dtype=torch.uint8),
    }
    sizes = []
    # SSD's last maps are of one pixel, which batch normalisation refuses of a single picture.
    for batch in (2, 3) if design.kind == "ssd" else (1, 2):
        with counted(network) as kept:
            network(list(torch.rand(batch, 3, side, side)), [target] * batch)
        sizes.append(sum(number for number, _ in kept.values()))
    expected = design.needs.kept_mib * (side / REFERENCE_SIDE) ** 2 + design.needs.fixed_mib
    assert (sizes[1] - sizes[0]) / (1 << 20) == pytest.approx(expected, rel=0.2)


def millions(module: torch.nn.Module) -> float:
    """Return the number of weights."""
    return sum(tensor.numel() for tensor in module.parameters()) / 1e6
