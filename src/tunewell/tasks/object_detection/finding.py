"""From pictures to detections: the one way, in training, evaluation and prediction alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from tunewell.tasks.object_detection.building import paste
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode_pixels
from tunewell.tasks.object_detection.model import ModelConfig
from tunewell.tasks.object_detection.networks import architecture

#: From this value on a pixel belongs to a mask (He et al. 2017, arXiv:1703.06870, section 3.1).
MASK_THRESHOLD = 0.5
#: Pictures that go through a network at a time when it is not trained.
BATCH_SIZE = 8
#: Pixels of masks that are drawn at a time.
_PASTED_PIXELS = 1 << 24


def to_input(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return a network's input for pixels: (H, W, 3) uint8 → (3, H, W) float from 0 to 1."""
    tensor = torch.from_numpy(np.array(pixels)).to(device)  # a copy: memory maps can't be written, PyTorch warns
    return tensor.permute(2, 0, 1).float().div_(255)


@torch.inference_mode()
def find(
    module: nn.Module,
    config: ModelConfig,
    pictures: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
) -> list[Detections]:
    """Return what a network in evaluation mode finds.

    Args:
        module: the network, on the device.
        config: what it is.
        pictures: pixels (H, W, 3) uint8 of each picture at the network's size.
        sizes: width and height of each original picture, in whose pixels detections are given.
        device: where to compute.
    """
    outputs = module([to_input(pixels, device) for pixels in pictures])
    first_label = int(architecture(config.network).has_background)
    return [
        _detections(output, pixels.shape, size, first_label)
        for output, pixels, size in zip(outputs, pictures, sizes, strict=True)
    ]


def find_all(
    module: nn.Module, config: ModelConfig, pictures: DecodedPictures, positions: Sequence[int], device: torch.device
) -> dict[int, Detections]:
    """Return what a network in evaluation mode finds in the pictures at these positions."""
    found: dict[int, Detections] = {}
    for start in range(0, len(positions), BATCH_SIZE):
        part = positions[start : start + BATCH_SIZE]
        images = [pictures.picture(position) for position in part]
        sizes = [pictures.annotated.sizes[position] for position in part]
        found |= dict(zip(part, find(module, config, images, sizes, device), strict=True))
    return found


def _detections(
    output: Mapping[str, torch.Tensor], shape: Sequence[int], size: tuple[int, int], first_label: int
) -> Detections:
    order = torch.argsort(output["scores"], descending=True, stable=True)
    scale = torch.tensor([size[0] / shape[1], size[1] / shape[0]] * 2, device=order.device)
    boxes = output["boxes"][order].float() * scale
    masks = None
    if "masks" in output:
        masks = _encoded(output["masks"][order].float(), boxes, (size[1], size[0]))
    return Detections(
        boxes.cpu().double().numpy(),
        output["scores"][order].cpu().double().numpy(),
        (output["labels"][order] - first_label).cpu().numpy(),
        masks,
    )


def _encoded(masks: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]) -> tuple[dict[str, object], ...]:
    encoded: list[dict[str, object]] = []
    count = max(1, _PASTED_PIXELS // (size[0] * size[1]))
    for start in range(0, len(masks), count):
        part = slice(start, start + count)
        pixels = (paste(masks[part], boxes[part], size) >= MASK_THRESHOLD).to(torch.uint8)
        encoded += encode_pixels(pixels.cpu().numpy())
    return tuple(encoded)
