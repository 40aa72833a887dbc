"""What suits the objects of a data set: image size and anchors; and what is said of it.

Nine objects in ten are to be `_LEAST_STRIDES` strides large at the network's input, as far as that can be afforded: of
smaller ones it sees hardly anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.spec.space import SearchSpace
from tunewell.tasks.object_detection.anchors import fitted_anchors
from tunewell.tasks.object_detection.networks import Detector
from tunewell.tasks.object_detection.object_sizes import MOST_DETECTIONS, SMALLEST_SHARE, ObjectSizes
from tunewell.tasks.vision.domains import MAX_IMAGE_SIZES

#: Side of the smallest objects that are found well, in strides of the network.
_LEAST_STRIDES = 1.0


def suited_sizes(
    design: Detector, objects: ObjectSizes, space: SearchSpace, given: Mapping[str, Any], on_gpu: bool
) -> dict[str, Any]:
    """Return declarations of image size and anchors that suit the objects.

    Args:
        design: the network.
        objects: of the data set.
        space: what is searched otherwise, on this machine.
        given: the parameters that the spec declares, which stay as they are.
        on_gpu: whether `space` has the image sizes that a GPU affords.
    """
    if not len(objects):
        return {}
    found: dict[str, Any] = {}
    side = _default(space, "image_size")
    if "image_size" not in given:
        found["image_size"] = _image_sizes(design, objects, space, on_gpu)
        side = found["image_size"]["default"]
    if design.has_anchors:
        own = (_default(space, "anchor_scale"), _default(space, "anchor_ratio"))
        fitted = fitted_anchors(design.grid, objects.shares * side, side, own)
        for name, value in zip(("anchor_scale", "anchor_ratio"), fitted, strict=True):
            if name not in given:
                found[name] = {"default": value}
    return found


def sizes_found(design: Detector, objects: ObjectSizes, space: SearchSpace, given: Mapping[str, Any]) -> list[str]:
    """Return what the objects are to a network with the default values of this space, and what is wrong with that."""
    if not len(objects):
        return []
    side, usual = _default(space, "image_size"), _default(design.network.space, "image_size")
    median, smallest = (side * objects.share_at(quantile) for quantile in (0.5, SMALLEST_SHARE))
    lines = [
        f"Object sizes: median {_pixels(median)} px a side at image size {side:.0f} (smallest tenth below "
        f"{_pixels(smallest)} px); up to {objects.most} a picture."
    ]
    if "image_size" not in given and min(side, _needed(design, objects)) > usual:
        lines.append(
            f"Image size {side:.0f} instead of {usual:.0f}: there a tenth of the objects would be below "
            f"{_pixels(smallest * usual / side)} px. A training takes {(side / usual) ** 2:.1f} times as long."
        )
    if smallest < design.grid.stride:
        lines.append(
            f"Too small to be found: a tenth of the objects are below {_pixels(smallest)} px a side, and "
            f"{design.network.name} sees hardly anything below {design.grid.stride} px. {_remedy(design, objects)}"
        )
    if objects.most > MOST_DETECTIONS:
        lines.append(
            f"Too many to be found: up to {objects.most} objects a picture, of which {MOST_DETECTIONS} are found at "
            "most. Cut the pictures into smaller ones."
        )
    return lines


def _image_sizes(design: Detector, objects: ObjectSizes, space: SearchSpace, on_gpu: bool) -> dict[str, Any]:
    """Return a declaration: the first size that is large enough, among those beside it."""
    known = [int(side) for side in space["image_size"].values(MAX_IMAGE_SIZES)]
    larger = () if on_gpu else (side for side in design.needs.offer.sides if side <= design.largest_on_cpu)
    sides = sorted({*known, *larger})
    least = max(_needed(design, objects), _default(space, "image_size"))
    chosen = next((side for side in sides if side >= least), sides[-1])
    place = sides.index(chosen)
    return {"ordinal": known if chosen in known else sides[max(0, place - 1) : place + 2], "default": chosen}


def _needed(design: Detector, objects: ObjectSizes) -> float:
    """Return the image size at which the smallest objects are large enough."""
    return _LEAST_STRIDES * design.grid.stride / objects.share_at(SMALLEST_SHARE)


def _remedy(design: Detector, objects: ObjectSizes) -> str:
    return f"An `image_size` of {_needed(design, objects):.0f} would show them; or cut the pictures into smaller ones."


def _default(space: SearchSpace, name: str) -> float:
    value: Any = space[name].default
    return float(value)


def _pixels(side: float) -> str:
    """Return a side in pixels for people: whole ones, but for the smallest."""
    return f"{side:.0f}" if side >= 10 else f"{side:.2g}"
