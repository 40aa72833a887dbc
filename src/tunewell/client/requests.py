"""What the verbs over HTTP have in common: how an answer becomes a wire type, and a name a part of an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar
from urllib.parse import quote

from httpx2 import Response
from pydantic import ValidationError

from tunewell.client.answers import unreadable
from tunewell.client.connection import Connection
from tunewell.service.types import TrialFilter, Wire
from tunewell.spec.errors import ArgumentError, NotFoundError, shortened
from tunewell.spec.names import from_address, is_name

Answer = TypeVar("Answer", bound=Wire)
_JSON = {"Accept": "application/json"}


class Asking:
    """Whoever asks one server for wire types."""

    _connection: Connection

    @property
    def server(self) -> str:
        """The address of the server."""
        return self._connection.url

    def _get(self, kind: type[Answer], path: str, /, **params: Any) -> Answer:
        return self._read(kind, self._connection.ask("GET", path, params=params, headers=_JSON))

    def _command(
        self, kind: type[Answer], method: str, path: str, body: Any = None, /, *, key: str | None, **params: Any
    ) -> Answer:
        """Ask for something to be done once; see `Connection.command`."""
        return self._read(kind, self._connection.command(method, path, body, key=key, params=params))

    def _parts(self, path: str, **params: Any) -> Iterator[bytes]:
        """Return the parts of a file; an error comes at once, not with the first part."""
        with ExitStack() as stack:
            response = stack.enter_context(self._connection.stream(path, params))
            opened = stack.pop_all()

        def parts() -> Iterator[bytes]:
            with opened:
                yield from response.iter_bytes()

        return parts()

    def _read(self, kind: type[Answer], response: Response) -> Answer:
        return self._known(kind, response.content)

    def _known(self, kind: type[Answer], text: str | bytes) -> Answer:
        """Return a wire type that the server has sent as JSON."""
        try:
            return kind.model_validate_json(text)
        except ValidationError:
            raise unreadable(self.server) from None


def part(text: str) -> str:
    """Return a text as one part of an address."""
    return quote(text, safe="~", errors="replace")


def named(name: str, what: str = "experiment") -> str:
    """Return the name of an experiment or data set, with its owner or without, as one part of an address.

    Raises:
        NotFoundError: nothing is called so.
    """
    check_name(name, what)
    return part(name.replace("/", "~", 1))


def check_name(name: str | None, what: str = "experiment") -> None:
    """Raise `NotFoundError` for what can be no name: an address that is made of it might lead elsewhere."""
    if name is not None and not is_name(from_address(name)):
        raise NotFoundError(f"There is no {what} '{shortened(name.encode('utf-8', 'replace').decode(), 100)}'")


def file_path(path: str) -> str:
    """Return a path below a folder as the end of an address; `.` and `..` are names there like any others."""
    parts = (quote(part, safe="", errors="replace") for part in path.split("/"))
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part for part in parts)


def texts(values: Sequence[str] | None) -> list[str] | None:
    """Return words as parameters of an address."""
    return None if values is None else [str(value) for value in values]


def selected(filter: TrialFilter) -> dict[str, list[str]]:
    """Return a selection of trials as parameters of an address."""
    found: dict[str, list[str]] = {}
    for name, value in filter.to_query():
        found.setdefault(name, []).append(value)
    return found


def check_no_path(**paths: object) -> None:
    """Raise `ArgumentError` for the first of these arguments that is given: the server has no such path."""
    for field, path in paths.items():
        if path is not None:
            raise ArgumentError(field, "a path of this machine means nothing to a server", "Leave it out", str(path))
