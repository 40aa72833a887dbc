"""News that something has changed in a PostgreSQL database."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine

from tunewell.spec.errors import UserError

#: What every transaction that writes notifies.
CHANNEL = "tunewell"
#: How often something counts as news although nothing was heard: the connection may be gone.
LOOK_SECONDS = 0.5


class Nudges:
    """Listens on a connection of its own, which is made when it is first asked."""

    def __init__(self, engine: Engine) -> None:
        """Listen to nothing yet."""
        self._engine = engine
        self._connection: Connection | None = None
        self._looked_at = float("-inf")

    def pending(self) -> bool:
        """Whether something may have changed since the last call. Never waits, but for a connection to be made."""
        now = time.monotonic()
        due = now - self._looked_at >= LOOK_SECONDS
        with suppress(UserError):
            if self._connection is None and due:
                self._listen()
            due |= self._heard()
        if due:
            self._looked_at = now
        return due

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()
        self._connection = connection
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")

    def _heard(self) -> bool:
        if self._connection is None:
            return False
        driver: Any = self._connection.connection.dbapi_connection
        try:
            heard = any(True for _ in driver.notifies(timeout=0))
        except Exception:  # the driver's, for a connection that was cut
            heard = True
        if driver.closed:
            self.close()
        return heard or self._connection is None
