"""The job `evaluate`: how good the models of trials are, in detail.

`job.json`: `{"task_file": the experiment's, "trials": [{"number": 7, "folder": attempt folder}, …]}`, for paths see
`job_folder.place_in`. Result::

    {"trials": {"7": {"val": {metric: value, …}, "test": {…} or null}, …},
     "resampled": {"7": {"val": {metric: [value, …], …}, …}, …}}

where `resampled` has the values on resamples (see `uncertainty`), of tasks that give them; and for each trial
`artifacts/7.json`, `{"val": {…}, "test": {…} or null}` with everything that a report shows. There, single numbers are
metrics, and so are those in a mapping (`{"macro": {"f1": …}}` is `macro_f1`); `reports.evaluations` says which other
entries it knows, and `intervals` are `{metric: [low, high]}`, of those that have one. A split is null where there is
none, or the model gives no finite numbers on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.tasks.job_folder import leave_result, place_in
from tunewell.tasks.uncertainty import interval
from tunewell.trial import report
from tunewell.trial.files import write_json

#: Split → what was measured on it.
Evaluation = Mapping[str, Mapping[str, Any] | None]


def evaluate_trials(folder: Path, arguments: Mapping[str, Any], evaluate: Callable[[Path], Evaluation]) -> None:
    """Evaluate the trials that the arguments of the job in `folder` name; report the share that is done after each.

    `evaluate` measures the model that a trial left in its folder of artifacts. It may give `resampled` of a split,
    metric → its values on resamples (see `uncertainty.resampled`), in place of which the evaluation has `intervals`.
    """
    trials = arguments["trials"]
    found, resampled = {}, {}
    for done, trial in enumerate(trials, start=1):
        number, measures = str(trial["number"]), evaluate(place_in(folder, trial["folder"]) / "artifacts")
        evaluation = {split: with_intervals(measured) if measured else None for split, measured in measures.items()}
        (folder / "artifacts").mkdir(exist_ok=True)
        write_json(folder / "artifacts" / f"{number}.json", evaluation)
        found[number] = {split: figures(measured) if measured else None for split, measured in evaluation.items()}
        resampled[number] = {
            split: {name: _rounded(values) for name, values in measured["resampled"].items()}
            for split, measured in measures.items()
            if measured and "resampled" in measured
        }
        report({"evaluating trials": done / len(trials)}, step=done)
    leave_result(folder, {"trials": found, "resampled": resampled})


def with_intervals(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measures of a split with `intervals`, metric → [low, high], in place of `resampled`."""
    others = {name: value for name, value in measured.items() if name != "resampled"}
    if "resampled" not in measured:
        return others
    found = {name: interval(values, measured["count"]) for name, values in measured["resampled"].items()}
    return {**others, "intervals": {name: list(ends) for name, ends in found.items() if ends is not None}}


def _rounded(values: np.ndarray) -> list[float | None]:
    """Return values as JSON has them short, None for NaN; the same values stay the same."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def figures(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the single numbers among the measures of a split; those in a mapping are named `macro_f1`."""
    found: dict[str, float] = {}
    for name, value in measured.items():
        if isinstance(value, Mapping):
            found |= {f"{name}_{inner}": number for inner, number in figures(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "count":
            found[name] = float(value)
    return found
