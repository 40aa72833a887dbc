"""The pictures of a data set: which split they are in, and whether they are still the same; none is opened here."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tunewell.spec.errors import DataError, count
from tunewell.spec.places import moved
from tunewell.tasks.data_view import DataSummary
from tunewell.tasks.vision.task_file import read_fields
from tunewell.trial.files import write_json

if TYPE_CHECKING:  # it needs Pillow, and a base install can list the tasks
    from tunewell.tasks.vision.depths import ValueRanges

#: Share of the pictures that become validation data where the user has not made the split.
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """The pictures of a data set, their splits and classes. A picture's *position* is its index in `paths`.

    Each task extends it with what it knows of the pictures: labels, boxes.
    """

    #: What `counts` counts: `picture` or `object`.
    counted: ClassVar[str] = "picture"

    #: The data set's folder.
    folder: Path
    #: Pictures relative to `folder`, '/' between the parts, sorted.
    paths: tuple[str, ...]
    #: `train`, `val` and perhaps `test` → positions in ascending order.
    splits: Mapping[str, tuple[int, ...]]
    #: Class names, C of them; a label is an index into them.
    classes: tuple[str, ...]
    #: What the user should know, a sentence each.
    notes: tuple[str, ...] = ()
    #: Which values are black and white; see `depths`.
    value_ranges: ValueRanges = field(default_factory=dict)

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """Return the fields that say what the pictures show, fit for JSON."""

    @abstractmethod
    def presence(self, split: str) -> np.ndarray:
        """Return which classes the pictures of a split have, bool (pictures, C), in the split's order."""

    def counts(self, split: str) -> np.ndarray:
        """Return how often each class occurs in a split, (C,)."""
        found: np.ndarray = self.presence(split).sum(axis=0)
        return found

    def test_positions(self) -> np.ndarray | None:
        """Return the positions of the test pictures; None if there are none, or none shows anything to be found."""
        if "test" not in self.splits or not self.counts("test").any():
            return None
        return np.asarray(self.splits["test"])

    def summary(self) -> DataSummary:
        """Return what the data set holds."""
        counts = np.stack([self.counts(split) for split in self.splits], axis=1)
        return DataSummary(
            place=str(self.folder),
            items={split: len(positions) for split, positions in self.splits.items()},
            unit="picture",
            counted=self.counted,
            counts=dict(zip(self.classes, counts.tolist(), strict=True)),
            notes=self.notes,
        )

    def of_class(self) -> dict[str, list[int]]:
        """Return class → positions of the training pictures that have it."""
        presence, positions = self.presence("train"), np.asarray(self.splits["train"])
        return {name: positions[presence[:, label]].tolist() for label, name in enumerate(self.classes)}

    def path(self, position: int) -> Path:
        """Return where a picture lies."""
        return self.folder / self.paths[position]

    def divided(self, chosen: np.ndarray) -> Self:
        """Return a set whose validation pictures are the `chosen` ones of those for training, indices of these.

        Raises:
            DataError: they are none, or all.
        """
        positions = np.asarray(self.splits["train"])
        if not 0 < len(chosen) < len(positions):
            pictures = "1 picture is" if len(positions) == 1 else f"{len(positions)} pictures are"
            raise DataError(
                f"{pictures} too few to divide into train and val",
                field=str(self.folder),
                remedy="Add pictures, or make the splits yourself",
            )
        val, train = positions[chosen].tolist(), np.delete(positions, chosen).tolist()
        note = (
            f"Divided at random, class by class: {count(len(train), 'picture')} to train on, {len(val)} to validate on."
        )
        rest = {name: split for name, split in self.splits.items() if name != "train"}
        return replace(self, splits={"train": tuple(train), "val": tuple(val), **rest}, notes=(*self.notes, note))

    def without(self, broken: Iterable[int]) -> Self:
        """Return a set whose splits leave these positions out; positions stay what they were."""
        gone = set(broken)
        splits = {
            name: tuple(position for position in positions if position not in gone)
            for name, positions in self.splits.items()
        }
        return replace(self, splits={name: positions for name, positions in splits.items() if positions})

    def continues(self, before: Self) -> bool:
        """Whether these pictures show what they did before, in the same splits; broken ones were left out then."""
        same = json.dumps([self.classes, self.content()]) == json.dumps([before.classes, before.content()])
        return same and all(
            set(positions) <= set(self.splits.get(split, ())) for split, positions in before.splits.items()
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all, whatever happens afterwards. The file and the folder may be moved."""
        fields = {
            "folder": str(self.folder),
            "place": str(path.parent.resolve()),
            "classes": self.classes,
            "paths": self.paths,
            **self.content(),
            "splits": dict(self.splits),
            "notes": self.notes,
            "value_ranges": self.value_ranges,
        }
        write_json(path, fields, durable=True)


def saved_fields(path: Path) -> dict[str, Any]:
    """Return the fields of a `PictureSet` that `save` wrote; those of `content` are as JSON has them.

    Raises:
        DataError: the file is missing or damaged.
    """
    fields = read_fields(path)
    before = Path(fields["folder"])
    now = moved(before, Path(fields.pop("place")), path.parent.resolve())
    # Where the pictures were not brought, they are called by the place that they have at home.
    fields["folder"] = now if os.path.exists(now) else before  # noqa: PTH110 - see `moved`
    for name in ("classes", "paths", "notes"):
        fields[name] = tuple(fields[name])
    fields["value_ranges"] = {kind: tuple(ends) for kind, ends in fields["value_ranges"].items()}
    fields["splits"] = {name: tuple(positions) for name, positions in fields["splits"].items()}
    return fields


def fingerprint(pictures: PictureSet) -> str:
    """Return a digest of the pictures' names, sizes and modification times: what a cache is valid for.

    Raises:
        DataError: a picture is no file any more.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in pictures.paths:
        try:
            status = (pictures.folder / path).stat()
        except OSError as error:
            raise DataError(
                f"it can't be found ({error.strerror})", field=str(pictures.folder / path), remedy="Restore it"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise DataError("this picture is no file any more", field=str(pictures.folder / path), remedy="Restore it")
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()
