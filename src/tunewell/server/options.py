"""How a service is started. Standard library only: the launcher waits for nothing."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tunewell.spec.errors import ArgumentError

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

#: Names by which programs on this machine address it.
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Options:
    """What `tunewell serve` is given."""

    home: Path
    #: URL of the database; None: the home's own.
    database: str | None = None
    host: str = "127.0.0.1"
    #: 0: one that is free.
    port: int = 8700
    #: Number of processes that answer requests.
    workers: int = 1
    #: Path below which a reverse proxy shows the service, without a slash at its end; empty: at the top.
    root_path: str = ""
    #: Where people find it, as behind a proxy: its name is allowed, its path is the root path; empty: as it listens.
    url: str = ""
    #: Names, beside those of this machine, by which browsers address the service.
    allowed_hosts: tuple[str, ...] = ()
    #: Addresses of reverse proxies, which are believed what they say of the client.
    trusted_proxies: tuple[str, ...] = ()
    #: Where a token for programs is written.
    token_file: Path | None = None
    #: Whether running trials end with the service, instead of living on.
    stop_trials: bool = False
    #: Whom trials that run users' code run as; None: as the service itself does.
    trial_user: str | None = None
    #: Whether users who may run code may send Python functions, as pickles.
    allow_functions: bool = False
    #: What takes mails of the service, as in `smtp://user@mail.example.org:587`; empty: nothing does.
    smtp: str = ""
    #: Address that mails of the service are from.
    mail_from: str = ""
    #: File with the password for the mail server; None: it is in the environment, or there is none.
    smtp_password_file: Path | None = None
    #: Address of a Ray cluster that searches can use; None: there is none.
    ray: str | None = None
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine reach it."""
        return is_loopback(self.host)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All names by which it may be addressed, as a `Host` header has them, without the port."""
        own = () if _is_wildcard(self.host) else (f"[{self.host}]" if ":" in self.host else self.host,)
        named = filter(None, (*self.allowed_hosts, self._url[0]))
        return tuple(dict.fromkeys((*_OWN_NAMES, *own, *named)))

    @property
    def _url(self) -> tuple[str, str]:
        """Host and path of `url`; empty where it is none."""
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            return "", ""
        good = parts.scheme in ("http", "https") and not (parts.username or parts.query or parts.fragment)
        return (f"[{host}]" if ":" in host else host, parts.path.rstrip("/")) if good else ("", "")

    @property
    def path(self) -> str:
        """Path below which people find it, without a slash at its end; empty: at the top."""
        return self.root_path or self._url[1]

    @property
    def address(self) -> str:
        """Where people find it, once the port is known."""
        if self.url:
            return self.url.rstrip("/")
        host = self.host if self.is_loopback or not self.allowed_hosts else ""
        if host:
            shown = f"[{host}]" if ":" in host else host
            return f"http://{shown}:{self.port}{self.root_path}"
        # Whoever names other hosts has a proxy before it, or a name in the network.
        name = self.allowed_hosts[0]
        if self.trusted_proxies:
            return f"https://{name}{self.root_path}"
        return f"http://{name}:{self.port}{self.root_path}"

    @property
    def direct_address(self) -> str:
        """Where programs on this machine find it, whatever stands before it, once the port is known."""
        host = self.host
        if _is_wildcard(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def check(self) -> None:
        """Raise `ArgumentError` where the options don't go together."""
        most = most_workers()
        if not 1 <= self.workers <= most:
            cores = os.cpu_count() or 1
            what = f"1 to {most} processes can answer requests on this machine ({cores} cores), and not {self.workers}"
            raise ArgumentError("workers", what, "Use 1, which is enough for some fifty users", self.workers)
        if not 0 <= self.port <= 65535:
            raise ArgumentError("port", f"a port is a number from 0 to 65535, and not {self.port}", value=self.port)
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ArgumentError(
                "root_path",
                f"'{self.root_path}' must begin with a slash, and not end with one",
                "Write it as in /tunewell",
                self.root_path,
            )
        if self.url and not self._url[0]:
            remedy = "Write it like https://tune.example.org, or https://example.org/tunewell"
            raise ArgumentError("url", f"'{self.url}' is no address of a service", remedy, self.url)
        if self.url and self.root_path not in ("", self._url[1]):
            problem = f"'{self.url}' does not end with the root path, '{self.root_path}'"
            raise ArgumentError("url", problem, "Leave the root path out: the address has it", self.url)
        if _is_wildcard(self.host) and not self.allowed_hosts and not self.url:
            raise ArgumentError(
                "host",
                f"under '{self.host}' the service would have no name, and requests for other names are refused",
                "Say by which names it is addressed",
                self.host,
                kind="no-allowed-host",
            )

        if self.smtp or self.mail_from:
            from tunewell.service.notifications.mail import MailServer  # which few launchers need

            MailServer.named(self.smtp, self.mail_from, self.smtp_password_file)
        if self.ray is not None:
            from tunewell.service.cluster import check_address

            check_address(self.ray)

    @property
    def warning(self) -> str:
        """What is dangerous about how it can be reached; empty: nothing."""
        if self.is_loopback or self.trusted_proxies:
            return ""
        return (
            f"The service listens on {self.host} without TLS: anybody on the way can read tokens and all else that "
            "is sent. Put a reverse proxy with TLS before it, and name that as trusted."
        )

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON types; see `from_json`."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Options:
        """Return what `to_json` was called on."""
        files = {name: values[name] for name in ("token_file", "smtp_password_file")}
        return cls(
            **{
                **values,
                "home": Path(values["home"]),
                **{name: Path(file) if file is not None else None for name, file in files.items()},
                "allowed_hosts": tuple(values["allowed_hosts"]),
                "trusted_proxies": tuple(values["trusted_proxies"]),
            }
        )


def most_workers() -> int:
    """Return how many processes may answer requests: more than a few a core would only take memory."""
    return min(64, max(4, 4 * (os.cpu_count() or 1)))


def is_loopback(host: str) -> bool:
    """Whether an address, or a name for it, is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
