"""Masks as SVG: from COCO's run-length encoding to the outline of what it covers, as fine as a screen shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Points across the longer side, at which a mask is looked at.
_GRID = 200


@dataclass(frozen=True, slots=True)
class Outline:
    """A path in the pixels of a coarse grid."""

    path: str
    #: Pixels of the picture that a point of the grid stands for, across and down.
    scale: tuple[float, float]


def outline_of(encoded: Mapping[str, Any]) -> Outline:
    """Return what a mask covers; raise `ValueError`, `KeyError` or `TypeError` for what is no encoding.

    Args:
        encoded: `size` (height and width), and `counts` as text: runs of pixels down the columns, first of those that
            are not covered (https://github.com/cocodataset/cocoapi, `maskApi.c`).
    """
    height, width = (int(side) for side in encoded["size"])
    ends = np.cumsum(_runs(encoded["counts"]))
    step = max(height, width, 1) / _GRID if max(height, width) > _GRID else 1.0
    across, down = max(1, round(width / step)), max(1, round(height / step))
    columns = ((np.arange(across) + 0.5) * width / across).astype(np.int64)
    rows = ((np.arange(down) + 0.5) * height / down).astype(np.int64)
    places = columns[:, None] * height + rows  # (across, down)
    covered = np.searchsorted(ends, places, side="right") % 2 == 1
    return Outline(_path(covered), (width / across, height / down))


def _runs(counts: str) -> NDArray[np.int64]:
    """Return the lengths of the runs: five bits a character, the third and later ones as differences."""
    found: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        value = shift = 0
    return np.array(found, dtype=np.int64)


def _path(covered: NDArray[np.bool_]) -> str:
    """Return a path of upright strips, (across, down): a strip for each run in a column."""
    edges = np.diff(np.pad(covered, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (columns, tops), (_, bottoms) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    strips = zip(columns.tolist(), tops.tolist(), bottoms.tolist(), strict=True)
    return "".join(f"M{x} {top}h1v{bottom - top}h-1z" for x, top, bottom in strips)
