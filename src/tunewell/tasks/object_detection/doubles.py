"""Pictures and objects that are annotated more than once: each counts once.

Two entries for a picture, in one file or in two, are joined. An object that stands there twice, with the same class,
box and (where masks are asked for) mask, is one object. Entries that mark the same thing differently are refused, for
nobody could say which is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture
from tunewell.tasks.object_detection.masks import overlap

#: Boxes are the same if no side differs by more than this many pixels: files round coordinates.
_ROUNDING = 0.5
#: Masks of the same box are the same from this overlap on: one may be a polygon, the other its pixels.
_SAME_MASK = 0.9
#: Boxes of a class with at least this overlap are taken for the same thing, as in COCO's easiest metric.
_SAME_THING = 0.5


def joined(folder: Path, pictures: Sequence[MarkedPicture]) -> tuple[list[MarkedPicture], list[str]]:
    """Return the pictures sorted by path, each once, and the paths of those that had several entries.

    Raises:
        DataError: a picture is in two splits, or marked in two ways.
    """
    entries: dict[str, list[MarkedPicture]] = defaultdict(list)
    for picture in pictures:
        entries[picture.path].append(picture)
    several = [path for path in sorted(entries) if len(entries[path]) > 1]
    return [_join(folder, entries[path]) for path in sorted(entries)], several


def without_doubles(
    objects: Sequence[MarkedObject], size: tuple[int, int], with_masks: bool
) -> tuple[list[MarkedObject], int]:
    """Return the objects of a picture of that size, each once, and how many were left out."""
    doubled: set[int] = set()
    for first, second in _same_boxes(objects):
        if first not in doubled and (not with_masks or _same_mask(objects[first], objects[second], size)):
            doubled.add(second)
    return [item for place, item in enumerate(objects) if place not in doubled], len(doubled)


def _same_boxes(objects: Sequence[MarkedObject]) -> Iterator[tuple[int, int]]:
    """Yield pairs of places, ascending, of objects with the same class and box."""
    order = sorted(range(len(objects)), key=lambda place: objects[place].box[0])
    for rank, place in enumerate(order):
        for other in order[rank + 1 :]:
            if objects[other].box[0] - objects[place].box[0] > _ROUNDING:
                break
            if _is_same(objects[place], objects[other]):
                yield min(place, other), max(place, other)


def _is_same(one: MarkedObject, other: MarkedObject) -> bool:
    return (one.class_name, one.crowd) == (other.class_name, other.crowd) and all(
        abs(a - b) <= _ROUNDING for a, b in zip(one.box, other.box, strict=True)
    )


def _same_mask(one: MarkedObject, other: MarkedObject, size: tuple[int, int]) -> bool:
    assert one.mask is not None and other.mask is not None
    return one.mask == other.mask or overlap(one.mask, other.mask, *size) >= _SAME_MASK


def _join(folder: Path, entries: Sequence[MarkedPicture]) -> MarkedPicture:
    first = entries[0]
    if len(entries) == 1:
        return first
    splits = sorted({entry.split for entry in entries} - {""})
    if len(splits) > 1:
        raise DataError(
            f"{first.path} is annotated twice (in {' and '.join(splits)})", field=str(folder), remedy="Keep one"
        )
    sizes = {entry.stated_size for entry in entries} - {None}
    found: list[MarkedObject] = []
    for entry in entries:
        if len(sizes) > 1 or any(_contradict(item, other) for item in entry.objects for other in found):
            raise DataError(
                f"{first.path} is annotated twice, in two ways", field=str(folder), remedy="Keep one of its annotations"
            )
        found += entry.objects
    return MarkedPicture(first.path, splits[0] if splits else "", found, sizes.pop() if sizes else None)


def _contradict(one: MarkedObject, other: MarkedObject) -> bool:
    """Whether two objects of different entries are the same thing, marked differently."""
    if one.class_name != other.class_name or _is_same(one, other):
        return False
    width, height = (
        min(one.box[side + 2], other.box[side + 2]) - max(one.box[side], other.box[side]) for side in (0, 1)
    )
    shared = max(0.0, width) * max(0.0, height)
    return shared > 0 and shared >= _SAME_THING * (_area(one) + _area(other) - shared)


def _area(item: MarkedObject) -> float:
    x0, y0, x1, y1 = item.box
    return (x1 - x0) * (y1 - y0)
