"""What a server answers: problem documents as the errors that they were there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from tunewell.spec.errors import (
    NO_VALUE,
    ArgumentError,
    BusyError,
    ConflictError,
    DataError,
    ForbiddenError,
    ModelError,
    NotFoundError,
    SpecError,
    SpecErrors,
    UserError,
)

_KNOWN = (DataError, NotFoundError, ForbiddenError, ConflictError, BusyError, ModelError)
#: How problem documents call the classes of errors.
_TYPE = "urn:tunewell:problem:"
_CLASSES = {error.default_kind: error for error in _KNOWN}
_FIELD_CLASSES = {error.default_kind: error for error in (SpecError, ArgumentError)}
#: Facts that would be taken for parts of the error itself.
_TAKEN = frozenset({"what", "problem", "field", "value", "remedy", "kind", "self"})
#: Answers after which another try may be answered better.
LATER = frozenset({429, 502, 503, 504})


class ServerError(UserError):
    """The server refuses whoever asks, has failed, or is none of Tunewell's."""

    default_kind = "server-error"


class Unavailable(DataError):
    """The server can't be reached or can't answer now; nothing is known to be wrong with what was asked."""

    default_kind = "server-unavailable"


def error_of(response: httpx2.Response, server: str) -> UserError:
    """Return the error that an answer of a server tells of; all of the answer has been read.

    `server` is the address that its user knows it by.
    """
    if response.is_redirect:
        where = response.headers.get("Location", "")
        return ServerError(f"it leads to another address: {where}", field=server, remedy="Name that one")
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return _plain(response, server)
    general = str(problem.get("type", "")).removeprefix(_TYPE)
    if response.status_code == 401:
        return ServerError(
            _what(problem), field=server, remedy="Sign in with `tunewell login`, or give a token", kind=general
        )
    parts = [_error(part, str(part.get("kind", "")), response) for part in problem.get("errors", ())]
    if len(parts) < 2:
        return _error(problem, general, response)
    several = SpecErrors(parts)
    several.what = _what(problem)
    return several


def unreadable(server: str) -> ServerError:
    """Return the error of an answer that is none of those that a server of this version gives."""
    return ServerError(
        "it answers something else than a Tunewell server of this version would",
        field=server,
        remedy="Check the address, and that both have the same version",
    )


def _plain(response: httpx2.Response, server: str) -> UserError:
    what = f"it answers {response.status_code} {response.reason_phrase}"
    if response.status_code in LATER:
        return Unavailable(what, field=server, remedy="Try again later")
    return ServerError(what, field=server, remedy="Check that this is the address of a Tunewell server")


def _error(problem: Mapping[str, Any], general: str, response: httpx2.Response) -> UserError:
    """Return the error in a problem, of the class whose kind is `general`."""
    field, remedy = str(problem.get("field", "")), str(problem.get("remedy", ""))
    value, kind = problem.get("value", NO_VALUE), str(problem.get("kind", ""))
    facts = {str(name): fact for name, fact in problem.get("facts", {}).items() if name not in _TAKEN}
    known_kinds = [one for one in (general, kind) if one in _FIELD_CLASSES]
    if known_kinds:
        return _FIELD_CLASSES[known_kinds[0]](field, _what(problem), remedy, value, kind=kind, **facts)
    unavailable = response.status_code in LATER
    found = _CLASSES.get(general, Unavailable if unavailable else ServerError)
    if response.status_code == 404:  # there is no such address: a name can't be written like that
        found = NotFoundError
    return found(_what(problem), field=field, value=value, remedy=remedy, kind=kind, **facts)


def _what(problem: Mapping[str, Any]) -> str:
    """Return what is wrong, without the field, which errors have by itself."""
    what = str(problem.get("detail") or problem.get("title") or "it failed").removesuffix(".")
    return what.removeprefix(f"{problem.get('field', '')}: ")
