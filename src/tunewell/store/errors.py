"""Errors of the database itself."""

from __future__ import annotations

from tunewell.spec.errors import ConflictError, DataError


class StoreError(DataError):
    """The database can't be read or written, now or until somebody sees to it; what it holds is not to blame."""

    default_kind = "store-unavailable"


class Unreachable(StoreError):
    """The server does not answer, or has cut the connection."""

    default_kind = "database-not-reached"


class Cut(Unreachable):
    """There was a connection to the server, and it is gone; perhaps there can be another one at once."""


class Moved(StoreError):
    """What the database held is to be found elsewhere now."""

    default_kind = "database-moved"


class Busy(StoreError, ConflictError):
    """Another process holds the database's lock."""
