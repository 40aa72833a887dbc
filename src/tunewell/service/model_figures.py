"""What is on record about how good a model is: the figures that it came with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.service import on_record
from tunewell.spec.names import MODEL, parse_model
from tunewell.store.store import Store
from tunewell.trial.files import read_json

_TEST = "test_"


def own_figures(config: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return split → metrics that a model's `model.json` has of it.

    A trial's model has those on the validation data. One that was retrained has learned from these, and has those on
    the test data, where there are any.
    """
    metrics = numbers(config["metrics"])
    if config["trial"] is None:
        return {"val": metrics} if metrics else {}
    test = {name.removeprefix(_TEST): value for name, value in metrics.items() if name.startswith(_TEST)}
    return {"test": test} if test else {}


def known_figures(store: Store, model: str, folder: Path, trial: int | None) -> dict[str, dict[str, float]]:
    """Return split (`val`, `test`) → figures of a model that is in `folder`, and is that of `trial`.

    For both see `on_record.find_models_trial`. Of a trial's model that was evaluated in detail, they are all single
    numbers of the evaluation.
    """
    config = read_json(folder / "model.json") or {}
    own = own_figures({"metrics": {}, "trial": None, **config})
    if model.startswith(MODEL):
        return own | _published(store, model)
    if trial is not None:
        return {**own, **on_record.figures(store, model, trial).get(trial, {})}
    return own


def known_intervals(store: Store, model: str, trial: int | None) -> dict[str, dict[str, list[float]]]:
    """Return split → metric → interval of a figure of `known_figures`, where there is one."""
    if model.startswith(MODEL):
        return dict(_facts(store, model)["intervals"])
    return intervals(store, model, trial) if trial is not None else {}


def intervals(store: Store, name: str, trial: int) -> dict[str, dict[str, list[float]]]:
    """Return split → metric → interval of what the evaluation of a trial's model has on record."""
    found = on_record.evaluated(store, name, trial).get(trial, {})
    return {split: dict(ends) for split, ends in found.get("intervals", {}).items()}


def numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the single finite numbers among figures, but for how many items they were measured on."""
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and name != "count"
    }


def published_from(store: Store, model: str) -> tuple[str, str]:
    """Return name and identity of the experiment that a version of a published model comes from."""
    facts = _facts(store, model)
    return str(facts["experiment"]), str(facts["identity"])


def _published(store: Store, model: str) -> dict[str, dict[str, float]]:
    facts = _facts(store, model)
    found = {"val": facts["validation"], "test": facts["test"]}
    return {split: figures for split, figures in found.items() if figures}


def _facts(store: Store, model: str) -> Mapping[str, Any]:
    name, number = parse_model(model)
    row = store.find_model(name)
    assert row is not None, "its folder was found"
    return on_record.model_version(store, row, number).facts
