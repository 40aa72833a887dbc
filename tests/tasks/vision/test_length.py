"""How long trainings are, and how large their batches, by the number of training pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.image_classification.trained import write_pictures
from tests.tasks.object_detection.dots import write_dots
from tests.tasks.object_detection.scenes import make_scenes, write_coco

from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.space import Choice, SearchSpace
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.task import ObjectDetection
from tunewell.tasks.vision.length import (
    LEAST_STEPS_AN_EPOCH,
    MOST_EPOCHS,
    Length,
    describe,
    steps_an_epoch,
    suitable_batches,
    suitable_epochs,
    suited_to_data,
)
from tunewell.tasks.vision.task import VisionTask

NONE = Capacity(())
PICTURES = st.integers(1, 200_000)
BATCHES = st.lists(st.sampled_from([2**power for power in range(11)]), min_size=1, max_size=6, unique=True).map(sorted)
DESIGNS = {
    network: task.architecture(network)
    for name in TASKS
    if isinstance(task := task_for({"task": name}), VisionTask)
    for network in task.networks
}


# the rule --------------------------------------------------------------------------------------------------


@given(PICTURES, st.integers(1, 512), st.integers(1, 30), st.integers(1, 2000))
def test_a_training_has_the_steps_that_it_wants(pictures: int, batch: int, own: int, least: int) -> None:
    """It has so many, by no epoch too many, but for the network's own epochs and the limit on a handful of pictures."""
    epochs = suitable_epochs(pictures, batch, own, least)
    steps = steps_an_epoch(pictures, batch)
    assert own <= epochs <= max(own, MOST_EPOCHS)
    assert epochs * steps >= least or epochs >= MOST_EPOCHS
    assert epochs == own or (epochs - 1) * steps < least


@given(PICTURES, PICTURES, st.integers(1, 512), st.integers(1, 2000))
def test_more_pictures_never_mean_more_passes(one: int, other: int, batch: int, least: int) -> None:
    """The more pictures, the fewer epochs; the largest sets get the network's own."""
    few, many = sorted((one, other))
    assert suitable_epochs(few, batch, 8, least) >= suitable_epochs(many, batch, 8, least)
    assert suitable_epochs(batch * least, batch, 8, least) == 8


@given(PICTURES, BATCHES, st.data())
def test_batches_fit_the_pictures(pictures: int, sizes: list[int], data: st.DataObject) -> None:
    """No batch leaves an epoch with too few steps, the default least of all; nothing is offered that was not before."""
    usual = data.draw(st.sampled_from(sizes))
    found = suitable_batches(pictures, Choice("batch_size", tuple(sizes), ordered=True, default=usual))
    assert found["default"] in found["ordinal"] == sorted(found["ordinal"])
    assert max(found["ordinal"]) <= pictures
    if min(sizes) * LEAST_STEPS_AN_EPOCH <= pictures:
        assert found["ordinal"] == [size for size in sizes if size * LEAST_STEPS_AN_EPOCH <= pictures]
        assert found["default"] <= usual or found["default"] == sizes[0]
    else:
        assert len(found["ordinal"]) == 1


@pytest.mark.parametrize("network", DESIGNS)
@given(pictures=PICTURES)
def test_every_network_has_a_default_that_fits(network: str, pictures: int) -> None:
    """Whatever the size of the data, what follows from it can be trained with, and is not searched."""
    design = DESIGNS[network]
    space = design.network.space
    own = space["epochs"].default
    found = suited_to_data(space, {}, pictures, design.least_steps)
    assert found["epochs"]["choices"] == [found["epochs"]["default"]]
    assert own <= found["epochs"]["default"] <= MOST_EPOCHS
    assert found["batch_size"]["default"] <= space["batch_size"].default
    assert suited_to_data(space, {"epochs": 3, "batch_size": 7}, pictures, design.least_steps) == {}
    assert f"fewer than {design.least_steps} steps" in design.network.sources["epochs"]


def test_few_pictures_get_as_many_steps_as_others() -> None:
    """53 pictures get 507 steps with a light detector; in its own 8 epochs they would get 104."""
    space = DESIGNS["faster-rcnn-lite0"].network.space
    found = suited_to_data(space, {}, 53, DESIGNS["faster-rcnn-lite0"].least_steps)
    assert found["batch_size"] == {"ordinal": [2, 4, 8], "default": 4}
    assert found["epochs"]["default"] == 39


# spaces ----------------------------------------------------------------------------------------------------


def spec_of(data: Path, task: str, network: str, **fields: Any) -> ExperimentSpec:
    """Return a complete spec."""
    raw = {"name": "e", "task": task, "data": str(data), "network": network, **fields}
    return parse_spec(task_for(raw).complete(raw))


def ordinal(space: SearchSpace, name: str) -> tuple[Any, ...]:
    """Return the values of a parameter."""
    parameter = space[name]
    assert isinstance(parameter, Choice)
    return parameter.values_


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 training pictures."""
    return write_pictures(tmp_path_factory.mktemp("digits"), {"train": 100, "val": 20})


def classification(data: Path, capacity: Capacity = NONE, **fields: Any) -> SearchSpace:
    """Return the space of a classification of these pictures."""
    return ImageClassification().space(spec_of(data, "image-classification", "efficientnet-lite0", **fields), capacity)


@pytest.mark.parametrize(
    ("fields", "batches", "epochs"),
    [
        ({}, (16,), 42),
        ({"sampling": 0.5}, (16,), 84),
        ({"parameters": {"batch_size": [16, 64]}}, (16, 64), 42),
        ({"parameters": {"batch_size": 128}}, (128,), 100),
        ({"parameters": {"batch_size": {"low": 4, "high": 20}}}, None, 50),
        ({"parameters": {"epochs": 3}}, (16,), 3),
        ({"data": "/nowhere"}, (16, 32, 64, 128), 10),
    ],
)
def test_the_space_follows_the_data(
    digits: Path, fields: Mapping[str, Any], batches: tuple[int, ...] | None, epochs: int
) -> None:
    """What a spec says stays, be it more than there are pictures; the rest fits it and the data."""
    space = classification(**{"data": digits, **fields})
    assert batches is None or ordinal(space, "batch_size") == batches
    assert (space.default() or {})["epochs"] == epochs
    assert space["epochs"].size == 1


def test_batches_on_a_gpu_are_bounded_too(digits: Path) -> None:
    """A GPU has room for larger batches than there are pictures; they are not offered."""
    gpu = Gpu("0", memory_bytes=80 << 30, compute_capability=(9, 0))
    space = classification(digits, Capacity((Node("here", 8, 64 << 30, (gpu,), 8, 64 << 30, ("0",)),)))
    assert ordinal(space, "batch_size") == (16,)
    assert max(ordinal(space, "image_size")) == 288


def test_views_count_where_pictures_are_seen_in_tiles(tmp_path: Path) -> None:
    """Each picture of many dots is as many items as its tiles and itself: an epoch has so many steps, and is short."""
    data = write_dots(tmp_path, {"train": 8, "val": 1}, (400, 300), 12, 60)
    parameters = {"image_size": 128, "tiles": 2}
    spec = spec_of(data, "object-detection", "faster-rcnn-lite0", parameters=parameters)
    task = ObjectDetection()
    space = task.space(spec, NONE)
    default = space.default() or {}
    annotated = task.read(data, spec.seed)
    decoded = DecodedPictures(np.zeros((9, 230, 230, 3), dtype=np.uint8), annotated, tiles=2)
    items = len(decoded.items(np.asarray(annotated.splits["train"]), np.random.default_rng(0)))
    assert task.items(annotated, default) == items == 32  # four tiles each; in the whole picture the dots are too small
    assert (ordinal(space, "batch_size"), default["epochs"]) == ((2, 4, 8), math.ceil(500 / (32 // 4)))
    assert "Training: 63 epochs of 8 steps (32 views of 8 pictures, 4 a step)" in "".join(task.check(spec))
    untiled = spec_of(data, "object-detection", "faster-rcnn-lite0", parameters={**parameters, "tiles": 1})
    assert task.items(annotated, task.space(untiled, NONE).default() or {}) == 8


def test_a_handful_of_pictures(tmp_path: Path) -> None:
    """Six annotated pictures are searched with batches of two, in as many epochs as there may be."""
    data = write_coco(tmp_path, make_scenes())
    space = ObjectDetection().space(spec_of(data, "object-detection", "faster-rcnn-lite0"), NONE)
    assert ordinal(space, "batch_size") == (2,)
    assert (space.default() or {})["epochs"] == MOST_EPOCHS


# what is said -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "is_given", "lines"),
    [
        (
            Length(39, 53, 4, 53),
            False,
            [
                "Training: 39 epochs of 13 steps (53 pictures, 4 a step): small data sets need more passes. "
                "To search their number: `epochs: {ordinal: [20, 39, 78]}`."
            ],
        ),
        (Length(8, 8000, 4, 8000), False, ["Training: 8 epochs of 2000 steps (8000 pictures, 4 a step)."]),
        (Length(30, 53, 4, 53), True, ["Training: 30 epochs of 13 steps (53 pictures, 4 a step)."]),
        (Length(1, 1, 4, 1), False, ["Training: 1 epoch of 1 step (1 picture, 1 a step)."]),
        (Length(8, 401, 4, 53), False, ["Training: 8 epochs of 100 steps (401 views of 53 pictures, 4 a step)."]),
        (
            Length(8, 53, 4, 53),
            True,
            [
                "Training: 8 epochs of 13 steps (53 pictures, 4 a step).",
                "Advice: that is short; without `epochs`, it would be 39 for so few pictures.",
            ],
        ),
    ],
)
def test_a_check_says_how_long_a_training_is(length: Length, is_given: bool, lines: list[str]) -> None:
    """One line says it, with the reason where it is longer than usual; short ones of the user's own get advice."""
    assert describe(length, 8, 500, is_given) == lines


def test_a_check_counts_the_sample(digits: Path) -> None:
    """The pictures are those that trials learn from, and the epochs those of the space."""
    spec = spec_of(digits, "image-classification", "small-cnn", sampling=0.5)
    told = "".join(ImageClassification().check(spec))
    assert "Training: 100 epochs of 3 steps (50 pictures, 16 a step): small data sets need more passes. " in told
    assert (
        "Trainings on all data (`finalists: full`, `retrain`) have 84 epochs, as suits 100 training pictures." in told
    )
    own = spec_of(digits, "image-classification", "small-cnn", sampling=0.5, parameters={"epochs": 7})
    assert "(`finalists: full`, `retrain`) have 7 epochs, as the spec says." in "".join(
        ImageClassification().check(own)
    )
