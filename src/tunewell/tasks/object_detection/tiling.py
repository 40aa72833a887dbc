"""Pictures in overlapping tiles, so that small objects are large enough to be found.

After Akyon et al. 2022, "Slicing Aided Hyper Inference", arXiv:2202.06934. A picture is decoded several times as large
as a network takes it, and the network sees *views* of it, each in the same frame: n x n tiles, and the whole picture.
Neighbouring tiles share `OVERLAP` of their sides, so what is no larger than that is whole in one of them. What is
larger has 12 pixels and more in the whole picture at usual image sizes, and is found there.

NumPy and Pillow are all that this needs: model cards have these functions, to the letter (`tiled_usage`).

Symbols: W x H pixels of the decoded picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Share of its side that a tile has in common with the next one; 0.2 to 0.25 there.
OVERLAP = 0.2
#: Most tiles a side that can be asked for.
MOST_TILES = 8
#: Boxes this near to an inner edge of a tile, in pixels, are of objects that the edge may have cut.
CUT = 3.0
#: From this overlap on, detections of a class in two views are of the same object.
SAME = 0.4


@dataclass(frozen=True)
class View:
    """What a network sees at a time of a decoded picture."""

    #: Its part of the picture, in pixels of that.
    left: int
    top: int
    width: int
    height: int
    #: As how many pixels it is seen.
    across: int
    down: int


def decoded_side(side: int, tiles: int) -> int:
    """Return the longer side that a picture is decoded at, so that each of tiles x tiles has `side` pixels at most."""
    return int(side * magnification(tiles))


def magnification(tiles: int) -> float:
    """Return how many times as long as one tile this many are side by side."""
    return tiles - (tiles - 1) * OVERLAP


def views_number(tiles: int) -> int:
    """Return how many views a picture has."""
    return tiles**2 + (tiles > 1)


def views_of(width: int, height: int, tiles: int) -> list[View]:
    """Return the views of a decoded picture: its tiles, row by row, and, if they are several, the whole of it."""
    across, down = (max(1, round(side / magnification(tiles))) for side in (width, height))
    lefts, tops = (
        np.linspace(0, length - side, tiles).round().astype(int).tolist()
        for length, side in ((width, across), (height, down))
    )
    found = [View(left, top, across, down, across, down) for top in tops for left in lefts]
    return found if tiles == 1 else [*found, View(0, 0, width, height, across, down)]


def look(pixels: np.ndarray, view: View) -> np.ndarray:
    """Return what is seen of a decoded picture, uint8 (H, W, 3)."""
    part = pixels[view.top : view.top + view.height, view.left : view.left + view.width]
    if part.shape[:2] == (view.down, view.across):
        return part
    from PIL import Image  # a base install can list the tasks

    return np.asarray(Image.fromarray(part).resize((view.across, view.down), Image.Resampling.BICUBIC))


def merged(
    found: list[dict[str, np.ndarray]], views: list[View], size: tuple[int, int], most: int
) -> dict[str, np.ndarray]:
    """Return what was found in the views of a picture as found in the picture, each object once, the surest first.

    Left out are boxes at the inner edges of tiles, whose objects other views have whole, and of each other view the one
    of the same class that overlaps most with a surer one.

    Args:
        found: `boxes` (n, 4), `labels`, `scores` (n,) and perhaps others, of each view, in pixels as it is seen.
        views: of the picture.
        size: W, H.
        most: detections at most.
    """
    whole = [uncut(part, view, size) for part, view in zip(found, views, strict=True)]
    together = {name: np.concatenate([part[name] for part in whole]) for name in whole[0]}
    origin = np.repeat(np.arange(len(whole)), [len(part["scores"]) for part in whole])
    boxes, labels = together["boxes"], together["labels"]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept: list[int] = []
    left = np.argsort(-together["scores"], kind="stable")
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        corner, opposite = np.maximum(boxes[left, :2], boxes[best, :2]), np.minimum(boxes[left, 2:], boxes[best, 2:])
        shared = np.clip(opposite - corner, 0, None).prod(axis=1)
        overlaps = shared / (areas[left] + areas[best] - shared)
        rival = (overlaps >= SAME) & (labels[left] == labels[best]) & (origin[left] != origin[best])
        rivals = np.flatnonzero(rival)[np.argsort(-overlaps[rival], kind="stable")]
        _, nearest = np.unique(origin[left[rivals]], return_index=True)  # what one view has told apart is not the same
        left = np.delete(left, rivals[nearest])
    return {name: values[kept] for name, values in together.items()}


def uncut(found: dict[str, np.ndarray], view: View, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return what was found in a view, in pixels of the picture, without what its inner edges may have cut."""
    boxes = found["boxes"]
    edges = view.left > 0, view.top > 0, view.left + view.width < size[0], view.top + view.height < size[1]
    near = np.concatenate([boxes[:, :2] < CUT, boxes[:, 2:] > np.array([view.across, view.down]) - CUT], axis=1)
    kept = ~(near & np.array(edges)).any(axis=1)
    scale = np.array([view.width / view.across, view.height / view.down] * 2)
    moved = boxes * scale + np.array([view.left, view.top] * 2)
    return {**{name: values[kept] for name, values in found.items()}, "boxes": moved[kept]}
