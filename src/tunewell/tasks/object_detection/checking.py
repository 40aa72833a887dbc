"""What may be wrong with annotations, and how much of it: single flaws are corrected or left out, and said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError, count
from tunewell.tasks.object_detection.doubles import without_doubles
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture, Markings
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex
from tunewell.tasks.vision.pictures import PictureError

#: Flaws of a kind that are allowed: this share, or this many if that is more.
BEARABLE_SHARE = 0.01
BEARABLE_COUNT = 3
#: Boxes may reach out of their picture by this many pixels without being called clipped: rounding.
_ROUNDING = 1.0
#: Boxes with a side below this many pixels are degenerate: nothing can be seen of them.
_LEAST_SIDE = 1.0
#: Above this share of clipped boxes the coordinates are those of other pictures.
_CLIPPED_SHARE = 0.2
_LISTED = 3
_SCALING = (
    "Put the pictures there that were annotated, at their size then, or scale the annotations to these. (Sizes before "
    "EXIF orientation would be right, too)"
)


def check_flaws(folder: Path, markings: Markings) -> None:
    """Raise `DataError` if too many annotations can't be used, or there are none at all."""
    bearable = _bearable(markings.records)
    if len(markings.unreadable) > bearable:
        raise DataError(
            f"{len(markings.unreadable)} of {markings.records} annotations can't be read; {bearable} at most are left "
            f"out: {listed(markings.unreadable)}",
            field=str(folder),
            remedy="Correct or remove them",
        )
    pictures = len(markings.pictures) + len(markings.missing)
    if len(markings.missing) > _bearable(pictures):
        raise DataError(
            f"{len(markings.missing)} of {pictures} pictures that are annotated or listed are not there, "
            f"such as {listed(markings.missing)}",
            field=str(folder),
            remedy="Add them, or remove them from annotations and lists",
        )
    if not any(picture.objects for picture in markings.pictures):
        remedy = " ".join(["Check the annotations.", *markings.notes]).removesuffix(".")
        raise DataError(f"no object is marked in any picture ({markings.layout})", field=str(folder), remedy=remedy)


def flaw_notes(markings: Markings) -> list[str]:
    """Return notes on annotations that are left out."""
    notes = []
    if markings.unreadable:
        notes.append(
            f"Left out, because they can't be read: {count(len(markings.unreadable), 'annotation')}, "
            f"{listed(markings.unreadable)}."
        )
    if markings.missing:
        notes.append(
            f"Left out, being annotated or listed and not there: {count(len(markings.missing), 'picture')}, "
            f"{listed(markings.missing)}."
        )
    return notes


@dataclass(slots=True)
class _Flaws:
    """What is wrong with pictures and boxes: an example each."""

    broken: list[str] = field(default_factory=list)
    other_size: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)
    degenerate: list[str] = field(default_factory=list)
    without_mask: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UsablePicture:
    """A picture that can be used, with the objects that can."""

    path: str
    split: str
    size: tuple[int, int]
    objects: Sequence[MarkedObject]


def check_pictures(
    folder: Path, markings: Markings, index: PictureIndex, with_masks: bool
) -> tuple[list[UsablePicture], list[str]]:
    """Return the usable pictures with their usable objects, and notes on what was corrected.

    Raises:
        DataError: more is wrong than can be left out.
    """
    flaws = _Flaws()
    checked: list[UsablePicture] = []
    for picture in markings.pictures:
        size = _usable_size(picture, index, flaws)
        if size is not None:
            tried = [_usable_object(item, picture.path, size, with_masks, flaws) for item in picture.objects]
            objects, doubled = without_doubles([item for item in tried if item is not None], size, with_masks)
            flaws.doubled += [picture.path] * doubled
            checked.append(UsablePicture(picture.path, picture.split, size, objects))
    boxes = sum(len(picture.objects) for picture in markings.pictures)
    _check_limits(folder, flaws, len(markings.pictures), boxes, with_masks)
    return checked, _notes_on(flaws)


def _usable_size(picture: MarkedPicture, index: PictureIndex, flaws: _Flaws) -> tuple[int, int] | None:
    try:
        size = index.size(picture.path)
    except PictureError as error:
        flaws.broken.append(f"{picture.path} ({error})")
        return None
    if picture.stated_size not in (None, size):
        assert picture.stated_size is not None
        (width, height), (stored_width, stored_height) = size, index.header(picture.path).stored
        stored = f", stored as {stored_width} x {stored_height}" if size != (stored_width, stored_height) else ""
        at = f"annotated at {picture.stated_size[0]} x {picture.stated_size[1]}"
        flaws.other_size.append(f"{picture.path} ({width} x {height}{stored}, {at})")
        return None
    return size


def _usable_object(
    item: MarkedObject, path: str, size: tuple[int, int], with_masks: bool, flaws: _Flaws
) -> MarkedObject | None:
    if with_masks and item.mask is None:
        flaws.without_mask.append(path)
        return None
    if not np.isfinite(item.box).all():
        flaws.degenerate.append(path)
        return None
    box, limits = np.array(item.box), np.array([*size, *size], dtype=float)
    clipped = np.clip(box, 0.0, limits)
    if (clipped[2:] - clipped[:2] < _LEAST_SIDE).any():
        flaws.degenerate.append(path)
        return None
    if (np.abs(clipped - box) > _ROUNDING).any():
        flaws.clipped.append(path)
    return replace(item, box=tuple(clipped.tolist()))


def _check_limits(folder: Path, flaws: _Flaws, pictures: int, boxes: int, with_masks: bool) -> None:
    """Raise `DataError` if more is wrong than can be left out."""
    for found, problem, remedy in (
        (flaws.broken, "pictures can't be read", "Repair or remove them"),
        (flaws.other_size, "pictures have another size than their annotations are for", _SCALING),
    ):
        if len(found) > _bearable(pictures):
            raise DataError(f"{len(found)} of {pictures} {problem}: {listed(found)}", field=str(folder), remedy=remedy)
    if with_masks and len(flaws.without_mask) > max(_bearable(boxes), boxes // 10):
        raise DataError(
            f"{len(flaws.without_mask)} of {boxes} objects have a box but no mask, such as one in "
            f"{listed(flaws.without_mask)}",
            field=str(folder),
            remedy="Add masks, or use the task object-detection",
            task="object-detection",
        )
    if len(flaws.degenerate) > _bearable(boxes):
        raise DataError(
            f"{len(flaws.degenerate)} of {boxes} boxes are empty, turned inside out or outside of their "
            f"picture, such as one in {listed(flaws.degenerate)}",
            field=str(folder),
            remedy="Correct or remove them",
        )
    if len(flaws.clipped) > max(BEARABLE_COUNT, _CLIPPED_SHARE * boxes):
        raise DataError(
            f"{len(flaws.clipped)} of {boxes} boxes reach out of their picture, such as one in "
            f"{listed(flaws.clipped)}: they seem to be for pictures of another size",
            field=str(folder),
            remedy="Correct the coordinates",
        )


def _notes_on(flaws: _Flaws) -> list[str]:
    kinds = (
        (flaws.broken, "Left out, because they can't be read: {}, {}.", "picture"),
        (flaws.other_size, "Left out, because their annotations are for another size: {}, {}.", "picture"),
        (flaws.degenerate, "Left out, being empty or outside of their picture: {}, in {}.", "object"),
        (flaws.clipped, "Clipped to their picture: {}, in {}.", "object"),
        (flaws.without_mask, "Left out, having no mask: {}, in {}.", "object"),
        (flaws.doubled, "Counted once, being marked twice with the same class and place: {}, in {}.", "object"),
    )
    return [sentence.format(count(len(found), noun), listed(found)) for found, sentence, noun in kinds if found]


def _bearable(count: int) -> int:
    return max(BEARABLE_COUNT, int(BEARABLE_SHARE * count))


def listed(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    # What is not Unicode could be written nowhere.
    unique = list(dict.fromkeys(name.encode("utf-8", "backslashreplace").decode() for name in names))
    more = f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
    return ", ".join(unique[:_LISTED]) + more
