"""A list of trials, filtered and in an order, of which each part is found through an index."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, Self

from sqlalchemy import ColumnElement, Select, and_, literal, select, true, tuple_

from tunewell.spec.errors import SpecError
from tunewell.spec.states import Cause, TrialState
from tunewell.store.queries.merging import first_of
from tunewell.store.tables import trial

Sort = Literal["number", "value", "ended"]
#: Order → the column that it goes by, before the number.
_KEYS = {"value": trial.c.value, "ended": trial.c.ended_order}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last trial of a part of a list."""

    #: What the order goes by; None: the number alone.
    key: float | None
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` has made of a cursor; raise `SpecError` if it is something else."""
        key, _, number = text.rpartition(" ")
        try:
            cursor = cls(float(key) if key else None, int(number))
        except ValueError:
            cursor = cls(math.nan, 0)
        if cursor.key is not None and not math.isfinite(cursor.key):
            raise SpecError("cursor", f"'{text}' is none that a list of trials gave", "Begin without one")
        return cursor

    def __str__(self) -> str:
        return str(self.number) if self.key is None else f"{self.key!r} {self.number}"


@dataclass(frozen=True, slots=True)
class TrialList:
    """The trials that are wanted: first those that have the key of the order, then the others by number."""

    experiment_id: int
    sort: Sort
    descending: bool
    #: None: in any.
    states: Collection[TrialState] | None
    #: None: for any, or for none.
    cause: Cause | None

    @property
    def has_key(self) -> bool:
        """Whether the order goes by more than the number."""
        return self.sort in _KEYS

    def cursor(self, row: Any) -> Cursor:
        """Return the cursor of a row of `trial`."""
        return Cursor(row._mapping[_KEYS[self.sort].name] if self.has_key else None, row.number)

    def keyed(self, cursor: Cursor | None, limit: int) -> Select[Any] | None:
        """Select the first trials behind the cursor that have the key, in order; None: there can be none."""
        key = _KEYS[self.sort]
        wanted: ColumnElement[bool] = key.is_not(None)
        if cursor is not None:
            here, there = tuple_(key, trial.c.number), tuple_(literal(cursor.key, key.type), literal(cursor.number))
            wanted = and_(wanted, here < there if self.descending else here > there)
        return self._select([and_(one, wanted) for one in self._filters(final=True)], [key.name, "number"], limit)

    def unkeyed(self, cursor: Cursor | None, limit: int) -> Select[Any] | None:
        """Select the first trials behind the cursor that have no key, by number; all, if the order has none."""
        parts: list[ColumnElement[bool]]
        match self.sort:
            case "number" if self.states is None and self.cause is None:
                parts = [true()]
            case "number":
                parts = self._filters()
            case "value":
                without: ColumnElement[bool] = trial.c.value.is_(None)
                if self.cause is None:
                    without = and_(without, trial.c.ended_order.is_not(None))
                parts = [*(and_(one, without) for one in self._filters(final=True)), *self._filters(final=False)]
            case _:
                parts = self._filters(final=False)
        behind = trial.c.number > 0  # says nothing, but without a bound SQLite would rather walk through all trials
        if cursor is not None:
            behind = trial.c.number < cursor.number if self.descending else trial.c.number > cursor.number
        parts = [and_(one, behind) for one in parts]
        return self._select(parts, ["number"], limit)

    def _filters(self, final: bool | None = None) -> list[ColumnElement[bool]]:
        """Return a condition for each index to be read; `final` says which of the states count, None: all."""
        wanted = TrialState if self.states is None else self.states
        states = {state for state in wanted if final is None or state.final is final}
        if self.cause is None:
            return [trial.c.state == state for state in states]
        return [trial.c.cause == self.cause] if TrialState.FAILED in states else []  # no other has a cause

    def _select(self, parts: list[ColumnElement[bool]], order: list[str], limit: int) -> Select[Any] | None:
        if not parts:
            return None
        of_experiment = trial.c.experiment_id == self.experiment_id
        # Keys first, which the index holds: for whole rows SQLite would rather walk through all of them.
        columns = [trial.c[name] for name in order]
        keys = first_of(
            [select(*columns).where(of_experiment, part) for part in parts], order, self.descending, limit
        ).subquery()
        query = select(trial).where(of_experiment, trial.c.number.in_(select(keys.c.number)))
        return query.order_by(*(column.desc() if self.descending else column for column in columns))
