"""What psycopg's errors mean, in a line for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tunewell.spec.errors import UserError
from tunewell.spec.secrets import hide_values
from tunewell.store.errors import Busy, StoreError, Unreachable

_REACH = "Check the URL, and that the server runs and takes connections"
_PASSWORD = "Check the user, and the password in TUNEWELL_DATABASE or ~/.pgpass"
_AGAIN = "Try again, or end it"
_PRIMARY = "Name the primary server, or have its administrator allow writing"
_RIGHTS = "Ask the database's owner for it (GRANT); docs/postgresql.md lists what is needed"
#: What the text of an error of the connection says → remedy. Servers may speak other languages: then it is `_REACH`.
_REMEDIES = {
    "password": _PASSWORD,
    "role .* does not exist": _PASSWORD,
    "database .* does not exist": "Check its name, or have it made (CREATE DATABASE)",
    "pg_hba.conf": "Have the server's administrator let you in (pg_hba.conf)",
    "starting up|shutting down|recovery": "Try again in a moment",
    "too many|connection slots": "End other connections, or have the administrator raise max_connections",
    "SSL|certificate": "Check `sslmode` and the certificates in the URL",
    "definition of service": "Check ~/.pg_service.conf",
    "^invalid|^unrecognized": "Check the options in the URL",
}
_WHERE = re.compile(r"^connection (failed|is bad): |^(connection to server .*? )?failed: |^(FATAL|ERROR): +")


def explain(error: BaseException, place: str, secrets: Iterable[str] = ()) -> UserError | None:
    """Return what to tell the user about psycopg's error, without the secrets; None if it is no user's matter."""
    state, reason = getattr(error, "sqlstate", None) or "", hide_values(reason_of(error), secrets)

    def told(what: str, remedy: str) -> StoreError:
        return StoreError(what, field=place, remedy=remedy)

    match state[:2]:
        case _ if state in ("55P03", "40P01", "40001"):
            return Busy("another process has been writing for too long", field=place, remedy=_AGAIN)
        case "53":
            return told(f"the server has no room left ({reason})", "Have its administrator make some, then try again")
        case _ if state == "25006":
            return told(f"the database can't be written: it is a standby, or read-only ({reason})", _PRIMARY)
        case _ if state == "42501":
            return told(f"a right is missing ({reason})", _RIGHTS)
    is_of_connection = state == "25P03" or any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
    if is_of_connection or reason.startswith("invalid connection option"):
        remedy = next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, reason)), _REACH)
        return Unreachable(f"the database can't be reached ({reason})", field=place, remedy=remedy)
    return None


def reason_of(error: Any) -> str:
    """Return why, in a line, without what the URL says already."""
    diagnosis = getattr(error, "diag", None)
    text = (diagnosis and diagnosis.message_primary) or str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    while (shorter := _WHERE.sub("", line)) != line:
        line = shorter
    return line
