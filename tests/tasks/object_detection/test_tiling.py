"""Pictures in tiles: what is seen, what is learned of it, and what is found in the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.object_detection.test_limits import pictures

from tunewell.tasks.object_detection.annotations import Objects
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.tiling import (
    CUT,
    OVERLAP,
    View,
    decoded_side,
    look,
    merged,
    uncut,
    views_number,
    views_of,
)
from tunewell.tasks.vision.pictures import letterbox_shape

SIZES = st.tuples(st.integers(40, 3000), st.integers(40, 3000)).filter(lambda size: max(size) < 12 * min(size))
TILES = st.integers(1, 8)
SIDES = st.sampled_from([64, 224, 256, 320, 416, 512, 800])


def decoded(size: tuple[int, int], side: int, tiles: int) -> tuple[int, int]:
    """Return width and height of a picture of this size where it is decoded."""
    return letterbox_shape(*size, decoded_side(Frame.around([size], side).side(*size), tiles))


def found_at(boxes: list[list[float]], scores: list[float], labels: list[int] | None = None) -> dict[str, np.ndarray]:
    """Return what a network found in a view, each with its place as a mask."""
    return {
        "boxes": np.array(boxes, dtype=float).reshape(-1, 4),
        "labels": np.array(labels or [0] * len(scores)),
        "scores": np.array(scores),
        "masks": np.array(scores)[:, None, None],
    }


@given(SIZES, SIDES, TILES)
def test_tiles_cover_the_picture_and_fit_the_frame(size: tuple[int, int], side: int, tiles: int) -> None:
    """Every pixel is in a tile; whatever the picture's shape, its views fit into the frame; the whole is the last."""
    width, height = decoded(size, side, tiles)
    frame, views = Frame.around([size], side), views_of(width, height, tiles)
    assert len(views) == views_number(tiles)
    columns, rows = np.zeros(width, dtype=bool), np.zeros(height, dtype=bool)
    for view in views[: tiles**2]:
        assert view.left >= 0 and view.top >= 0
        assert view.left + view.width <= width and view.top + view.height <= height
        assert (view.width, view.height) == (view.across, view.down)
        columns[view.left : view.left + view.width] = rows[view.top : view.top + view.height] = True
    assert columns.all() and rows.all()
    assert all(view.across <= frame.width and view.down <= frame.height for view in views)
    assert tiles == 1 or (views[-1].left, views[-1].top, views[-1].width, views[-1].height) == (0, 0, width, height)


@given(SIZES, SIDES, st.integers(2, 8), st.tuples(st.floats(0, 1), st.floats(0, 1)), st.floats(0.01, 1))
def test_small_objects_are_whole_in_a_tile(
    size: tuple[int, int], side: int, tiles: int, corner: tuple[float, float], share: float
) -> None:
    """Whatever is no larger than what tiles share is whole in one of them, away from its inner edges."""
    width, height = decoded(size, side, tiles)
    views = views_of(width, height, tiles)
    sides = share * (OVERLAP * np.array([views[0].across, views[0].down]) - 2 * CUT - 1)
    if (sides <= 0).any():
        return
    start = np.array(corner) * (np.array([width, height]) - sides)
    box = np.concatenate([start, start + sides])

    def has(view: View) -> bool:
        moved = box - np.array([view.left, view.top] * 2)
        inside = (moved >= -1e-6).all() and (moved <= np.array([view.width, view.height] * 2) + 1e-6).all()
        found = found_at([moved.tolist()], [0.9])
        return bool(inside and len(uncut(found, view, (width, height))["scores"]))

    assert any(has(view) for view in views[:-1])


@given(SIZES, SIDES, TILES, st.integers(0, 63), st.tuples(*[st.floats(0.2, 0.8)] * 2))
def test_boxes_come_back_where_they_were(
    size: tuple[int, int], side: int, tiles: int, place: int, centre: tuple[float, float]
) -> None:
    """A box that is found in a view lies where that view shows it."""
    width, height = decoded(size, side, tiles)
    views = views_of(width, height, tiles)
    view = views[place % len(views)]
    middle = np.array([view.left + centre[0] * view.width, view.top + centre[1] * view.height])
    half = 0.1 * np.array([view.width, view.height])
    box = np.concatenate([middle - half, middle + half])
    scale = np.array([view.across / view.width, view.down / view.height] * 2)
    seen = (box - np.array([view.left, view.top] * 2)) * scale
    if (seen[:2] >= CUT).all() and (seen[2:] <= np.array([view.across, view.down]) - CUT).all():
        (back,) = uncut(found_at([seen.tolist()], [0.9]), view, (width, height))["boxes"]
        np.testing.assert_allclose(back, box, atol=1e-6)


def test_a_view_shows_its_part_of_the_picture() -> None:
    """Tiles are cut out as they are, the whole picture is made as small as a tile."""
    pixels = np.arange(180 * 360 * 3, dtype=np.uint32).astype(np.uint8).reshape(180, 360, 3)
    views = views_of(360, 180, 2)
    assert [(view.left, view.top) for view in views] == [(0, 0), (160, 0), (0, 80), (160, 80), (0, 0)]
    np.testing.assert_array_equal(look(pixels, views[3]), pixels[80:180, 160:360])
    assert look(pixels, views[4]).shape == (100, 200, 3)


def test_an_object_in_two_tiles_is_one() -> None:
    """The surer one stays, with its mask; so do other classes, and neighbours that one view has told apart."""
    left, right = View(0, 0, 100, 100, 100, 100), View(80, 0, 100, 100, 100, 100)
    first = found_at([[84, 10, 94, 20], [84, 14, 94, 24], [84, 10, 94, 20]], [0.8, 0.7, 0.6], [0, 0, 1])
    second = found_at([[4, 11, 14, 21]], [0.9])
    together = merged([first, second], [left, right], (180, 100), 10)
    assert together["scores"].tolist() == [0.9, 0.7, 0.6]
    assert together["boxes"].tolist() == [[84, 11, 94, 21], [84, 14, 94, 24], [84, 10, 94, 20]]
    assert together["masks"].ravel().tolist() == [0.9, 0.7, 0.6]
    assert merged([first, second], [left, right], (180, 100), 2)["scores"].tolist() == [0.9, 0.7]


def test_what_an_inner_edge_cuts_is_left_to_others() -> None:
    """Boxes at the inner edge of a tile go; those at the picture's own edge stay."""
    left = View(0, 0, 100, 100, 100, 100)
    found = found_at([[90, 10, 99, 20], [0, 10, 9, 20], [50, 90, 60, 100]], [0.9, 0.8, 0.7])
    assert uncut(found, left, (180, 100))["scores"].tolist() == [0.8, 0.7]


def tiled(boxes: list[list[float]], tiles: int = 2) -> DecodedPictures:
    """Return a picture of 180 x 180 pixels, decoded as it is, to train on, and one to validate on."""
    annotated = pictures(0, 1)
    masks = tuple([[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in boxes)
    marked = Objects(np.array(boxes), np.arange(len(boxes)), np.zeros(len(boxes), dtype=bool), masks)
    annotated = replace(annotated, sizes=((180, 180),) * 2, objects=(marked, annotated.objects[1]))
    pixels = np.zeros((2, 180, 180, 3), dtype=np.uint8)
    return DecodedPictures(pixels, annotated, tiles)


def test_objects_are_learned_where_enough_of_them_is_seen() -> None:
    """A quarter of an object in a tile is enough; in the whole picture beside them an object must have 8 pixels."""
    data = tiled([[2, 2, 10, 10], [90, 30, 110, 50], [94, 120, 114, 140]])
    upper_left, upper_right, lower_left, lower_right, whole = (data.sample(view) for view in range(5))
    assert upper_left.labels.tolist() == [0, 1]
    assert upper_left.boxes.tolist() == [[2, 2, 10, 10], [90, 30, 100, 50]]
    assert upper_left.masks is not None and upper_left.masks.sum(axis=(1, 2)).tolist() == [64, 200]
    assert upper_right.labels.tolist() == [1] and upper_right.boxes.tolist() == [[10, 30, 30, 50]]
    assert lower_left.labels.tolist() == [2] and lower_right.labels.tolist() == [2]
    assert whole.labels.tolist() == [1, 2] and whole.pixels.shape == (100, 100, 3)
    np.testing.assert_allclose(whole.boxes[0], np.array([90, 30, 110, 50]) / 1.8, rtol=1e-6)


def test_an_epoch_learns_what_shows_objects_and_some_background() -> None:
    """Of a picture's views those with objects are learned, and one without; others in other epochs."""
    data = tiled([[2, 2, 8, 8]])
    seen = [data.items(np.array([0]), np.random.default_rng(seed)).tolist() for seed in range(20)]
    assert all(items[0] == 0 and len(items) == 2 for items in seen)
    assert {items[1] for items in seen} == {1, 2, 3}  # the whole picture shows a dot that is too small there
    assert data.fullest_item(0) == 0
    assert tiled([[2, 2, 8, 8]], tiles=1).items(np.array([0, 1]), np.random.default_rng(0)).tolist() == [0, 1]
