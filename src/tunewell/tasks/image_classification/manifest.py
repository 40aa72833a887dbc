"""Pictures with their labels: one each, or any number."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunewell.tasks.vision.picture_set import PictureSet, saved_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPictures(PictureSet):
    """The pictures of a data set, their splits and their labels. Classes are in sorted order."""

    #: Task that such labels are for.
    task: ClassVar[str]

    @abstractmethod
    def targets(self) -> np.ndarray:
        """Return what a network learns of each picture: labels int64 (N,), or their presence float32 (N, C)."""

    @abstractmethod
    def strata(self, split: str) -> list[int]:
        """Return a class of each picture of a split such that a share of each is a fair share of all."""

    def content(self) -> dict[str, Any]:
        """Return the labels."""
        return {"labels": self.labels}  # type: ignore[attr-defined]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the manifest that `save` wrote."""
        return cls(**_read(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(LabelledPictures):
    """Pictures with one label each."""

    task: ClassVar[str] = "image-classification"

    #: Label of each picture.
    labels: tuple[int, ...]

    def split_labels(self, split: str) -> list[int]:
        """Return the labels of a split's pictures, in the split's order."""
        return [self.labels[position] for position in self.splits[split]]

    def targets(self) -> np.ndarray:
        """Return the label of each picture, int64 (N,)."""
        return np.asarray(self.labels, dtype=np.int64)

    def presence(self, split: str) -> np.ndarray:
        """Return which class the pictures of a split have, bool (pictures, C)."""
        found: np.ndarray = np.asarray(self.split_labels(split))[:, None] == np.arange(len(self.classes))
        return found

    def strata(self, split: str) -> list[int]:
        """Return the labels of a split's pictures."""
        return self.split_labels(split)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelManifest(LabelledPictures):
    """Pictures with any number of labels each, none included."""

    task: ClassVar[str] = "multilabel-classification"

    #: Labels of each picture, ascending.
    labels: tuple[tuple[int, ...], ...]

    def targets(self) -> np.ndarray:
        """Return which labels each picture has, float32 (N, C) of 0 and 1."""
        found = np.zeros((len(self.labels), len(self.classes)), dtype=np.float32)
        for position, labels in enumerate(self.labels):
            found[position, list(labels)] = 1
        return found

    def presence(self, split: str) -> np.ndarray:
        """Return which labels the pictures of a split have, bool (pictures, C)."""
        return self.targets()[list(self.splits[split])] > 0

    def strata(self, split: str) -> list[int]:
        """Return the rarest label of each picture of a split; C for a picture without labels."""
        counts = self.counts(split)
        none = len(self.classes)
        return [
            min(self.labels[position], key=lambda label: (counts[label], label), default=none)
            for position in self.splits[split]
        ]


def load_manifest(path: Path) -> Manifest | MultilabelManifest:
    """Return the manifest, of either kind, that `save` wrote."""
    fields = _read(path)
    single = all(isinstance(labels, int) for labels in fields["labels"])
    return Manifest(**fields) if single else MultilabelManifest(**fields)


def _read(path: Path) -> dict[str, Any]:
    fields = saved_fields(path)
    fields["labels"] = tuple(tuple(item) if isinstance(item, list) else item for item in fields["labels"])
    return fields
