"""Whether the domains of a search space lie where training can follow."""

from __future__ import annotations

from typing import Any

from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.space import Choice, Parameter, SearchSpace
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters

#: Each image size is a decoded copy of the data set.
MAX_IMAGE_SIZES = 8


def check_domains(space: SearchSpace, hyperparameters: type[TrainingHyperparameters]) -> None:
    """Raise `SpecError` if a parameter's domain reaches where training with these hyperparameters can't follow."""
    whole = hyperparameters.whole()
    for parameter in space:
        if parameter.name in hyperparameters.values:
            _check_values(parameter, hyperparameters.values[parameter.name])
        else:
            _check_bounds(parameter, *hyperparameters.bounds[parameter.name], parameter.name in whole)
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
    assert isinstance(parameter, Choice)  # an override keeps the kind of values
    reference = Choice(parameter.name, known)
    for value in parameter.values_:
        if not reference.contains(value):
            raise SpecError(f"parameters.{parameter.name}", f"{shown(value)} is not known", nearest(str(value), known))


def _check_bounds(parameter: Parameter, lowest: float, highest: float, must_be_whole: bool) -> None:
    where = f"parameters.{parameter.name}"
    ends = parameter.values_ if isinstance(parameter, Choice) else (parameter.low, parameter.high)
    for value in ends:
        if not lowest <= value <= highest:
            raise SpecError(where, f"{value:g} is outside {lowest:g} … {highest:g}")
    if must_be_whole:
        whole = all(value == int(value) for value in ends) if isinstance(parameter, Choice) else parameter.integer
        if not whole:
            raise SpecError(where, "it must be whole", "Write whole numbers")
