"""Errors of the database itself."""

from __future__ import annotations

from tunewell.spec.errors import ConflictError, DataError


class StoreError(DataError):
    """The database can't be read or written, now or until somebody sees to it; what it holds is not to blame."""


class Unreachable(StoreError):
    """The server does not answer, or has cut the connection."""


class Busy(StoreError, ConflictError):
    """Another process holds the database's lock."""
