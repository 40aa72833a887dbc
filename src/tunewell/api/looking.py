"""Requests that only look, although their method could change something: what is sent is too long for an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.types import Scope

_ATTRIBUTE = "only_looks"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def only_looks(endpoint: Endpoint) -> Endpoint:
    """Say of a route that it changes nothing; it stands between the route's decorator and its function."""
    setattr(endpoint, _ATTRIBUTE, True)
    return endpoint


def is_looked(scope: Scope) -> bool:
    """Whether the route of a request changes nothing."""
    return bool(getattr(scope.get("endpoint"), _ATTRIBUTE, False))
