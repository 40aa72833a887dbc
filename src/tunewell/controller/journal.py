"""What is to be put on record, and what is to be done once it is.

An effect (starting an attempt, deleting a folder) belongs to the write that announces it: it happens only if the store
has accepted that write. What is not on record has not happened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tunewell.spec.errors import TermOver, TransitionRefused
from tunewell.store.transaction import Transaction

log = logging.getLogger(__name__)

Write = Callable[[Transaction], object]
Effect = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One write with the effects that it announces; without a write, they follow all entries before."""

    write: Write | None
    effects: tuple[Effect, ...]


@dataclass(slots=True)
class Journal:
    """The entries of one experiment or job, in their order, until they are on record."""

    entries: list[Entry] = field(default_factory=list)
    #: Why an entry was refused: then what is in memory is not what is on record. Empty: none was.
    refusal: str = ""

    def add(self, write: Write | None, *effects: Effect) -> None:
        """Add an entry."""
        self.entries.append(Entry(write, effects))

    def write(self, transaction: Transaction) -> list[Effect]:
        """Write all entries; return the effects of those that were accepted.

        What is refused as no longer true is left out, so that it does not hold the others back.
        """
        effects: list[Effect] = []
        self.refusal = ""
        for entry in self.entries:
            try:
                if entry.write is not None:
                    entry.write(transaction)
            except TermOver:
                raise
            except TransitionRefused as error:
                self.refusal = str(error)
            else:
                effects += entry.effects
        return effects

    def drop(self, number: int) -> None:
        """Forget the first entries: they are on record."""
        del self.entries[:number]
