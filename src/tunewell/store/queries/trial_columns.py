"""Reading what is known of many trials at once, fact by fact, and which trials have changed."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, select

from tunewell.store.queries.reader import Reader
from tunewell.store.rows import TrialColumns
from tunewell.store.tables import event, trial

# In the order of `TrialColumns`. Of the parameters the text: one parse of all is several times faster.
_facts = select(
    *(trial.c[name] for name in ("number", "state", "cause", "origin", "value", "fidelity", "resume_from")),
    *(trial.c[name] for name in ("started_at", "ended_at", "ended_after", "cost_seconds")),
    cast(trial.c.parameters, Text),
)


class TrialColumnQueries(Reader):
    """The part of the store that reads trials as columns."""

    def trial_columns(self, name: str, after: int, limit: int) -> TrialColumns:
        """Return at most `limit` trials by number, beginning behind number `after`."""
        behind = _facts.where(self._of(name), trial.c.number > after)
        return self._columns(behind.order_by(trial.c.number).limit(limit))

    def trial_columns_of(self, name: str, numbers: Collection[int]) -> TrialColumns:
        """Return the trials of these numbers, a thousand at most, by number."""
        return self._columns(_facts.where(self._of(name), trial.c.number.in_(numbers)).order_by(trial.c.number))

    def last_event(self, name: str) -> int:
        """Return the id of the latest entry of the audit trail; 0: there is none."""
        (row,) = self._read(select(func.max(event.c.id)).where(event.c.experiment_id == self._id(name)))
        return int(row[0] or 0)

    def changed_trials(self, name: str, after: int) -> tuple[int, list[int]]:
        """Return the id of the latest entry of the audit trail, and the trials that changed behind the one `after`.

        By number; whatever changes a trial leaves an entry.
        """
        entries = select(event.c.id, event.c.trial).where(event.c.experiment_id == self._id(name), event.c.id > after)
        rows = self._read(entries)
        latest = max((row.id for row in rows), default=after)
        return latest, sorted({row.trial for row in rows if row.trial is not None})

    def _of(self, name: str) -> ColumnElement[bool]:
        return trial.c.experiment_id == self._id(name)

    def _columns(self, query: Any) -> TrialColumns:
        rows = self._read(query)
        if not rows:
            return TrialColumns()
        columns: list[Any] = list(zip(*rows, strict=True))
        columns[-1] = json.loads(f"[{','.join(columns[-1])}]")
        return TrialColumns(*columns)
