"""What a trial has other than another one."""

from __future__ import annotations

from collections.abc import Iterable

from tunewell.service import wire
from tunewell.service.types import Comparison, Difference
from tunewell.spec.space import Configuration, same
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store


def compared(store: Store, row: ExperimentRow, trial: TrialRow, number: int | None) -> Comparison | None:
    """Return how a trial differs from the one of a number; None: there is no such other trial."""
    if number is None or number == trial.number:
        return None
    other = store.trial(row.name, number)
    gain = wire.objective_of(row).gain(trial.value, other.value)
    return Comparison(
        number=number,
        gain=gain if trial.fidelity == other.fidelity else None,
        parameters=differences(row.space, trial.parameters, other.parameters),
    )


def differences(names: Iterable[str], own: Configuration, other: Configuration) -> dict[str, Difference]:
    """Return name → values of the parameters in which two configurations differ."""
    found = {}
    for name in names:
        if name in own and name in other:
            if not same(own[name], other[name]):
                found[name] = Difference(own=own[name], other=other[name])
        elif name in own or name in other:
            found[name] = Difference(
                own=own.get(name), other=other.get(name), active_in="own" if name in own else "other"
            )
    return found
