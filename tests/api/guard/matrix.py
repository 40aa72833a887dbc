"""Every route of an app with every method, so that what holds for all of them is tested on all of them."""

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
    """Return every known address, and some unknown ones, with every method."""
    known: dict[str, set[str]] = {}
    for template, methods in _routes(app.router, ""):
        known.setdefault(template, set()).update(methods)
    documented = {(path, method.upper()) for path, item in app.openapi()["paths"].items() for method in item}
    missed = {path for path, method in documented if method not in known.get(re.sub(r":\w+}", "}", path), set())}
    missed -= {re.sub(r":\w+}", "}", template) for template in known}
    assert not missed, f"the matrix does not see {missed}"
    every = [*((template, methods) for template, methods in known.items()), *((path, set()) for path in UNKNOWN)]
    return [Operation(method, template, method in methods) for template, methods in every for method in METHODS]


def _routes(router: Any, prefix: str) -> Iterator[tuple[str, set[str]]]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _routes(included, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None) is not None:
            yield prefix + route.path, set(route.methods)
        elif hasattr(route, "path"):  # files
            yield f"{prefix}{route.path}/{{path}}", {"GET", "HEAD"}
