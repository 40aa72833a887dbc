"""How the store reads: each query by itself, from what has been committed."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import Engine, Row, select

from tunewell.spec.errors import NotFoundError, ended, nearest
from tunewell.store.bound import Bound
from tunewell.store.patience import Patience
from tunewell.store.tables import experiment

#: Most rows that are read at once where all are wanted.
PAGE = 1000


class Reader:
    """An engine, and what is known for good of the experiments."""

    def __init__(self, engine: Engine, patience: Patience) -> None:
        """Take the engine of a database whose tables are up to date, or will be before the first query."""
        self._engine = engine
        self._patience = patience
        self._known: dict[str, Bound] = {}

    def _read(self, query: Any | None) -> list[Row[Any]]:
        """Return the rows of a query; None: that of nothing."""
        if query is None:
            return []
        return self._patience.insist(lambda: self._rows(query))

    def _rows(self, query: Any) -> list[Row[Any]]:
        """Return the rows; none where it asks for what no database can hold, such as a number of 20 digits."""
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query).all())  # at once: one by one takes twice as long
        except (OverflowError, UnicodeEncodeError, sqlalchemy.exc.DataError):
            return []

    def _bound(self, name: str) -> Bound:
        """Return what is bound to an experiment's name; raise `NotFoundError` if there is none of it."""
        found = self._known.get(name)
        if found is None:
            columns = (experiment.c.name, experiment.c.id, experiment.c.identity, experiment.c.goal)
            rows = self._read(select(*columns).where(experiment.c.name == name))
            if not rows:
                raise self._no_experiment(name)
            found = self._known[name] = Bound(**rows[0]._mapping)
        return found

    def _id(self, name: str) -> int:
        return self._bound(name).id

    def _no_experiment(self, name: str) -> NotFoundError:
        query = select(experiment.c.name).order_by(experiment.c.id.desc()).limit(PAGE)
        names = [row.name for row in self._read(query)]
        remedy = nearest(name, names) if names else "There is none yet"
        return NotFoundError(f"There is no experiment '{name}'. {ended(remedy)}")
