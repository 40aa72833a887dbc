"""The hyperparameters of this task: which there are, what they may be, and their typed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tunewell.spec.space import SearchSpace
from tunewell.tasks.vision import domains


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
    #: Side of the square input in pixels.
    image_size: int
    #: Share of the target spread over all classes.
    label_smoothing: float = 0.0
    #: Both parameters of the Beta distribution that mixing weights are drawn from; 0: off.
    mixup: float = 0.0
    #: Strength from 0 (off) to 1; see `augment`.
    augmentation: float = 0.0
    #: Whether pictures are mirrored at random.
    horizontal_flip: bool = False
    #: `fine-tuned` or `frozen`.
    backbone: str = "fine-tuned"
    #: SGD's, with Nesterov's rule.
    momentum: float = 0.9
    #: `none`, or `balanced`: rare classes weigh more in the loss.
    class_weights: str = "none"
    #: Decay of the average of the weights over the steps, which is what is validated and saved; 0: off.
    ema: float = 0.0
    #: Each layer learns at this share of the rate of the next one; 1: all alike.
    layer_decay: float = 1.0

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Hyperparameters:
        """Return the typed form of a configuration of the search space."""
        values = dict(configuration)
        for name in _WHOLE & values.keys():
            values[name] = int(values[name])
        return cls(**values)


_WHOLE = {"batch_size", "epochs", "image_size"}
#: Parameter → (lowest, highest) value that makes sense whatever the search space.
_BOUNDS: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-8, 10.0),
    "batch_size": (1, 65536),
    "weight_decay": (0.0, 10.0),
    "epochs": (1, 100_000),
    "image_size": (16, 1024),
    "label_smoothing": (0.0, 0.9),
    "mixup": (0.0, 10.0),
    "augmentation": (0.0, 1.0),
    "momentum": (0.0, 0.999),
    "ema": (0.0, 0.99999),
    "layer_decay": (0.1, 1.0),
}
_VALUES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("one-cycle", "cosine", "constant"),
    "backbone": ("fine-tuned", "frozen"),
    "horizontal_flip": (False, True),
    "class_weights": ("none", "balanced"),
}


def check_domains(space: SearchSpace) -> None:
    """Raise `SpecError` if a parameter's domain reaches where training can't follow."""
    assert {*_BOUNDS, *_VALUES} == {field.name for field in fields(Hyperparameters)}
    domains.check_domains(space, _BOUNDS, _VALUES, _WHOLE)
