"""Decoded pictures with their objects, at the size that a network gets them.

The cache holds each picture letterboxed: scaled to S pixels on its longer side, in the corner of S x S pixels. Networks
get it, or a view of it (see `tiling`), in a `Frame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Mask, Objects
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.masks import draw
from tunewell.tasks.object_detection.samples import LEAST_VISIBLE, Sample, visible
from tunewell.tasks.object_detection.tiling import View, decoded_side, look, views_number, views_of
from tunewell.tasks.vision.depths import ValueRanges
from tunewell.tasks.vision.pictures import letterbox_shape, load_pixels, picture_size
from tunewell.tasks.vision.resize_rules import LETTERBOX
from tunewell.tasks.vision.shared_pixels import shared_pixels
from tunewell.tasks.vision.task_file import Prepared

#: Side in pixels of the smallest objects that are learned in the whole of a picture that is seen in tiles, too.
_LEAST_IN_WHOLE = 8.0


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
    #: Pictures are learned in this many by this many tiles; see `tiling`.
    tiles: int = 1

    @property
    def size(self) -> int:
        """Return S."""
        return int(self.pixels.shape[1])

    def picture(self, position: int) -> np.ndarray:
        """Return the pixels of a picture without its border, uint8 (H, W, 3)."""
        width, height = letterbox_shape(*self.annotated.sizes[position], self.size)
        pixels: np.ndarray = self.pixels[position, :height, :width]
        return pixels

    def items(self, positions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return what is learned in an epoch from the pictures at these positions: see `sample`.

        Of a picture in tiles those are learned that show objects, and one of the others, to learn the background.
        """
        if self.tiles == 1:
            return positions
        chosen: list[int] = []
        for position in positions.tolist():
            counts = self._counts(position)
            shown, empty = _learned_views(counts)
            views = [*shown, *(generator.choice(empty, 1) if len(empty) else ())]
            chosen += [position * len(counts) + int(view) for view in views]
        return np.asarray(chosen)

    def fullest_item(self, position: int) -> int:
        """Return what shows the most objects of a picture."""
        counts = self._counts(position)
        return position * len(counts) + int(counts.argmax())

    def sample(self, item: int) -> Sample:
        """Return what is seen of a picture at a time, with the objects that can be learned: crowds are left out.

        An item is the position of a picture; where pictures are learned in tiles, each of their views is an item. Of
        what the edge of a tile cuts, the part in view is learned if it is enough (see `samples.visible`); in the whole
        picture beside the tiles that is learned which is large enough there (`_LEAST_IN_WHOLE`).
        """
        position, place = divmod(item, views_number(self.tiles))
        pixels, original = self.picture(position), self.annotated.sizes[position]
        height, width = pixels.shape[:2]
        view = views_of(width, height, self.tiles)[place]
        objects, boxes = self._learnable(position)
        moved = _in_view(boxes, view)
        keep = np.ones(len(moved), dtype=bool) if self.tiles == 1 else _is_learned(moved, view)
        masks = None
        if objects.masks is not None:
            masks = np.zeros((int(keep.sum()), view.down, view.across), dtype=np.uint8)
            for row, kept in enumerate(np.flatnonzero(keep).tolist()):
                masks[row] = _mask_in_view(objects.masks[kept], original, (height, width), view)
        seen = np.ascontiguousarray(look(pixels, view))
        sample = Sample(seen, moved[keep].astype(np.float32), objects.labels[keep], masks)
        return sample if self.tiles == 1 else visible(sample)

    def _learnable(self, position: int) -> tuple[Objects, np.ndarray]:
        """Return the objects of a picture but for crowds, and their boxes in pixels of the decoded picture, (n, 4)."""
        objects = self.annotated.objects[position]
        objects = objects.chosen(~objects.crowd)
        return objects, _decoded_boxes(objects, self.annotated.sizes[position], self.size)

    def _counts(self, position: int) -> np.ndarray:
        return _objects_in_views(self.annotated, position, self.size, self.tiles)


def items_number(annotated: AnnotatedPictures, size: int, tiles: int) -> int:
    """Return how many items an epoch has of all training pictures, decoded at `size`; see `DecodedPictures.items`."""
    total = 0
    for position in annotated.splits["train"]:
        shown, empty = _learned_views(_objects_in_views(annotated, position, size, tiles))
        total += len(shown) + (len(empty) > 0)
    return total


def _objects_in_views(annotated: AnnotatedPictures, position: int, size: int, tiles: int) -> np.ndarray:
    """Return how many objects are learned of each view of a picture that is decoded at `size`."""
    original, objects = annotated.sizes[position], annotated.objects[position]
    boxes = _decoded_boxes(objects, original, size)[~objects.crowd]
    views = views_of(*letterbox_shape(*original, size), tiles)
    return np.array([int(_is_learned(_in_view(boxes, view), view).sum()) for view in views])


def _learned_views(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the views that are learned, by the objects in each, and the tiles of which one is learned, too."""
    return np.flatnonzero(counts), np.flatnonzero(counts[:-1] == 0)


def _decoded_boxes(objects: Objects, original: tuple[int, int], size: int) -> np.ndarray:
    """Return the boxes of a picture in pixels of that picture decoded at `size`, (n, 4)."""
    width, height = letterbox_shape(*original, size)
    boxes: np.ndarray = objects.boxes * np.array([width / original[0], height / original[1]] * 2)
    return boxes


def _in_view(boxes: np.ndarray, view: View) -> np.ndarray:
    """Return boxes of a decoded picture in pixels of a view, in and out of which they may lie."""
    scale = np.array([view.across / view.width, view.down / view.height] * 2)
    moved: np.ndarray = (boxes - np.array([view.left, view.top] * 2)) * scale
    return moved


def _is_learned(boxes: np.ndarray, view: View) -> np.ndarray:
    """Return which boxes (n, 4) of a view, in its pixels, are learned: enough of them is in view, large enough."""
    shown = np.clip(boxes, 0, np.array([view.across, view.down] * 2))
    areas, before = ((item[:, 2:] - item[:, :2]).prod(axis=1) for item in (shown, boxes))
    is_small = np.sqrt(areas) < (_LEAST_IN_WHOLE if view.width > view.across else 0)
    learned: np.ndarray = (areas > 0) & (areas >= LEAST_VISIBLE * before) & ~is_small
    return learned


def _mask_in_view(mask: Mask, original: tuple[int, int], shape: tuple[int, int], view: View) -> np.ndarray:
    """Return which pixels of a view belong to a mask, uint8; `shape`: height and width of the decoded picture."""
    if view.width > view.across:
        return draw(mask, original, (view.down, view.across))
    part: np.ndarray = draw(mask, original, shape)[view.top : view.top + view.down, view.left : view.left + view.across]
    return part


def shared_pictures(prepared: Prepared, annotated: AnnotatedPictures, image_size: int) -> DecodedPictures:
    """Return the decoded pictures of the whole data set at a size that `prepare` decoded; see `shared_pixels`."""
    return DecodedPictures(shared_pixels(prepared, annotated, image_size, LETTERBOX), annotated)


def load_picture(
    source: Path | bytes, frame: Frame, ranges: ValueRanges, tiles: int = 1
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a picture so large that its tiles fit into the frame, uint8 (H, W, 3), and its own width and height.

    `ranges` are those of the data set that the network has learned; see `depths`.

    Raises:
        PictureError: it is no picture, truncated, or too large.
    """
    original = picture_size(source)
    side = decoded_side(frame.side(*original), tiles)
    width, height = letterbox_shape(*original, side)
    return load_pixels(source, side, LETTERBOX, ranges)[:height, :width], original
