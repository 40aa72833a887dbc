"""A checksum of a Python function's code, by which it is seen that it was changed.

What counts is what the function does: its instructions, constants and defaults, and those of the functions of the same
module that it calls; not its name, file, lines, comments or the text of its docstring. Data that it uses don't count.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType
from typing import Any

#: Instructions differ from one version of Python to the next.
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def checksum(function: Callable[..., Any]) -> str | None:
    """Return `VERSION-SHA256` of a function's code; None: it has none that is written in Python."""
    found = _plain(function)
    if found is None:
        return None
    digest = hashlib.sha256()
    for part in _functions(found, set()):
        digest.update(repr((_shape(part.__code__), _stable(part.__defaults__), _stable(part.__kwdefaults__))).encode())
    return f"{_VERSION}-{digest.hexdigest()}"


def differ(first: str | None, second: str | None) -> bool:
    """Whether two checksums are of different code, as far as they tell: those of two versions of Python don't."""
    if first is None or second is None or first == second:
        return False
    return first.partition("-")[0] == second.partition("-")[0]


def _plain(function: Any) -> FunctionType | None:
    """Return the function that a callable is, or calls."""
    while isinstance(function, partial):
        function = function.func
    if inspect.ismethod(function):
        function = function.__func__
    if not isinstance(function, FunctionType):
        function = getattr(type(function), "__call__", None)  # noqa: B004 - an object that is called
    function = inspect.unwrap(function) if callable(function) else None
    return function if isinstance(function, FunctionType) else None


def _functions(function: FunctionType, seen: set[FunctionType]) -> Iterator[FunctionType]:
    """Yield a function and those of its module that it calls, each once, in the order of their names in its code."""
    seen.add(function)
    yield function
    for name in _names(function.__code__):
        called = _plain(function.__globals__.get(name)) if name in function.__globals__ else None
        if called is not None and called not in seen and called.__module__ == function.__module__:
            yield from _functions(called, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _shape(code: CodeType) -> tuple[Any, ...]:
    """Return what code does, without where it stands."""
    documented = code.co_consts[:1] if _begins_with_docstring(code) else ()
    constants = tuple(_stable(constant) for constant in code.co_consts[len(documented) :])
    return (code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)


def _begins_with_docstring(code: CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & inspect.CO_HAS_DOCSTRING)
    # Lambdas and the like, which have none, are named in brackets.
    return bool(code.co_consts) and isinstance(code.co_consts[0], str) and not code.co_name.startswith("<")


def _stable(value: Any) -> Any:
    """Return what is the same in every process for equal constants and defaults."""
    if isinstance(value, CodeType):
        return _shape(value)
    if isinstance(value, tuple | list):
        return tuple(map(_stable, value))
    if isinstance(value, frozenset | set):
        return tuple(sorted(map(repr, value)))
    if isinstance(value, dict):
        return tuple((key, _stable(part)) for key, part in value.items())
    plain = value is None or isinstance(value, bool | int | float | complex | str | bytes)
    return value if plain else type(value).__qualname__
