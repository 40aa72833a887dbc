"""A task that is not about pictures, small but whole: ridge regression on a table (CSV), with NumPy.

The data are a CSV file whose last column is to be predicted. The task is a task as any: it has networks of its own, a
check, a page about its data, a preparation, trials that go on from checkpoints, and jobs. To be found by its name, in
this process or in one of its trials and jobs, it is put among the built-in ones by `registered`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tunewell.spec.capacity import Capacity
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import ConflictError, DataError, SpecError, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks import catalogue, prepare_job
from tunewell.tasks.contract import Network, OnProgress, PlannedAttempt, Program
from tunewell.tasks.data_view import DataSummary, DataView, Sample
from tunewell.tasks.evaluation import evaluate_trials
from tunewell.tasks.job_folder import arguments_of, place_in
from tunewell.trial import checkpoint_dir, fidelity, output_dir, parameters, report
from tunewell.trial.files import read_json, write_json

NAME = "table-regression"
_TASK_FILE, _VARIABLE = "task.json", "TABLE_TASK_FILE"
_SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-3, "high": 0.5, "log": True, "default": 0.1},
    "ridge": {"low": 1e-4, "high": 1.0, "log": True, "default": 1e-2},
    "epochs": {"choices": [4], "default": 4},
}


class TableRegression:
    """Fits a linear function of the columns, or of them and their squares."""

    networks: ClassVar[Mapping[str, Network]] = {
        name: Network(name, description, parse_space(_SPACE), dict.fromkeys(_SPACE, "Own choice."))
        for name, description in (("linear", "Of the columns."), ("quadratic", "Of the columns and their squares."))
    }
    default_network: ClassVar[str] = "linear"
    jobs: ClassVar[Mapping[str, str]] = {"prepare": f"{__name__}:prepare", "evaluate": f"{__name__}:evaluate"}
    predictor: ClassVar[str | None] = None
    answering: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ("numpy",)
    structural: ClassVar[tuple[str, ...]] = ("epochs",)

    def require(self) -> None:
        """Do nothing: NumPy is everywhere."""

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Fill in objective and network."""
        network = spec.get("network") or self.default_network
        if network not in self.networks:
            raise SpecError("network", f"there is no network '{network}'", nearest(str(network), self.networks))
        return {**spec, "objective": spec.get("objective") or {"metric": "r2", "goal": "maximize"}, "network": network}

    def space(self, spec: ExperimentSpec, capacity: Capacity) -> SearchSpace:
        """Return the network's space with the spec's overrides."""
        del capacity
        return parse_space(spec.parameters, self.networks[str(spec.network)].space)

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return nothing: one configuration is as good as another."""
        del spec, space
        return []

    def passes(self, space: SearchSpace) -> int:
        """Return 1: the table is read once."""
        del space
        return 1

    def resumable(self, spec: ExperimentSpec) -> bool:
        """True: trials leave checkpoints."""
        del spec
        return True

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Read the table."""
        names, rows = _read(spec)
        return [f"Rows: {len(rows)}, with {len(names) - 1} columns to learn from."]

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> DataView:
        """Return the first rows of the table."""
        names, rows = _read(spec)
        progress("reading rows", len(rows), len(rows))
        items = {split: len(positions) for split, positions in _splits(len(rows)).items()}
        shown = [Sample(", ".join(f"{value:g}" for value in row)) for row in rows[:3]]
        return DataView(DataSummary(str(spec.data), items, "row"), broken={}, examples={", ".join(names): shown})

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Standardise the columns, once."""
        del space, cache
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _TASK_FILE).exists():
            _, rows = _read(spec)
            np.save(folder / "rows.npy", (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-9))
            progress("standardising", 1, 1)
            write_json(folder / _TASK_FILE, {"network": spec.network, "digest": _digest(spec)})
        self.check_same(spec, folder)
        return ["Columns are standardised."]

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Compare the table with the one of before."""
        known = read_json(folder / _TASK_FILE) or {}
        if known.get("digest") != _digest(spec):
            what = f"the table has changed since experiment '{spec.name}' began"
            raise ConflictError(what, field=str(spec.data), remedy="Restore it")

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return the entry that fits."""
        del spec, attempt
        return Program(
            entry=f"{__name__}:train", preload=self.preload, environment={_VARIABLE: str(folder / _TASK_FILE)}
        )

    def inputs(self, spec: ExperimentSpec, folder: Path, configurations: Sequence[Configuration]) -> tuple[Path, ...]:
        """Return what `prepare` left."""
        del spec, configurations
        return (folder / _TASK_FILE, folder / "rows.npy")


def train(folder: Path) -> None:
    """Fit by gradient descent from the checkpoint, if there is one; report after each epoch."""
    del folder
    task_file = Path(os.environ[_VARIABLE])
    features, targets, splits = _prepared(task_file)
    chosen, checkpoint = parameters(), checkpoint_dir() / "weights.npz"
    epoch, weights = 0, np.zeros(features.shape[1])
    if checkpoint.exists():
        with np.load(checkpoint) as state:
            epoch, weights = int(state["epoch"]), state["weights"]
    seen, wanted = features[splits["train"]], targets[splits["train"]]
    while epoch < max(1, round(fidelity() * chosen["epochs"])):
        gradient = seen.T @ (seen @ weights - wanted) / len(wanted) + chosen["ridge"] * weights
        epoch, weights = epoch + 1, weights - chosen["learning_rate"] * gradient
        model = output_dir() / "model"
        model.mkdir(exist_ok=True)
        write_json(model / "model.json", {"weights": weights.tolist()})
        np.savez(checkpoint, epoch=epoch, weights=weights)
        report(step=epoch, **_measure(features, targets, splits["val"], weights))


def prepare(folder: Path) -> None:
    """Run the job `prepare`."""
    with registered():
        prepare_job.prepare(folder)


def evaluate(folder: Path) -> None:
    """Run the job `evaluate`."""
    with arguments_of(folder) as arguments:
        features, targets, splits = _prepared(place_in(folder, arguments["task_file"]))

        def measured(artifacts: Path) -> dict[str, Any]:
            weights = np.array(json.loads((artifacts / "model" / "model.json").read_text())["weights"])
            return {
                split: {
                    "count": len(splits[split]),
                    "unit": "row",
                    **_measure(features, targets, splits[split], weights),
                }
                for split in ("val", "test")
            }

        evaluate_trials(folder, arguments, measured)


@contextmanager
def registered() -> Iterator[None]:
    """Have the task among the built-in ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue.TASKS, NAME, f"{__name__}:{TableRegression.__name__}")  # type: ignore[arg-type]
        yield


def write_table(path: Path, rows: int = 40, seed: int = 0) -> Path:
    """Write a table in which the last column follows from the others, but for noise."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, 3))
    results = values @ [1.0, -2.0, 0.5] + 0.1 * generator.normal(size=rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "width", "age", "price"])
        writer.writerows(np.column_stack([values, results]).tolist())
    return path


def _read(spec: ExperimentSpec) -> tuple[list[str], np.ndarray]:
    assert spec.data is not None
    try:
        with spec.data.open(newline="") as file:
            names, *rows = csv.reader(file)
        return names, np.array(rows, dtype=float)
    except (OSError, ValueError) as error:
        what = f"it is no table of numbers ({error})"
        raise DataError(what, field=str(spec.data), remedy="Point `data` at a CSV file") from None


def _digest(spec: ExperimentSpec) -> str:
    assert spec.data is not None
    return hashlib.blake2b(spec.data.read_bytes()).hexdigest()


def _splits(rows: int) -> dict[str, np.ndarray]:
    order = np.arange(rows)
    return {"train": order[order % 4 < 2], "val": order[order % 4 == 2], "test": order[order % 4 == 3]}


def _prepared(task_file: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rows = np.load(task_file.parent / "rows.npy")
    features = rows[:, :-1]
    if json.loads(task_file.read_text())["network"] == "quadratic":
        features = np.column_stack([features, features**2])
    return features, rows[:, -1], _splits(len(rows))


def _measure(features: np.ndarray, targets: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    errors, spread = features[rows] @ weights - targets[rows], targets[rows] - targets[rows].mean()
    return {"r2": float(1 - (errors @ errors) / (spread @ spread)), "rmse": float(np.sqrt(np.mean(errors**2)))}
