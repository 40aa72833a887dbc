"""The hyperparameters of both tasks: which there are, what they may be, and their typed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One configuration, typed. Parameters that are inactive or not on offer have their neutral value."""

    #: Peak learning rate of the schedule.
    learning_rate: float
    #: Pictures per step; all of them if there are fewer.
    batch_size: int
    #: `adamw` or `sgd`.
    optimizer: str
    #: Decoupled (adamw) or added to the gradient (sgd).
    weight_decay: float
    #: `one-cycle`, `cosine` or `constant`.
    schedule: str
    #: Passes over the training pictures in a full training.
    epochs: int
    #: Longer side of the input in pixels.
    image_size: int
    #: Stages of the backbone, of five, that are not trained.
    frozen_stages: int = 0
    #: Whether pictures are mirrored at random.
    horizontal_flip: bool = False
    #: Largest change of brightness, contrast and saturation, as a share.
    color_jitter: float = 0.0
    #: Largest change of scale, as a share.
    scale_jitter: float = 0.0
    #: Probability that four pictures are put together.
    mosaic: float = 0.0
    #: Probability that two pictures are blended.
    mixup: float = 0.0
    #: Decay of the average of the weights over the steps; 0: off.
    ema: float = 0.0
    #: Factor of the anchors' sizes.
    anchor_scale: float = 1.0
    #: Ratio of the sides of anchors that are no squares.
    anchor_ratio: float = 2.0
    #: SGD's, with Nesterov's rule.
    momentum: float = 0.9

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Hyperparameters:
        """Return the typed form of a configuration of the search space."""
        values = dict(configuration)
        for name in WHOLE & values.keys():
            values[name] = int(values[name])
        return cls(**values)


#: Parameters that are whole numbers.
WHOLE = {"batch_size", "epochs", "frozen_stages", "image_size"}
#: Parameter → (lowest, highest) value that makes sense whatever the search space.
BOUNDS: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-8, 10.0),
    "batch_size": (1, 1024),
    "weight_decay": (0.0, 10.0),
    "epochs": (1, 100_000),
    "image_size": (32, 2048),
    "frozen_stages": (0, 5),
    "color_jitter": (0.0, 1.0),
    "scale_jitter": (0.0, 2.0),
    "mosaic": (0.0, 1.0),
    "mixup": (0.0, 1.0),
    "ema": (0.0, 0.99999),
    "anchor_scale": (0.05, 20.0),
    "anchor_ratio": (1.0, 20.0),
    "momentum": (0.0, 0.999),
}
#: Parameter → the values that it may have.
VALUES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("one-cycle", "cosine", "constant"),
    "horizontal_flip": (False, True),
}
