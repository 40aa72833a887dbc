"""Requests that are other than their method says: those that only look, and those that are looked at themselves.

Some look with a method that could change something, as what they send is too long for an address. Others take so much
with them that the audit log has them, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.types import Scope

_ATTRIBUTE, _PUT_DOWN = "only_looks", "is_put_down"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def only_looks(endpoint: Endpoint) -> Endpoint:
    """Say of a route that it changes nothing; it stands between the route's decorator and its function."""
    setattr(endpoint, _ATTRIBUTE, True)
    return endpoint


def is_looked(scope: Scope) -> bool:
    """Whether the route of a request changes nothing."""
    return bool(getattr(scope.get("endpoint"), _ATTRIBUTE, False))


def is_put_down(endpoint: Endpoint) -> Endpoint:
    """Say of a route that the audit log has its calls, although it changes nothing; it stands above its function."""
    setattr(endpoint, _PUT_DOWN, True)
    return endpoint


def is_to_be_put_down(scope: Scope) -> bool:
    """Whether the audit log has a request, although it changes nothing."""
    return bool(getattr(scope.get("endpoint"), _PUT_DOWN, False))
