"""The hyperparameters of any training on pictures; each task extends them with its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class TrainingHyperparameters:
    """One configuration, typed. Parameters that are inactive or not on offer have their neutral value."""

    #: Parameter → (lowest, highest) value that makes sense whatever the search space.
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "learning_rate": (1e-8, 10.0),
        "weight_decay": (0.0, 10.0),
        "epochs": (1, 100_000),
        "ema": (0.0, 0.99999),
        "momentum": (0.0, 0.999),
    }
    #: Parameter → the values that it may have.
    values: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "optimizer": ("adamw", "sgd"),
        "schedule": ("one-cycle", "cosine", "constant"),
        "horizontal_flip": (False, True),
    }

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
    #: Side of the input in pixels, the longer one where it is no square.
    image_size: int
    #: Whether pictures are mirrored at random.
    horizontal_flip: bool = False
    #: Decay of the average of the weights over the steps, which is what is validated and saved; 0: off.
    ema: float = 0.0
    #: SGD's, with Nesterov's rule.
    momentum: float = 0.9

    @classmethod
    def whole(cls) -> set[str]:
        """Return the names of those that are whole numbers."""
        return {field.name for field in fields(cls) if field.type in (int, "int")}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        """Return the typed form of a configuration of the search space."""
        values = dict(configuration)
        for name in cls.whole() & values.keys():
            values[name] = int(values[name])
        return cls(**values)
