"""Decoded pictures with their objects, at the size that a network gets them.

The cache holds each picture letterboxed: scaled to S pixels on its longer side, in the corner of S x S pixels. Networks
get it in a `Frame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.masks import draw
from tunewell.tasks.object_detection.samples import Sample
from tunewell.tasks.vision.depths import ValueRanges
from tunewell.tasks.vision.pictures import letterbox_shape, load_pixels, picture_size
from tunewell.tasks.vision.resize_rules import LETTERBOX
from tunewell.tasks.vision.shared_pixels import shared_pixels
from tunewell.tasks.vision.task_file import Prepared


class ShownPictures(Protocol):
    """The pictures of a data set that can be looked at."""

    @property
    def annotated(self) -> AnnotatedPictures:
        """What is marked in them."""

    def picture(self, position: int) -> np.ndarray:
        """Return the pixels of a picture as a network gets them, without a border, uint8 (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class DecodedPictures:
    """All pictures of a data set at one size."""

    #: uint8 (N, S, S, 3); a memory map, usually.
    pixels: np.ndarray
    annotated: AnnotatedPictures

    @property
    def size(self) -> int:
        """Return S."""
        return int(self.pixels.shape[1])

    def picture(self, position: int) -> np.ndarray:
        """Return the pixels of a picture without its border, uint8 (H, W, 3)."""
        width, height = letterbox_shape(*self.annotated.sizes[position], self.size)
        pixels: np.ndarray = self.pixels[position, :height, :width]
        return pixels

    def sample(self, position: int) -> Sample:
        """Return a picture with the objects that can be learned: crowds are left out."""
        pixels = np.ascontiguousarray(self.picture(position))
        height, width = pixels.shape[:2]
        original = self.annotated.sizes[position]
        objects = self.annotated.objects[position]
        objects = objects.chosen(~objects.crowd)
        scale = np.array([width / original[0], height / original[1]] * 2)
        masks = None
        if objects.masks is not None:
            masks = np.zeros((len(objects), height, width), dtype=np.uint8)
            for place, mask in enumerate(objects.masks):
                masks[place] = draw(mask, original, (height, width))
        return Sample(pixels, (objects.boxes * scale).astype(np.float32), objects.labels, masks)


def shared_pictures(prepared: Prepared, annotated: AnnotatedPictures, image_size: int) -> DecodedPictures:
    """Return the decoded pictures of the whole data set at a size that `prepare` decoded; see `shared_pixels`."""
    return DecodedPictures(shared_pixels(prepared, annotated, image_size, LETTERBOX), annotated)


def load_picture(source: Path | bytes, frame: Frame, ranges: ValueRanges) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a picture as large as it is in the frame, uint8 (H, W, 3), and its own width and height.

    `ranges` are those of the data set that the network has learned; see `depths`.

    Raises:
        PictureError: it is no picture, truncated, or too large.
    """
    original = picture_size(source)
    side = frame.side(*original)
    width, height = letterbox_shape(*original, side)
    return load_pixels(source, side, LETTERBOX, ranges)[:height, :width], original
