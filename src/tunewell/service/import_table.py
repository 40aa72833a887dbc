"""Trials in CSV files: those that `tunewell export` writes, and any with a column per parameter and for the metric."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from tunewell.service.importing import ImportedTrial, check_parameters
from tunewell.spec.decoding import decode
from tunewell.spec.errors import DataError, nearest, shown
from tunewell.spec.format import MOST_SECONDS
from tunewell.spec.space import Numeric, Parameter, SearchSpace
from tunewell.spec.states import Cause, TrialState

#: Columns of `tunewell export` that are read, where they are there.
_STATE, _CAUSE, _FIDELITY, _COST, _VALUE = "state", "cause", "fidelity", "cost_seconds", "value"
_PREFIX = "parameter:"

Row = Mapping[str, str]
Word = TypeVar("Word", TrialState, Cause)
#: How null and booleans are written, here and in other programs.
_WORDS = {"": None, "null": None, "none": None, "true": True, "false": False}
#: Key of what a row has beyond the header.
_BEYOND = "\0"


def read_table(content: bytes, origin: str, space: SearchSpace, metric: str) -> list[ImportedTrial]:
    """Return the finished trials in a CSV file, a row each; those that wait or run are left out.

    `origin` is what people call it, such as its path. The columns are named like parameters and metric, or as `tunewell
    export` names them. Without a column `state`, every row is a trial that succeeded.

    Raises:
        DataError: it is no such file, a column is missing or a value is wrong; the message names row (the header is
            row 1) and column.
    """
    try:
        text = decode(content).text
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey=_BEYOND, restval="", strict=True)
        columns = _columns(origin, space, metric, list(reader.fieldnames or ()))
        trials = [_trial(f"{origin}, row {number}", row, columns, space) for number, row in enumerate(reader, 2)]
    except UnicodeDecodeError as error:
        raise DataError(
            f"it is damaged, or not {error.encoding.upper()}", field=origin, remedy="Save it as CSV in UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"it is no valid CSV ({error})", field=origin, remedy="Fix it") from None
    return [trial for trial in trials if trial is not None]


def _columns(origin: str, space: SearchSpace, metric: str, header: list[str]) -> dict[str, str]:
    """Return name of parameter, or `value` for the metric → column."""
    columns = {}
    for parameter in space:
        column = next((name for name in (_PREFIX + parameter.name, parameter.name) if name in header), None)
        if column is not None:
            columns[_PREFIX + parameter.name] = column
        elif parameter.size != 1:
            raise _missing(origin, parameter.name, header)
    column = next((name for name in (metric, _VALUE) if name in header and name not in columns.values()), None)
    if column is None:
        raise _missing(origin, metric, header)
    return {**columns, _VALUE: column}


def _missing(origin: str, name: str, header: list[str]) -> DataError:
    return DataError(
        f"there is no column '{name}'", field=origin, remedy=nearest(name, header) or "The first row names them"
    )


def _trial(place: str, row: Row, columns: Mapping[str, str], space: SearchSpace) -> ImportedTrial | None:
    if _BEYOND in row:
        raise DataError("there are more values than columns", field=place, remedy="Put values with commas in quotes")
    state = _word(place, row, _STATE, TrialState, TrialState.SUCCEEDED)
    if not state.final:
        return None
    texts = {p: row.get(columns.get(_PREFIX + p.name, ""), "").strip() for p in space}
    given = {p.name: _value(p, text) for p, text in texts.items() if text or _may_be_empty(p)}
    value = _number(place, row, columns[_VALUE])
    if state is TrialState.SUCCEEDED and value is None:
        raise DataError("there is no value", field=_cell(place, columns[_VALUE]), remedy="Give one, or drop the row")
    failed = state is TrialState.FAILED
    fidelity = _number(place, row, _FIDELITY)
    cost = _number(place, row, _COST)
    if fidelity is not None and not 0 < fidelity <= 1:
        raise DataError(f"{fidelity} is no share", field=_cell(place, _FIDELITY), remedy="Give one above 0 and up to 1")
    if cost is not None and not 0 <= cost <= MOST_SECONDS:
        problem = f"{cost} is negative" if cost < 0 else f"{cost} is too long a time"
        raise DataError(problem, field=_cell(place, _COST), remedy="Give the seconds that the trial took")
    return ImportedTrial(
        check_parameters(place, space, given),
        state,
        value,
        _word(place, row, _CAUSE, Cause, Cause.CRASHED) if failed else None,
        1.0 if fidelity is None else fidelity,
        cost or 0.0,
    )


def _cell(place: str, column: str) -> str:
    return f"{place}, column '{column}'"


def _value(parameter: Parameter, text: str) -> Any:
    """Return the parameter's value that a text stands for; the text itself if it stands for none."""
    if isinstance(parameter, Numeric):
        return _as_number(text)
    candidates = (text, _as_number(text), _WORDS.get(text.lower(), text))
    return next((value for value in candidates if parameter.contains(value)), text)


def _may_be_empty(parameter: Parameter) -> bool:
    """Whether an empty cell stands for a value."""
    return parameter.contains("") or parameter.contains(None)


def _as_number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(place: str, row: Row, column: str) -> float | None:
    text = row.get(column, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problem = f"{shown(text)} is no finite number"
        raise DataError(problem, field=_cell(place, column), value=text, remedy="Give one, or drop the row")
    return number


def _word(place: str, row: Row, column: str, kind: type[Word], default: Word) -> Word:
    text = row.get(column, "").strip()
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        problem, remedy = f"{shown(text)} is none that there is", nearest(text, [str(member) for member in kind])
        raise DataError(problem, field=_cell(place, column), value=text, remedy=remedy) from None
