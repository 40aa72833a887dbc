"""The lines of YOLO texts: a class, and numbers whose count says what they are.

::

    CLASS x_center y_center width height                    a box
    CLASS x_center y_center width height CONFIDENCE         a box that was predicted (or tracked)
    CLASS x_center y_center width height POINT POINT …      a box with key points, x y or x y VISIBILITY each
    CLASS x y x y x y …                                     a polygon, also the corners of a turned box

Points of two numbers look like a polygon: only `kpt_shape` in `data.yaml` tells them apart. Points with a visibility
(0, 1 or 2) are known without it, too, where every line of a set has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunewell.spec.errors import count
from tunewell.tasks.object_detection.layouts.markings import MarkedObject
from tunewell.tasks.object_detection.masks import mask_box

_BOX = 4
_VISIBILITIES = {0.0, 1.0, 2.0}
#: Corners of a turned box: as many numbers as a box and two key points have.
_TURNED_BOX = 8
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Line:
    """One line, coordinates as shares of width and height."""

    label: int
    numbers: tuple[float, ...]


def parse_line(text: str) -> Line:
    """Return what stands in a line.

    Raises:
        ValueError: it is no line of numbers, or does not begin with a whole one.
    """
    words = text.split()
    try:
        label, numbers = float(words[0]), tuple(map(float, words[1:]))
    except ValueError:
        raise ValueError("it is no line of numbers") from None
    if not all(map(math.isfinite, (label, *numbers))):
        raise ValueError("a number is not finite")
    if label != int(label):
        raise ValueError(f"the class {words[0]} is no whole number")
    return Line(int(label), numbers)


def guessed_key_points(lines: Sequence[Line]) -> int:
    """Return how many numbers of key points with visibilities follow every box, 0 if it is not so."""
    longer = [line for line in lines if len(line.numbers) > _BOX]
    counts = {len(line.numbers) - _BOX for line in longer}
    if len(counts) != 1 or min(counts) % 3:
        return 0
    known = all(set(line.numbers[_BOX + 2 :: 3]) <= _VISIBILITIES and _is_box(line) for line in longer)
    return counts.pop() if known else 0


def may_have_key_points(lines: Sequence[Line]) -> bool:
    """Whether what is read as polygons might be boxes with points of two numbers, all within their box or at 0 0."""
    longer = [line for line in lines if len(line.numbers) > _BOX + 1]
    return len({len(line.numbers) for line in longer}) == 1 and all(
        len(line.numbers) != _TURNED_BOX and _is_box(line) and _holds_points(line) for line in longer
    )


def object_of(line: Line, size: tuple[int, int], classes: Sequence[str], key_points: int) -> MarkedObject:
    """Return the object in a picture of that size; what follows a box is left out.

    Raises:
        ValueError: there is no such class, or the number of coordinates is none of a box or polygon.
    """
    if not 0 <= line.label < len(classes):
        raise ValueError(f"there is no class {line.label}, only 0 to {len(classes) - 1}")
    name, (width, height), given = classes[line.label], size, len(line.numbers)
    if given in (_BOX, _BOX + 1) or (key_points and given == _BOX + key_points):
        x, y, w, h = line.numbers[:_BOX]
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        return MarkedObject(name, box)
    if key_points:
        raise ValueError(f"{given} numbers are neither a box (4) nor one with its key points ({_BOX + key_points})")
    if given < 6 or given % 2:
        raise ValueError(f"{given} coordinates are neither a box (4) nor a polygon (6 or more, even)")
    polygon = [number * size[place % 2] for place, number in enumerate(line.numbers)]
    return MarkedObject(name, mask_box([polygon]), [polygon])


def notes_on(lines: Sequence[Line], key_points: int) -> list[str]:
    """Return notes on what is left out of the lines, and on what may be read wrongly."""
    notes = []
    posed = sum(bool(key_points) and len(line.numbers) == _BOX + key_points for line in lines)
    if posed:
        notes.append(f"Left out, behind their boxes: the key points of {count(posed, 'object')}.")
    rated = sum(len(line.numbers) == _BOX + 1 != _BOX + key_points for line in lines)
    if rated:
        notes.append(
            "Left out, a number (a confidence, as of predictions, or a track) behind the box: in "
            f"{count(rated, 'line')}."
        )
    polygons = sum(len(line.numbers) > _BOX + 1 for line in lines) - posed
    if polygons and may_have_key_points(lines):
        notes.append(
            f"Read as polygons: {count(polygons, 'line')}. If they are boxes with key points, add `kpt_shape` to "
            "data.yaml."
        )
    return notes


def _is_box(line: Line) -> bool:
    x, y, w, h = line.numbers[:_BOX]
    return all(
        side > 0 and centre - side / 2 >= -_ROUNDING and centre + side / 2 <= 1 + _ROUNDING
        for centre, side in ((x, w), (y, h))
    )


def _holds_points(line: Line) -> bool:
    x, y, w, h = line.numbers[:_BOX]
    points = zip(line.numbers[_BOX::2], line.numbers[_BOX + 1 :: 2], strict=False)
    return all(
        (px, py) == (0, 0) or (abs(px - x) <= w / 2 + _ROUNDING and abs(py - y) <= h / 2 + _ROUNDING)
        for px, py in points
    )
