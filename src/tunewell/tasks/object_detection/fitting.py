"""What suits the objects of a data set: image size, tiles and anchors; and what is said of it.

Nine objects in ten are to be `_LEAST_STRIDES` strides large at the network's input, as far as that can be afforded: of
smaller ones it sees hardly anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.spec.errors import SpecError
from tunewell.spec.space import SearchSpace
from tunewell.tasks.object_detection.anchors import fitted_anchors
from tunewell.tasks.object_detection.networks import Detector
from tunewell.tasks.object_detection.object_sizes import MOST_DETECTIONS, SMALLEST_SHARE, ObjectSizes
from tunewell.tasks.object_detection.tiling import MOST_TILES, decoded_side, magnification, views_number
from tunewell.tasks.vision.domains import MAX_IMAGE_SIZES, image_sizes

#: Side of the smallest objects that are found, in strides of the network.
_LEAST_STRIDES = 1.0
#: Tiles a side that are chosen from.
_CHOSEN_TILES = (1, 2, 3, 4)
_ANCHORS = ("anchor_scale", "anchor_ratio")


def suited_sizes(
    design: Detector, objects: ObjectSizes, space: SearchSpace, given: Mapping[str, Any], on_gpu: bool
) -> dict[str, Any]:
    """Return declarations of image size, tiles and anchors that suit the objects.

    Args:
        design: the network.
        objects: of the data set.
        space: what is searched otherwise, on this machine.
        given: the parameters that the spec declares, which stay as they are.
        on_gpu: whether `space` has the image sizes that a GPU affords.
    """
    if not len(objects):
        return {}
    sides, side, tiles = _cheapest(design, objects, space, given, on_gpu)
    found: dict[str, Any] = {"image_size": {"ordinal": sides, "default": side}, "tiles": tiles}
    if design.has_anchors:
        own = (_default(space, "anchor_scale"), _default(space, "anchor_ratio"))
        seen = np.minimum(objects.shares * side * magnification(tiles), side)
        fitted = fitted_anchors(design.grid, seen, side, own)
        found |= {name: {"default": value} for name, value in zip(_ANCHORS, fitted, strict=True)}
    return {name: declaration for name, declaration in found.items() if name not in given}


def decoded_sizes(space: SearchSpace) -> list[int]:
    """Return every longer side that pictures are decoded at, ascending; raise `SpecError` if there are too many."""
    numbers = [int(tiles) for tiles in space["tiles"].values(MOST_TILES)] if "tiles" in space else [1]
    sizes = sorted({decoded_side(side, tiles) for side in image_sizes(space) for tiles in numbers})
    if len(sizes) > MAX_IMAGE_SIZES:
        raise SpecError(
            "parameters.tiles",
            f"with `image_size` they make more than {MAX_IMAGE_SIZES} sizes, each of which needs a decoded copy of the "
            "pictures",
            "List fewer of either",
        )
    return sizes


def sizes_found(design: Detector, objects: ObjectSizes, space: SearchSpace, given: Mapping[str, Any]) -> list[str]:
    """Return what the objects are to a network with the default values of this space, and what is wrong with that."""
    if not len(objects):
        return []
    side, usual = (int(_default(known, "image_size")) for known in (space, design.network.space))
    tiles = int(_default(space, "tiles"))
    whole = objects.share_at(SMALLEST_SHARE) * side
    median, smallest = (side * magnification(tiles) * objects.share_at(share) for share in (0.5, SMALLEST_SHARE))
    in_tiles = f" in {tiles} x {tiles} tiles" if tiles > 1 else ""
    lines = [
        f"Object sizes: median {_pixels(median)} px a side at image size {side}{in_tiles} (smallest tenth below "
        f"{_pixels(smallest)} px); up to {objects.most} a picture."
    ]
    if tiles > 1 and "tiles" not in given:
        times = _pixels_seen((side, tiles)) / _pixels_seen((usual, 1))
        lines.append(
            f"Pictures are seen in {tiles} x {tiles} tiles at image size {side}: whole, at that size, a tenth of the "
            f"objects would be below {_pixels(whole)} px. To look at one, in validation and in use, takes about "
            f"{times:.0f} times as long as at {usual} without tiles; `tiles: 1` turns them off."
        )
    elif "image_size" not in given and min(side, _needed(design, objects)) > usual:
        lines.append(
            f"Image size {side} instead of {usual}: there a tenth of the objects would be below "
            f"{_pixels(whole * usual / side)} px. A training takes about {(side / usual) ** 2:.1f} times as long."
        )
    if float(_pixels(smallest)) < design.grid.stride:
        lines.append(
            f"Too small to be found: a tenth of the objects are below {_pixels(smallest)} px a side, and "
            f"{design.network.name} sees hardly anything below {design.grid.stride} px. "
            + _remedy(design, objects, side)
        )
    if objects.most > MOST_DETECTIONS:
        lines.append(
            f"Too many to be found: up to {objects.most} objects a picture, of which {MOST_DETECTIONS} are found at "
            "most. Cut the pictures into smaller ones."
        )
    return lines


def _cheapest(
    design: Detector, objects: ObjectSizes, space: SearchSpace, given: Mapping[str, Any], on_gpu: bool
) -> tuple[list[int], int, int]:
    """Return the image sizes to search, the default among them, and the tiles that together take the fewest pixels.

    So many that the objects are large enough; if that can't be had, what comes nearest.
    """
    usual = int(_default(space, "image_size"))
    known = [int(side) for side in space["image_size"].values(MAX_IMAGE_SIZES)]
    larger = () if on_gpu else (side for side in design.needs.offer.sides if side <= design.largest_on_cpu)
    sides = sorted({*known, *larger})
    tried = [usual] if "image_size" in given else [side for side in sides if side >= usual]
    numbers = [int(_default(space, "tiles"))] if "tiles" in given else _CHOSEN_TILES
    pairs = [(side, tiles) for side in tried for tiles in numbers]
    enough = [pair for pair in pairs if _largest(pair) >= _needed(design, objects)]
    side, tiles = min(enough, key=_pixels_seen) if enough else max(pairs, key=_largest)
    searched = space["tiles"].values(MOST_TILES) if "tiles" in given else [tiles]
    if max(searched) > 1:  # each size would be another copy of the pictures, several times as large
        return [side], side, tiles
    if side in known or "image_size" in given:
        return known, side, tiles
    place = sides.index(side)
    return sides[max(0, place - 1) : place + 2], side, tiles


def _largest(pair: tuple[int, int]) -> float:
    """Return the longer side of a picture in pixels of its tiles."""
    side, tiles = pair
    return side * magnification(tiles)


def _pixels_seen(pair: tuple[int, int]) -> int:
    """Return how many pixels all views of a square picture have."""
    side, tiles = pair
    return side**2 * views_number(tiles)


def _needed(design: Detector, objects: ObjectSizes) -> float:
    """Return the image size at which the smallest objects are large enough."""
    return _LEAST_STRIDES * design.grid.stride / objects.share_at(SMALLEST_SHARE)


def _remedy(design: Detector, objects: ObjectSizes, side: int) -> str:
    needed = _needed(design, objects)
    enough = [tiles for tiles in range(2, MOST_TILES + 1) if side * magnification(tiles) >= needed]
    if not enough:
        return "Cut the pictures into smaller ones."
    return f"`tiles: {enough[0]}` at image size {side}, or an `image_size` of {needed:.0f}, would show them."


def _default(space: SearchSpace, name: str) -> float:
    value: Any = space[name].default
    return float(value)


def _pixels(side: float) -> str:
    """Return a side in pixels for people: whole ones, but for the smallest."""
    return f"{side:.0f}" if side >= 10 else f"{side:.2g}"
