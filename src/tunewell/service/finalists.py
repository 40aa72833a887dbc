"""The best trials of a search on a sample, trained on all data: what they are worth there, and in which order."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.home.home import Home
from tunewell.service.evaluations import EVALUATION_FILE
from tunewell.service.jobs import JobFailed
from tunewell.service.submission import recorded_plan
from tunewell.service.training import train_again
from tunewell.spec.errors import DataError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Report
from tunewell.store.store import Store
from tunewell.trial.files import write_json
from tunewell.tuners.ranks import correlation, mean_ranks

_FILE = "finalists.json"


@dataclass(frozen=True, slots=True)
class Finalist:
    """One of the best trials, trained on all data."""

    #: Number of the trial, and identity of the attempt whose value on the sample it is.
    number: int
    attempt: str | None
    #: Its objective on the sample, and on all data; None if that training failed.
    sample_value: float
    value: float | None
    #: Where the training on all data lies (`artifacts/`, `output.log`); the experiment's folder if it failed.
    folder: Path
    #: Why it failed.
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {**asdict(self), "folder": str(self.folder)}


def train_finalists(
    store: Store, home: Home, name: str, on_step: Callable[[int, int, int], None] = lambda trial, done, total: None
) -> list[Finalist]:
    """Train the five best trials on all data, those that have not been yet; return all finalists, best first.

    `on_step` is told the trial, and how many of how many are done. An interruption loses nothing but the training
    that it interrupts.
    """
    row = store.experiment(name)
    spec, task, _ = recorded_plan(home, row)
    if spec.finalists != "full":
        return []
    known = {one.number: one for one in read_finalists(store, home, name)}
    best = store.top(name)
    for done, trial in enumerate(best):
        on_step(trial.number, done, len(best))
        if trial.number in known or trial.value is None:
            continue
        values: list[float] = []

        def note(report: Report, values: list[float] = values) -> None:
            value = report.metrics.get(spec.objective.metric)
            if value is not None and np.isfinite(value):
                values.append(value)

        try:
            folder = train_again(store, home, spec, task, trial, "finalist", note)
        except JobFailed as error:
            known[trial.number] = Finalist(
                trial.number, trial.identity, trial.value, None, home.experiment(name), str(error)
            )
        else:
            detail = "" if values else f"It reported no {spec.objective.metric}."
            value = values[-1] if values else None
            known[trial.number] = Finalist(trial.number, trial.identity, trial.value, value, folder, detail)
        (home.experiment(name) / EVALUATION_FILE).unlink(missing_ok=True)  # it is about models of the sample
        write_finalists(home.experiment(name), _ranked(spec, list(known.values())))
    return read_finalists(store, home, name)


def read_finalists(store: Store, home: Home, name: str) -> list[Finalist]:
    """Return the finalists of an experiment, best first; empty if there are none.

    Those of attempts that the store does not know are left out.

    Raises:
        DataError: the file is damaged. Without it, the order of the best would be that on the sample.
    """
    path = home.experiment(name) / _FILE
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = [Finalist(**{**row, "folder": path.parent / row["folder"]}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        raise DataError(
            "this record of the best trials, trained on all data, is damaged",
            field=str(path),
            remedy="Remove it and the report.html beside it, and run the search again: the best are then trained again",
        ) from None
    return [one for one in found if store.has_attempt(name, one.number, one.attempt)]


def write_finalists(experiment: Path, finalists: Sequence[Finalist]) -> None:
    """Write the file; folders in it go by the experiment's, which may be moved."""
    rows = [{**one.to_json(), "folder": os.path.relpath(one.folder, experiment)} for one in finalists]
    write_json(experiment / _FILE, rows)


def rank_agreement(finalists: Sequence[Finalist]) -> float | None:
    """Return Spearman's correlation of the values on the sample and on all data; None for fewer than three."""
    pairs = np.array([(one.sample_value, one.value) for one in finalists if one.value is not None]).reshape(-1, 2)
    return correlation(mean_ranks(pairs[:, 0]), mean_ranks(pairs[:, 1])) if len(pairs) > 2 else None


def _ranked(spec: ExperimentSpec, finalists: Sequence[Finalist]) -> list[Finalist]:
    sign = -1.0 if spec.objective.goal == "maximize" else 1.0

    def place(one: Finalist) -> tuple[bool, float, int]:
        return one.value is None, sign * (one.value or 0.0), one.number

    return sorted(finalists, key=place)
