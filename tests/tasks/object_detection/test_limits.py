"""How many objects of a picture a network gives, and from which score on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.models.detection import anchor_utils

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects
from tunewell.tasks.object_detection.building import build_module
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.networks import ARCHITECTURES, architecture
from tunewell.tasks.object_detection.object_sizes import MOST_DETECTIONS, ObjectSizes, detections_for

SIDE = 320


def squares(number: int) -> np.ndarray:
    """Return so many boxes of 4 x 4 pixels, which do not meet."""
    places = np.arange(number)
    corners = np.stack([places % 40, places // 40], axis=1) * 8.0
    return np.concatenate([corners, corners + 4], axis=1)


def pictures(*numbers: int, crowds: int = 0) -> AnnotatedPictures:
    """Return pictures with so many objects each, the last one to validate on, the first ones of them crowds."""
    objects = []
    for number in numbers:
        crowd = np.arange(number) < crowds
        objects.append(Objects(squares(number), np.zeros(number, dtype=np.int64), crowd))
    places = tuple(range(len(numbers)))
    return AnnotatedPictures(
        folder=Path("data"),
        paths=tuple(f"{place}.png" for place in places),
        splits={"train": places[:-1], "val": places[-1:]},
        classes=("square",),
        sizes=((SIDE, SIDE),) * len(numbers),
        objects=tuple(objects),
    )


@pytest.mark.parametrize(("most", "detections"), [(0, 100), (66, 100), (67, 150), (150, 250), (5000, MOST_DETECTIONS)])
def test_more_objects_get_more_detections(most: int, detections: int) -> None:
    """There is room for half as many again as there are objects, never less than COCO's 100."""
    assert detections_for(most) == detections


def test_sizes_are_those_of_what_is_learned() -> None:
    """Pictures to train and to validate on count, crowds and test pictures don't."""
    found = ObjectSizes.of(pictures(3, 0, 5, crowds=1))
    assert found.numbers.tolist() == [2, 0, 4] and found.most == 4
    assert len(found) == 6 and found.share_at(0.5) == pytest.approx(4 / SIDE)


@pytest.mark.parametrize("name", ["faster-rcnn-lite0", "fcos-lite0", "retinanet-lite0", "ssdlite-mobilenetv3"])
@pytest.mark.parametrize("detections", [100, 250])
def test_no_network_gives_more_than_its_model_says(name: str, detections: int) -> None:
    """What `model.json` has as the most detections holds without tiles as it does with them."""
    module: Any = build_module(name, 2, detections=detections)
    owner = getattr(module, "roi_heads", module)
    assert owner.detections_per_img == detections


@pytest.mark.parametrize("name", ["faster-rcnn-lite0", "fcos-lite0", "retinanet-lite0", "ssdlite-mobilenetv3"])
def test_a_network_gives_as_many_as_wanted(name: str) -> None:
    """The limit reaches the network, with proposals and candidates to choose from; few are never fewer than usual."""
    module: Any = build_module(name, 2, detections=500)
    if hasattr(module, "rpn"):
        assert module.roi_heads.detections_per_img == 500
        assert module.rpn.post_nms_top_n() >= 1000
        assert build_module(name, 2).rpn.post_nms_top_n() == 250  # type: ignore[operator,union-attr]
    else:
        assert module.detections_per_img == 500 and module.topk_candidates >= 500
        assert build_module(name, 2).topk_candidates == (300 if name.startswith("ssd") else 1000)


def test_ssdlite_is_measured_as_its_source_was() -> None:
    """Its limits are torchvision's own: a score of 0.001, an overlap of 0.55, 300 candidates of a class."""
    own: Any = build_module("ssdlite-mobilenetv3", 2)
    assert (own.score_thresh, own.nms_thresh, own.topk_candidates) == (0.001, 0.55, 300)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_grids_are_those_of_the_networks(name: str) -> None:
    """Declared anchors and strides are what the network is built with."""
    module: Any = build_module(name, 2, anchor_scale=1.0, anchor_ratio=2.0)
    design = architecture(name)
    owner = module.rpn if hasattr(module, "rpn") else module
    generator = owner.anchor_generator
    if isinstance(generator, anchor_utils.DefaultBoxGenerator):
        assert tuple(generator.scales[:-1]) == pytest.approx(design.grid.anchors)
        assert [tuple(2.0 * ratio for ratio in design.grid.ratios)] * 6 == [tuple(r) for r in generator.aspect_ratios]
        return
    if design.has_anchors:
        built = sorted(side for level in generator.sizes for side in level)
        assert built == pytest.approx(sorted(design.grid.anchors), rel=0.02)  # torchvision's are whole
        assert set(generator.aspect_ratios) == {(0.5, 1.0, 2.0)}
    else:
        assert generator.sizes[0] == (design.grid.stride,) and design.grid.anchors == ()


def test_full_pictures_can_be_found_whole() -> None:
    """Of 150 objects in a picture all count, those beyond the hundredth detection, too."""
    annotated = pictures(10, 150)
    found = Detections(squares(150), np.linspace(0.9, 0.1, 150), np.zeros(150, dtype=np.int64))
    assert measure({1: found}, annotated)["map"] == pytest.approx(1.0)
