"""Requests that are other than their method says: those that only look, and those that are looked at themselves.

Some look with a method that could change something, as what they send is too long for an address, or are sent many
times over by programs, as reports are, and would flood the audit log. Others take so much with them that the audit log
has them, too. Where a route is one or the other by what comes of it, it says so of the request (`put_down`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request
from starlette.types import Scope

_ATTRIBUTE, _PUT_DOWN = "only_looks", "is_put_down"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def only_looks(endpoint: Endpoint) -> Endpoint:
    """Say of a route that the audit log has its calls only where they are refused; it stands below the decorator."""
    setattr(endpoint, _ATTRIBUTE, True)
    return endpoint


def is_looked(scope: Scope) -> bool:
    """Whether what comes of a request is nothing for the audit log."""
    asked: bool | None = scope["state"].get(_PUT_DOWN)
    return not asked if asked is not None else bool(getattr(scope.get("endpoint"), _ATTRIBUTE, False))


def put_down(request: Request, *, wanted: bool) -> None:
    """Say of a request whether the audit log is to have it, whatever is said of its route."""
    setattr(request.state, _PUT_DOWN, wanted)


def is_put_down(endpoint: Endpoint) -> Endpoint:
    """Say of a route that the audit log has its calls, although it changes nothing; it stands above its function."""
    setattr(endpoint, _PUT_DOWN, True)
    return endpoint


def is_to_be_put_down(scope: Scope) -> bool:
    """Whether the audit log has a request, although it changes nothing."""
    return bool(getattr(scope.get("endpoint"), _PUT_DOWN, False))
