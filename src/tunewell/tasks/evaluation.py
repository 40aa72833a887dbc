"""The job `evaluate`: how good the models of trials are, in detail.

`job.json`: `{"task_file": the experiment's, "trials": [{"number": 7, "folder": attempt folder}, …]}`. Result::

    {"trials": {"7": {"val": {metric: value, …}, "test": {…} or null}, …}}

and for each trial `artifacts/7.json`, `{"val": {…}, "test": {…} or null}` with everything that a report shows. There,
single numbers are metrics, and so are those in a mapping (`{"macro": {"f1": …}}` is `macro_f1`); `reports.evaluations`
says which other entries it knows. A split is null where there is none, or the model gives no finite numbers on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunewell.tasks.job_folder import leave_result
from tunewell.trial import report
from tunewell.trial.files import write_json

#: Split → what was measured on it.
Evaluation = Mapping[str, Mapping[str, Any] | None]


def evaluate_trials(folder: Path, arguments: Mapping[str, Any], evaluate: Callable[[Path], Evaluation]) -> None:
    """Evaluate the trials that the arguments of the job in `folder` name; report the share that is done after each.

    `evaluate` measures the model that a trial left in its folder of artifacts.
    """
    trials = arguments["trials"]
    found = {}
    for done, trial in enumerate(trials, start=1):
        number, evaluation = str(trial["number"]), evaluate(Path(trial["folder"]) / "artifacts")
        (folder / "artifacts").mkdir(exist_ok=True)
        write_json(folder / "artifacts" / f"{number}.json", evaluation)
        found[number] = {split: figures(measured) if measured else None for split, measured in evaluation.items()}
        report({"evaluating trials": done / len(trials)}, step=done)
    leave_result(folder, {"trials": found})


def figures(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the single numbers among the measures of a split; those in a mapping are named `macro_f1`."""
    found: dict[str, float] = {}
    for name, value in measured.items():
        if isinstance(value, Mapping):
            found |= {f"{name}_{inner}": number for inner, number in figures(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "count":
            found[name] = float(value)
    return found
