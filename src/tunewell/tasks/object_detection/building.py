"""Networks as PyTorch modules: torchvision's detectors (see `detectors`) that take pictures as they are.

All pictures of a batch are of one size, so whoever calls a network has put them into their `Frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from tunewell.tasks.object_detection.networks import Stages, architecture
from tunewell.tasks.object_detection.object_sizes import USUAL_DETECTIONS

#: Ratio between the two shapes of anchors that SSD has besides squares: 2 and 3.
_SSD_SECOND_RATIO = 1.5


class Framed(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Normalises pictures of one size and makes them a batch; size and results stay as they are."""

    def forward(self, images: list[torch.Tensor], targets: Any = None) -> tuple[ImageList, Any]:
        """Return the batch and the targets, unchanged."""
        batch = self.normalize(torch.stack(images))
        return ImageList(batch, [tuple(batch.shape[-2:])] * len(images)), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Return the result unchanged."""
        del image_shapes, original_image_sizes
        return result


def build_module(
    network: str,
    num_classes: int,
    anchor_scale: float = 1.0,
    anchor_ratio: float = 2.0,
    detections: int = USUAL_DETECTIONS,
) -> nn.Module:
    """Return a network with random weights.

    Args:
        network: its name.
        num_classes: number of classes, the background not counted.
        anchor_scale: factor of the anchors' sizes.
        anchor_ratio: ratio of the sides of anchors that are no squares.
        detections: most detections of a picture.
    """
    design = architecture(network)
    module: Any = design.build(num_classes + design.has_background, detections)
    module.transform = Framed(1, 1, list(design.mean), list(design.std))
    if design.has_anchors:
        _set_anchors(module, anchor_scale, anchor_ratio)
    built: nn.Module = module
    return built


def freeze(module: nn.Module, stages: Stages) -> None:
    """Keep these parts as they are, and all batch normalisations, which batches of few pictures would spoil."""
    for part in [*(part for stage in stages for part in stage), *batch_norms(module)]:
        part.requires_grad_(False)


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return all batch normalisations."""
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def _set_anchors(module: nn.Module, scale: float, ratio: float) -> None:
    """Give the network anchors `scale` times as large as its own, standing and lying ones with sides of `ratio`."""
    owner: Any = module.rpn if hasattr(module, "rpn") else module
    own = owner.anchor_generator
    if isinstance(own, DefaultBoxGenerator):
        shapes = [[ratio, _SSD_SECOND_RATIO * ratio] for _ in own.aspect_ratios]
        owner.anchor_generator = DefaultBoxGenerator(shapes, scales=[scale * item for item in own.scales])
        return
    sides: Sequence[Sequence[float]] = own.sizes
    scaled = tuple(tuple(scale * side for side in level) for level in sides)
    owner.anchor_generator = AnchorGenerator(scaled, ((1 / ratio, 1.0, ratio),) * len(scaled))
