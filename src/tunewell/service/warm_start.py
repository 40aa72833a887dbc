"""What a new experiment takes from earlier ones: their trials as sources, or the best one's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError, shown
from tunewell.spec.experiment import parse_spec
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store
from tunewell.tuners.sources import Source, make_source, map_into


def find_sources(store: Store, name: str, space: SearchSpace, sources: Sequence[str]) -> tuple[Source, ...]:
    """Return what the experiments named `sources` know now, for a new search `name` over `space`.

    Raises:
        SpecError: one of them does not exist, is the new search itself, or has nothing that would help it.
    """
    return tuple(_find(store, name, space, source) for source in dict.fromkeys(sources))


def lacks_space(raw: Mapping[str, Any]) -> bool:
    """Whether a raw spec takes its space, too, from the experiment that `parameters_from` names."""
    return bool(raw.get("parameters_from")) and not raw.get("parameters") and not raw.get("task")


def with_space(store: Store, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a raw spec with the space of the experiment that `parameters_from` names, where it has none of its own.

    Raises:
        SpecError: there is no such experiment.
    """
    if not lacks_space(raw):
        return raw
    row = _earlier(store, str(raw.get("name")), str(raw["parameters_from"]), "parameters_from")
    return {**raw, "parameters": row.space}


def find_best(store: Store, name: str, space: SearchSpace, source: str | None) -> tuple[str, Configuration] | None:
    """Return origin and parameters, as a configuration of `space`, of the best trial of the experiment `source`.

    Returns None without a source. Raises `SpecError` if there is no such experiment or trial, or it does not fit.
    """
    if source is None:
        return None
    _earlier(store, name, source, "parameters_from")
    best = store.top(source, limit=1)
    if not best:
        raise SpecError(
            "parameters_from", f"'{source}' has no trial with a result", "Name a search that has one", source
        )
    found = map_into(space, best[0].parameters)
    if found is None:
        raise SpecError(
            "parameters_from",
            f"trial {best[0].number} of '{source}' does not fit into this space: {shown(best[0].parameters)}",
            "Declare the parameters as they are declared there",
        )
    return f"best of {source}, trial {best[0].number}", found


def _earlier(store: Store, name: str, source: str, field: str) -> ExperimentRow:
    if source == name:
        raise SpecError(field, f"'{source}' is this search itself", "Name an earlier one", source)
    row = store.find_experiment(source)
    if row is None:
        # Which ones there are is not everybody's to know.
        raise SpecError(field, f"there is no experiment '{source}'", "Name an earlier one", source)
    return row


def _find(store: Store, name: str, space: SearchSpace, source: str) -> Source:
    row = _earlier(store, name, source, "warm_start")
    known = parse_space(row.space)
    common = [parameter.name for parameter in space if parameter.size != 1 and parameter.name in known]
    if not common:
        raise SpecError(
            "warm_start",
            f"'{source}' has no parameter in common with this search ({', '.join(known.names)} there)",
            "Name a search over some of the same parameters",
            source,
        )
    trials = list(_finished(store, source, minimized=parse_spec(row.spec).objective.goal == "minimize"))
    if not trials:
        raise SpecError("warm_start", f"'{source}' has no finished trial", "Name a search that has some", source)
    found = make_source(source, space, trials)
    if not found.trials:
        raise SpecError(
            "warm_start",
            f"no trial of '{source}' fits into this space: the values of {', '.join(common)} are others there",
            "Name a search over some of the same values",
            source,
        )
    return found


def _finished(store: Store, name: str, minimized: bool) -> Iterator[tuple[int, Configuration, float]]:
    """Yield number, parameters and loss of the full trainings that have ended with a value."""
    for trial in store.iterate_trials(name):
        if trial.state.final and trial.value is not None and trial.fidelity == 1.0:
            yield trial.number, trial.parameters, trial.value if minimized else -trial.value
