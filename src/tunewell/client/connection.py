"""Requests to a server: signed, and sent again where that does no harm and may help."""

from __future__ import annotations

import json
import logging
import math
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from tunewell.client.answers import LATER, Unavailable, error_of
from tunewell.spec.errors import ArgumentError
from tunewell.spec.experiment import plain

log = logging.getLogger(__name__)

#: Where all addresses begin that are not about the service itself.
BASE = "/api/v1"
#: How long a server that does not answer is tried again, and the longest wait between two tries.
PATIENCE_SECONDS, LONGEST_WAIT_SECONDS = 30.0, 2.0
#: The same of one that has never answered: more likely than a restart is a wrong address.
UNKNOWN_SECONDS = 5.0
#: From which wait between two tries on it is told that the server is waited for.
TOLD_SECONDS = 0.8
#: How long an answer is waited for; a stream may be silent for longer than its heartbeat takes.
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
#: What has not reached the server: whatever was asked for is not done.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
#: All that may stand in a key as it is.
_IN_KEYS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")
_JSON = {"Content-Type": "application/json"}


@cache
def _certificates() -> ssl.SSLContext:
    # Reading those that the system trusts takes a fiftieth of a second.
    return httpx2.create_ssl_context()


class Connection:
    """One server, and what proves who asks. Any thread may use it."""

    def __init__(self, url: str, token: str | None, patience: float | None = None) -> None:
        """Take the address of a server, such as `https://tune.example.org`, and a token; nothing is sent yet.

        Args:
            url: the address, with the root path if there is one.
            token: proves who asks; None: nobody does.
            patience: seconds for which a server that does not answer is tried again. Default: 30, and 5 before it has
                answered for the first time.

        Raises:
            ArgumentError: it is no address, or that no token.
        """
        self.url, self.token = _checked(url), token
        self._patience, self._known = patience, False
        # Whether it was told that the server is away.
        self._told = False
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ArgumentError("token", "it holds what no token does", "Copy it as it was printed")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, verify=_certificates())

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, **given: Any) -> httpx2.Response:
        """Send a request that may be sent again, and return its answer, which has been read.

        `path` is below the base; `given` are arguments of `build_request`.

        Raises:
            UserError: the server refuses it, or can't be reached.
        """
        return self._answered(self._request(method, path, params, **given), again=True)

    def command(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a command with a body of JSON. Sent again after a cut, it does nothing more: it has a key.

        Raises what `ask` does.
        """
        name = {"Idempotency-Key": quote(key, safe=_IN_KEYS) if key is not None else uuid.uuid4().hex}
        return self.ask(method, path, params=params, **_content(body, {**(headers or {}), **name}))

    def wish(self, path: str, body: Any = None, *, key: str | None = None) -> httpx2.Response:
        """Send a command that is known for the same by what it asks for, unless it has a key of its own."""
        if key is not None:
            return self.command("POST", path, body, key=key)
        return self.ask("POST", path, **_content(body))

    def once(self, method: str, path: str, body: Any = None, **given: Any) -> httpx2.Response:
        """Send a command that would be done again if it were sent again: if its answer is cut, that is an error."""
        content = given if "content" in given else _content(body)
        return self._answered(self._request(method, path, None, **content), again=False)

    @contextmanager
    def stream(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[httpx2.Response]:
        """Give an answer whose content is yet to be read; raises as `ask` does."""
        response = self._answered(self._request("GET", path, params), again=True, stream=True)
        try:
            yield response
        except httpx2.TransportError as error:
            raise self._unavailable(error) from None
        finally:
            response.close()

    def _request(self, method: str, path: str, params: Mapping[str, Any] | None, **given: Any) -> Callable[..., Any]:
        known = {name: value for name, value in (params or {}).items() if value is not None}
        return lambda: self._http.build_request(method, BASE + path, params=known, **given)

    def _answered(self, request: Callable[[], Any], *, again: bool, stream: bool = False) -> httpx2.Response:
        """Send a request until there is an answer that another try would not better, or patience ends."""
        usual = PATIENCE_SECONDS if self._known else UNKNOWN_SECONDS
        patience = usual if self._patience is None else self._patience
        deadline, wait = time.monotonic() + patience, 0.1
        while True:
            try:
                response: httpx2.Response = self._http.send(request(), stream=stream)
                if not response.is_success:
                    response.read()
            except httpx2.TransportError as error:
                may_help = again or isinstance(error, _NOT_SENT)
                if not may_help or time.monotonic() + wait > deadline:
                    raise self._unavailable(error) from None
            else:
                self._known, self._told = True, self._told and response.status_code in LATER
                if response.is_success:
                    return response
                response.close()
                asked = _asked_wait(response)
                if response.status_code not in LATER or time.monotonic() + max(wait, asked) > deadline:
                    raise error_of(response, self.url)
                wait = max(wait, asked)
            if wait >= TOLD_SECONDS and not self._told:
                self._told = True
                rest = math.ceil(deadline - time.monotonic())
                log.warning("%s does not answer; it is tried again for %d s", self.url, rest)
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _unavailable(self, error: httpx2.TransportError) -> Unavailable:
        what = "does not answer in time" if isinstance(error, httpx2.TimeoutException) else "can't be reached"
        why = f" ({error})" if str(error) else ""
        return Unavailable(
            f"the server {what}{why}", field=self.url, remedy="Check the address, and that the server runs"
        )


def _checked(url: str) -> str:
    """Return an address of a server without a slash at its end."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, good = urlsplit(""), False
    if not good or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable() or " " in url:
        shown = "it" if "@" in url else f"'{url}'"
        raise ArgumentError("server", f"{shown} is no address of a server", "Write it like https://tune.example.org")
    return url.rstrip("/")


def _content(body: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a body of JSON as arguments of a request; what is no number or no text is for the server to refuse."""
    if body is None:
        return {"headers": dict(headers or {})}
    return {"content": json.dumps(plain(body), default=str).encode(), "headers": {**_JSON, **(headers or {})}}


def _asked_wait(response: httpx2.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 9 else 0.0
