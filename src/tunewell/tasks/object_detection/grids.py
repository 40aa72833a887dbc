"""What each kind of detector lays over its input: places where it looks, and anchors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: Kind of detector; `mask-rcnn` gives masks too.
Kind = Literal["ssd", "retinanet", "fcos", "faster-rcnn", "mask-rcnn"]


@dataclass(frozen=True, slots=True)
class Grid:
    """What a detector lays over its input."""

    #: Smallest distance of the places where it looks, in pixels: of objects below it there is hardly anything to see.
    stride: int
    #: Sides of its anchors, of all levels together, at an `anchor_scale` of 1, in pixels; empty: it has none.
    anchors: tuple[float, ...] = ()
    #: Whether `anchors` are shares of the input's side instead.
    relative: bool = False
    #: What `anchor_ratio` is multiplied with for the shapes of anchors beside squares, each standing and lying.
    ratios: tuple[float, ...] = (1.0,)


def _of_three_sizes(sides: tuple[float, ...]) -> tuple[float, ...]:
    """Return the sides of RetinaNet's anchors: three to an octave (Lin et al. 2017, arXiv:1708.02002, section 4)."""
    return tuple(side * 2 ** (third / 3) for side in sides for third in range(3))


#: Levels of the light networks, and the sides of their anchors there, in pixels.
LIGHT_STRIDES = (8, 16, 32, 64)
LIGHT_ANCHORS = (16.0, 32.0, 64.0, 128.0)
#: Sides of the anchors of torchvision's detectors, one a level.
_WHOLE_ANCHORS = (32.0, 64.0, 128.0, 256.0, 512.0)

LIGHT_GRIDS: Mapping[Kind, Grid] = {
    "faster-rcnn": Grid(LIGHT_STRIDES[0], LIGHT_ANCHORS),
    "mask-rcnn": Grid(LIGHT_STRIDES[0], LIGHT_ANCHORS),
    "retinanet": Grid(LIGHT_STRIDES[0], _of_three_sizes(LIGHT_ANCHORS)),
    "fcos": Grid(LIGHT_STRIDES[0]),
}
#: Those of torchvision's, SSDLite for `ssd`.
WHOLE_GRIDS: Mapping[Kind, Grid] = {
    "faster-rcnn": Grid(4, _WHOLE_ANCHORS),
    "mask-rcnn": Grid(4, _WHOLE_ANCHORS),
    "retinanet": Grid(8, _of_three_sizes(_WHOLE_ANCHORS)),
    "fcos": Grid(8),
    "ssd": Grid(16, (0.2, 0.35, 0.5, 0.65, 0.8, 0.95), relative=True, ratios=(1.0, 1.5)),
}
