"""From pydantic's validation errors to plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tunewell.spec.errors import SpecError, closest, nearest, shown_of
from tunewell.spec.problems import Problems

_MISSING = {
    "name": "Give the experiment a name",
    "objective": "Name the metric to optimise, such as `objective: accuracy`",
    "objective.metric": "Name the metric to optimise, such as `metric: accuracy`",
    "objective.goal": "Say `goal: maximize` or `goal: minimize`; the metric's name does not tell",
}

# Field → fields that may spare giving it.
_GUESSED_FROM = {"objective.goal": ["objective.metric"]}

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

#: What others call a field, where the letters do not tell which one is meant → the field. None of them is a mapping:
#: `labels` of `resources` is one.
_INSTEAD = {
    "comment": "description",
    "comments": "description",
    "group": "project",
    "label": "tags",
    "labels": "tags",
    "note": "description",
    "notes": "description",
}


def gather_errors(error: ValidationError, model: type[BaseModel], problems: Problems) -> None:
    """Add what is wrong with the fields of a `model` that failed to validate, names that don't exist first.

    They are mostly the reason why others are missing, and so those are not told.
    """
    items = error.errors()
    for item in items:
        if item["type"] == "extra_forbidden":
            unknown, meant = _unknown(item["loc"], item["input"], model)
            problems.add(unknown)
            problems.suspect(*meant)
    for item in items:
        path = _path(item["loc"])
        needed = item["type"] != "missing" or not problems.concern(path, *_GUESSED_FROM.get(path, ()))
        if item["type"] != "extra_forbidden" and needed:
            problems.add(_error_of(path, item))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "spec"


def _error_of(path: str, item: ErrorDetails) -> SpecError:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "missing":
        return SpecError(path, "it is missing", _MISSING[path])
    if kind == "value_error":
        what, remedy = context["error"].args
        return SpecError(path, what, remedy, value)
    if value is None:
        return SpecError(path, "null is no value for it", "Leave the field out to have its default", value)
    problem, remedy = _PROBLEMS.get(kind, ("{value} does not fit here", "See the spec reference"))
    words = {"value": shown_of(path, value), **context}
    return SpecError(path, problem.format(**words), remedy.format(**words), value)


def _unknown(location: tuple[int | str, ...], value: Any, root: type[BaseModel]) -> tuple[SpecError, list[str]]:
    """Return the error for a name that no field has, and the paths of those that it may have been meant for."""
    path, name, model = _path(location), str(location[-1]), model_at(root, location[:-1])
    meant = _INSTEAD.get(name) if model is root and not isinstance(value, Mapping) else None
    for field, inner in _inner_models(root).items():
        if model is root and name in inner.model_fields and meant is None:
            return SpecError(path, "there is no such field here", f"Write it inside `{field}`"), [field]
    meant = meant if meant in model.model_fields else closest(name, model.model_fields)
    remedy = f"Did you mean '{meant}'" if meant else nearest(name, model.model_fields)
    error = SpecError(path, "there is no such field", remedy)
    return error, [_path((*location[:-1], meant))] if meant else []


def model_at(model: type[BaseModel], path: Sequence[Any]) -> type[BaseModel]:
    """Return the model that a part of a model is of."""
    for part in path:
        model = _inner_models(model).get(part, model)
    return model


def _inner_models(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
