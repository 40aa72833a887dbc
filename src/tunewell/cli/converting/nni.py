"""Configurations of NNI: version 2 and 3, and the older fields of version 1."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.cli.converting.nni_space import is_space, parameters_of
from tunewell.cli.converting.source import Notes, Source, as_text
from tunewell.spec.errors import SpecError, shown
from tunewell.spec.files import read_mapping
from tunewell.spec.quantities import parse_duration

#: What NNI's own results are called.
METRIC = "default"
#: Tuner → algorithm; None: there is none like it.
_ALGORITHMS: Mapping[str, str | None] = {
    "tpe": "tpe",
    "random": "random",
    "gridsearch": "grid",
    "gp": "bayesian",
    "pbt": "evolutionary",
    "smac": None,
    "metis": None,
    "dngo": None,
    "anneal": None,
    "evolution": None,
    "hyperband": None,
    "bohb": None,
}
#: Tuners that minimise unless they are told to maximise. The others maximise, or don't care.
_MINIMISING = ("tpe", "anneal")
_BY_BUDGET = ("hyperband", "bohb")
#: Fields of version 1 → those of version 2; fields of its `trial` → those beside it.
_RENAMED = {"maxExecDuration": "maxExperimentDuration", "maxTrialNum": "maxTrialNumber"}
_RENAMED |= {"searchSpacePath": "searchSpaceFile"}
_RENAMED_IN_TRIAL = {"command": "trialCommand", "codeDir": "trialCodeDirectory", "gpuNum": "trialGpuNumber"}
#: What a shell does more than splitting words.
_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~#!\n]|^\s*\w+=")


def is_nni(data: Mapping[str, Any]) -> bool:
    """Whether a file seems to be a configuration of NNI, or a search space of it."""
    names = {str(name).replace("_", "").lower() for name in data}
    signs = {"searchspace", "searchspacefile", "searchspacepath", "trialcommand", "trialconcurrency"}
    return is_space(data) or not signs.isdisjoint(names)


def from_nni(data: Mapping[str, Any], file: Path, notes: Notes) -> tuple[str, dict[str, Any]]:
    """Return what the search is called, and the fields of a spec. Paths in them are absolute.

    Raises:
        DataError: the file of the search space can't be read.
        SpecError: a field is wrong, or says something that a spec can't say.
    """
    notes.add("program", "put `from tunewell.integrations import nni` in the place of `import nni`")
    if is_space(data):
        notes.add("command", "the file names no program: put yours in the place of train.py")
        notes.add("objective", "the file names no metric and no goal: maximize is a guess")
        guessed = {"command": ["python", "train.py"], "objective": _objective("maximize")}
        return file.stem, {**guessed, "parameters": parameters_of(data, notes)}
    source = Source(_with_new_names(data), notes)
    fields: dict[str, Any] = {
        **_program(source, file),
        **_algorithm(source),
        "parameters": _space(source, file),
        "max_trials": _limit(source, "maxTrialNumber", "20 trials, unless the algorithm says otherwise"),
        "max_duration": _duration(source, "maxExperimentDuration"),
        "max_trial_duration": _duration(source, "maxTrialDuration"),
        "max_concurrency": source.take("trialConcurrency", int),
    }
    if fields["max_duration"] is None:
        source.note("maxExperimentDuration", "there is none; here the search may take 24h unless you say more")
    _training_service(source)
    name = source.take("experimentName", str) or file.stem
    source.ignore("authorName", "useAnnotation")
    source.end()
    return name, fields


def _with_new_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields under their names in version 2; raises `SpecError` if two are the same one."""
    trial = data.get("trial")
    inside = trial if isinstance(trial, Mapping) else {}
    renamed = [
        (name, _RENAMED.get(name, name), value) for name, value in data.items() if trial is None or name != "trial"
    ]
    renamed += [
        (f"trial.{name}", _RENAMED_IN_TRIAL.get(name, f"trial.{name}"), value) for name, value in inside.items()
    ]
    found: dict[str, Any] = {}
    for given, name, value in renamed:
        if name in found:
            raise SpecError(str(given), f"{name} says the same", "Keep one of them")
        found[name] = value
    return found


def _program(source: Source, file: Path) -> dict[str, Any]:
    command = source.take("trialCommand", str)
    if not command:
        raise SpecError("trialCommand", "there is none", "Give the command of a trial, such as `python train.py`")
    gpus = source.take("trialGpuNumber", int)
    folder = file.parent / Path(source.take("trialCodeDirectory", str) or ".").expanduser()
    return {
        "command": _command(command, source),
        "working_directory": folder,
        "resources": {} if gpus is None else {"gpus": gpus},
    }


def _command(text: str, source: Source) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words or _SHELL.search(text):
        source.note("trialCommand", "it needs a shell, so bash runs it")
        return ["bash", "-c", as_text(text)]
    return [as_text(word) for word in words]


def _space(source: Source, file: Path) -> dict[str, Any]:
    space, path = source.take("searchSpace", dict), source.take("searchSpaceFile", str)
    if source.take("useAnnotation", bool):
        remedy = "Write what the annotations search as `searchSpace`"
        raise SpecError(source.place("useAnnotation"), "annotations in a program are not read", remedy, True)
    if source.take("experimentType", str) not in (None, "hpo"):
        raise SpecError(source.place("experimentType"), "only searches for hyperparameters can be taken over")
    if space is not None:
        return parameters_of(space, source.notes, f"{source.place('searchSpace')}.")
    if path is None:
        raise SpecError("searchSpace", "there is none", "Give `searchSpace`, or a file as `searchSpaceFile`")
    space_file = file.parent / Path(path).expanduser()
    if not space_file.exists():
        place, remedy = source.place("searchSpaceFile"), f"Give its path, as seen from the folder of {file.name}"
        raise SpecError(place, f"there is no file {shown(path)}", remedy, path)
    return parameters_of(read_mapping(space_file), source.notes)


def _limit(source: Source, name: str, otherwise: str) -> int | None:
    value = source.take(name, int)
    if value is None:
        source.note(name, f"there is none; here it is {otherwise}")
    return value


def _duration(source: Source, name: str) -> Any:
    value = source.take(name, object)
    if value is None:
        return None
    try:
        parse_duration(value)
    except ValueError as error:
        problem, remedy = error.args
        raise SpecError(source.place(name), problem, remedy, value) from None
    return value


# Algorithms ------------------------------------------------------------------------------------------------


def _algorithm(source: Source) -> dict[str, Any]:
    tuner = source.inside("tuner" if source.has("tuner") else "advisor")
    name = _name_of(tuner, "builtinTunerName", "builtinAdvisorName")
    given = tuner.inside("classArgs")
    goal = given.take("optimize_mode", str)
    early_stopping, assessed = _early_stopping(source.inside("assessor"))
    if goal is None:
        goal = assessed or ("minimize" if name in _MINIMISING else "maximize")
        tuner.note("classArgs.optimize_mode", f"there is none; {goal} is a guess")
    if goal not in ("maximize", "minimize"):
        raise SpecError(given.place("optimize_mode"), f"{shown(goal)} is no goal", "Give maximize or minimize", goal)
    source.notes.add(
        "objective", f"NNI's results have no name; the program reports them as {METRIC}, or call it what you like"
    )
    return {
        "objective": _objective(goal),
        "algorithm": _known_algorithm(name, tuner),
        "early_stopping": early_stopping,
        "seed": given.take("seed", int),
    }


def _objective(goal: str) -> dict[str, Any]:
    return {"metric": METRIC, "goal": goal}


def _name_of(source: Source, *older: str) -> str:
    """Return the name of a tuner or assessor in small letters; empty: there is none, or it is somebody's own class."""
    found = [source.take(name, str) for name in ("name", *older)]
    return next((name for name in found if name), "").replace("_", "").lower()


def _known_algorithm(name: str, tuner: Source) -> str | None:
    if name == "batch":
        remedy = "Search over each parameter, and give the configurations as `initial`"
        raise SpecError(tuner.place("name"), "a batch of configurations is no search space", remedy, name)
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None and not tuner.is_empty:
        other = f"{name} is not built in" if name else "a tuner of your own is not carried over"
        tuner.note("name", f"{other}; the default algorithm searches")
    if name in _BY_BUDGET:
        tuner.note("name", "its budgets (TRIAL_BUDGET) are not carried over; `early_stopping: halving` is like them")
    if name == "pbt":
        tuner.note("name", "checkpoints are in $TUNEWELL_CHECKPOINT_DIR; a program that goes on there is `resumable`")
    return algorithm


def _early_stopping(assessor: Source) -> tuple[str | None, str | None]:
    """Return the rule for early stopping and the goal that an assessor has; None for what it has not."""
    name, given = _name_of(assessor, "builtinAssessorName"), assessor.inside("classArgs")
    goal = given.take("optimize_mode", str)
    if name == "medianstop":
        return "median", goal
    if name or not assessor.is_empty:
        assessor.note("name", f"{name or 'a class of your own'} is not built in; `early_stopping: halving` may serve")
    return None, goal


def _training_service(source: Source) -> None:
    """Note where trials ran, unless that was this machine. What is inside may hold passwords, and is not shown."""
    platform = source.take("trainingServicePlatform", str)
    service = source.take("trainingService", object)
    name = "trainingService" if platform is None else "trainingServicePlatform"
    if isinstance(service, Mapping):
        platform = service.get("platform")
        inside = Source({key: value for key, value in service.items() if key != "platform"}, source.notes, f"{name}.")
        if platform in (None, "local"):
            inside.end()
    if (platform is not None and platform != "local") or isinstance(service, list):
        source.note(name, "trials run on this machine; `scheduler: ray` and `tunewell worker` bring them to others")
