"""A new backbone is one declaration: with it come detectors that are searched, trained and handed over as any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tasks.object_detection.trained import prepare, run_trial
from tests.tasks.supervised import hand_over, use_as_told
from torch import nn

from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection.building import build_module, freeze
from tunewell.tasks.object_detection.export import export
from tunewell.tasks.object_detection.networks import ARCHITECTURES, Backbone, Recipe, Variant, architecture
from tunewell.tasks.vision.memory_ranges import Needs, Offer


class Stairs(nn.Module):
    """Five convolutions, each with a stride of 2; the last three give the levels."""

    def __init__(self) -> None:
        super().__init__()
        channels = (3, 4, 8, 12, 16, 20)
        self.steps = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(channels)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the levels at strides 8, 16 and 32."""
        levels = []
        for step in self.steps:
            images = torch.relu(step(images))
            levels.append(images)
        return levels[2:]


STAIRS = Backbone(
    name="stairs",
    build=Stairs,
    channels=(12, 16, 20),
    stages=lambda body: [[step] for step in body.steps],
    statistics=((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    recipe=Recipe(
        {"image_size": {"ordinal": [48, 64], "default": 64}, "epochs": {"choices": [2], "default": 2}},
        {"image_size": "Own choice.", "epochs": "Own choice."},
    ),
    variants={
        "fcos": Variant("A toy without anchors.", Needs(0.1, 1, Offer((48, 64), (2, 4), 64, 4))),
        "mask-rcnn": Variant("A toy with masks.", Needs(0.2, 1, Offer((48, 64), (2, 4), 64, 4))),
    },
)


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    """The backbone is among those on offer."""
    with pytest.MonkeyPatch.context() as patch:
        for design in STAIRS.detectors():
            patch.setitem(ARCHITECTURES, design.network.name, design)
        yield


def test_each_kind_belongs_to_its_task() -> None:
    """Detectors are named by kind and backbone; those with masks are offered for segmentation, the others are not."""
    for task, network in (("object-detection", "fcos-stairs"), ("instance-segmentation", "mask-rcnn-stairs")):
        completed = task_for({"task": task}).complete({"task": task, "network": network, "data": "x"})
        assert completed["network"] == network
    assert "anchor_scale" not in architecture("fcos-stairs").network.space
    assert "anchor_scale" in architecture("mask-rcnn-stairs").network.space


def test_stages_are_frozen_by_the_declaration() -> None:
    """What the declaration says of stages is what stays as it is."""
    module: Any = build_module("fcos-stairs", 2)
    freeze(module, architecture("fcos-stairs").stages(module)[:2])
    fixed = [not step.weight.requires_grad for step in module.backbone.body.steps]
    assert fixed == [True, True, False, False, False]


@pytest.mark.parametrize(("task", "kind"), [("object-detection", "fcos"), ("instance-segmentation", "mask-rcnn")])
def test_it_is_trained_and_handed_over(task: str, kind: str, tmp_path: Path) -> None:
    """From scratch, a trial reports its metrics, and its export finds what the model finds."""
    trained = prepare(tmp_path, task, network=f"{kind}-stairs")
    reports = run_trial(trained, trained.attempt)
    assert [step for step, _ in reports] == [1, 2] and "map" in reports[-1][1]
    folder = hand_over(export, tmp_path / "job", trained.model, trained.task_file)
    facts = json.loads((tmp_path / "job" / "result.json").read_text())
    assert facts["network"] == f"{kind}-stairs" and facts["agreement"] >= 0.97
    use_as_told(folder, next(trained.data.rglob("*.png")))
