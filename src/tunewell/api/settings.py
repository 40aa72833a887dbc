"""How the service is reached, and how much is asked of it."""

from __future__ import annotations

from dataclasses import dataclass

#: Where all addresses begin that are not about the service itself.
BASE = "/api/v1"


@dataclass(frozen=True, slots=True)
class Settings:
    """What whoever runs the service decides."""

    #: Names by which the service is reached, as a `Host` header has them, without the port.
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    #: Path below which a proxy offers the service, such as `/tunewell`; the server is told it, too.
    root_path: str = ""
    #: Whether it is reached by https.
    https: bool = False
    #: How often a process looks for changes while anybody follows any.
    look_seconds: float = 0.25
    #: How long a stream may be silent before it shows that it lives.
    heartbeat_seconds: float = 15.0
    #: When a stream ends, so that whoever may follow it no longer is shut out; those who may continue it.
    stream_seconds: float = 600.0
    #: How often it is looked whether whoever reads a stream, or follows a log, still may.
    proof_seconds: float = 3.0
    #: How long nothing may come of a body that is not whole.
    body_seconds: float = 30.0
    #: Addresses and networks of proxies, such as `127.0.0.1` or `10.0.0.0/8`, whose `X-Forwarded-For` and
    #: `X-Forwarded-Proto` are believed.
    trusted_proxies: tuple[str, ...] = ()
    #: How many requests a caller (where there is none, an address) may make of each process: so many in a second for
    #: good, and so many at once.
    requests_per_second: float = 100.0
    requests_at_once: int = 500
    #: How often an address may fail to sign in, or try what it may not: so often in a minute for good, and at once.
    failures_per_minute: float = 20.0
    failures_at_once: int = 20
