"""The hyperparameters of both tasks: which there are, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tunewell.tasks.object_detection.tiling import MOST_TILES
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters


@dataclass(frozen=True, slots=True)
class Hyperparameters(TrainingHyperparameters):
    """One configuration, typed."""

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        **TrainingHyperparameters.bounds,
        "batch_size": (1, 1024),
        "image_size": (32, 2048),
        "frozen_stages": (0, 5),
        "color_jitter": (0.0, 1.0),
        "scale_jitter": (0.0, 2.0),
        "mosaic": (0.0, 1.0),
        "mixup": (0.0, 1.0),
        "anchor_scale": (0.05, 20.0),
        "anchor_ratio": (1.0, 20.0),
        "tiles": (1, MOST_TILES),
    }

    #: Stages of the backbone, of five, that are not trained.
    frozen_stages: int = 0
    #: Largest change of brightness, contrast and saturation, as a share.
    color_jitter: float = 0.0
    #: Largest change of scale, as a share.
    scale_jitter: float = 0.0
    #: Probability that four pictures are put together.
    mosaic: float = 0.0
    #: Probability that two pictures are blended.
    mixup: float = 0.0
    #: Factor of the anchors' sizes.
    anchor_scale: float = 1.0
    #: Ratio of the sides of anchors that are no squares.
    anchor_ratio: float = 2.0
    #: Pictures are cut into this many by this many tiles.
    tiles: int = 1
