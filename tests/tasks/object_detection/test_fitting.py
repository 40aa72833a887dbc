"""Image size and anchors that suit the objects, and what a check says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.object_detection.dots import write_dots
from tests.tasks.object_detection.test_task import spec

from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.tasks.object_detection.anchors import fitted_anchors, mean_overlap
from tunewell.tasks.object_detection.fitting import sizes_found, suited_sizes
from tunewell.tasks.object_detection.networks import ARCHITECTURES, architecture
from tunewell.tasks.object_detection.object_sizes import ObjectSizes
from tunewell.tasks.object_detection.task import ObjectDetection

GIB = 1 << 30
OWN = (1.0, 2.0)


def objects(*shares: float, ratio: float = 1.0, number: int = 1) -> ObjectSizes:
    """Return objects whose sides are these shares of their picture's, `number` of them in each picture."""
    sides = np.array(shares)
    shape = np.stack([sides * ratio**0.5, sides / ratio**0.5], axis=1)
    return ObjectSizes(shape, np.array([number]))


def suited(found: ObjectSizes, network: str = "faster-rcnn-lite0", **given: Any) -> dict[str, Any]:
    """Return what suits objects without a GPU."""
    design = architecture(network)
    return suited_sizes(design, found, parse_space(given, design.network.space), given, on_gpu=False)


@pytest.mark.parametrize(
    ("share", "sizes", "default", "tiles"),
    [
        (0.5, [224, 256, 320], 256, 1),  # never below the network's own
        (8 / 300, [224, 256, 320], 320, 1),
        (8 / 400, [320, 416, 512], 416, 1),
        (8 / 500, [416, 512], 512, 1),
        (8 / 570, [320], 320, 2),  # fewer pixels than 416 in as many tiles
        (8 / 1067, [416], 416, 3),
        (8 / 9999, [512], 512, 4),  # as far as it goes
    ],
)
def test_smaller_objects_get_larger_pictures(share: float, sizes: list[int], default: int, tiles: int) -> None:
    """Image size and tiles are the cheapest ones at which the objects are a stride large."""
    found = suited(objects(share))
    assert found["image_size"] == {"ordinal": sizes, "default": default}
    assert found["tiles"] == tiles


def test_what_cannot_be_afforded_is_seen_in_tiles_of_what_is_given() -> None:
    """Where the spec sets one of image size and tiles, the other one follows."""
    assert suited(objects(8 / 500), image_size=256)["tiles"] == 3
    assert suited(objects(8 / 500), image_size={"low": 100, "high": 300, "step": 50})["tiles"] == 3
    assert suited(objects(8 / 1067), tiles=1)["image_size"] == {"ordinal": [416, 512], "default": 512}
    assert suited(objects(0.2), tiles=[1, 2, 3])["image_size"] == {"ordinal": [256], "default": 256}


def test_what_is_declared_is_kept() -> None:
    """An image size in the spec stays, and so do anchors."""
    assert suited(objects(8 / 400), image_size=320, tiles=1, anchor_scale=1.0, anchor_ratio=1.5) == {}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_usual_objects_leave_networks_as_they_are(name: str) -> None:
    """Objects of all of a network's own anchors need no others, and no other image size."""
    design = architecture(name)
    side: Any = design.network.space["image_size"].default
    sides = np.array(design.grid.anchors or (16, 32, 64)) / (1 if design.grid.relative else side)
    found = suited(objects(*sides[sides <= 0.8].tolist()), name)
    assert found["image_size"]["default"] == side and found["tiles"] == 1
    if design.has_anchors:
        assert (found["anchor_scale"]["default"], found["anchor_ratio"]["default"]) == OWN


def test_anchors_follow_long_objects() -> None:
    """Lines of text get anchors as long as they may be."""
    assert suited(objects(0.1, 0.2, 0.4, ratio=5.0))["anchor_ratio"] == {"default": 4.0}


@given(
    st.lists(st.tuples(st.floats(1, 300), st.floats(1, 300)), min_size=1, max_size=20),
    st.sampled_from([name for name, design in ARCHITECTURES.items() if design.has_anchors]),
)
def test_fitted_anchors_are_no_worse(shapes: list[tuple[float, float]], name: str) -> None:
    """Whatever the objects, what is chosen lies in the network's range, and anchors don't get too small to be seen."""
    design = architecture(name)
    scale, ratio = fitted_anchors(design.grid, np.array(shapes), 256, OWN)
    assert design.network.space["anchor_scale"].contains(scale)
    assert design.network.space["anchor_ratio"].contains(ratio)
    smallest = min(design.grid.anchors) * (256 if design.grid.relative else 1)
    assert scale >= 1 or scale * smallest >= 2 * design.grid.stride * 0.99


def test_overlap_is_that_of_the_best_anchor() -> None:
    """A square within one of twice its side covers a quarter of it; the better anchor counts."""
    assert mean_overlap(np.array([[20.0, 20.0], [1.0, 1.0]]), np.array([[10.0, 10.0]])) == pytest.approx(0.25)


def said(found: ObjectSizes, side: int, network: str = "faster-rcnn-lite0") -> list[str]:
    """Return what a check says of objects at an image size that the spec sets."""
    design = architecture(network)
    chosen = {"image_size": side}
    return sizes_found(design, found, parse_space(chosen, design.network.space), chosen)


def test_sizes_are_said() -> None:
    """The median and the smallest tenth in pixels of the input, and how many a picture has."""
    (line,) = said(objects(*np.linspace(0.1, 0.2, 11), number=25), 320)
    assert line == (
        "Object sizes: median 48 px a side at image size 320 (smallest tenth below 35 px); up to 25 a picture."
    )


def test_objects_that_are_too_small_are_warned_of() -> None:
    """Below the network's stride hardly anything is seen: the remedy is named."""
    lines = said(objects(12 / 1600, number=150), 512)
    assert lines[1].startswith(
        "Too small to be found: a tenth of the objects are below 3.8 px a side, and faster-rcnn-lite0 sees hardly "
        "anything below 8 px. `tiles: 3` at image size 512, or an `image_size` of 1067, would show them."
    )
    assert len(said(objects(12 / 1600), 1100)) == 1
    assert len(said(objects(7.98 / 512), 512)) == 1  # "below 8 px" is not said to be below 8 px


def test_more_objects_than_can_be_found_are_warned_of() -> None:
    """No more than a thousand detections are given."""
    assert said(objects(0.1, number=1000), 320)[1:] == []
    assert said(objects(0.1, number=1001), 320)[1].startswith("Too many to be found: up to 1001 objects a picture")


def test_a_check_tells_of_dots(tmp_path: Path) -> None:
    """150 dots of 12 pixels in 1600: the data alone decide, and a check says how; less than that is warned of."""
    data = write_dots(tmp_path, {"train": 2, "val": 1}, (1600, 1200), 12, 150)
    task, given = ObjectDetection(), spec(data)
    space = task.space(given, Capacity(()))
    assert (space["image_size"].default, space["tiles"].default) == (416, 3)
    assert task.decoded_sizes(space) == [1081] == [task.decoded_size(space.default() or {})]
    lines = task.check(given)
    assert lines[3].startswith("Object sizes: median 8.1 px a side at image size 416 in 3 x 3 tiles ")
    assert lines[4].startswith("Pictures are seen in 3 x 3 tiles at image size 416: whole, at that size, a tenth")
    # Ten views, each of 416² pixels instead of 256²; of the training its steps are told.
    assert lines[4].endswith(
        "To look at one, in validation and in use, takes about 26 times as long as at 256 without tiles; `tiles: 1` "
        "turns them off."
    )
    plain = spec(data, parameters={"image_size": 256, "tiles": 1})
    task.space(plain, Capacity(()))
    lines = task.check(plain)
    assert lines[3].startswith("Object sizes: median 1.9 px a side at image size 256 (smallest tenth below 1.9 px); up")
    assert lines[4].startswith("Too small to be found: ")


def test_a_gpu_affords_what_the_objects_need(tmp_path: Path) -> None:
    """On a GPU its own sizes are searched, from the one that suits the objects; batches are its own, too."""
    data = write_dots(tmp_path, {"train": 128, "val": 1}, (400, 300), 8, 5)
    gpu = Gpu("0", memory_bytes=24 * GIB, compute_capability=(9, 0))
    capacity = Capacity((Node("here", 8, 64 * GIB, (gpu,), 8, 64 * GIB, ("0",)),))
    space = ObjectDetection().space(spec(data), capacity)
    assert space["image_size"].default == 416
    assert [*space["image_size"].values(9)] == [224, 256, 320, 416, 512]
    assert space["batch_size"].values(9)[-1] == 32


def test_copies_for_tiles_are_counted() -> None:
    """Each image size in each number of tiles is a decoded copy: too many are refused."""
    with pytest.raises(SpecError, match=r"^parameters.tiles: with `image_size` they make more than 8 sizes"):
        ObjectDetection().space(spec(parameters={"image_size": [256, 320, 416], "tiles": [1, 2, 3]}), Capacity(()))
