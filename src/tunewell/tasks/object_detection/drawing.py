"""Pictures with boxes, masks and names drawn into them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tunewell.tasks.object_detection.annotations import Mask, Objects
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import draw

#: How strongly masks cover the picture.
_MASK_STRENGTH = 0.4
#: How far above a box its name is written, in pixels.
_TEXT_HEIGHT = 12
#: Hues of neighbouring classes are the golden section apart, so that any number of them differs.
_GOLDEN_SECTION = 0.618034


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing to draw, in pixels of the original picture."""

    box: Sequence[float]
    label: int
    text: str
    mask: Mask | None = None


def marks_of_objects(objects: Objects, classes: Sequence[str]) -> list[Mark]:
    """Return what is marked in a picture, to be drawn."""
    return [
        Mark(box, label, classes[label], objects.masks[place] if objects.masks else None)
        for place, (box, label) in enumerate(zip(objects.boxes.tolist(), objects.labels.tolist(), strict=True))
    ]


def marks_of_detections(found: Detections, classes: Sequence[str]) -> list[Mark]:
    """Return what was found in a picture, with scores, to be drawn."""
    rows: Any = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    return [
        Mark(box, label, f"{classes[label]} {score:.2f}", found.masks[place] if found.masks else None)
        for place, (box, label, score) in enumerate(rows)
    ]


def drawn(pixels: np.ndarray, size: tuple[int, int], marks: Sequence[Mark]) -> Image.Image:
    """Return the picture with the marks drawn.

    Args:
        pixels: the picture at any size, uint8 (H, W, 3).
        size: width and height of the original, in whose pixels the marks are.
        marks: what to draw.
    """
    height, width = pixels.shape[:2]
    values = pixels.astype(np.float32)
    for mark in marks:
        if mark.mask is not None:
            covered = draw(mark.mask, size, (height, width)).astype(bool)
            values[covered] += _MASK_STRENGTH * (np.array(colour(mark.label), dtype=np.float32) - values[covered])
    image = Image.fromarray(values.round().astype(np.uint8))
    pen = ImageDraw.Draw(image)
    line = max(1, round(max(height, width) / 300))
    scale = np.array([width / size[0], height / size[1]] * 2)
    scaled = [(mark, *(np.asarray(mark.box) * scale).tolist()) for mark in reversed(marks)]  # the surest on top
    for mark, x0, y0, x1, y1 in scaled:
        pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour(mark.label), width=line)
    for mark, x0, y0, x1, _ in scaled:  # after all boxes, whose lines would cross them out
        place = (x0 + line, max(0.0, y0 - _TEXT_HEIGHT))
        covered_by_text = pen.textbbox(place, mark.text)
        if covered_by_text[2] <= x1:  # names wider than their boxes would hide what there is to see
            pen.rectangle(covered_by_text, fill=colour(mark.label))
            pen.text(place, mark.text, fill="white")
    return image


def beside(left: Image.Image, right: Image.Image, gap: int = 4) -> Image.Image:
    """Return two pictures of the same size side by side."""
    both = Image.new("RGB", (left.width + gap + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


def colour(label: int) -> tuple[int, int, int]:
    """Return the colour of a class."""
    red, green, blue = colorsys.hsv_to_rgb((0.6 + label * _GOLDEN_SECTION) % 1, 0.85, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)
