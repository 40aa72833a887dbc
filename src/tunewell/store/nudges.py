"""News that something has changed in a PostgreSQL database."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine

#: What every transaction that writes notifies.
CHANNEL = "tunewell"
#: How often something counts as news although nothing was heard: the connection may be gone.
LOOK_SECONDS = 0.5


class Nudges:
    """Listens on a connection of its own, which is made when it is first asked."""

    def __init__(self, engine: Engine) -> None:
        """Listen to nothing yet."""
        self._engine = engine
        #: The driver's, which is no longer the pool's; None: none.
        self._connection: Any = None
        self._looked_at = float("-inf")

    def pending(self) -> bool:
        """Whether something may have changed since the last call. Never waits, but for a connection to be made."""
        now = time.monotonic()
        due = now - self._looked_at >= LOOK_SECONDS
        try:
            if self._connection is None and due:
                self._listen()
            heard = self._connection is not None and any(True for _ in self._connection.notifies(timeout=0))
        except Exception:  # the driver's, whatever happened to the connection
            self.close()
            heard = False
        if heard or due:
            self._looked_at = now
        return heard or due

    def close(self) -> None:
        """Listen no more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        connection = self._engine.raw_connection()
        connection.detach()
        self._connection = connection.dbapi_connection
        self._connection.autocommit = True
        self._connection.execute(f"LISTEN {CHANNEL}")
