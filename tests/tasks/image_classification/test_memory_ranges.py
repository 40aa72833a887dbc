"""Image and batch sizes that a GPU's memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewell.spec.experiment import parse_spec
from tunewell.tasks.image_classification import task as module
from tunewell.tasks.image_classification.memory_ranges import ranges_on
from tunewell.tasks.image_classification.networks import ARCHITECTURES
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.vision.gpus import Gpu

GIB = 1 << 30


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_more_memory_holds_more(name: str) -> None:
    """Ranges grow with the memory, are halved without bfloat16, and hold their defaults."""
    design = ARCHITECTURES[name]
    largest = []
    for gib in (2, 4, 8, 24, 80):
        found = ranges_on(Gpu(gib * GIB, True), design, {})
        for declaration in found.values():
            assert declaration["default"] in declaration["ordinal"]
        largest.append(found["image_size"]["ordinal"][-1] ** 2 * found["batch_size"]["ordinal"][-1])
        older = ranges_on(Gpu(gib * GIB, False), design, {})
        assert older["image_size"]["ordinal"][-1] ** 2 * older["batch_size"]["ordinal"][-1] <= largest[-1]
    assert largest == sorted(largest)
    assert found["image_size"]["ordinal"] == list(design.needs.gpu_sides)
    assert found["batch_size"]["ordinal"][-1] == 256


def test_what_is_given_is_kept() -> None:
    """A given image size decides how large batches may be; a given batch size is left alone."""
    gpu, design = Gpu(8 * GIB, True), ARCHITECTURES["efficientnetv2-s"]
    small = ranges_on(gpu, design, {"image_size": [64, 96]})
    large = ranges_on(gpu, design, {"image_size": {"ordinal": [64, 512], "default": 64}})
    assert set(small) == set(large) == {"batch_size"}
    assert small["batch_size"]["ordinal"] == [16, 32, 64, 128, 256]
    assert max(large["batch_size"]["ordinal"]) <= 16
    assert ranges_on(gpu, design, {"image_size": 64, "batch_size": 8}) == {}
    assert ranges_on(Gpu(GIB, True), design, {"image_size": 64})["batch_size"]["ordinal"] == [1]


def test_ranges_enter_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GPU the completed spec holds the ranges, and is valid; without one, or without use for it, it does not."""
    task, raw = ImageClassification(), {"name": "e", "task": "image-classification", "network": "resnet18"}
    raw |= {"data": str(tmp_path), "weights": "none", "parameters": {"batch_size": [4, 8]}}
    monkeypatch.setattr(module, "smallest_gpu", lambda: None)
    assert task.complete(raw)["parameters"] == {"batch_size": [4, 8]}
    monkeypatch.setattr(module, "smallest_gpu", lambda: Gpu(80 * GIB, True))
    spec = parse_spec(task.complete(raw))
    assert task.space(spec)["image_size"].default == 224
    assert task.space(spec)["batch_size"].values(9) == [4, 8]
    assert parse_spec(task.complete(task.complete(raw))).parameters == spec.parameters
    assert task.complete({**raw, "resources": {"gpus": 0}})["parameters"] == {"batch_size": [4, 8]}


def test_ranges_are_told() -> None:
    """Every network says what is searched on GPUs of several sizes."""
    for network in ImageClassification.networks.values():
        assert [text.split(":")[0] for text in network.on_gpus.split("; ")] == ["8 GiB", "24 GiB", "80 GiB"]
    assert ImageClassification.networks["resnet18"].on_gpus.endswith(
        "80 GiB: image_size 96 to 288, batch_size 16 to 256"
    )


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


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_declared_sizes_are_those_of_the_network(name: str) -> None:
    """Number of weights and kept memory are what building the network and a forward pass show."""
    torch.set_num_threads(1)
    design = ARCHITECTURES[name]
    network = design.build(10).train()
    assert sum(tensor.numel() for tensor in network.parameters()) / 1e6 == pytest.approx(
        design.needs.million_weights, rel=0.1
    )
    sizes = []
    for batch in (2, 3):
        images = torch.rand(batch, 3, 112, 112).to(memory_format=torch.channels_last)
        with counted(network) as kept, torch.autocast("cpu", torch.bfloat16):
            network(images)
        sizes.append(sum(number for number, _ in kept.values()))
    assert (sizes[1] - sizes[0]) / (1 << 20) * 4 == pytest.approx(design.needs.kept_mib, rel=0.2)
