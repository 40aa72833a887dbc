"""Searches side by side: what differs in them, what came of each, and what of that can be compared at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.charts import best_steps
from tunewell.reports.charts.svg import label
from tunewell.reports.table import TrialTable
from tunewell.service.search_view import search_view
from tunewell.service.table import Tables
from tunewell.service.types import (
    ComparedData,
    ComparedExperiment,
    ComparedField,
    Experiment,
    ExperimentComparison,
    ParameterImportance,
    Progress,
)
from tunewell.service.verbs import Verbs
from tunewell.spec.declaration import parse_space
from tunewell.spec.epochs import training_text
from tunewell.spec.errors import ArgumentError, NotFoundError, listed
from tunewell.spec.format import scalar
from tunewell.spec.names import called_by
from tunewell.spec.space import NO_DEFAULT, Parameter, describe_domain
from tunewell.spec.states import CUTS_BY_DESIGN
from tunewell.store.store import Store

#: How many searches are compared at least and at most.
LEAST, MOST = 2, 5
#: Fields of a spec that are told in another way, or tell nothing.
_LEFT_OUT = ("name", "parameters", "dataset", "description")
#: A letter for each, as people call them beside each other.
LETTERS = "ABCDE"


def compare(verbs: Verbs, store: Store, tables: Tables, caller: str, names: Sequence[str]) -> ExperimentComparison:
    """Return searches side by side, all of which the caller of `verbs` sees."""
    found = [verbs.experiment(name) for name in names]
    _check(names, found)
    compared = tuple(
        _compared(store, tables, one, verbs.importances(name), _data(verbs, caller, one))
        for name, one in zip(names, found, strict=True)
    )
    spaces = [{parameter.name: _declared(parameter) for parameter in parse_space(one.space)} for one in found]
    return ExperimentComparison(
        experiments=compared,
        comparable=len({_objective(one) for one in found}) == 1,
        notes=tuple(_notes(compared)),
        fields=_fields([dict(_flat(one.spec)) for one in found]),
        space=_fields(spaces),
        best=_fields([one.best_parameters for one in compared]),
    )


def _check(names: Sequence[str], found: Sequence[Experiment]) -> None:
    if not LEAST <= len(names) <= MOST:
        remedy = f"Name {LEAST} to {MOST} searches"
        what = "these are too few" if len(names) < LEAST else f"{len(names)} are too many"
        raise ArgumentError("names", what, remedy, list(names))
    twice = [one.name for place, one in enumerate(found) if one.name in [other.name for other in found[:place]]]
    if twice:
        raise ArgumentError("names", f"'{twice[0]}' is named twice", "Name each search once", list(names))


def _compared(
    store: Store,
    tables: Tables,
    one: Experiment,
    importances: tuple[ParameterImportance, ...],
    data: ComparedData | None,
) -> ComparedExperiment:
    row = store.experiment(one.name)
    trials = tables.of(one.name)
    view = search_view(store, row, trials)
    table = view.table
    timed = table.results & ~np.isnan(table.ended_after)
    ended = table.numbers[~np.isnan(table.ended_at)]
    best = None if table.best is None else store.trial(one.name, int(table.numbers[table.best]))
    return ComparedExperiment(
        experiment=one,
        best_parameters={} if best is None else best.parameters,
        best_training="" if best is None else training_text(best.epochs, best.planned_epochs, best.cut_by),
        best_cut_by=None if best is None else best.cut_by,
        importances=importances,
        data=data,
        progress=_progress(table, best_steps(view, table.numbers.astype(np.float64), table.results)),
        progress_over_time=_progress(table, best_steps(view, table.ended_after, timed)),
        last_trial=int(ended.max()) if len(ended) else 0,
    )


def _progress(table: TrialTable, places: NDArray[np.int64]) -> tuple[Progress, ...]:
    after = table.ended_after
    return tuple(
        Progress(
            trial=int(table.numbers[place]),
            elapsed_seconds=None if np.isnan(after[place]) else float(after[place]),
            value=float(table.values[place]),
        )
        for place in places
    )


def _data(verbs: Verbs, caller: str, one: Experiment) -> ComparedData | None:
    """Return what a search learns from; its counts only if they are of the very content that it uses."""
    if one.dataset is None:
        data = one.spec.get("data")
        return ComparedData(name=str(data), sha256=None, items={}) if data else None
    unit, items = "", {}
    with suppress(NotFoundError):  # nobody has looked, it was deleted, or the caller may not see it
        name = called_by(caller, one.dataset.name)
        if verbs.dataset(name).sha256 == one.dataset.sha256:
            view = verbs.dataset_view(name)
            unit, items = view.unit, dict(view.items)
    return ComparedData(name=one.dataset.name, sha256=one.dataset.sha256, unit=unit, items=items)


def _objective(one: Experiment) -> tuple[str, str]:
    return one.objective.metric, one.objective.goal


def _notes(compared: Sequence[ComparedExperiment]) -> Iterator[str]:
    """Yield what can't be compared, and what makes a comparison unfair."""
    objectives = _by_letters(_objective(one.experiment) for one in compared)
    if len(objectives) > 1:
        told = "; ".join(f"{letters}: {goal} {label(metric)}" for (metric, goal), letters in objectives.items())
        yield f"They search for different things ({told}). Their values and gains can't be compared."
    contents = _by_letters(one.data.sha256 if one.data else None for one in compared)
    if None not in contents and len(contents) > 1:
        yield f"They use different data ({'; '.join(contents.values())}): a better value may be due to easier data."
    elif None in contents and any(one.data for one in compared):
        names = {one.data.name if one.data else "" for one in compared}
        told = "Whether their data are the same is not known" if len(names) == 1 else "Their data differ, or may differ"
        yield f"{told}: only data sets of the service have a checksum."
    samples = _by_letters(one.experiment.spec.get("sampling") for one in compared)
    if len(samples) > 1:
        yield f"They learn from different shares of the training data ({'; '.join(samples.values())})."
    cut = {
        letter: one.best_training
        for letter, one in zip(LETTERS, compared, strict=False)
        if one.best_training and one.best_cut_by not in CUTS_BY_DESIGN
    }
    if cut:
        told = "; ".join(f"{letter}: {training}" for letter, training in cut.items())
        whose = "A best trial was" if len(cut) == 1 else "Best trials were"
        yield f"{whose} cut off ({told}): trained to the end, the value might be better."
    going_on = [letter for letter, one in zip(LETTERS, compared, strict=False) if not one.experiment.state.final]
    if going_on:
        verb = "has" if len(going_on) == 1 else "have"
        yield f"{listed(going_on)} {verb} not ended: the best so far may still change."


def _by_letters(values: Iterable[Any]) -> dict[Any, str]:
    """Return each value with the letters of the searches that have it: `A and C`."""
    groups: dict[Any, list[str]] = {}
    for letter, value in zip(LETTERS, values, strict=False):
        groups.setdefault(value, []).append(letter)
    return {value: listed(letters) for value, letters in groups.items()}


def _flat(spec: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a spec by their dotted paths."""
    for name, value in spec.items():
        if not above and name in _LEFT_OUT:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _declared(parameter: Parameter) -> str:
    """Return a parameter for people: its range, default and condition."""
    parts = [describe_domain(parameter)]
    if parameter.default is not NO_DEFAULT and parameter.size != 1:
        parts.append(f"default {scalar(parameter.default)}")
    parts += [
        f"only with {condition.parent} {' or '.join(map(scalar, condition.values))}" for condition in parameter.when
    ]
    return ", ".join(parts)


def _fields(columns: Sequence[Mapping[str, Any]]) -> tuple[ComparedField, ...]:
    """Return what each has of everything that one of them has, in the order in which it comes first."""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = ((name, tuple(column.get(name) for column in columns)) for name in names)
    return tuple(ComparedField(name=name, values=values, differs=_differ(values)) for name, values in rows)


def _differ(values: Sequence[Any]) -> bool:
    first, *others = values
    return any(other != first or isinstance(other, bool) != isinstance(first, bool) for other in others)
