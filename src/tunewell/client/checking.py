"""What clients promise of every verb: its description, and an `ArgumentError` for arguments of another type."""

from __future__ import annotations

import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError

Class = TypeVar("Class", bound=type)
#: Types that stand for others, and what people call them.
_WORDS: Mapping[Any, str] = {
    Mapping: "a mapping, such as {'max_trials': 50}",
    str: "a text",
    int: "a whole number",
    float: "a number",
}
#: Those of other libraries, too.
_NUMBERS: Mapping[type, type] = {int: numbers.Integral, float: numbers.Real}


def verb_names() -> list[str]:
    """Return the names of all verbs."""
    return [name for name in dir(Verbs) if not name.startswith("_")]


def checked(client: Class) -> Class:
    """Have the verbs of a class check their arguments, and have the descriptions of `Verbs`, with what they add."""
    for name in verb_names():
        setattr(client, name, _checked(getattr(client, name), getattr(Verbs, name)))
    return client


def _checked(method: Callable[..., Any], verb: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.cache
    def hints() -> dict[str, Any]:
        return typing.get_type_hints(verb)

    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        for field, value in signature.bind(*arguments, **named).arguments.items():
            if field != "self" and not _fits(value, hints()[field]):
                raise ArgumentError(field, f"it is of type {type(value).__name__}", f"Give {_words(hints()[field])}")
        return method(*arguments, **named)

    call.__doc__ = "\n\n".join(filter(None, (inspect.getdoc(verb), method.__doc__)))
    return call


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; what the server judges better, such as names of states, is left to it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Iterable):
        if issubclass(origin, Mapping) or not isinstance(value, list | tuple):
            return isinstance(value, origin) and not isinstance(value, str | bytes)
        return all(_fits(one, parts[0]) for one in value)
    if hint in (Any, bool) or not isinstance(hint, type) or issubclass(hint, Enum):
        return True
    return isinstance(value, _NUMBERS.get(hint, hint))


def _words(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(part) for part in parts if part is not types.NoneType)
    if origin is not None and origin is not typing.Literal and not issubclass(origin, Mapping):
        return f"a list of {getattr(parts[0], '__name__', parts[0])}"
    return _WORDS.get(origin or hint, getattr(hint, "__name__", str(hint)))
