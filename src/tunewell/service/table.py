"""The trials of experiments as columns, kept in memory and brought up to date by what has changed.

Loading 100,000 trials takes about a second, bringing them up to date some milliseconds. What is handed out never
changes: who has it may go on with it while others get a newer one. Callers share it, so whoever asks for it has
checked before that the caller may see the experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import CAUSES, STATES, Floats, Goal, TrialTable
from tunewell.service.kept import Kept
from tunewell.service.origins import KINDS, OTHER, kind_of
from tunewell.spec.declaration import parse_space
from tunewell.spec.space import Choice, Parameter, SearchSpace, identity
from tunewell.store.rows import JsonObject, TrialColumns
from tunewell.store.store import Store

#: Bytes of all tables of a process together; the largest one may take more.
MOST_BYTES = 256 << 20
#: Trials that are read at once where all are, and where some are.
PART, SOME = 10_000, 1000

_STATES = {state.value: place for place, state in enumerate(STATES)}
_CAUSES: dict[str | None, int] = {**{cause.value: place for place, cause in enumerate(CAUSES)}, None: -1}
_ORIGINS = (*KINDS, OTHER)
_ABSENT = object()


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """All trials of an experiment as columns."""

    #: Id of the experiment, which no other ever has.
    experiment: int
    #: Id of the latest entry of the audit trail that is in here.
    event: int
    table: TrialTable
    #: (n, parameters) Values in the parameters' own scales, in the order of the space; of choices their places there.
    #: NaN: inactive.
    settings: Floats

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.table.space

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return self.settings.nbytes + sum(column.nbytes for column in _columns(self.table).values())


class Tables:
    """The tables that a process has in memory, those asked for last. Any thread may ask."""

    def __init__(self, store: Store, most_bytes: int = MOST_BYTES) -> None:
        """Have none yet, and never more than `most_bytes` of them, but for the one asked for last."""
        self._store = store
        self._kept: Kept[str, Trials] = Kept(most_bytes)

    def of(self, name: str) -> Trials:
        """Return the trials of an experiment as they are now; raises `NotFoundError`."""

        def renew(known: Trials | None) -> Trials:
            if known is None or known.experiment != self._store.experiment_id(name):
                return load(self._store, name)
            return refreshed(self._store, name, known)

        return self._kept.get(name, renew)

    @property
    def bytes(self) -> int:
        """How much memory all tables take."""
        return self._kept.bytes


def load(store: Store, name: str) -> Trials:
    """Return all trials of an experiment; raises `NotFoundError`."""
    row = store.experiment(name)
    space = parse_space(row.space)
    event = store.last_event(name)  # first: what changes while the trials are read is read again
    parts = [_trials(row.id, event, space, row.goal, TrialColumns())]
    while len(parts) == 1 or len(parts[-1].table) == PART:
        after = int(parts[-1].table.numbers[-1]) if len(parts[-1].table) else 0
        parts.append(_trials(row.id, event, space, row.goal, store.trial_columns(name, after, PART)))
    return _joined(parts)


def refreshed(store: Store, name: str, known: Trials) -> Trials:
    """Return the trials of an experiment, of which an earlier state is known."""
    event, numbers = store.changed_trials(name, known.event)
    if event == known.event:
        return known
    parts = [replace(known, event=event)]
    for first in range(0, len(numbers), SOME):
        columns = store.trial_columns_of(name, numbers[first : first + SOME])
        parts.append(_trials(known.experiment, event, known.space, known.table.goal, columns))
    return _joined(parts)


def _joined(parts: Sequence[Trials]) -> Trials:
    """Return the trials of all parts; of those that are in several, the last one counts.

    Trials that are not in the first part come behind those that are, and are in no two others.
    """
    first = parts[0]
    known = first.table.numbers
    fresh = np.concatenate([part.table.numbers for part in parts[1:]]) if len(parts) > 1 else known[:0]
    places = np.searchsorted(known, fresh)
    changed = places < len(known)

    def joined(old: NDArray[Any], new: Sequence[NDArray[Any]]) -> NDArray[Any]:
        rows = np.concatenate([old[:0], *new])
        column = np.concatenate([old, rows[~changed]])
        column[places[changed]] = rows[changed]
        return column

    tables = [_columns(part.table) for part in parts]
    columns: dict[str, Any] = {
        name: joined(old, [table[name] for table in tables[1:]]) for name, old in tables[0].items()
    }
    settings = joined(first.settings, [part.settings for part in parts[1:]])
    return replace(first, table=replace(first.table, **columns), settings=settings)


def _columns(table: TrialTable) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a table, which all have a row a trial."""
    found = {one.name: getattr(table, one.name) for one in fields(table)}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def _trials(experiment: int, event: int, space: SearchSpace, goal: Goal, read: TrialColumns) -> Trials:
    settings, positions = np.empty((2, len(read.numbers), len(space)))
    for place, parameter in enumerate(space):
        settings[:, place] = _settings(parameter, read.parameters)
        positions[:, place] = parameter.positions(settings[:, place])
    table = TrialTable(
        space=space,
        goal=goal,
        numbers=np.array(read.numbers, np.int64),
        states=np.array([_STATES[state] for state in read.states], np.int8),
        causes=np.array([_CAUSES[cause] for cause in read.causes], np.int8),
        origins=_origins(read.origins),
        origin_names=_ORIGINS,
        values=_floats(read.values),
        fidelities=_floats(read.fidelities),
        parents=np.array([parent or 0 for parent in read.parents], np.int64),
        started_at=_floats(read.started_at),
        ended_at=_floats(read.ended_at),
        ended_after=_floats(read.ended_after),
        cost_seconds=_floats(read.cost_seconds),
        positions=positions.astype(np.float32),
    )
    return Trials(experiment, event, table, settings)


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array(values, np.float64)  # makes NaN of None


def _origins(origins: Sequence[str]) -> NDArray[np.int16]:
    codes = {origin: _ORIGINS.index(kind_of(origin)) for origin in set(origins)}
    return np.array([codes[origin] for origin in origins], np.int16)


def _settings(parameter: Parameter, configurations: Sequence[JsonObject]) -> Floats:
    """Return a parameter's value in each configuration, (n,); of a choice its place, NaN where it is inactive."""
    name = parameter.name
    if not isinstance(parameter, Choice):
        return np.array([configuration.get(name) for configuration in configurations], np.float64)
    places = {identity(value): place for place, value in enumerate(parameter.values_)}
    values = (configuration.get(name, _ABSENT) for configuration in configurations)
    return np.array([places.get((isinstance(value, bool), value)) for value in values], np.float64)
