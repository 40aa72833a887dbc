"""The spec of an experiment as it is on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewell.home.home import Home
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.names import DATASET
from tunewell.spec.places import moved_spec
from tunewell.spec.secrets import without_values
from tunewell.store.rows import ExperimentRow


def recorded_spec(home: Home, row: ExperimentRow) -> ExperimentSpec:
    """Return the spec of an experiment as it is on record, its paths as they are today if the home was moved."""
    spec = parse_spec(row.spec)
    return moved_spec(spec, Path(row.home), Path(home.real_path)) if row.home else spec


def current_labels(row: ExperimentRow) -> dict[str, Any]:
    """Return what people say of an experiment now, and who sees it, as a spec would say it."""
    said = {"project": row.project or None, "tags": list(row.tags), "description": row.description or None}
    return said | {"visibility": row.visibility}


def shareable_spec(home: Home, row: ExperimentRow) -> dict[str, Any]:
    """Return the recorded spec as JSON types, for reports and other people's eyes; see `recorded_spec`, `secrets`.

    What people say of it is as it is now. Data sets and code of a service are called by their names, as its user did.
    """
    spec = without_values(recorded_spec(home, row).model_dump(mode="json")) | current_labels(row)
    if spec["dataset"] is not None:
        spec |= {"data": DATASET + spec["dataset"].partition("@")[0], "dataset": None}
    return spec | ({"working_directory": None} if spec["code"] is not None else {})
