"""A spec that searches again what an experiment searches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from tunewell.home.home import Home
from tunewell.home.spec_on_record import current_labels, recorded_spec
from tunewell.service.types import Caller, Clone
from tunewell.spec.errors import ConflictError, SpecError, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.names import DATASET, called_by, full_name, own_name
from tunewell.spec.secrets import FIELD
from tunewell.store.store import Store


def clone(store: Store, home: Home, name: str, changes: Mapping[str, Any], caller: Caller) -> Clone:
    """Return the spec of an experiment with changes, under a name that the caller has not used.

    What it names is called as the caller calls it.

    Raises:
        SpecError: there is no such field.
        ConflictError: the search is over a Python function that its program alone has.
    """
    row = store.experiment(name)
    recorded = recorded_spec(home, row)
    if recorded.function is not None and recorded.code is None:
        raise ConflictError(
            f"Experiment '{name}' is a search over a Python function", remedy="Run its program under another `name`"
        )
    spec = recorded.model_dump(mode="json", exclude_defaults=True)
    spec |= {field: label for field, label in current_labels(row).items() if label or field in spec}
    if recorded.dataset is not None:
        spec["data"] = DATASET + called_by(caller.name, spec.pop("dataset").partition("@")[0])
    if recorded.code is not None:
        spec.pop("working_directory", None)
    if recorded.warm_start:
        spec["warm_start"] = [called_by(caller.name, one) for one in recorded.warm_start]
    if recorded.parameters_from is not None:
        spec["parameters_from"] = called_by(caller.name, recorded.parameters_from)
    environment = tuple(spec.pop(FIELD, {}))
    spec["name"] = _free_name(store, caller, own_name(name))
    for field, value in changes.items():
        outer, _, inner = field.partition(".")
        if outer not in ExperimentSpec.model_fields:
            raise SpecError(field, "there is no such field", nearest(outer, ExperimentSpec.model_fields))
        if inner and isinstance(spec.get(outer), dict):
            spec[outer] = {**spec[outer], inner: value}
        elif inner:
            spec[outer] = {inner: value}
        else:
            spec[outer] = value
    return Clone(spec=spec, environment=environment)


def _free_name(store: Store, caller: Caller, name: str) -> str:
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if _is_free(store, caller, one))


def _is_free(store: Store, caller: Caller, name: str) -> bool:
    return store.find_access(full_name(caller.name, name)) is None
