"""From pictures to detections: the one way, in training, evaluation and prediction alike.

A picture goes through the network alone. Convolutions and matrix products of other sizes add up in another order, and
in bfloat16 that is more than noise: in a batch a picture's scores and boxes would depend on how many others there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode_pixels, paste
from tunewell.tasks.object_detection.model import ModelConfig
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.tiling import look, merged, views_of

#: Pixels of masks that are drawn at a time.
_PASTED_PIXELS = 1 << 24


def to_input(pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return a network's input for a filled frame: (H, W, 3) uint8 → (3, H, W) float from 0 to 1."""
    return torch.from_numpy(pixels).to(device).permute(2, 0, 1).float().div_(255)


@torch.inference_mode()
def find(
    module: nn.Module, config: ModelConfig, pixels: np.ndarray, size: tuple[int, int], device: torch.device
) -> Detections:
    """Return what a network in evaluation mode finds in a picture.

    Args:
        module: the network, on the device.
        config: what it is.
        pixels: the picture, so large that its tiles fit into the network's frame, uint8 (H, W, 3).
        size: width and height of the original picture, in whose pixels detections are given.
        device: where to compute.
    """
    height, width = pixels.shape[:2]
    views = views_of(width, height, config.tiles)
    found = []
    for view in views:
        (output,) = module([to_input(config.frame.fill(look(pixels, view)), device)])
        found.append(as_arrays(output, config))
    whole = found[0] if len(views) == 1 else merged(found, views, (width, height), config.detections)
    return in_picture(whole, pixels.shape, size)


def find_all(
    module: nn.Module, config: ModelConfig, pictures: DecodedPictures, positions: Sequence[int], device: torch.device
) -> dict[int, Detections]:
    """Return what a network in evaluation mode finds in the pictures at these positions."""
    return {
        position: find(module, config, pictures.picture(position), pictures.annotated.sizes[position], device)
        for position in positions
    }


def as_arrays(output: Mapping[str, torch.Tensor], config: ModelConfig) -> dict[str, np.ndarray]:
    """Return what a network gives for a picture as the ONNX file does: labels from 0, masks (n, M, M)."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in output.items()}
    arrays["labels"] = arrays["labels"] - int(architecture(config.network).has_background)
    return arrays | ({"masks": arrays["masks"][:, 0]} if "masks" in arrays else {})


def in_picture(found: Mapping[str, np.ndarray], shape: Sequence[int], size: tuple[int, int]) -> Detections:
    """Return what was found in a frame as detections in pixels of the original picture, the surest first.

    Boxes are cut to the picture, and left out where they lie in the grey beside it.

    Args:
        found: `boxes` (n, 4), `scores` and `labels` (n,), and perhaps `masks` (n, M, M) within the boxes, from 0 to 1.
        shape: height and width of the picture in it.
        size: width and height of the original.
    """
    boxes = found["boxes"] * np.array([size[0] / shape[1], size[1] / shape[0]] * 2)
    seen = np.clip(boxes, 0, np.array([*size, *size]))
    order = np.argsort(-found["scores"], kind="stable")
    order = order[(seen[order, 2:] > seen[order, :2]).all(axis=1)]
    masks = None
    if "masks" in found:
        masks = _encoded(found["masks"][order], boxes[order], size)
    scores, labels = found["scores"][order], found["labels"][order]
    return Detections(seen[order], scores.astype(np.float64), labels.astype(np.int64), masks)


def _encoded(masks: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> tuple[dict[str, object], ...]:
    encoded: list[dict[str, object]] = []
    count = max(1, _PASTED_PIXELS // (size[0] * size[1]))
    for start in range(0, len(masks), count):
        part = zip(masks[start : start + count], boxes[start : start + count], strict=True)
        encoded += encode_pixels(np.stack([paste(mask, box, size) for mask, box in part]))
    return tuple(encoded)
