"""Frames: every picture has its place, and a network's answer does not depend on other pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.object_detection.trained import Trained

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.building import build_module
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.finding import find_all, to_input
from tunewell.tasks.object_detection.frames import STRIDE, Frame, frame_for
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.object_detection.networks import ARCHITECTURES, architecture
from tunewell.tasks.vision.pictures import letterbox_shape
from tunewell.tasks.vision.task_file import Prepared

LIGHT = [name for name in ARCHITECTURES if not name.endswith("resnet50")]
CPU = torch.device("cpu")

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)


@given(st.lists(sizes, min_size=1, max_size=5), st.integers(32, 2048))
def test_all_pictures_of_a_set_fill_their_longer_side(given_sizes: list[tuple[int, int]], longest: int) -> None:
    """A frame is as large as its pictures need, in whole strides; each has its longer side in full."""
    frame = Frame.around(given_sizes, longest)
    assert frame.width % STRIDE == frame.height % STRIDE == 0
    assert max(frame.width, frame.height) < longest + STRIDE
    shapes = [letterbox_shape(*size, longest) for size in given_sizes]
    assert frame.width < max(width for width, _ in shapes) + STRIDE + 1
    assert frame.height < max(height for _, height in shapes) + STRIDE + 1
    assert all(frame.side(*size) == longest for size in given_sizes)


@given(sizes, sizes, st.integers(32, 512))
def test_other_pictures_fit_in(size: tuple[int, int], other: tuple[int, int], longest: int) -> None:
    """A picture of another shape than those that a frame was made for is scaled until it fits."""
    frame = Frame.around([size], longest)
    side = frame.side(*other)
    width, height = letterbox_shape(*other, side)
    assert 1 <= side <= longest
    assert width <= frame.width and height <= frame.height
    filled = frame.fill(np.zeros((height, width, 3), dtype=np.uint8))
    assert filled.shape == (frame.height, frame.width, 3)
    assert (filled == 0).all(axis=2).sum() == height * width
    assert (filled[height:] == 128).all() and (filled[:, width:] == 128).all()


def test_frames_of_networks() -> None:
    """Pictures of one shape need no square, but for SSD, whose anchors are shares of the frame."""
    assert frame_for(architecture("fcos-lite0"), [(320, 240)], 224) == Frame(224, 192, 224)
    assert frame_for(architecture("fcos-lite0"), [(320, 240), (30, 40)], 224) == Frame(224, 224, 224)
    assert frame_for(architecture("ssdlite-mobilenetv3"), [(320, 240)], 200) == Frame(224, 224, 200)


def sure_network(name: str) -> torch.nn.Module:
    """Return a network with random weights that finds much, with scores far apart."""
    torch.manual_seed(0)
    module = build_module(name, 3).eval()
    for part, layer in module.named_modules():
        if part.endswith(("cls_logits", "cls_score")) and isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.2)
            torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    return module


def assert_the_same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    """Sums of the same numbers in another order differ in the seventh digit of coordinates, scores and masks."""
    assert len(one["scores"]) > 3
    for name, tolerance in {"labels": 0.0, "scores": 1e-4, "boxes": 1e-2, "masks": 1e-3}.items():
        if name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", LIGHT)
def test_other_pictures_in_a_batch_change_nothing(name: str) -> None:
    """Alone, among others and in another order, a picture of any shape has the same objects."""
    frame = Frame(96, 64, 96)
    generator = np.random.default_rng(0)
    shapes = [(64, 96), (64, 20), (9, 96), (64, 64), (40, 60)]
    images = [to_input(frame.fill(generator.integers(0, 256, (*shape, 3), dtype=np.uint8)), CPU) for shape in shapes]
    module = sure_network(name)
    with torch.inference_mode():
        # The first batch is one of flat pictures alone: nothing may be learned of the sizes of the first ones.
        flat = module([images[2], images[2]])
        together, turned = module(images), module(images[::-1])[::-1]
        alone = [module([image])[0] for image in images]
    assert_the_same(flat[0], alone[2])
    for one, other, third in zip(alone, together, turned, strict=True):
        assert_the_same(one, other)
        assert_the_same(one, third)


def decoded(experiment: Trained) -> DecodedPictures:
    """Return the pictures of an experiment at the size of its model."""
    prepared = Prepared.load(experiment.task_file)
    annotated = AnnotatedPictures.load(experiment.folder / "manifest.json")
    return shared_pictures(prepared, annotated, load_model(experiment.model)[1].frame.longest)


def test_the_order_of_pictures_changes_no_digit(trained: Trained) -> None:
    """Detections and metrics are the same to the last digit, whatever is found before, after or at the same time."""
    module, config = load_model(trained.model)
    pictures = decoded(trained)
    positions = [*pictures.annotated.splits["val"], *pictures.annotated.splits["test"]]

    def found(order: Sequence[int]) -> dict[str, float]:
        return measure(find_all(module, config, pictures, order, CPU), pictures.annotated)

    whole = find_all(module, config, pictures, positions, CPU)
    for position in positions:
        alone = find_all(module, config, pictures, [position], CPU)[position]
        np.testing.assert_array_equal(alone.boxes, whole[position].boxes)
        np.testing.assert_array_equal(alone.scores, whole[position].scores)
        assert alone.masks == whole[position].masks
    assert found(positions) == found(positions[::-1])
