"""A request as the guard sees it: where it comes from, which name it was sent to, and what it proves."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from tunewell.api.settings import Settings

#: Methods that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
#: What needs no caller: whether the service lives, signing in, and what is the same for everybody.
PUBLIC = ("/healthz", "/readyz", "/sign-in")
STATIC, API = "/static/", "/api/"
#: The cookie of a session: over https, browsers take the second one from this host alone, and over https alone.
COOKIE, SECURE_COOKIE = "tunewell", "__Host-tunewell"

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.\-]+)(?::([0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Doors:
    """From where, and by which names, the service is reached."""

    hosts: frozenset[str]
    proxies: tuple[Network, ...]
    https: bool

    @classmethod
    def of(cls, settings: Settings) -> Doors:
        """Return those of the settings; raise `ValueError` for what is no address of a proxy."""
        hosts = frozenset(_bracketed(name.lower()) for name in (*LOOPBACK, *settings.allowed_hosts))
        proxies = tuple(ipaddress.ip_network(proxy, strict=False) for proxy in settings.trusted_proxies)
        return cls(hosts, proxies, settings.https)

    def trusts(self, address: str) -> bool:
        """Whether it is the address of a proxy that is believed."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in network for network in self.proxies)


class Visit:
    """One request."""

    def __init__(self, scope: Scope, doors: Doors) -> None:
        """Read the head of a request."""
        self.scope = scope
        self.headers = Headers(scope=scope)
        self.method: str = scope["method"]
        self.is_safe = self.method in SAFE
        self.root = str(scope.get("root_path", "")).rstrip("/")
        self.path = _path(scope, self.root)
        self._doors = doors
        peer = scope["client"][0] if scope.get("client") else ""
        trusted = doors.trusts(peer)
        #: Address of whoever asks, as far as proxies are believed.
        self.address = self._first(peer) if trusted else peer
        forwarded = self.headers.get("x-forwarded-proto", "") if trusted else ""
        self.is_https = doors.https or scope.get("scheme") == "https" or forwarded.strip().lower() == "https"

    def _first(self, peer: str) -> str:
        """Return the first address, from the service's end, that is no proxy's of ours."""
        passed = ",".join(self.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(passed):
            address = text.strip()
            try:
                ipaddress.ip_address(address)
            except ValueError:
                return peer
            if not self._doors.trusts(address):
                return address
            peer = address
        return peer

    @property
    def is_public(self) -> bool:
        """Whether it needs no caller."""
        return self.path in PUBLIC or (self.path.startswith(STATIC) and ".." not in self.path.split("/"))

    @property
    def address_below(self) -> str:
        """Path and query, below the root."""
        query = self.scope["query_string"].decode("latin-1")
        return self.path + (f"?{query}" if query else "")

    # Where it was sent to ---------------------------------------------------------------------------------

    @property
    def host(self) -> str | None:
        """The one name, with its port, that it was sent to; None: it has none, or several, or a malformed one."""
        given = [host.lower() for host in self.headers.getlist("host")]
        return given[0] if len(given) == 1 and _HOST.fullmatch(given[0]) else None

    @property
    def is_to_us(self) -> bool:
        """Whether it was sent to a name of the service: a page elsewhere whose name leads here does not know it."""
        found = _HOST.fullmatch(self.host or "")
        return found is not None and found[1] in self._doors.hosts

    # Where it comes from ----------------------------------------------------------------------------------

    @property
    def is_foreign(self) -> bool:
        """Whether a browser says that it comes from a page of another origin.

        Whoever follows a link from elsewhere to a page that all may see, is welcome.
        """
        origins = self.headers.getlist("origin")
        if origins and not (len(origins) == 1 and self._is_own(origins[0])):
            return True
        site = self.headers.get("sec-fetch-site", "none")
        if site == "none":  # an address that was typed in, or no browser
            return False
        return site != "same-origin" and not (self._follows and self.is_public)

    @property
    def arrives(self) -> bool:
        """Whether somebody follows a link from elsewhere to a page that not all may see.

        Browsers withhold the cookie of a session then; from a page of ours they send it.
        """
        return self.is_foreign and self._follows and self.is_page and "origin" not in self.headers

    @property
    def is_for_person(self) -> bool:
        """Whether a browser shows the answer to a person."""
        is_seen = "text/html" in self.headers.get("accept", "") and "x-have" not in self.headers
        return is_seen and not self.path.startswith(API)

    @property
    def is_page(self) -> bool:
        """Whether a person asks for a page."""
        return self.is_for_person and self.method in ("GET", "HEAD")

    @property
    def _follows(self) -> bool:
        asked = (self.headers.get("sec-fetch-mode"), self.headers.get("sec-fetch-dest"))
        return asked == ("navigate", "document") and self.method in ("GET", "HEAD")

    @property
    def is_own(self) -> bool:
        """Whether a browser says that it comes from a page of this origin, or, of a safe one, from no page at all."""
        if self.is_foreign:
            return False
        site = self.headers.get("sec-fetch-site")
        if "origin" in self.headers or site == "same-origin":
            return True
        if not self.is_safe:
            return False
        return site == "none" or (site is None and self._is_own(_origin_of(self.headers.get("referer", ""))))

    def _is_own(self, origin: str) -> bool:
        scheme, _, rest = origin.lower().partition("://")
        if scheme not in _PORTS or (self.is_https and scheme != "https"):
            return False
        port = f":{_PORTS[scheme]}"
        return self.host is not None and rest.removesuffix(port) == self.host.removesuffix(port)

    # What it proves ---------------------------------------------------------------------------------------

    @property
    def bearer(self) -> str | None:
        """What a program proves itself by, empty if that can't be read; None: nothing."""
        given = self.headers.getlist("authorization")
        if not given:
            return None
        scheme, _, secret = given[0].partition(" ")
        return secret.strip() if len(given) == 1 and scheme.lower() == "bearer" else ""

    @property
    def cookie(self) -> str | None:
        """What a browser proves itself by; None: nothing, or it does not come from a page of ours."""
        name = SECURE_COOKIE if self.is_https else COOKIE
        found = {
            value.strip()
            for header in self.headers.getlist("cookie")
            for key, _, value in (part.partition("=") for part in header.split(";"))
            if key.strip() == name
        }
        return found.pop() if len(found) == 1 and self.is_own else None


def _path(scope: Scope, root: str) -> str:
    """Return the path below the one that a proxy offers the service at."""
    path = str(scope["path"])
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _bracketed(name: str) -> str:
    """Return a name as a `Host` header has it: addresses of IPv6 stand in brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
