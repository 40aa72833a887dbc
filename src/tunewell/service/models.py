"""After the search: detailed evaluation of the best, retraining, prediction, hand-over of models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tunewell.home.home import Home
from tunewell.service.evaluations import read_evaluations, write_evaluations
from tunewell.service.finalists import read_finalists
from tunewell.service.jobs import OnReport, job_launch, run_job
from tunewell.service.results import default_trial, search_result
from tunewell.service.submission import recorded_plan, shareable_spec
from tunewell.service.training import schedule, train_again
from tunewell.spec.errors import ArgumentError, ConflictError, NotFoundError, SpecError, UserError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.files import to_yaml
from tunewell.spec.launch import AttemptKey, Launch, Report
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tasks.catalogue import TASKS, task_for
from tunewell.tasks.contract import Task
from tunewell.trial.files import read_json, write_json

#: What a model folder holds; after `export-model`, all of it.
_MODEL_FILES = {"model.json", "weights.safetensors", "model.onnx", "README.md"}
#: Beside an experiment's model: with the parameters of which attempt it was trained.
_RETRAINED_FILE = "retrained.json"


def evaluate(store: Store, home: Home, name: str) -> dict[int, Any]:
    """Evaluate the best trials, and the default one, in detail; return and record trial number → evaluation.

    Trials that were evaluated before are not evaluated again. Empty for tasks without an evaluation.
    """
    row = store.experiment(name)
    _, task, _ = recorded_plan(home, row)
    if "evaluate" not in task.jobs:
        return {}
    home.claim(name)
    known = read_evaluations(store, home, name)
    best = _ranked(store, home, row)
    default = default_trial(store, name)
    if default is not None and default.number not in {trial.number for trial in best}:
        best.append(default)
    best = [trial for trial in best if _model_of(store, home, name, trial).is_dir()]
    missing = [trial for trial in best if trial.number not in known]
    if missing:
        arguments = {
            "task_file": str(home.experiment(name) / "task.json"),
            "trials": [
                {"number": trial.number, "folder": str(_model_of(store, home, name, trial).parent.parent)}
                for trial in missing
            ],
        }
        folder = run_job(_job(home, name, task, "evaluate", arguments))
        found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["trials"]
        known |= {int(number): evaluation for number, evaluation in found.items()}
    numbers = {trial.number for trial in best}
    known = {number: evaluation for number, evaluation in known.items() if number in numbers}
    write_evaluations(store, home, name, known)
    return known


def retrain(
    store: Store,
    home: Home,
    name: str,
    number: int | None = None,
    output: Path | None = None,
    on_report: OnReport = lambda report: None,
) -> tuple[Path, dict[str, float]]:
    """Train on all data with the parameters of a trial (default: the best), or with all those of its lineage in turn.

    A model of before is replaced once the new one is there, not earlier.

    Returns:
        The folder of the model (of the output, for a command), and the last reported metrics.

    Raises:
        UserError: there is no such trial, or the model can't be put there.
        JobFailed: the training failed.
    """
    row = store.experiment(name)
    spec, task, _ = recorded_plan(home, row)
    trial = _chosen(store, home, row, number)
    home.claim(name)
    target = output.absolute() if output else home.experiment(name) / "model"
    metrics: dict[str, float] = {}

    def note(report: Report) -> None:
        metrics.update(report.metrics)
        on_report(report)

    if "retrain" in task.jobs:
        _check_replaceable(target)
        arguments = {
            "task_file": str(home.experiment(name) / "task.json"),
            "schedule": [
                {"fidelity": part.fidelity, "parameters": part.parameters} for part in schedule(store, spec, trial)
            ],
            "splits": ["train", "val"],
            "trial": trial.number,
            "model": str(_model_of(store, home, name, trial)),
        }
        with home.retrain_lock(name):
            folder = run_job(_job(home, name, task, "retrain", arguments), note)
            if output is None:
                write_json(home.experiment(name) / _RETRAINED_FILE, {"trial": trial.number, "attempt": trial.identity})
            _replace(target, folder / "artifacts" / "model")
        return target, metrics
    if output is not None:
        raise ArgumentError("output", "a command decides itself where it writes", "Drop it")
    if spec.command is None:
        raise UserError(
            f"Experiment '{name}' is over a Python function",
            remedy=f"Call it with the parameters of trial {trial.number}",
        )
    if spec.working_directory is not None and not spec.working_directory.is_dir():
        raise SpecError(
            "working_directory",
            f"there is no folder '{spec.working_directory}' any more",
            "Submit the spec where it is now, which puts that on record",
            kind="program-moved",
        )
    job = train_again(store, home, spec, task, trial, "retrain", note)
    return job / "artifacts", metrics


def _check_replaceable(target: Path) -> None:
    """Raise `ArgumentError` unless a model can be put at `target`: before hours of training, not after them.

    What is there goes, so it may be a model, or an empty folder, but must not hold anything else.
    """
    _complete_replacement(target)
    if target.exists() and not target.is_dir():
        raise ArgumentError("output", f"{target} is there, and is no model", "Name a new folder, or that of a model")
    held = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if held and "model.json" not in held:
        raise ArgumentError("output", f"{target} is there, and is no model", "Name a new folder, or that of a model")
    others = [name for name in held if name not in _MODEL_FILES]
    if others:
        raise ArgumentError(
            "output", f"{target} holds more than a model ({others[0]})", "Name a new folder, or move it"
        )
    _check_folder(target.parent)


def _check_file(output: Path) -> None:
    """Raise `ArgumentError` unless a file can be written at `output`."""
    if output.is_dir():
        raise ArgumentError("output", f"{output} is a folder", "Name a file")
    _check_folder(output.absolute().parent)


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError("output", f"{folder} can't be written ({error.strerror})", "Name another place") from None


def _replace(target: Path, source: Path) -> None:
    """Put the folder `source` in the place of `target`.

    A kill leaves `target` as it was, as it is to be, or absent for `_complete_replacement`, which repairs that.
    """
    _complete_replacement(target)
    arriving, leaving = _beside(target)
    for rest in (arriving, leaving):
        shutil.rmtree(rest, ignore_errors=True)
    shutil.move(source, arriving)
    if target.exists():
        target.rename(leaving)
    _arrive(arriving, target)
    shutil.rmtree(leaving, ignore_errors=True)


def _complete_replacement(target: Path) -> None:
    """Put the new folder in its place, if a kill came when the old one had left it."""
    arriving, leaving = _beside(target)
    if leaving.is_dir() and arriving.is_dir() and not target.exists():
        _arrive(arriving, target)


def _arrive(arriving: Path, target: Path) -> None:
    """Put the new folder in its place; whoever looks for the model at that moment may do so first."""
    with suppress(FileNotFoundError):
        arriving.rename(target)


def _beside(target: Path) -> tuple[Path, Path]:
    """Return where a folder lies before it gets to `target`, and after it has left."""
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


def predict(
    store: Store,
    home: Home,
    model: str,
    inputs: Sequence[Path],
    output: Path | None = None,
    drawn: Path | None = None,
) -> list[dict[str, Any]]:
    """Use a model (an experiment's name, or a model folder) on pictures; return a prediction a picture.

    Tasks that find objects draw them into pictures in the folder `drawn`, if one is named.
    """
    if output is not None:
        if output.suffix.lower() not in (".csv", ".json"):
            raise ArgumentError("output", f"'{output.name}' is neither CSV nor JSON", "End its name in .csv or .json")
        _check_file(output)
    folder, name = find_model(store, home, model)
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise NotFoundError("there is no such file or folder", field=str(missing[0]))
    arguments = {
        "model": str(folder),
        "inputs": [str(path) for path in inputs],
        "directory": str(Path.cwd()),
        "output": str(output.absolute()) if output else None,
        "drawn": str(drawn.absolute()) if drawn else None,
    }
    task = _task_of_model(folder)
    if drawn and "draw" not in task.jobs:
        raise ArgumentError("drawn", "this model finds no objects that could be drawn", "Leave it out")
    done = run_job(_job(home, name, task, "draw" if drawn else "predict", arguments))
    result: list[dict[str, Any]] = json.loads((done / "predictions.json").read_text(encoding="utf-8"))
    return result


def export_model(store: Store, home: Home, model: str, output: Path) -> dict[str, Any]:
    """Write a folder to hand over: the model, the same as ONNX, checked against it, and a card; return facts about it.

    A model that was there is replaced once the new one is complete.
    """
    _check_replaceable(output.absolute())
    folder, name = find_model(store, home, model)
    task = _task_of_model(folder)
    task_file = home.experiment(name) / "task.json"
    arguments = {
        "model": str(folder),
        "task_file": str(task_file) if task_file.exists() else None,
        "search": _search_of(store, home, name, folder) if name == model else None,
    }
    done = run_job(_job(home, name, task, "export-model", arguments))
    _replace(output.absolute(), done / "artifacts" / "model")
    facts = json.loads((done / "export.json").read_text(encoding="utf-8"))
    return {"path": str(output), **facts}


def _search_of(store: Store, home: Home, name: str, folder: Path) -> dict[str, Any]:
    """Return what a model card says of the search that a model comes from; see `model_card.Search`."""
    retrained = folder == home.experiment(name) / "model"
    result = search_result(store, home, name)
    known = json.loads((folder / "model.json").read_text(encoding="utf-8"))["trial"] if retrained else None
    row = store.experiment(name)
    trial = _chosen(store, home, row, known)
    default = result.default
    values = {one.number: one.value for one in result.finalists if one.value is not None}
    on_all_data = trial.number in values  # then what the default reached on the sample is no comparison
    if not on_all_data:
        values = {one.number: one.value for one in (trial, default) if one and one.value is not None}
    objective = {
        "validation": [values.get(one.number) if one else None for one in (trial, default)],
        "test": [result.test_values.get(one.number) if one else None for one in (trial, default)],
    }
    return {
        "experiment": name,
        "spec": to_yaml(shareable_spec(home, row)),
        "metric": result.objective.metric,
        "trial": trial.number,
        "trials": sum(result.counts.values()),
        "retrained": retrained,
        "sampling": 1.0 if on_all_data else parse_spec(row.spec).sampling,
        "objective": {kind: values for kind, values in objective.items() if any(value is not None for value in values)},
    }


def find_model(store: Store, home: Home, model: str) -> tuple[Path, str]:
    """Return the model's folder and the name under which its jobs run.

    `model` is a model folder, or an experiment: then its retrained model, or else that of its best trial.
    """
    if (Path(model) / "model.json").is_file():
        return Path(model).absolute(), "_models"
    row = store.experiment(model)
    home.claim(model)
    retrained = retrained_model(store, home, model)
    if retrained is not None:
        return retrained, model
    best = best_model(store, home, row)
    if best is None:
        raise NotFoundError(f"Experiment '{model}' has no model (only built-in tasks with a result leave one)")
    return best, model


def retrained_model(store: Store, home: Home, name: str) -> Path | None:
    """Return the folder of the model that was trained on all data, None if there is none."""
    experiment = home.experiment(store.experiment(name).name)
    known = read_json(experiment / _RETRAINED_FILE)
    if known is None or not store.has_attempt(name, known["trial"], known["attempt"]):
        return None
    folder = experiment / "model"
    with suppress(OSError):  # whoever may only read the home leaves that to others
        _complete_replacement(folder)
    return folder if (folder / "model.json").is_file() else None


def best_model(store: Store, home: Home, row: ExperimentRow) -> Path | None:
    """Return the folder of the best trial's model, None if there is none."""
    for trial in _ranked(store, home, row)[:1]:
        folder = _model_of(store, home, row.name, trial)
        if folder.is_dir():
            return folder
    return None


def _ranked(store: Store, home: Home, row: ExperimentRow) -> list[TrialRow]:
    """Return the best trials, best first; those that were trained on all data lead, in the order that this gave."""
    finalists = [one.number for one in read_finalists(store, home, row.name) if one.value is not None]
    others = [trial for trial in store.top(row.name) if trial.number not in finalists]
    return [*(store.trial(row.name, number) for number in finalists), *others]


def _model_of(store: Store, home: Home, name: str, trial: TrialRow) -> Path:
    for one in read_finalists(store, home, name):
        if one.number == trial.number and one.value is not None:
            return one.folder / "artifacts" / "model"
    return home.attempt(AttemptKey(name, trial.number, trial.attempt), trial.identity) / "artifacts" / "model"


def _chosen(store: Store, home: Home, row: ExperimentRow, number: int | None) -> TrialRow:
    if number is not None:
        return store.trial(row.name, number)
    best = _ranked(store, home, row)
    if not best:
        raise ConflictError(
            f"Experiment '{row.name}' has no trial with a result yet", remedy="Name a trial", kind="no-result"
        )
    return best[0]


def _job(home: Home, experiment: str, task: Task, verb: str, arguments: Mapping[str, Any]) -> Launch:
    """Return the launch of a job in a new folder; raise `UserError` where the task, or this install, can't do it."""
    if verb not in task.jobs:
        raise UserError(f"This task can't {verb}")
    task.require()
    return replace(job_launch(home, experiment, verb, arguments), entry=task.jobs[verb], preload=task.preload)


def _task_of_model(folder: Path) -> Task:
    path = folder / "model.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("task")
    except (OSError, ValueError, AttributeError):
        raise UserError(
            "it can't be read as the configuration of a model", field=str(path), remedy="Take the folder again"
        ) from None
    if name not in TASKS:
        raise UserError(f"it names the unknown task {name!r}", field=str(path))
    return task_for({"task": name})
