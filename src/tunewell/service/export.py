"""All that is known of an experiment, as plain data for files and other programs; written page by page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tunewell.home.home import Home
from tunewell.home.spec_on_record import shareable_spec
from tunewell.service import wire
from tunewell.service.types import TRIAL_COLUMNS, ExportedTrial, JsonObject, Measured, Trial, rfc3339
from tunewell.store.rows import ReportRow, TrialRow
from tunewell.store.store import Store

#: Trials that are read at once.
_AT_ONCE = 100


def export_json(store: Store, home: Home, name: str, numbers: Sequence[int]) -> Iterator[str]:
    """Return the parts of one JSON object: the experiment and the trials of these numbers with their reports.

    Moments are RFC 3339 in UTC; metrics that are not finite are null.
    """
    row = store.experiment(name)
    head: JsonObject = {
        "experiment": name,
        "project": row.project,
        "tags": list(row.tags),
        "description": row.description,
        "state": str(row.state),
        "stop_rule": row.stop_rule,
        "spec": shareable_spec(home, row),
        "space": row.space,
        "algorithm": row.algorithm,
        "created_at": rfc3339(wire.moment(row.created_at)),
        "elapsed_seconds": row.elapsed_seconds,
    }
    return _json_parts(head, exported_trials(store, name, numbers))


def export_csv(store: Store, name: str, numbers: Sequence[int]) -> Iterator[str]:
    """Return the lines of a CSV file: the trials of these numbers, a row a trial, a column a parameter.

    The cell of a parameter that is not active is empty; the value null is `null`.
    """
    return _csv_lines(list(store.experiment(name).space), _without_reports(store, name, numbers))


def exported_trials(store: Store, name: str, numbers: Sequence[int]) -> Iterator[ExportedTrial]:
    """Yield the trials of these numbers with their reports, in their order."""
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        reports = store.latest_reports(name, some)
        yield from (_exported(row, reports.get(row.number, [])) for row in store.trials_of(name, some))


def _without_reports(store: Store, name: str, numbers: Sequence[int]) -> Iterator[Trial]:
    for first in range(0, len(numbers), _AT_ONCE):
        yield from map(wire.trial, store.trials_of(name, numbers[first : first + _AT_ONCE]))


def _exported(row: TrialRow, reports: Sequence[ReportRow]) -> ExportedTrial:
    return ExportedTrial(
        **dict(wire.trial(row)),
        reports=tuple(Measured(step=report.step, metrics=wire.finite(report.metrics)) for report in reports),
    )


def _json_parts(head: JsonObject, trials: Iterator[ExportedTrial]) -> Iterator[str]:
    yield _dumped(head)[: -len("\n}")] + ',\n  "trials": ['
    empty = True
    for trial in trials:
        # Pydantic's writer is ten times as fast as Python's; and no text in JSON has a line break.
        yield ("\n    " if empty else ",\n    ") + trial.model_dump_json(indent=2).replace("\n", "\n    ")
        empty = False
    yield ("" if empty else "\n  ") + "]\n}\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False)


def _csv_lines(names: list[str], trials: Iterator[Trial]) -> Iterator[str]:
    yield _csv_line([*TRIAL_COLUMNS, *(f"parameter:{name}" for name in names)])
    for trial in trials:
        facts = trial.to_json()
        parameters = facts["parameters"]
        values = ("null" if parameters.get(name, "") is None else parameters.get(name) for name in names)
        yield _csv_line([*(facts[column] for column in TRIAL_COLUMNS), *values])


def _csv_line(cells: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
