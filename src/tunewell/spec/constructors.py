"""Parameter constructors for Python: each returns the declaration that a spec file would hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunewell.spec.space import NO_DEFAULT

Declaration = dict[str, Any]
When = Mapping[str, Any] | None


def uniform(
    low: float, high: float, *, step: float | None = None, when: When = None, default: float | None = None
) -> Declaration:
    """Declare a float between `low` and `high`, both included, optionally in steps."""
    return _declaration(low=low, high=high, type="float", step=step, when=when, default=default)


def loguniform(low: float, high: float, *, when: When = None, default: float | None = None) -> Declaration:
    """Declare a float between `low` and `high` (above 0), searched on a log scale."""
    return _declaration(low=low, high=high, type="float", log=True, when=when, default=default)


def integer(
    low: int,
    high: int,
    *,
    log: bool = False,
    step: int | None = None,
    when: When = None,
    default: int | None = None,
) -> Declaration:
    """Declare a whole number between `low` and `high`, both included."""
    return _declaration(low=low, high=high, type="integer", log=log or None, step=step, when=when, default=default)


def choice(values: Sequence[Any], *, when: When = None, default: Any = NO_DEFAULT) -> Declaration:
    """Declare one of `values` (texts, numbers, booleans, None), without order."""
    return _chosen(_declaration(choices=_as_list(values), when=when), default)


def ordinal(values: Sequence[Any], *, when: When = None, default: Any = NO_DEFAULT) -> Declaration:
    """Declare one of `values` in this order."""
    return _chosen(_declaration(ordinal=_as_list(values), when=when), default)


def _chosen(declaration: Declaration, default: Any) -> Declaration:
    return declaration if default is NO_DEFAULT else {**declaration, "default": default}


def _as_list(values: Any) -> Any:
    # A text is a sequence, too, but of letters, and a mapping one of names; what is left as it is, is refused with a
    # clear error.
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str | Mapping) else values


def _declaration(when: Any, **fields: Any) -> Declaration:
    declaration = {name: value for name, value in fields.items() if value is not None}
    if when is not None:
        declaration["when"] = dict(when) if isinstance(when, Mapping) else when
    return declaration
