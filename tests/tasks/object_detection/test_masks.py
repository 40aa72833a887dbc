"""Masks: read, drawn, encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tasks.object_detection.masks import MaskError, checked_mask, decode, draw, encode, encode_pixels, mask_box


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_run_lengths_are_read_in_both_forms(height: int, width: int, data: st.DataObject) -> None:
    """A mask survives encoding; its list of lengths and its text mean the same."""
    pixels = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    pixels = pixels.reshape(height, width).astype(np.uint8)
    encoded = encode_pixels(pixels[None])[0]
    np.testing.assert_array_equal(decode(encoded), pixels)
    flat = pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0))
    lengths = np.diff([0, *changes, flat.size]).tolist()
    expected = encoded if pixels.any() else None
    assert checked_mask({"size": [height, width], "counts": lengths}) == expected
    assert checked_mask(encoded, width, height) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "neither a list of polygons nor run lengths"),
        ([[1, 2, 3]], "no list of finite x and y"),
        ([[1, 2, 3, 4, 5, float("nan")]], "no list of finite x and y"),
        ({"counts": [1]}, "no size"),
        ({"size": [2, 2], "counts": [3]}, "sum to 3, not 4"),
        ({"size": [2, 2], "counts": [5, -1]}, "no lengths"),
        ({"size": [2, 2], "counts": "\x01"}, "strange character"),
        ({"size": [2, 2], "counts": "o"}, "end in the middle"),
        ({"size": [3, 2], "counts": [6]}, "is for 2 x 3 pixels, the picture has 2 x 2"),
    ],
)
def test_broken_masks_are_refused(value: Any, message: str) -> None:
    """Whatever would crash or mislead a decoder is refused with the rule."""
    with pytest.raises(MaskError, match=message):
        checked_mask(value, 2, 2)


def test_empty_masks() -> None:
    """Nothing, and polygons of fewer than three corners, are no mask."""
    assert checked_mask([]) is None
    assert checked_mask(None) is None
    assert checked_mask([[1, 2, 3, 4]]) is None
    assert checked_mask([1, 2, 3, 4, 5, 6]) == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


def test_masks_are_drawn_at_any_size() -> None:
    """Polygon and run lengths give the same box and, resized, nearly the same pixels."""
    polygon: Any = [[8.0, 4.0, 24.0, 4.0, 24.0, 20.0, 8.0, 20.0]]
    encoded = encode(polygon, 32, 24)
    assert mask_box(encoded) == mask_box(polygon) == (8, 4, 24, 20)
    for mask in (polygon, encoded):
        drawn = draw(mask, (32, 24), (48, 64))
        assert drawn.shape == (48, 64)
        assert drawn[8:40, 16:48].all()
        assert drawn.sum() == 32 * 32
