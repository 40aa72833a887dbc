"""A picture with its objects as a network learns from them, and random changes of both.

Symbols: H x W pixels, n objects. Changes never leave an object of which little is seen: boxes of which less than
`LEAST_VISIBLE` is left are dropped. All randomness comes from a NumPy generator, so that every machine draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from tunewell.tasks.vision.pictures import GREY

#: Share of a box that must stay in view.
LEAST_VISIBLE = 0.25
#: Boxes with a side below this many pixels are dropped: networks can't be asked for nothing.
_LEAST_SIDE = 0.5
#: Weights of red, green and blue in brightness (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with its objects."""

    #: uint8 (H, W, 3)
    pixels: np.ndarray
    #: float32 (n, 4): x0, y0, x1, y1 in pixels
    boxes: np.ndarray
    #: int64 (n,)
    labels: np.ndarray
    #: uint8 (n, H, W); None: no masks are wanted
    masks: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Return height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True)
class Changes:
    """How strongly samples are changed; the fields are those of `Hyperparameters`."""

    horizontal_flip: bool = False
    color_jitter: float = 0.0
    scale_jitter: float = 0.0


def change(sample: Sample, changes: Changes, limits: tuple[int, int], generator: np.random.Generator) -> Sample:
    """Return a changed copy, of which no side is longer than its limit, those of height and width."""
    flip, scale, *light = generator.uniform(-1, 1, 5)
    if changes.scale_jitter > 0:
        corner = generator.uniform(0, 1, 2)
        sample = rescale(
            sample, float((1 + changes.scale_jitter) ** scale), limits, (float(corner[0]), float(corner[1]))
        )
    if changes.horizontal_flip and flip < 0:
        sample = mirror(sample)
    if changes.color_jitter > 0:
        brightness, contrast, saturation = (1 + changes.color_jitter * draw for draw in light)
        sample = replace(sample, pixels=relight(sample.pixels, brightness, contrast, saturation))
    return sample


def mirror(sample: Sample) -> Sample:
    """Return the sample with left and right exchanged."""
    width = sample.shape[1]
    boxes = sample.boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], dtype=np.float32)
    boxes[:, [0, 2]] += width
    # Copied: NumPy calls a view a single pixel wide contiguous, and PyTorch refuses its negative stride.
    masks = None if sample.masks is None else sample.masks[:, :, ::-1].copy()
    return Sample(sample.pixels[:, ::-1].copy(), boxes, sample.labels, masks)


def relight(pixels: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Return pixels (H, W, 3) times these factors, as torchvision's ColorJitter has them: 1 changes nothing."""
    values = pixels.astype(np.float32) * brightness
    mean = (values @ _LUMA).mean()
    values = (values - mean) * contrast + mean
    grey = (values @ _LUMA)[:, :, None]
    values = (values - grey) * saturation + grey
    changed: np.ndarray = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return changed


def rescale(sample: Sample, factor: float, limits: tuple[int, int], corner: tuple[float, float]) -> Sample:
    """Return the sample at `factor` times its size, cut where a side is longer than its limit (height, width).

    `corner` says where it is cut, from (0, 0) for the upper left to (1, 1) for the lower right.
    """
    height, width = sample.shape
    grown = resize(sample, (max(1, round(factor * height)), max(1, round(factor * width))))
    height, width = (min(sides) for sides in zip(grown.shape, limits, strict=True))
    left, top = round(corner[0] * (grown.shape[1] - width)), round(corner[1] * (grown.shape[0] - height))
    return crop(grown, left, top, height, width)


def resize(sample: Sample, shape: tuple[int, int]) -> Sample:
    """Return the sample with these (H, W) pixels."""
    height, width = shape
    pixels = np.asarray(Image.fromarray(sample.pixels).resize((width, height), Image.Resampling.BILINEAR))
    scale = np.array([width / sample.shape[1], height / sample.shape[0]], dtype=np.float32)
    masks = sample.masks
    if masks is not None:
        rows = ((np.arange(height) + 0.5) * sample.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * sample.shape[1] / width).astype(int)
        masks = masks[:, rows[:, None], columns]
    return Sample(pixels, sample.boxes * np.tile(scale, 2), sample.labels, masks)


def crop(sample: Sample, left: int, top: int, height: int, width: int) -> Sample:
    """Return a part of the sample."""
    pixels = sample.pixels[top : top + height, left : left + width]
    masks = None if sample.masks is None else sample.masks[:, top : top + height, left : left + width]
    boxes = sample.boxes - np.array([left, top, left, top], dtype=np.float32)
    return visible(Sample(pixels, boxes, sample.labels, masks))


def mosaic(samples: Sequence[Sample], shape: tuple[int, int]) -> Sample:
    """Return four samples, each at half its size, around the centre of a frame of this height and width.

    Bochkovskiy et al. 2020, arXiv:2004.10934, section 3.3, with the centre in the middle and no cropping.
    """
    middle, centre = (side // 2 for side in shape)
    pixels = np.full((*shape, 3), GREY, dtype=np.uint8)
    boxes, labels, masks = [], [], []
    for place, sample in enumerate(samples):
        half = resize(sample, (max(1, min(sample.shape[0] // 2, middle)), max(1, min(sample.shape[1] // 2, centre))))
        height, width = half.shape
        left = centre if place % 2 else centre - width
        top = middle if place // 2 else middle - height
        pixels[top : top + height, left : left + width] = half.pixels
        boxes.append(half.boxes + np.array([left, top, left, top], dtype=np.float32))
        labels.append(half.labels)
        if half.masks is not None:
            drawn = np.zeros((len(half.masks), *shape), dtype=np.uint8)
            drawn[:, top : top + height, left : left + width] = half.masks
            masks.append(drawn)
    whole = np.concatenate(masks) if masks else None
    return visible(Sample(pixels, np.concatenate(boxes), np.concatenate(labels), whole))


def mixup(first: Sample, second: Sample, share: float) -> Sample:
    """Return a sample that shows `share` of the first one's light and the rest of the second one's, with all objects.

    Zhang et al. 2019, arXiv:1902.04103, section 3.1: both keep their shapes and meet in the upper left corner. Unlike
    there, all objects weigh alike, as in YOLOX (Ge et al. 2021, arXiv:2107.08430).
    """
    height, width = (max(sides) for sides in zip(first.shape, second.shape, strict=True))
    one, other = (fill_up(sample, (height, width)) for sample in (first, second))
    masks = None
    if one.masks is not None and other.masks is not None:
        masks = np.concatenate([one.masks, other.masks])
    return Sample(
        (share * one.pixels + (1 - share) * other.pixels + 0.5).astype(np.uint8),
        np.concatenate([one.boxes, other.boxes]),
        np.concatenate([one.labels, other.labels]),
        masks,
    )


def fill_up(sample: Sample, shape: tuple[int, int]) -> Sample:
    """Return the sample in the upper left corner of a grey picture of this height and width."""
    below, right = shape[0] - sample.shape[0], shape[1] - sample.shape[1]
    pixels = np.pad(sample.pixels, ((0, below), (0, right), (0, 0)), constant_values=GREY)
    masks = None if sample.masks is None else np.pad(sample.masks, ((0, 0), (0, below), (0, right)))
    return Sample(pixels, sample.boxes, sample.labels, masks)


def visible(sample: Sample) -> Sample:
    """Return the sample with boxes cut to the picture, without those of which too little is left."""
    height, width = sample.shape
    boxes = np.clip(sample.boxes, 0, np.array([width, height, width, height], dtype=np.float32))
    sides, before = boxes[:, 2:] - boxes[:, :2], sample.boxes[:, 2:] - sample.boxes[:, :2]
    keep = (sides >= _LEAST_SIDE).all(axis=1) & (sides.prod(axis=1) >= LEAST_VISIBLE * before.prod(axis=1))
    masks = sample.masks
    if masks is not None:
        keep &= masks.any(axis=(1, 2))
        masks = masks[keep]
    return Sample(sample.pixels, boxes[keep].astype(np.float32), sample.labels[keep], masks)
