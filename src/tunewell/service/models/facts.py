"""Where a model comes from and what it has reached, as it is put on record when it is published.

::

    {"experiment": full name, "identity": the experiment's, "trial": number, "retrained": true or false,
     "task", "network", "classes", "parameters", "training": as the model itself says,
     "objective": {"metric", "goal"}, "value", "gain", "validation": metrics, "test": metrics,
     "intervals": {"val" or "test": {metric: [low, high]}},
     "dataset": full name or null, "folder": name or null, "content": checksum or null}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.home.home import Home
from tunewell.service import on_record, results, wire
from tunewell.service.model_figures import intervals, numbers, own_figures
from tunewell.service.types import JsonObject
from tunewell.spec.epochs import training_text
from tunewell.spec.errors import DataError
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tasks.catalogue import TASKS
from tunewell.trial.files import read_json

#: Longest list of classes that is put on record; the model's own file has all.
_CLASSES = 5000
#: What the configuration of a model says in any case.
_NEEDED = {"task", "network", "classes", "parameters", "metrics", "note", "trial"}


@dataclass(frozen=True, slots=True)
class Source:
    """A model of an experiment that is to be published."""

    folder: Path
    facts: JsonObject


def source_of(store: Store, home: Home, experiment: str, number: int | None) -> Source:
    """Return the model of a trial, or else the retrained one, or else the best trial's.

    Raises:
        NotFoundError: there is none.
        DataError: it is not what was recorded, or no model.
    """
    row = store.experiment(experiment)
    if number is None and on_record.retrained_model(store, home, experiment) is not None:
        folder = on_record.find_model(store, home, experiment)  # which checks it
        config = _config(folder)
        return Source(folder, _facts(store, home, row, config["trial"], config, is_retrained=True))
    trial, folder = on_record.trial_model(store, home, row, number)
    return Source(folder, _facts(store, home, row, trial.number, _config(folder), is_retrained=False))


def _config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / "model.json")
    if config is None or config.get("task") not in TASKS or not config.keys() >= _NEEDED:
        raise DataError("it can't be read as the configuration of a model", field=str(folder / "model.json"))
    return dict(config)


def _facts(
    store: Store, home: Home, row: ExperimentRow, trial: int, config: Mapping[str, Any], *, is_retrained: bool
) -> JsonObject:
    own = own_figures(config)
    measured = {} if is_retrained else on_record.figures(store, row.name, trial).get(trial, {})
    value, gain = _reached(store, home, row, trial)
    return {
        "experiment": row.name,
        "identity": row.identity,
        "trial": trial,
        "retrained": is_retrained,
        "task": config["task"],
        "network": config["network"],
        "classes": list(config["classes"])[:_CLASSES],
        "parameters": config["parameters"],
        "training": config["note"] if is_retrained else _training(config["note"], store.trial(row.name, trial)),
        "objective": wire.objective_of(row).to_json(),
        "value": value,
        "gain": gain,
        "validation": own.get("val", {}) | numbers(measured.get("val") or {}),
        "test": own.get("test", {}) | numbers(measured.get("test") or {}),
        "intervals": {} if is_retrained else intervals(store, row.name, trial),
        **_data(home, row),
    }


def _training(note: str, trial: TrialRow) -> str:
    """Return what a trial's model says of its training, and how far that came if it was not in full."""
    came = training_text(trial.epochs, trial.planned_epochs, trial.cut_by)
    return " ".join(part for part in (note, f"It was not trained in full: {came}." if came else "") if part)


def _reached(store: Store, home: Home, row: ExperimentRow, number: int) -> tuple[float | None, float | None]:
    """Return a trial's objective, on all data if it was trained on them, and its gain over that of the default one."""
    result = results.result_of(store, home, row)
    on_all = {one.number: one.value for one in result.finalists if one.value is not None}
    default = result.default.number if result.default is not None else None
    if number in on_all:  # then what the default reached on the sample is no comparison
        values = on_all
    else:
        values = {} if result.default is None else {result.default.number: result.default.value}
        own = store.trial(row.name, number).value
        values |= {number: own} if own is not None else {}
    value, other = values.get(number), values.get(default) if default is not None else None
    return value, None if number == default else result.objective.gain(value, other)


def _data(home: Home, row: ExperimentRow) -> JsonObject:
    name, _, sha256 = (row.spec.get("dataset") or "").partition("@")
    if name:
        return {"dataset": name, "folder": None, "content": sha256}
    prepared = read_json(home.experiment(row.name) / "task.json") or {}
    folder = Path(str(row.spec.get("data") or "")).name
    return {"dataset": None, "folder": folder or None, "content": prepared.get("content") or None}
