"""What is marked in the pictures of a data set, whatever layout it came in.

Boxes are `x0, y0, x1, y1` in pixels of the original picture as it is shown (turned upright if its EXIF data say so),
(0, 0) being the upper left corner of the upper left pixel and x1, y1 lying outside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.tasks.data_view import DataSummary
from tunewell.tasks.vision.inspection import summarize
from tunewell.tasks.vision.picture_set import PictureSet

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

    #: Class names; a label is an index into them.
    classes: tuple[str, ...]
    #: Width and height of each picture.
    sizes: tuple[tuple[int, int], ...]
    #: What is in each picture.
    objects: tuple[Objects, ...]

    @property
    def has_masks(self) -> bool:
        """Whether objects have masks."""
        return bool(self.objects) and self.objects[0].masks is not None

    def presence(self, positions: Sequence[int]) -> np.ndarray:
        """Return which classes occur in each of the pictures, bool (len(positions), classes)."""
        found = np.zeros((len(positions), len(self.classes)), dtype=bool)
        for row, position in enumerate(positions):
            found[row, self.objects[position].labels] = True
        return found

    def class_counts(self, split: str) -> np.ndarray:
        """Return the number of objects of each class in a split, crowds left out, (classes,)."""
        total = np.zeros(len(self.classes), dtype=np.int64)
        for position in self.splits[split]:
            objects = self.objects[position]
            total += np.bincount(objects.labels[~objects.crowd], minlength=len(self.classes))
        return total

    def summary(self) -> DataSummary:
        """Return what the data set holds."""
        return summarize(self, self.classes, self.class_counts, "objects")

    def of_class(self) -> dict[str, list[int]]:
        """Return class → positions of the training pictures that have it."""
        positions = np.asarray(self.splits["train"])
        presence = self.presence(positions.tolist())
        return {name: positions[presence[:, label]].tolist() for label, name in enumerate(self.classes)}

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({**self._content(), "folder": str(self.folder), "notes": self.notes}))

    def digest(self) -> str:
        """Return a digest of what the pictures show and which splits they are in."""
        return hashlib.blake2b(json.dumps(self._content()).encode(), digest_size=16).hexdigest()

    @classmethod
    def load(cls, path: Path) -> AnnotatedPictures:
        """Return what `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(
            folder=Path(fields["folder"]),
            classes=tuple(fields["classes"]),
            paths=tuple(fields["paths"]),
            sizes=tuple((width, height) for width, height in fields["sizes"]),
            objects=tuple(_from_json(objects) for objects in fields["objects"]),
            splits={name: tuple(positions) for name, positions in fields["splits"].items()},
            notes=tuple(fields["notes"]),
        )

    def _content(self) -> dict[str, Any]:
        return {
            "classes": self.classes,
            "paths": self.paths,
            "sizes": self.sizes,
            "objects": [_to_json(objects) for objects in self.objects],
            "splits": dict(self.splits),
        }


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
