"""The trials of a search as the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from tunewell.service.types import TRIAL_COLUMNS, ExportedTrial


def data_frame(trials: Iterable[ExportedTrial]) -> Any:
    """Return the trials as a pandas DataFrame; see `Result.to_dataframe`."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        if error.name != "pandas":
            raise  # it is there and can't be used: its own error says why
        raise ImportError("to_dataframe needs pandas: pip install pandas", name="pandas") from None
    found = rows(trials)
    columns = dict.fromkeys([*TRIAL_COLUMNS, *(column for row in found for column in row)])
    # Parameters before metrics, whichever trial came with which of them first.
    ordered = sorted(columns, key=lambda column: (column not in TRIAL_COLUMNS, column.startswith("metric:")))
    return pandas.DataFrame(found, columns=ordered)


def rows(trials: Iterable[ExportedTrial]) -> list[dict[str, Any]]:
    """Return a row a trial: column → value."""
    return [_row(trial) for trial in trials]


def _row(trial: ExportedTrial) -> dict[str, Any]:
    row = {column: getattr(trial, column) for column in TRIAL_COLUMNS}
    texts = {name: str(row[name]) for name in ("state", "cause", "cut_by") if row[name] is not None}
    parameters = {f"parameter:{name}": value for name, value in trial.parameters.items()}
    metrics = {f"metric:{name}": _float(value) for report in trial.reports for name, value in report.metrics.items()}
    return {**row, **texts, "value": _float(trial.value), **parameters, **metrics}


def _float(value: float | None) -> float:
    """Return a number that a column of floats can hold, also where all of them are missing."""
    return math.nan if value is None else value
