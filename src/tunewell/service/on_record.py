"""What jobs have found, as it is on record: evaluations, finalists, models. Large parts are files with checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.controller.job_run import checksum
from tunewell.home.home import Home
from tunewell.home.manifest import content_of, files_in
from tunewell.service.types import Finalist
from tunewell.spec.errors import ConflictError, DataError, NotFoundError
from tunewell.spec.experiment import PROMOTIONS
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import MODEL, check_has_trials, parse_model
from tunewell.store.rows import ExperimentRow, ModelRow, ModelVersionRow, ResultKind, ResultRow, TrialRow
from tunewell.store.store import Store
from tunewell.tuners.ranks import correlation, mean_ranks


def evaluations(store: Store, home: Home, name: str, trial: int | None = None) -> dict[int, Any]:
    """Return the recorded evaluations, trial number → split → measures; that of one `trial` only, if one is named.

    Those of attempts that are no longer the trial's, those of models that are no longer its own, and those whose files
    are lost or damaged, are left out: whoever wants them can have them again, for they follow from what the trials have
    left.
    """
    rows = _evaluations(store, name, trial)
    found = {row.trial: _load(home, row) for row in rows if row.file is not None}
    return {number: evaluation for number, evaluation in found.items() if evaluation is not None}


def figures(store: Store, name: str, trial: int | None = None) -> dict[int, Any]:
    """Return the single numbers of the recorded evaluations, trial number → split → figure."""
    return {number: data["figures"] for number, data in evaluated(store, name, trial).items()}


def evaluated(store: Store, name: str, trial: int | None = None) -> dict[int, Any]:
    """Return what is on record of each evaluation besides its file, by trial number; see `job_kinds.evaluation`.

    It holds thousands of numbers a trial: whoever needs several things of it, reads it once.
    """
    return {row.trial: row.data for row in _evaluations(store, name, trial)}


def test_values(recorded: Mapping[int, Any], metric: str) -> dict[int, float]:
    """Return trial number → objective on the test data, where it was measured; `recorded` is from `evaluated`."""
    measured = {number: data["figures"].get("test", {}).get(metric) for number, data in recorded.items()}
    return {number: value for number, value in measured.items() if value is not None}


def finalists(store: Store, home: Home, row: ExperimentRow) -> list[Finalist]:
    """Return the finalists of an experiment, best first; empty if there are none."""
    name, sign = row.name, -1.0 if row.goal == "maximize" else 1.0
    found = [
        Finalist(
            number=one.trial,
            sample_value=one.data["sample_value"],
            value=one.data["value"],
            folder=str(home.folder / one.file),
        )
        for one in _current(store, name, "finalist")
        if one.file is not None
    ]
    known = {one.number for one in found}
    for job in store.jobs(name, kind="finalist"):
        number = job.arguments["trial"]
        if job.state == "failed" and number not in known:
            known.add(number)
            sample_value = store.trial(name, number).value or 0.0
            found.append(Finalist(number=number, sample_value=sample_value, value=None, detail=job.detail))
    return sorted(found, key=lambda one: (one.value is None, sign * (one.value or 0.0), one.number))


def rank_agreement(found: Sequence[Finalist]) -> float | None:
    """Return Spearman's correlation of the values on the sample and on all data; None for fewer than three."""
    pairs = np.array([(one.sample_value, one.value) for one in found if one.value is not None]).reshape(-1, 2)
    return correlation(mean_ranks(pairs[:, 0]), mean_ranks(pairs[:, 1])) if len(pairs) > 2 else None


def ranked(store: Store, row: ExperimentRow) -> list[TrialRow]:
    """Return the best trials, best first; those that were trained on all data lead, in the order that this gave."""
    sign = -1.0 if row.goal == "maximize" else 1.0
    on_all = sorted(_current(store, row.name, "finalist"), key=lambda one: (sign * one.data["value"], one.trial))
    first = [store.trial(row.name, one.trial) for one in on_all]
    numbers = {trial.number for trial in first}
    return [*first, *(trial for trial in store.top(row.name) if trial.number not in numbers)]


def to_train(row: ExperimentRow, best: Sequence[TrialRow]) -> list[TrialRow]:
    """Return those of the best trials, best first, that are trained again in full, each configuration once.

    Where configurations are promoted, several trials are parts of one training; the one that ranks first stands for it.
    """
    if row.spec.get("early_stopping") not in PROMOTIONS:
        return list(best)
    first: dict[str, TrialRow] = {}
    for trial in best:
        first.setdefault(json.dumps(trial.parameters, sort_keys=True), trial)
    return list(first.values())


def chosen(store: Store, row: ExperimentRow, number: int | None) -> TrialRow:
    """Return the trial of this number, or the best one; raise `ConflictError` where no trial has a result yet."""
    if number is not None:
        return store.trial(row.name, number)
    best = ranked(store, row)
    if not best:
        raise ConflictError(f"Experiment '{row.name}' has no trial with a result yet", kind="no-result")
    return best[0]


def trained_by(store: Store, name: str) -> dict[int, int | None]:
    """Return trial number → the job that has trained it on all data, where one has."""
    return {row.trial: row.job for row in _current(store, name, "finalist")}


def values_on_all_data(store: Store, name: str) -> dict[int, float]:
    """Return trial number → what its training on all data has reached, where it had one."""
    return {row.trial: row.data["value"] for row in _current(store, name, "finalist")}


def model_of(store: Store, home: Home, name: str, trial: TrialRow) -> Path:
    """Return where the model of a trial is: that of its training on all data, if it had one."""
    for row in _current(store, name, "finalist"):
        if row.trial == trial.number and row.file is not None:
            return home.folder / row.file / "model"
    return home.attempt(AttemptKey(name, trial.number, trial.attempt), trial.identity) / "artifacts" / "model"


def retrained_model(store: Store, home: Home, name: str) -> Path | None:
    """Return the folder of the model that was trained on all data last, None if there is none."""
    rows = sorted(_current(store, name, "model"), key=lambda row: (row.created_at, row.job or 0))
    folder = home.folder / rows[-1].file if rows and rows[-1].file is not None else None
    return folder if folder is not None and (folder / "model.json").is_file() else None


def best_model(store: Store, home: Home, row: ExperimentRow) -> Path | None:
    """Return the folder of the best trial's model, None if there is none."""
    best = _best_model(store, home, row)
    return best[0] if best is not None else None


def _best_model(store: Store, home: Home, row: ExperimentRow) -> tuple[Path, int] | None:
    """Return the folder of the best trial's model, and the number of the trial."""
    for trial in ranked(store, row)[:1]:
        folder = model_of(store, home, row.name, trial)
        if folder.is_dir():
            return folder, trial.number
    return None


def trial_model(store: Store, home: Home, row: ExperimentRow, number: int | None) -> tuple[TrialRow, Path]:
    """Return a trial, by default the best one, and the folder of its model; raise `NotFoundError` if it has none."""
    trial = chosen(store, row, number)
    folder = model_of(store, home, row.name, trial)
    if not (folder / "model.json").is_file():
        raise NotFoundError(
            f"Trial {trial.number} of '{row.name}' has no model (only built-in tasks with a result leave one)",
            field="trial",
        )
    return trial, folder


def is_experiment(model: str) -> bool:
    """Whether `model`, as verbs take it, is an experiment: neither a folder nor a published model."""
    return not is_folder(model) and not model.startswith(MODEL)


def is_folder(model: str) -> bool:
    """Whether `model`, as verbs take it, is a folder: an absolute path, as no experiment is called."""
    return Path(model).is_absolute()


def find_model(store: Store, home: Home, model: str, trial: int | None = None) -> Path:
    """Return a model's folder, and raise what `find_models_trial` does."""
    return find_models_trial(store, home, model, trial)[0]


def find_models_trial(store: Store, home: Home, model: str, trial: int | None = None) -> tuple[Path, int | None]:
    """Return a model's folder: `model` is one, or a version of a published model, or an experiment, all in full.

    Of an experiment, it is the model of the trial that is named, or else the retrained one, or else the best trial's.
    Beside it, return the number of the trial of the experiment whose own model it is; None: it is none's. What else is
    asked about it has to go by that: while a search runs, the best trial changes.

    Raises:
        ArgumentError: a trial is named of what is no experiment.
        NotFoundError: there is no such thing, or it has no model.
        DataError: the model is not what was recorded.
    """
    check_has_trials(model, trial)
    if trial is not None:
        return trial_model(store, home, store.experiment(model), trial)[1], trial
    if is_folder(model):
        return Path(model), None
    if model.startswith(MODEL):
        return published_model(store, home, model), None
    row = store.experiment(model)
    retrained = retrained_model(store, home, model)
    if retrained is not None:
        _check(home, next(r for r in store.results(model, "model") if r.file and home.folder / r.file == retrained))
        return retrained, None
    best = _best_model(store, home, row)
    if best is None:
        raise NotFoundError(f"Experiment '{model}' has no model (only built-in tasks with a result leave one)")
    return best


def published_model(store: Store, home: Home, model: str) -> Path:
    """Return the folder of a version of a published model, `model:NAME@VERSION` in full; raises as `find_model`."""
    name, number = parse_model(model)
    row = store.find_model(name)
    if row is None or row.deleted_at is not None:
        raise NotFoundError(f"There is no model '{name}'")
    return checked_model(home, model_version(store, row, number))


def model_version(store: Store, row: ModelRow, number: int | None) -> ModelVersionRow:
    """Return a version of a model; None: the current one. Raises `NotFoundError` if there is none of this number."""
    key = (row.id, row.current if number is None else number)
    found = store.model_versions_of([key]).get(key)
    if found is None:
        what = f"There is no model '{row.name}' with a version {key[1]}"
        was_deleted = "it was deleted; " if 1 <= key[1] <= row.latest else ""
        remedy = f"{was_deleted}the current one is {row.current}".capitalize()
        raise NotFoundError(what, field="version", remedy=remedy)
    return found


def checked_model(home: Home, version: ModelVersionRow) -> Path:
    """Return where the files of a version lie; raise `DataError` if they are not what was published."""
    folder = home.models / version.sha256
    if content_of(files_in(folder)).sha256 != version.sha256:
        remedy = "Have the files restored from a backup, or publish it again"
        raise DataError("the files of this model are not what was published", remedy=remedy, kind="model-damaged")
    return folder


def _current(store: Store, name: str, kind: ResultKind) -> list[ResultRow]:
    """Return the results that are about the attempts that their trials ended with."""
    rows = store.results(name, kind)
    return [row for row in rows if store.trial(name, row.trial).identity == row.attempt_identity]


def _evaluations(store: Store, name: str, trial: int | None = None) -> list[ResultRow]:
    """Return the evaluations of the models that the trials have now: see `model_of`."""
    rows = [row for row in _current(store, name, "evaluation") if trial in (None, row.trial)]
    jobs = trained_by(store, name) if rows else {}
    return [row for row in rows if row.data["trained_by"] == jobs.get(row.trial)]


def _load(home: Home, row: ResultRow) -> Any:
    path = home.folder / (row.file or "")
    try:
        if checksum(path) != row.sha256:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _check(home: Home, row: ResultRow) -> None:
    path = home.folder / (row.file or "")
    try:
        sound = checksum(path) == row.sha256
    except OSError:
        sound = False
    if not sound:
        raise DataError("this model is not what was recorded", field=str(path), remedy="Train it again")
