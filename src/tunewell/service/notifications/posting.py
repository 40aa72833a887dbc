"""A POST to a host of the list, and to nothing else.

The name is resolved once, every address that it has is checked, and the connection goes to one of these addresses, so
no second answer of a name server can lead elsewhere. TLS verifies the name all the same. Redirects are not followed,
proxies of the environment are not used, and what is read of the answer, and for how long, is bounded.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

from tunewell.service.notifications import addresses
from tunewell.service.notifications.hosts import Place
from tunewell.spec.errors import shortened

#: How long an attempt may take, from its beginning to the end of the answer, in seconds.
ATTEMPT_SECONDS = 15.0
#: Bytes of an answer that are read, so that its sender need not see a cut.
_MOST_BYTES = 1 << 14
#: Addresses of a name that are tried.
_MOST_ADDRESSES = 4
#: The longest wait that a receiver can ask for, in seconds.
_LONGEST_REST = 24 * 3600.0


class Unsent(Exception):
    """Nothing was sent, or no answer has come; the text says why, to follow a host's name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver has answered."""

    status: int
    #: In how many seconds it wants to hear of us again; None: it has not said so.
    rest_seconds: float | None
    #: Where a redirect leads; empty: nowhere.
    location: str


def post(
    place: Place, private: bool, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext | None = None
) -> Answer:
    """Send a body; `private` permits addresses that are not of the public internet.

    Raises:
        Unsent: it could not be sent, or was not answered in time.
    """
    deadline = time.monotonic() + ATTEMPT_SECONDS
    found = _resolved(place, private)
    connection = _Connection(place, found, deadline, context)
    watch = threading.Timer(max(0.0, deadline - time.monotonic()), connection.cut)
    watch.daemon = True
    watch.start()
    try:
        connection.request("POST", place.path, body, dict(headers))
        response = connection.getresponse()
        if connection.is_cut:  # a head that is cut looks like one that has ended
            raise TimeoutError
        with suppress(OSError, http.client.HTTPException):  # its status is its answer
            response.read(_MOST_BYTES)
        location = response.getheader("Location", "") if 300 <= response.status < 400 else ""
        return Answer(response.status, _rest(response.getheader("Retry-After", "")), shortened(location, 200))
    except ssl.SSLCertVerificationError as error:
        raise Unsent(f"has no certificate that is trusted ({error.verify_message})") from None
    except ssl.SSLError as error:
        raise Unsent(f"speaks no TLS that can be used ({error.reason or 'the connection was closed'})") from None
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline:
            raise Unsent(f"has not answered within {ATTEMPT_SECONDS:g} s") from None
        raise Unsent(_reason(error)) from None
    finally:
        watch.cancel()
        connection.close()


def _resolved(place: Place, private: bool) -> Sequence[str]:
    """Return the addresses of a host; each of them may be sent to."""
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unsent("is a name that no name server knows") from None
    known = list(dict.fromkeys(str(one[4][0]) for one in found))
    for text in known:
        try:
            why = addresses.refusal(addresses.parse(text), private)
        except ValueError:
            why = "is no address of a single machine"
        if why:
            leads = "" if text == place.host else f"leads to {text}, which "
            raise Unsent(f"{leads}{why}: nothing is sent there")
    if not known:
        raise Unsent("is a name without an address")
    return known[:_MOST_ADDRESSES]


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that were found before, whatever the name leads to now."""

    def __init__(self, place: Place, found: Sequence[str], deadline: float, context: ssl.SSLContext | None) -> None:
        super().__init__(place.host, place.port)
        self.default_port = 443 if place.is_https else 80  # which is not told in `Host`
        self._place, self._found, self._deadline, self._context = place, found, deadline, context
        self.is_cut = False

    def connect(self) -> None:
        errors: list[OSError] = []
        for address in self._found:
            try:
                self.sock = socket.create_connection((address, self._place.port), self._left())
                break
            except OSError as error:
                errors.append(error)
        else:
            raise errors[-1]
        if self._place.is_https:
            self.sock.settimeout(self._left())  # for the whole of the handshake
            self.sock = (self._context or _tls()).wrap_socket(self.sock, server_hostname=self._place.host)
        self._left()

    def _left(self) -> float:
        """Return how many seconds are left; raise `TimeoutError` if none are."""
        left = self._deadline - time.monotonic()
        if left <= 0 or self.is_cut:
            raise TimeoutError
        return left

    def cut(self) -> None:
        """End whatever is going on: time is over."""
        self.is_cut = True
        known = self.sock
        if known is not None:
            try:
                known.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


@cache
def _tls() -> ssl.SSLContext:
    import httpx2  # which knows the certificates of the system, and its own where there are none

    return httpx2.create_ssl_context()


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    if isinstance(error, TimeoutError):
        return "can't be reached in time"
    if isinstance(error, http.client.HTTPException):
        return "answers what is no HTTP"
    if isinstance(error, ConnectionError):
        return "has closed the connection"
    return f"can't be reached ({getattr(error, 'strerror', None) or error})"


def _rest(text: str) -> float | None:
    """Return a `Retry-After` in seconds, within bounds; None: it is none."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _LONGEST_REST)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(0.0, (aware - datetime.now(UTC)).total_seconds()), _LONGEST_REST)
