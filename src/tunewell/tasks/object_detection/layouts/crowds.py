"""Whether the marks `iscrowd: 1` of COCO's files mean crowds.

COCO marks regions of many objects so (Lin et al. 2014, section 4.3) and gives them run lengths, and single objects
polygons. Tools that export painted masks, such as CVAT, write run lengths too, and therefore mark all as crowds.
The marks of a set are taken for crowds if some run lengths go without them, so that somebody chose, or if the marked
boxes are typically several times as large as the class's other boxes, as what surrounds many objects is. Marks
without run lengths were always chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from tunewell.spec.errors import count
from tunewell.tasks.object_detection.layouts.markings import MarkedObject, MarkedPicture

#: How much larger than a class's single objects its crowds are at least, typically, by the area of the boxes.
_LEAST_RATIO = 4.0


def single_objects(pictures: Sequence[MarkedPicture]) -> tuple[list[MarkedPicture], list[str]]:
    """Return the pictures with crowds that are none made single objects, and a note on them if there are any."""
    objects = [item for picture in pictures for item in picture.objects]
    marked = [item for item in objects if _is_marked_mask(item)]
    if not marked or _are_crowds(marked, objects):
        return list(pictures), []
    note = (
        f"Counted as single objects, though marked `iscrowd: 1` (as painting tools do), being no larger than others: "
        f"{count(len(marked), 'object')} with masks as run lengths."
    )
    return [replace(picture, objects=[_single(item) for item in picture.objects]) for picture in pictures], [note]


def _single(item: MarkedObject) -> MarkedObject:
    return replace(item, crowd=False) if _is_marked_mask(item) else item


def _is_marked_mask(item: MarkedObject) -> bool:
    return item.crowd and isinstance(item.mask, dict)


def _are_crowds(marked: Sequence[MarkedObject], objects: Sequence[MarkedObject]) -> bool:
    if any(isinstance(item.mask, dict) and not item.crowd for item in objects):
        return True
    areas: dict[str, list[float]] = defaultdict(list)
    for item in objects:
        if not item.crowd:
            areas[item.class_name].append(_area(item))
    usual = {name: median(found) for name, found in areas.items()}
    ratios = [_area(item) / max(usual[item.class_name], 1.0) for item in marked if item.class_name in usual]
    return bool(ratios) and median(ratios) >= _LEAST_RATIO


def _area(item: MarkedObject) -> float:
    x0, y0, x1, y1 = item.box
    return (x1 - x0) * (y1 - y0)
