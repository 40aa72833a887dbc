"""Augmentation of whole batches as tensors, on the device where they are.

At strength 1 each picture is, at random and independently: shifted by up to 20 % of its side, scaled by 1/1.4 to
1.4 (uniform in the logarithm), rotated by up to 30 degrees, its normalised values moved by up to 0.4, and its
contrast multiplied by 0.6 to 1.4. A strength s multiplies these reaches by s. What comes into view at the borders
is mirrored.

Random numbers come from a NumPy generator, so that every device draws the same.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

_SHIFT = 0.2
_LOG_SCALE = math.log(1.4)
_ROTATION = math.radians(30)
_BRIGHTNESS = 0.4
_CONTRAST = 0.4


def augment(images: torch.Tensor, strength: float, flip: bool, generator: np.random.Generator) -> torch.Tensor:
    """Return changed copies of normalised `images` (N, 3, S, S); themselves if there is nothing to do."""
    if strength > 0 or flip:
        images = _warp(images, _affine(len(images), strength, flip, generator))
    if strength > 0:
        images = _relight(images, strength, generator)
    return images


def mixup(
    images: torch.Tensor, alpha: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mix each picture of (N, 3, S, S) with another one of the batch (Zhang et al. 2018, arXiv:1710.09412).

    Returns:
        The mixtures `weight * images + (1 - weight) * images[partners]`, the partners (N,), the weight in [0.5, 1].
    """
    weight = float(generator.beta(alpha, alpha))
    weight = max(weight, 1 - weight)
    partners = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    return torch.lerp(images[partners], images, weight), partners, weight


def _affine(count: int, strength: float, flip: bool, generator: np.random.Generator) -> np.ndarray:
    """Return matrices (N, 2, 3) from output to input coordinates, both from -1 to 1."""
    shift_x, shift_y, scale, angle, mirror = generator.uniform(-1, 1, (5, count))
    scale = np.exp(strength * _LOG_SCALE * scale)
    angle = strength * _ROTATION * angle
    sign = np.where(mirror < 0, -1.0, 1.0) if flip else np.ones(count)
    # Coordinates run over 2, so a shift by a share of the side is twice that share.
    reach = 2 * _SHIFT * strength
    rows = [
        [sign * scale * np.cos(angle), -scale * np.sin(angle), reach * shift_x],
        [sign * scale * np.sin(angle), scale * np.cos(angle), reach * shift_y],
    ]
    return np.asarray(rows, dtype=np.float32).transpose(2, 0, 1)


def _warp(images: torch.Tensor, matrices: np.ndarray) -> torch.Tensor:
    theta = torch.from_numpy(np.ascontiguousarray(matrices)).to(images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    # Sampling is twice as fast where each channel lies together.
    images = images.contiguous()
    warped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return warped.contiguous(memory_format=torch.channels_last)


def _relight(images: torch.Tensor, strength: float, generator: np.random.Generator) -> torch.Tensor:
    """Change brightness and contrast, in place."""
    draws = generator.uniform(-strength, strength, (2, len(images), 1, 1, 1)).astype(np.float32)
    brightness, contrast = torch.from_numpy(draws).to(images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    gain = 1 + _CONTRAST * contrast
    return images.mul_(gain).add_(mean * (1 - gain) + _BRIGHTNESS * brightness)
