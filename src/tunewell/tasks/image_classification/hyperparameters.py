"""The hyperparameters of this task: which there are, what they may be, and their typed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tunewell.spec.errors import SpecError, nearest
from tunewell.spec.space import Choice, Parameter, SearchSpace


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
}
_VALUES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("one-cycle", "cosine", "constant"),
    "backbone": ("fine-tuned", "frozen"),
    "horizontal_flip": (False, True),
}
#: Each image size is a decoded copy of the data set.
MAX_IMAGE_SIZES = 8


def check_domains(space: SearchSpace) -> None:
    """Raise `SpecError` if a parameter's domain reaches where training can't follow."""
    assert {*_BOUNDS, *_VALUES} == {field.name for field in fields(Hyperparameters)}
    for parameter in space:
        if parameter.name in _VALUES:
            _check_values(parameter, _VALUES[parameter.name])
        else:
            _check_bounds(parameter, *_BOUNDS[parameter.name])
    image_sizes(space)


def image_sizes(space: SearchSpace) -> list[int]:
    """Return every image size in the space, ascending; raise `SpecError` if there are too many."""
    parameter = space["image_size"]
    if parameter.size is None or parameter.size > MAX_IMAGE_SIZES:
        raise SpecError(
            "parameters.image_size",
            f"more than {MAX_IMAGE_SIZES} sizes, each of which needs a decoded copy of the pictures",
            "List a few, such as {ordinal: [64, 96, 128]}",
        )
    return sorted({int(size) for size in parameter.values(MAX_IMAGE_SIZES)})


def _check_values(parameter: Parameter, known: tuple[Any, ...]) -> None:
    where = f"parameters.{parameter.name}"
    if not isinstance(parameter, Choice):
        raise SpecError(where, "it is no number", f"Known: {_listed(known)}")
    reference = Choice(parameter.name, known)
    for value in parameter.values_:
        if not reference.contains(value):
            texts = all(isinstance(item, str) for item in known)
            remedy = nearest(str(value), known) if texts else f"Known: {_listed(known)}"
            raise SpecError(where, f"{value!r} is not known", remedy)


def _check_bounds(parameter: Parameter, lowest: float, highest: float) -> None:
    where = f"parameters.{parameter.name}"
    ends = parameter.values_ if isinstance(parameter, Choice) else (parameter.low, parameter.high)
    for value in ends:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SpecError(where, f"{value!r} is no number")
        if not lowest <= value <= highest:
            raise SpecError(where, f"{value:g} is outside {lowest:g} … {highest:g}")
    if parameter.name in _WHOLE:
        whole = all(value == int(value) for value in ends) if isinstance(parameter, Choice) else parameter.integer
        if not whole:
            raise SpecError(where, "it must be whole", "Write whole numbers")


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(str(value).lower() for value in values)
