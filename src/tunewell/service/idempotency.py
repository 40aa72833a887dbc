"""Doing once what is asked for twice: a key of the caller's choice, and the answer that was given under it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from tunewell.service.types import Caller, JsonObject
from tunewell.spec.errors import ConflictError
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of a verb that changes something."""

    verb: str
    caller: Caller
    #: None: the caller doesn't care.
    key: str | None
    #: JSON types, or what has a text of its own (paths).
    arguments: JsonObject

    @property
    def fingerprint(self) -> str:
        """What tells these arguments from others; nothing can be read from it."""
        return hashlib.sha256(json.dumps(self.arguments, sort_keys=True, default=str).encode()).hexdigest()

    def answered(self, tx: Transaction) -> JsonObject | None:
        """Return the answer that was given, None if there is none.

        Raises:
            ConflictError: the caller used the key for something else.
        """
        if self.key is None:
            return None
        return tx.answered(self.caller.name, self.key, self.verb, self.fingerprint)

    def answer(self, tx: Transaction, answer: JsonObject) -> None:
        """Record the answer in the transaction that does what was asked for.

        Raises:
            ConflictError: another call has done it at the same moment; `settled` then gives what that was answered.
        """
        if self.key is not None:
            if self.answered(tx) is not None:
                raise ConflictError("It was asked for twice at the same moment", remedy="Ask again")
            tx.answer(self.caller.name, self.key, self.verb, self.fingerprint, answer)


def once(store: Store, asked: Asked, act: Callable[[Transaction], JsonObject]) -> JsonObject:
    """Return the answer on record, or else that of `act`, which is recorded in the transaction that it is given."""
    with store.transaction() as tx:
        known = asked.answered(tx)
        if known is not None:
            return known
        answer = act(tx)
        asked.answer(tx, answer)
    return answer


def settled(store: Store, asked: Asked, act: Callable[[], JsonObject]) -> JsonObject:
    """Return the answer on record, or else that of `act`, which records it in the transaction that does it.

    Of several calls at the same moment one does what is asked for. That is in the way of the others, whatever they meet
    of it: what they have begun is undone, and they give its answer.
    """
    known = _earlier(store, asked)
    if known is not None:
        return known
    try:
        return act()
    except Exception:
        known = _earlier(store, asked)
        if known is None:
            raise
        return known


def repeatable(store: Store, asked: Asked, act: Callable[[], JsonObject]) -> JsonObject:
    """Return the answer on record, or else that of `act`, which does no harm if it is done again after a crash."""

    def recorded() -> JsonObject:
        answer = act()
        if asked.key is not None:
            with store.transaction() as tx:
                asked.answer(tx, answer)
        return answer

    return settled(store, asked, recorded)


def _earlier(store: Store, asked: Asked) -> JsonObject | None:
    if asked.key is None:
        return None
    with store.transaction() as tx:
        return asked.answered(tx)
