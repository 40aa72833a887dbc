"""What is marked in the pictures of a data set, whatever layout it came in.

Boxes are `x0, y0, x1, y1` in pixels of the original picture as it is shown (turned upright if its EXIF data say so),
(0, 0) being the upper left corner of the upper left pixel and x1, y1 lying outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tunewell.tasks.data_view import DataSummary
from tunewell.tasks.vision.picture_set import PictureSet, saved_fields

#: Sides of objects between which they are counted as of one size, in percent of the picture's side.
_SIZES = (2, 4, 8, 16, 32, 64)
#: A mask as in COCO: polygons, each `[x, y, x, y, …]`, or a run-length encoding `{"size": [h, w], "counts": …}`.
Mask = list[list[float]] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Objects:
    """The n objects of one picture."""

    #: float64 (n, 4)
    boxes: np.ndarray
    #: int64 (n,), indices into the classes
    labels: np.ndarray
    #: bool (n,): groups, or objects too hard to tell; they are neither learned nor missed when not found.
    crowd: np.ndarray
    #: One an object; None: the data set has boxes alone.
    masks: tuple[Mask, ...] | None = None

    def __len__(self) -> int:
        """Return n."""
        return len(self.labels)

    def chosen(self, keep: np.ndarray) -> Objects:
        """Return the objects where `keep` (n,) is true."""
        masks = None
        if self.masks is not None:
            masks = tuple(mask for mask, kept in zip(self.masks, keep.tolist(), strict=True) if kept)
        return Objects(self.boxes[keep], self.labels[keep], self.crowd[keep], masks)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedPictures(PictureSet):
    """A data set: pictures, their objects and splits."""

    counted: ClassVar[str] = "object"

    #: Width and height of each picture.
    sizes: tuple[tuple[int, int], ...]
    #: What is in each picture.
    objects: tuple[Objects, ...]

    @property
    def has_masks(self) -> bool:
        """Whether objects have masks."""
        return bool(self.objects) and self.objects[0].masks is not None

    def presence(self, split: str) -> np.ndarray:
        """Return which classes occur in the pictures of a split, bool (pictures, C)."""
        found = np.zeros((len(self.splits[split]), len(self.classes)), dtype=bool)
        for row, position in enumerate(self.splits[split]):
            found[row, self.objects[position].labels] = True
        return found

    def counts(self, split: str) -> np.ndarray:
        """Return the number of objects of each class in a split, crowds left out, (C,)."""
        total = np.zeros(len(self.classes), dtype=np.int64)
        for position in self.splits[split]:
            objects = self.objects[position]
            total += np.bincount(objects.labels[~objects.crowd], minlength=len(self.classes))
        return total

    def summary(self) -> DataSummary:
        """Return what the data set holds, and how large its objects are."""
        return replace(PictureSet.summary(self), sizes=self._object_sizes())

    def _object_sizes(self) -> dict[str, int]:
        """Return how many objects to learn from are of each size: the root of the share of the picture in their box."""
        total = np.zeros(len(_SIZES) + 1, dtype=np.int64)
        for position in self.splits["train"]:
            objects, (width, height) = self.objects[position], self.sizes[position]
            boxes = objects.boxes[~objects.crowd]
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            percent = 100 * np.sqrt(np.clip(areas, 0, None) / (width * height))
            total += np.bincount(np.searchsorted(_SIZES, percent, side="right"), minlength=len(total))
        between = (f"{low} to {high} %" for low, high in pairwise(_SIZES))
        return dict(zip((f"under {_SIZES[0]} %", *between, f"over {_SIZES[-1]} %"), total.tolist(), strict=True))

    @classmethod
    def load(cls, path: Path) -> AnnotatedPictures:
        """Return what `save` wrote."""
        fields = saved_fields(path)
        fields["sizes"] = tuple((width, height) for width, height in fields["sizes"])
        fields["objects"] = tuple(_from_json(objects) for objects in fields["objects"])
        return cls(**fields)

    def content(self) -> dict[str, Any]:
        """Return sizes and objects."""
        return {"sizes": self.sizes, "objects": [_to_json(objects) for objects in self.objects]}


def _to_json(objects: Objects) -> dict[str, Any]:
    return {
        "boxes": objects.boxes.tolist(),
        "labels": objects.labels.tolist(),
        "crowd": objects.crowd.tolist(),
        "masks": objects.masks,
    }


def _from_json(fields: Mapping[str, Any]) -> Objects:
    return Objects(
        np.asarray(fields["boxes"], dtype=np.float64).reshape(-1, 4),
        np.asarray(fields["labels"], dtype=np.int64),
        np.asarray(fields["crowd"], dtype=bool),
        None if fields["masks"] is None else tuple(fields["masks"]),
    )
