"""Random changes of pictures: boxes and masks move along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tasks.object_detection.samples import (
    Changes,
    Sample,
    change,
    crop,
    mirror,
    mixup,
    mosaic,
    relight,
    rescale,
    resize,
)


def sample(height: int = 40, width: int = 60, box: tuple[int, int, int, int] = (10, 5, 30, 25)) -> Sample:
    """A black picture with one white rectangle, its box and its mask."""
    pixels, mask = np.zeros((height, width, 3), dtype=np.uint8), np.zeros((1, height, width), dtype=np.uint8)
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = 255
    mask[0, y0:y1, x0:x1] = 1
    return Sample(pixels, np.array([box], dtype=np.float32), np.array([1]), mask)


def assert_consistent(changed: Sample, tolerance: float = 1.5) -> None:
    """White pixels, boxes and masks must tell of the same rectangles."""
    assert changed.masks is not None
    assert changed.masks.shape == (len(changed.boxes), *changed.shape)
    white = changed.pixels[:, :, 0] > 127
    np.testing.assert_allclose(changed.masks.any(axis=0).sum(), white.sum(), atol=80)
    for box, mask in zip(changed.boxes, changed.masks, strict=True):
        rows, columns = np.nonzero(mask)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, found, atol=tolerance)


@given(st.integers(0, 1000), st.floats(0, 0.5), st.booleans())
def test_boxes_and_masks_follow_the_pixels(seed: int, jitter: float, flip: bool) -> None:
    """However a picture is changed, boxes and masks are where the rectangle is."""
    changes = Changes(horizontal_flip=flip, scale_jitter=jitter, color_jitter=0.1)
    changed = change(sample(), changes, (60, 60), np.random.default_rng(seed))
    assert max(changed.shape) <= 60
    assert_consistent(changed)


def test_the_same_seed_changes_alike() -> None:
    """Changes depend on the generator alone; no change gives the sample itself."""
    changes = Changes(True, 0.5, 0.5)
    one, other = (change(sample(), changes, (60, 60), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, other.pixels)
    same = change(sample(), Changes(), (60, 60), np.random.default_rng(4))
    np.testing.assert_array_equal(same.pixels, sample().pixels)


def test_mirror() -> None:
    """Left becomes right."""
    mirrored = mirror(sample())
    assert mirrored.boxes.tolist() == [[30, 5, 50, 25]]
    assert_consistent(mirrored)


def test_mirrored_arrays_fit_pytorch() -> None:
    """Also a picture a single pixel wide, or without objects, can become a tensor when it is mirrored."""
    narrow = sample(40, 1, (0, 5, 1, 25))
    empty = replace(narrow, boxes=narrow.boxes[:0], labels=narrow.labels[:0], masks=np.zeros((0, 40, 1), np.uint8))
    for one in (narrow, empty):
        mirrored = mirror(one)
        assert mirrored.masks is not None
        for array in (mirrored.pixels, mirrored.masks):
            assert torch.from_numpy(np.ascontiguousarray(array)).shape == array.shape


def test_what_is_hardly_seen_is_dropped() -> None:
    """An object stays while a quarter of it is in view."""
    assert crop(sample(), 15, 0, 40, 45).boxes.tolist() == [[0, 5, 15, 25]]
    assert len(crop(sample(), 26, 0, 40, 34).boxes) == 0


def test_rescaling_cuts_at_the_limit() -> None:
    """A picture that grows is cut, one that shrinks is not filled up."""
    assert rescale(sample(), 1.5, (50, 60), (0, 0)).shape == (50, 60)
    assert rescale(sample(), 1.5, (90, 60), (0, 0)).shape == (60, 60)
    assert rescale(sample(), 0.5, (60, 60), (0, 0)).shape == (20, 30)
    assert resize(sample(), (80, 120)).boxes.tolist() == [[20, 10, 60, 50]]


def test_mosaic() -> None:
    """Four pictures lie around the centre at half their size; their objects lie in them."""
    four = [sample(40, 60), sample(60, 40), sample(), replace(sample(), labels=np.array([0]))]
    whole = mosaic(four, (60, 60))
    assert whole.shape == (60, 60)
    assert whole.labels.tolist() == [1, 1, 1, 0]
    assert whole.boxes[0].tolist() == [5, 12.5, 15, 22.5]
    assert_consistent(replace(whole, pixels=np.where(whole.pixels == 128, 0, whole.pixels)))


def test_mosaic_in_a_frame_that_is_no_square() -> None:
    """Every quarter has the shape of a quarter of the frame at most."""
    whole = mosaic([sample(40, 60), sample(60, 40), sample(), sample()], (64, 32))
    assert whole.shape == (64, 32)
    assert_consistent(replace(whole, pixels=np.where(whole.pixels == 128, 0, whole.pixels)))


@given(st.floats(0.2, 0.8))
def test_mixup(share: float) -> None:
    """Both pictures shine through by their shares; all objects stay where they were, masks with them."""
    one, other = sample(40, 60), replace(sample(60, 40, (5, 30, 25, 50)), labels=np.array([0]))
    both = mixup(one, other, share)
    assert both.shape == (60, 60)
    assert both.boxes.tolist() == [[10, 5, 30, 25], [5, 30, 25, 50]]
    assert both.labels.tolist() == [1, 0]
    assert both.masks is not None and both.masks.sum(axis=(1, 2)).tolist() == [400, 400]
    assert both.masks[0, 5:25, 10:30].all() and both.masks[1, 30:50, 5:25].all()
    assert both.pixels[10, 20, 0] == pytest.approx(255 * share, abs=1)
    assert both.pixels[45, 10, 0] == pytest.approx(255 * (1 - share) + 128 * share, abs=1)
    assert both.pixels[59, 59].tolist() == [128] * 3
    assert mixup(replace(one, masks=None), replace(other, masks=None), share).masks is None


@pytest.mark.parametrize(("factors", "expected"), [((1, 1, 1), (100, 50, 0)), ((2, 1, 1), (200, 100, 0))])
def test_relight(factors: tuple[float, float, float], expected: tuple[int, int, int]) -> None:
    """Factors of 1 change nothing; brightness multiplies; no saturation leaves grey."""
    pixels = np.full((4, 4, 3), (100, 50, 0), dtype=np.uint8)
    assert relight(pixels, *factors)[0, 0].tolist() == list(expected)
    assert len(set(relight(pixels, 1, 1, 0)[0, 0].tolist())) == 1
