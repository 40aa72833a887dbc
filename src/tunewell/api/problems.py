"""Problem documents (RFC 9457): what an answer says where what was asked for can't be done."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from tunewell.api import metrics
from tunewell.api.misfits import argument_error
from tunewell.api.settings import BASE
from tunewell.spec.errors import BusyError, SpecErrors, TransitionRefused, UserError, ended

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:tunewell:problem:"
#: The kind that all errors of a class have unless they say otherwise → status.
_STATUSES = {
    "wrong-input": 422,
    "invalid-field": 422,
    "invalid-argument": 422,
    "invalid-spec": 422,
    "bad-data": 422,
    "not-found": 404,
    "forbidden": 403,
    "conflict": 409,
    "busy": 429,
    "model-failed": 500,
}
_TITLES = {
    400: "The request can't be read",
    401: "Sign in first",
    403: "No right to it",
    404: "It does not exist",
    405: "That can't be done with it",
    406: "There is no such form of it",
    408: "The request did not come in time",
    409: "It contradicts the present state",
    412: "It was changed meanwhile",
    413: "The request is too large",
    415: "The media type is not understood",
    416: "There is no such part of it",
    422: "Something in the request is wrong",
    428: "The request must be conditional",
    429: "Too many requests",
    500: "Something is wrong inside the service",
    503: "The service can't answer now",
    507: "The disk is full",
}
#: Numbers of errors of a disk that takes nothing.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
#: Kinds of errors of the database.
_STORE_KINDS = ("store-unavailable", "database-not-reached", "database-moved")
#: Seconds after which something that can't be done now is worth another try.
RETRY_SECONDS = 1


class Part(BaseModel):
    """One of several things that are wrong."""

    model_config = ConfigDict(frozen=True)

    #: A stable slug by which programs know it.
    kind: str = ""
    #: One sentence for people, which begins with `field` where there is one.
    detail: str
    #: Where: a field of the spec as a dotted path, or the name of a parameter.
    field: str = ""
    #: The value that is wrong; never a secret.
    value: Any = None
    #: What to do about it.
    remedy: str = ""
    #: What a program needs to word a remedy of its own.
    facts: Mapping[str, Any] = Field(default_factory=dict)


class Problem(Part):
    """Why what was asked for was not done. What does not apply is left out."""

    #: Which class of problems it is of: `urn:tunewell:problem:not-found` …
    type: str
    title: str
    status: int
    #: The single problems, where there are several.
    errors: tuple[Part, ...] = ()
    #: Number of the request, by which the log of the service has it.
    request: str = ""


class Refusal(UserError):
    """A request that can't be served as it is; it has a status and headers of its own."""

    def __init__(
        self, status: int, what: str, *, kind: str, field: str = "", remedy: str = "", headers: Mapping[str, str] = {}
    ) -> None:
        """Say why, and what to do about it."""
        super().__init__(what, field=field, remedy=remedy, kind=kind)
        self.status = status
        self.headers = headers


def answer(problem: Problem, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as the answer to the request of a scope: as a page where a person asks and there are pages.

    Whether that is so, whatever stands before the routes says by `show_problem` in the state of the request.
    """
    state = scope.get("state", {})
    problem = problem.model_copy(update={"request": state.get("request_id", "")})
    show = state.get("show_problem")
    if show is not None:
        page: Response = show(Request(scope), problem)
        page.headers.update(headers or {})
        return page
    if str(scope["path"]).removeprefix(scope.get("root_path", "")).startswith(f"{BASE}/"):  # pages say it at the field
        problem = problem.model_copy(update={"detail": _with_subject(problem)})
        parts = tuple(part.model_copy(update={"detail": _with_subject(part)}) for part in problem.errors)
        problem = problem.model_copy(update={"errors": parts})
    content = problem.model_dump_json(exclude_defaults=True)
    return Response(content, problem.status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def _with_subject(part: Part) -> str:
    """Return what is wrong as a sentence that says of what."""
    return f"{part.field}: {part.detail}" if part.field else part.detail


def answer_to(error: UserError, scope: Scope) -> Response:
    """Return a user's error as the answer to the request of a scope."""
    headers = dict(error.headers) if isinstance(error, Refusal) else {}
    if error.default_kind in _STORE_KINDS:
        metrics.STORE_ERRORS.inc()
        log.warning("a request can't be answered: %s", error)
        headers["Retry-After"] = str(RETRY_SECONDS)
        # Which database it is, is the business of those who run the service.
        error = Refusal(503, "The database can't be used now", kind="store-unavailable")
    if error.default_kind == BusyError.default_kind:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return answer(of_error(error), scope, headers)


def plain(status: int, kind: str, detail: str = "", remedy: str = "") -> Problem:
    """Return a problem that no field is to blame for."""
    title = title_of(status)
    return Problem(
        type=_TYPE + kind, title=title, status=status, kind=kind, detail=ended(detail or title), remedy=remedy
    )


def of_error(error: UserError) -> Problem:
    """Return what a user's error is as a problem."""
    general = error.kind if isinstance(error, Refusal) else error.default_kind
    status = status_of(error)
    return Problem(
        type=_TYPE + general,
        title=title_of(status),
        status=status,
        errors=tuple(map(_part, error.parts)) if len(error.parts) > 1 else (),
        **dict(_part(error)),
    )


def status_of(error: UserError) -> int:
    """Return the status that a user's error is answered with."""
    if isinstance(error, Refusal):
        return error.status
    return 412 if error.kind == "stale" else _STATUSES.get(error.default_kind, 422)


def title_of(status: int) -> str:
    """Return what people call a status."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _part(error: UserError) -> Part:
    known = error.to_json()
    return Part(
        kind=known["kind"],
        detail=_sendable(ended(known["what"])),
        field=_sendable(known["field"]),
        value=_sendable(known["value"]),
        remedy=_sendable(known["remedy"]),
        facts=known["facts"],
    )


def _sendable(value: Any) -> Any:
    """Return a value without what is no Unicode, which a text from JSON may hold and no answer can."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


# Handlers -------------------------------------------------------------------------------------------------


def install(app: FastAPI) -> None:
    """Have everything that goes wrong in an app answered as a problem; bugs are left to `bugs.Bugs`."""
    app.add_exception_handler(UserError, _on_user_error)  # type: ignore[arg-type]
    app.add_exception_handler(TransitionRefused, _on_race)
    app.add_exception_handler(OSError, _on_disk)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _on_race)


async def _on_user_error(request: Request, error: UserError) -> Response:
    return answer_to(error, request.scope)


async def _on_race(request: Request, error: Exception) -> Response:
    problem = plain(409, "conflict", "Something else has changed it at the same moment", "Try again")
    return answer(problem, request.scope)


async def _on_disk(request: Request, error: OSError) -> Response:
    """Answer what the disk has no room for, or does not let be written; all else is a bug."""
    if error.errno not in _DISK:
        raise error
    metrics.STORE_ERRORS.inc()
    log.warning("a request can't be answered: %s", error)
    what = plain(507, "disk-full", "The disk of the service takes nothing more", "Try again when there is room")
    return answer(what, request.scope, {"Retry-After": str(RETRY_SECONDS)})


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    if _is_for_person(request) and any(one["loc"][0] == "path" for one in error.errors()):
        return await _on_http_error(request, HTTPException(404))
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    found = [argument_error(one, model) for one in error.errors()]
    return answer(of_error(found[0] if len(found) == 1 else SpecErrors(found, "The request")), request.scope)


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        path = request.scope["path"].rstrip("/")
        known = request.scope["path"] != path and _methods_of(request, path)
        remedy = f"Leave out the slash at the end: {request.url.path.rstrip('/')}" if known else "See /docs"
        if _is_for_person(request) and not known:
            remedy = ""
        problem = plain(404, "no-such-address", f"There is nothing at {request.url.path}", remedy)
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods_of(request, request.scope["path"])))
        problem = plain(405, "method-not-allowed", f"{request.method} is not possible here")
    else:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        problem = plain(error.status_code, kind, str(error.detail))
    return answer(problem, request.scope, headers)


def _is_for_person(request: Request) -> bool:
    return getattr(request.state, "show_problem", None) is not None


def _methods_of(request: Request, path: str) -> set[str]:
    """Return the methods that an address knows."""
    every = ("GET", "POST", "PUT", "PATCH", "DELETE")
    scope = {**request.scope, "path": path}
    # What has the address for another method matches in part, so that few routes are left for all methods.
    routes = [route for route in request.app.router.routes if route.matches(scope)[0] is not Match.NONE]
    found = {
        method
        for method in every
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    }
    return found | ({"HEAD"} if "GET" in found else set())
