"""The frame: the input of a network, of one size for every picture of a model.

What a detector finds depends on where its input ends. torchvision pads the pictures of a batch to the largest of them,
so that each would be judged by its neighbours. Here every picture is scaled to the same frame, keeping its shape, in
training, evaluation, prediction and ONNX alike: it lies in the upper left corner, and grey fills the rest. Sides are
multiples of the stride of the networks, which therefore pad nothing. Scales differ by axis, since pixels are whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tunewell.tasks.object_detection.networks import Detector
from tunewell.tasks.vision.pictures import GREY

#: Stride of the backbones, in pixels.
STRIDE = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a network's input, in pixels."""

    width: int
    height: int
    #: Longer side of a picture in it, where that fits.
    longest: int

    @classmethod
    def square(cls, longest: int) -> Frame:
        """Return the smallest frame for pictures of any shape."""
        return cls(_whole_strides(longest), _whole_strides(longest), longest)

    @classmethod
    def around(cls, sizes: Iterable[tuple[int, int]], longest: int) -> Frame:
        """Return the smallest frame for pictures of these widths and heights, each `longest` on its longer side."""
        scaled = [[longest * side / max(size) for side in size] for size in sizes]
        width, height = (_whole_strides(max(sides)) for sides in zip(*scaled, strict=True))
        return cls(width, height, longest)

    def side(self, width: int, height: int) -> int:
        """Return the longer side that a picture of this width and height has in the frame."""
        longer = max(width, height)
        return max(1, min(self.longest, self.width * longer // width, self.height * longer // height))

    def fill(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture of that side, uint8 (h, w, 3), in its frame, uint8 (H, W, 3)."""
        filled = np.full((self.height, self.width, 3), GREY, dtype=np.uint8)
        filled[: pixels.shape[0], : pixels.shape[1]] = pixels
        return filled


def frame_for(design: Detector, sizes: Iterable[tuple[int, int]], longest: int) -> Frame:
    """Return the frame of a network that learns from pictures of these sizes: no larger than they need.

    SSD's anchors are shares of the frame, and only in a square are they what its weights were trained with.
    """
    return Frame.square(longest) if design.kind == "ssd" else Frame.around(sizes, longest)


def _whole_strides(pixels: float) -> int:
    """Return the next multiple of the stride."""
    return STRIDE * int(np.ceil(pixels / STRIDE))
