"""Which hosts notifications may be sent to: those that an administrator has put on record, and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tunewell.service.notifications import addresses
from tunewell.spec.errors import ForbiddenError, SpecError, shortened
from tunewell.store.rows import AllowedHostRow

#: The port of an entry that names none, and the longest URL, in characters.
PORT, LONGEST_URL = 443, 2000
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
#: What some programs take for a number, and so for an address: decimal, octal or hexadecimal.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_URL = re.compile(r"[\x21-\x7e]+")
_EXAMPLE = "Write it like https://hooks.example.org/tunewell"


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names."""

    is_https: bool
    #: A name in small letters, or an address without brackets.
    host: str
    port: int
    #: With the query.
    path: str

    @property
    def shown(self) -> str:
        """What people are shown of it: the rest may be a secret."""
        return f"{'https' if self.is_https else 'http'}://{self.where}/…"

    @property
    def where(self) -> str:
        """Host and port, as the list of allowed hosts has them."""
        return entry(self.host, self.port if self.port != (PORT if self.is_https else 80) else PORT)


def entry(host: str, port: int) -> str:
    """Return how people write a host of the list: with its port, unless that is 443."""
    written = f"[{host}]" if ":" in host else host
    return written if port == PORT else f"{written}:{port}"


def parse_url(url: str, field: str = "target") -> Place:
    """Return what a URL names; it has no user, and a host that every program reads alike.

    Raises:
        SpecError: it is none, or one that nothing is sent to. The URL may hold a secret, so it is not in the error.
    """
    if len(url) > LONGEST_URL or not _URL.fullmatch(url) or "\\" in url:
        raise SpecError(field, "it is no URL, or too long a one", _EXAMPLE)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SpecError(field, "it is no URL", _EXAMPLE) from None
    if parts.scheme not in ("https", "http"):
        raise SpecError(field, "it begins with neither https:// nor http://", _EXAMPLE)
    if "@" in parts.netloc:
        raise SpecError(field, "it has a user or a password before the host", "Leave them out")
    if parts.fragment or port == 0:
        raise SpecError(field, "it has a part behind a #, or no port", "Leave that out")
    is_https = parts.scheme == "https"
    host = checked_host(parts.hostname or "", field)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(is_https, host, port or (PORT if is_https else 80), path)


def checked_host(text: str, field: str = "host") -> str:
    """Return a host in small letters: a name, or an address as it is written in one way only.

    Raises:
        SpecError: it is neither.
    """
    host = text.lower()
    try:
        return str(addresses.parse(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    if not host.isascii():
        raise SpecError(field, f"'{shortened(host, 60)}' has letters that are no ASCII", "Write its xn-- form", host)
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        remedy = "Write a name such as hooks.example.org, or an address such as 192.0.2.7 or [2001:db8::7]"
        raise SpecError(field, f"'{shortened(host, 60)}' is no host", remedy, host)
    return host


def checked_pattern(text: str) -> str:
    """Return a host, or `*.` and what names end in, of two parts at least; raise `SpecError` for anything else."""
    if not text.startswith("*."):
        return checked_host(text)
    rest = checked_host(text[2:])
    if "." not in rest or ":" in rest or rest.replace(".", "").isdecimal():
        raise SpecError("host", f"'{shortened(text, 60)}' is too much", "Write it like *.example.org", text)
    return f"*.{rest}"


def find(allowed: Sequence[AllowedHostRow], place: Place) -> AllowedHostRow:
    """Return what allows a place: the entry of its very host, or else that of the longest end of it.

    Raises:
        ForbiddenError: nothing does.
    """
    found = [row for row in allowed if _matches(row, place)]
    if not found:
        raise ForbiddenError(
            f"{entry(place.host, place.port)} is not allowed: nothing is sent there",
            field="target",
            remedy="An administrator allows hosts",
            kind="host-not-allowed",
            host=entry(place.host, place.port),
        )
    best = max(found, key=lambda row: (not row.host.startswith("*."), len(row.host)))
    if not place.is_https and not best.plain_http:
        raise ForbiddenError(
            f"{entry(place.host, place.port)} is allowed with https alone",
            field="target",
            remedy="Write https://, or have an administrator allow plain http",
            kind="plain-http-not-allowed",
            host=entry(place.host, place.port),
        )
    return best


def _matches(row: AllowedHostRow, place: Place) -> bool:
    if row.port != place.port:
        return False
    return place.host.endswith(row.host[1:]) if row.host.startswith("*.") else place.host == row.host
