"""What psycopg's errors mean, in a line for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tunewell.spec.errors import UserError
from tunewell.spec.secrets import hide_values
from tunewell.store.errors import Busy, Cut, StoreError, Unreachable

_REACH = "Check the URL, and that the server runs and takes connections"
_PASSWORD = "Check the user and the password: PGPASSWORD and ~/.pgpass have it as it is, a URL has %25 for %, %23 for #"
_AGAIN = "Try again, or end it"
_PRIMARY = "Name the primary server, or have its administrator allow writing"
#: Remedy for a missing right.
RIGHTS = (
    "To look, a role needs GRANT USAGE ON SCHEMA public and GRANT SELECT ON ALL TABLES IN SCHEMA public; to record "
    "anything, use the role that owns the tables, or may make them"
)
_CONNECT = "Ask the database's owner for it (GRANT CONNECT ON DATABASE … TO …)"
_TIMEOUT = "Try again, or raise its statement_timeout for this role (ALTER ROLE … SET statement_timeout)"
_SEE_TO_IT = "Have its administrator see to it, then try again"
#: What the text of an error of the connection says → remedy. Servers may speak other languages: then it is `_REACH`.
_REMEDIES = {
    "password": _PASSWORD,
    "role .* does not exist": _PASSWORD,
    "database .* does not exist": "Check its name, or have it made (CREATE DATABASE)",
    "pg_hba.conf": "Have the server's administrator let you in (pg_hba.conf)",
    "transaction timeout": "Raise its transaction_timeout for this role (ALTER ROLE … SET transaction_timeout)",
    "starting up|shutting down|recovery|terminating connection|closed the connection": "Try again in a moment",
    "too many|connection slots": "End other connections, or have the administrator raise max_connections",
    "SSL|certificate": "Check `sslmode` and the certificates in the URL",
    "definition of service": "Check ~/.pg_service.conf",
    "^invalid|^unrecognized": "Check the options in the URL",
}
#: States in which the server ends a transaction with its connection: one that was silent, or took too long.
_ENDED = ("25P03", "25P04")
#: States of a connection that was there and is no more, and what is said of one where there is no state.
_CUT = (*_ENDED, "57P01", "57P02", "57P05", "08003", "08006")
_CUT_OFF = "(?i)terminating connection|closed the connection|connection reset|connection is (closed|lost)"
#: Classes of states of errors about what is written: too much for a row or a statement.
_WHAT_IS_WRITTEN = ("54",)
#: Classes of states that psycopg takes for errors of the connection: objects, and the server's own disk.
_NOT_OF_CONNECTION = ("55", "58")
_WHERE = re.compile(r"^connection (failed|is bad): |^(connection to server .*? )?failed: |^(FATAL|ERROR): +")


def explain(error: BaseException, place: str, secrets: Iterable[str] = ()) -> UserError | None:
    """Return what to tell the user about psycopg's error, without the secrets.

    None: the server has nothing to do with it, or it is about what was to be written.
    """
    state, reason = getattr(error, "sqlstate", None) or "", hide_values(reason_of(error), secrets)
    kinds = {kind.__name__ for kind in type(error).__mro__}

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
            return told(f"a right is missing ({reason})", RIGHTS)
        case _ if state == "57014":
            return told(f"the server has cancelled a statement ({reason})", _TIMEOUT)
        case _ if "DataError" in kinds or "IntegrityError" in kinds or state[:2] in _WHAT_IS_WRITTEN:
            return None
    if not state and re.search("permission denied for database", reason):  # said before there is a connection
        return told(f"a right is missing ({reason})", _CONNECT)
    is_of_connection = state in _ENDED or ("OperationalError" in kinds and state[:2] not in _NOT_OF_CONNECTION)
    if is_of_connection or reason.startswith("invalid connection option"):
        remedy = next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, reason)), _REACH)
        is_cut = state in _CUT or re.search(_CUT_OFF, reason)
        return (Cut if is_cut else Unreachable)(f"the database can't be reached ({reason})", field=place, remedy=remedy)
    return told(f"the server refused ({reason})", _SEE_TO_IT) if state else None


def reason_of(error: Any) -> str:
    """Return why, in a line, without what the URL says already."""
    diagnosis = getattr(error, "diag", None)
    text = (diagnosis and diagnosis.message_primary) or str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    while (shorter := _WHERE.sub("", line)) != line:
        line = shorter
    return line
