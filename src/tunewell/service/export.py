"""All that is known of an experiment, as plain data for files and other programs."""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, datetime
from typing import Any

from tunewell.home.home import Home
from tunewell.service.submission import shareable_spec
from tunewell.store.rows import TrialRow
from tunewell.store.store import Store


def export_experiment(store: Store, home: Home, name: str) -> dict[str, Any]:
    """Return the experiment and every trial: state, cause, attempts, parameters, value, reports, start, end.

    Times are ISO 8601 in UTC; metrics that are not finite are None.
    """
    row = store.experiment(name)
    return {
        "experiment": name,
        "state": str(row.state),
        "stop_rule": row.stop_rule,
        "spec": shareable_spec(home, row),
        "space": row.space,
        "algorithm": row.algorithm,
        "created_at": _time(row.created_at),
        "elapsed_seconds": row.elapsed_seconds,
        "trials": [export_trial(store, name, trial) for trial in store.iterate_trials(name)],
    }


def to_csv(exported: dict[str, Any]) -> str:
    """Return the trials of an exported experiment as CSV, a row a trial, a column a parameter.

    The cell of a parameter that is not active is empty; the value null is `null`.
    """
    names = list(exported["space"])
    fixed = ["number", "state", "cause", "value", "attempts", "origin", "fidelity", "start", "end", "cost_seconds"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*fixed, *(f"parameter:{name}" for name in names)])
    for trial in exported["trials"]:
        parameters = trial["parameters"]
        values = ("null" if parameters.get(name, "") is None else parameters.get(name) for name in names)
        writer.writerow([*(trial[name] for name in fixed), *values])
    return buffer.getvalue()


def export_trial(store: Store, name: str, trial: TrialRow) -> dict[str, Any]:
    """Return one trial of an experiment as `export_experiment` has it."""
    return {
        "number": trial.number,
        "state": str(trial.state),
        "cause": str(trial.cause) if trial.cause else None,
        "detail": trial.detail,
        "notes": list(trial.notes),
        "attempts": trial.attempt,
        "parameters": trial.parameters,
        "origin": trial.origin,
        "fidelity": trial.fidelity,
        "resume_from": trial.resume_from,
        "value": trial.value,
        "reports": [
            {"step": report.step, "metrics": {k: _finite(v) for k, v in report.metrics.items()}}
            for report in store.reports(name, trial.number)
        ],
        "start": _time(trial.started_at),
        "end": _time(trial.ended_at),
        "cost_seconds": trial.cost_seconds,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
