"""The list of hosts that notifications may be sent to, which administrators keep."""

from __future__ import annotations

import time

from tunewell.service.idempotency import Asked, once
from tunewell.service.notifications import hosts, told
from tunewell.service.people import check_administrator, note
from tunewell.service.types import AllowedHost, JsonObject
from tunewell.spec.errors import NotFoundError, SpecError
from tunewell.store.rows import AllowedHostRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

_LARGEST_PORT = 65535


def allow(store: Store, host: str, port: int, plain_http: bool, private: bool, asked: Asked) -> AllowedHost:
    """Allow a host, or change what is allowed of it."""
    check_administrator(asked.caller)
    host = hosts.checked_pattern(host)
    if not 1 <= port <= _LARGEST_PORT:
        raise SpecError("port", f"{port} is no port", f"Give 1 to {_LARGEST_PORT}", port)

    def act(tx: Transaction) -> JsonObject:
        tx.allow_host(AllowedHostRow(host, port, plain_http, private, time.time()))
        note(tx, asked, hosts.entry(host, port))
        return {}

    once(store, asked, act)
    row = next((row for row in store.allowed_hosts() if (row.host, row.port) == (host, port)), None)
    return told.allowed_host(row or AllowedHostRow(host, port, plain_http, private, time.time()))


def withdraw(store: Store, host: str, port: int, asked: Asked) -> None:
    """Allow a host no longer."""
    check_administrator(asked.caller)
    host = hosts.checked_pattern(host)

    def act(tx: Transaction) -> JsonObject:
        if not tx.withdraw_host(host, port):
            raise NotFoundError(f"{hosts.entry(host, port)} is not allowed anyway", field="host")
        note(tx, asked, hosts.entry(host, port))
        return {}

    once(store, asked, act)
