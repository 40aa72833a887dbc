"""The hyperparameters of this task: which there are, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters


@dataclass(frozen=True, slots=True)
class Hyperparameters(TrainingHyperparameters):
    """One configuration, typed."""

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        **TrainingHyperparameters.bounds,
        "batch_size": (1, 65536),
        "image_size": (16, 1024),
        "label_smoothing": (0.0, 0.9),
        "mixup": (0.0, 10.0),
        "augmentation": (0.0, 1.0),
        "layer_decay": (0.1, 1.0),
    }
    values: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **TrainingHyperparameters.values,
        "backbone": ("fine-tuned", "frozen"),
        "class_weights": ("none", "balanced"),
    }

    #: Share of the target spread over all classes.
    label_smoothing: float = 0.0
    #: Both parameters of the Beta distribution that mixing weights are drawn from; 0: off.
    mixup: float = 0.0
    #: Strength from 0 (off) to 1; see `augment`.
    augmentation: float = 0.0
    #: `fine-tuned` or `frozen`.
    backbone: str = "fine-tuned"
    #: `none`, or `balanced`: rare classes weigh more in the loss.
    class_weights: str = "none"
    #: Each layer learns at this share of the rate of the next one; 1: all alike.
    layer_decay: float = 1.0
