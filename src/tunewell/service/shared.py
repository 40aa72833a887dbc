"""What all callers of a process share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tunewell import service
from tunewell.store.store import Store

if TYPE_CHECKING:
    from tunewell.service.drawing import Drawings
    from tunewell.service.table import Tables


class Shared:
    """The trials of experiments as columns, and charts drawn from them; made when they are first asked for."""

    def __init__(self, store: Store) -> None:
        """Take the store that has the trials."""
        self._store = store

    @cached_property
    def tables(self) -> Tables:
        """The trials of experiments as columns."""
        return service.table.Tables(self._store)

    @cached_property
    def drawings(self) -> Drawings:
        """Charts drawn from them."""
        return service.drawing.Drawings(self._store, self.tables)
