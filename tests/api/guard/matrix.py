"""Every route of an app, so that what holds for all of them is tested on all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
#: Addresses that no route knows.
UNKNOWN = (
    "/api",
    "/api/v1/nothing",
    "/api/v1/users/../me",
    "//api/v1/me",
    "/static/../api/v1/me",
    "/wp-login.php",
)
#: Routes that are tried in every way that can be thought of; all others in those that matter most.
THOROUGH = ("/api/v1/users/{name}", "/healthz")
#: What stands for a parameter of a path where a test says nothing else.
_VALUES = {"number": "1", "id": "1", "n": "1"}


@dataclass(frozen=True)
class Operation:
    """One method at one address."""

    method: str
    #: With the names of its parameters in braces.
    template: str
    #: Whether a route takes it.
    known: bool

    def path(self, **values: str) -> str:
        """Return the address with values for its parameters."""
        chosen = {**_VALUES, **values}
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: chosen.get(found[1], "e"), self.template)


def operations(app: FastAPI) -> list[Operation]:
    """Return every known address with its methods and another one, and a few addresses with every method."""
    known = _known(app)
    every = [*known.items(), *((path, set()) for path in UNKNOWN)]
    return [
        Operation(method, template, method in methods)
        for place, (template, methods) in enumerate(every)
        for method in _tried(template, methods, place)
    ]


def _tried(template: str, known: set[str], place: int) -> list[str]:
    unknown = [method for method in METHODS if method not in known]
    if not known or template in THOROUGH:
        return list(METHODS)
    # Methods that no route has meet the same code at every address, so each address gets another one of them.
    return [*sorted(known), unknown[place % len(unknown)]]


def unseen(app: FastAPI) -> set[str]:
    """Return the addresses in the document of an app that are not among its operations."""
    known = _known(app)
    documented = {(path, method.upper()) for path, item in app.openapi()["paths"].items() for method in item}
    missed = {path for path, method in documented if method not in known.get(re.sub(r":\w+}", "}", path), set())}
    return missed - {re.sub(r":\w+}", "}", template) for template in known}


def _known(app: FastAPI) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for template, methods in _routes(app.router, ""):
        known.setdefault(template, set()).update(methods)
    return known


def _routes(router: Any, prefix: str) -> Iterator[tuple[str, set[str]]]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _routes(included, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None) is not None:
            yield prefix + route.path, set(route.methods)
        elif hasattr(route, "path"):  # files
            yield f"{prefix}{route.path}/{{path}}", {"GET", "HEAD"}
