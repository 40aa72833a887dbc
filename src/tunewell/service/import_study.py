"""Trials of Optuna's studies. Optuna is imported only here, and need not be installed otherwise."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tunewell.service.importing import ImportedTrial, check_parameters
from tunewell.spec.errors import DataError, nearest
from tunewell.spec.experiment import Objective
from tunewell.spec.format import MOST_SECONDS
from tunewell.spec.secrets import without_password
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import Cause, TrialState

#: Name of a state in Optuna → state here; trials in other states have not ended.
_STATES = {"COMPLETE": TrialState.SUCCEEDED, "PRUNED": TrialState.PRUNED, "FAIL": TrialState.FAILED}


def read_study(storage: str, name: str | None, space: SearchSpace, objective: Objective) -> list[ImportedTrial]:
    """Return the finished trials of a study, with their intermediate values.

    Args:
        storage: URL of Optuna's database, such as `sqlite:///study.db`.
        name: of the study; None: the only one there.
        space: of the experiment, with parameters of the same names.
        objective: of the experiment, with the same goal.

    Raises:
        DataError: Optuna or the study is not there, the goal is another one, or a trial does not fit into the space.
    """
    study = _open(storage, name)
    storage = without_password(storage)
    if len(study.directions) > 1:
        raise DataError(
            f"the study '{study.study_name}' has several objectives",
            field=storage,
            remedy="Export one of them as CSV",
        )
    goal = study.direction.name.lower()
    if goal != objective.goal:
        raise DataError(
            f"the study '{study.study_name}' is to {goal}, the spec to {objective.goal} {objective.metric}",
            field=storage,
            remedy=f"Write `goal: {goal}` in the spec's objective",
        )
    found = (_trial(f"{storage}, trial {trial.number}", trial, space) for trial in study.get_trials(deepcopy=False))
    return [trial for trial in found if trial is not None]


def _open(storage: str, name: str | None) -> Any:
    try:
        import optuna
    except ImportError:
        raise DataError(
            "Optuna is not installed here", remedy="Install it (pip install optuna), or export CSV there"
        ) from None
    place = without_password(storage)
    if storage.startswith("sqlite:///"):
        _check_file(storage, Path(storage.removeprefix("sqlite:///")))
    try:
        names = optuna.get_all_study_names(storage)
    except Exception as error:  # whatever storage, database and driver raise
        raise DataError(
            f"Optuna can't read it ({error})", field=place, remedy="Give the URL of Optuna's storage"
        ) from None
    if name is None and len(names) != 1:
        studies = ", ".join(sorted(names))
        raise DataError(
            f"there are {len(names)} studies",
            field=place,
            remedy=f"Name one of them: {studies}" if names else "Give another storage",
            kind="several-studies" if names else "",
            studies=studies,
        )
    if name is not None and name not in names:
        raise DataError(f"there is no study '{name}'", field=place, remedy=nearest(name, names) or "There is none")
    return optuna.load_study(study_name=name or names[0], storage=storage)


def _check_file(storage: str, path: Path) -> None:
    """Raise `DataError` unless the file holds studies: Optuna would make its tables in any database that it opens."""
    if not path.is_file():
        raise DataError("there is no such database file", field=storage, remedy="Give the URL of Optuna's storage")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'studies'"
            ).fetchone()
    except sqlite3.Error as error:
        raise DataError(
            f"it can't be read ({error})", field=storage, remedy="Give the URL of Optuna's storage"
        ) from None
    if found is None:
        raise DataError(
            "there are no studies of Optuna in it", field=storage, remedy="Give the URL of Optuna's storage"
        )


def _trial(place: str, trial: Any, space: SearchSpace) -> ImportedTrial | None:
    state = _STATES.get(trial.state.name)
    if state is None:
        return None
    value: float | None = trial.value
    cause = Cause.CRASHED if state is TrialState.FAILED else None
    if value is not None and not math.isfinite(value):
        state, value, cause = TrialState.FAILED, None, Cause.NON_FINITE
    curve = {step: v for step, v in trial.intermediate_values.items() if math.isfinite(v)}
    taken = trial.duration.total_seconds() if trial.duration else 0.0
    if state is TrialState.FAILED and any(p.name not in trial.params for p in space if not p.when and p.size != 1):
        return None  # it failed before all of its parameters were drawn
    parameters = check_parameters(place, space, trial.params)
    cost = max(0.0, min(taken, MOST_SECONDS))  # dates that somebody's clock had wrong
    return ImportedTrial(parameters, state, value, cause, cost_seconds=cost, curve=curve)
