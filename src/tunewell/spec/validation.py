"""From pydantic's validation errors to one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tunewell.spec.errors import SpecError, nearest
from tunewell.spec.secrets import shown_of

_MISSING = {
    "name": "Give the experiment a name",
    "objective": "Name the metric to optimise, such as `objective: accuracy`",
    "objective.metric": "Name the metric to optimise, such as `metric: accuracy`",
    "objective.goal": "Say `goal: maximize` or `goal: minimize`; the metric's name does not tell",
}

# pydantic's error type → (what is wrong, remedy); {value} is the input as a spec file would write it.
_PROBLEMS = {
    "string_type": ("{value} is not a text", "Write a text; numbers and dates need quotes"),
    "string_too_short": ("it is empty", "Write something, or leave the field out"),
    "string_too_long": ("it is longer than {max_length} characters", "Shorten it"),
    "path_type": ("{value} is not a path", "Put it in quotes"),
    "model_type": ("{value} is not a mapping", "Write `field: value` lines"),
    "dict_type": ("{value} is not a mapping", "Write `name: value` lines"),
    "bool_type": ("{value} is neither true nor false", "Write true or false"),
    "tuple_type": ("{value} is not a list", "Write it as [a, b, c]"),
    "invalid_key": ("{value} is not the name of a field", "Write `field: value` lines"),
    "greater_than_equal": ("{value} is below {ge}", "Write {ge} or more"),
    "literal_error": ("{value} is not {expected}", "Write one of them"),
}


def spec_error(error: ValidationError, model: type[BaseModel]) -> SpecError:
    """Return the error for the first wrong field of a `model` that failed to validate."""
    # An unknown field comes first: it is mostly the reason why another one is missing.
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in first["loc"]) or "spec"
    kind, value, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, str(first["loc"][-1]), _model_at(model, first["loc"][:-1]), model)
    if kind == "missing":
        return SpecError(path, "it is missing", _MISSING[path])
    if kind == "value_error":
        return SpecError(path, *context["error"].args)
    if value is None:
        return SpecError(path, "null is no value for it", "Leave the field out to have its default")
    problem, remedy = _PROBLEMS.get(kind, ("{value} does not fit here", "See the spec reference"))
    return SpecError(path, *(text.format(value=shown_of(path, value), **context) for text in (problem, remedy)))


def _unknown(path: str, name: str, model: type[BaseModel], root: type[BaseModel]) -> SpecError:
    for field, inner in _inner_models(root).items():
        if model is root and name in inner.model_fields:
            return SpecError(path, "there is no such field here", f"Write it inside `{field}`")
    return SpecError(path, "there is no such field", nearest(name, model.model_fields))


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    for part in path:
        model = _inner_models(model).get(part, model)
    return model


def _inner_models(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
