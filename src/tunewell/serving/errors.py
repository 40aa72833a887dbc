"""Errors on their way from one process to another, as the parts that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.spec.errors import BusyError, DataError, ModelError, NotFoundError, UserError

_CLASSES = {one.default_kind: one for one in (DataError, BusyError, ModelError, NotFoundError)}


def parts_of(error: UserError) -> dict[str, Any]:
    """Return an error as JSON types; see `error_of`."""
    return {**error.to_json(), "general": error.default_kind}


def error_of(parts: Mapping[str, Any]) -> UserError:
    """Return what `parts_of` was called on."""
    kind = _CLASSES.get(parts["general"], UserError)
    return kind(parts["what"], field=parts["field"], remedy=parts["remedy"], kind=parts["kind"], **parts["facts"])
