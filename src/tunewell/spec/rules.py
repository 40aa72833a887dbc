"""The rules that tie the fields of a spec to each other; each field by itself is right, or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tunewell.spec.errors import SpecError
from tunewell.spec.problems import Problems

if TYPE_CHECKING:
    from tunewell.spec.experiment import ExperimentSpec

#: Exactly one of them says what is trained.
KINDS = ("task", "command", "function")
#: The scheduler whose trials are trained elsewhere: a spec need not say by what.
WORKERS: Literal["workers"] = "workers"
#: The scheduler whose trials run on the nodes of a Ray cluster.
RAY: Literal["ray"] = "ray"
#: Fields about the machine of the search, where workers train nothing, and what is to be done instead.
_OF_THIS_MACHINE = {
    "data": "Give it to the program of the workers",
    "dataset": "Give it to the program of the workers",
    "network": "Give it to the program of the workers",
    "environment": "Set the variables where the worker runs",
    "code": "Put the program where the worker runs",
    "working_directory": "Start the worker in that folder",
    "max_gpus": "Start as many workers as there are GPUs",
}
#: Kind → fields that go with others only.
_FOREIGN = {
    "task": ("metric_pattern", "environment", "code", "working_directory", "resumable", "function_code"),
    "command": ("data", "dataset", "network", "function_code"),
    "function": ("data", "dataset", "network", "metric_pattern", "environment"),
}


def check_rules(spec: ExperimentSpec, problems: Problems) -> None:
    """Add the rules that a spec breaks, as far as the fields that they are about are right."""
    kind: str | None = WORKERS
    if spec.scheduler == WORKERS:
        _check_workers(spec, problems)
    else:
        kind = _kind(spec, problems)
        if spec.worker_lease != type(spec).model_fields["worker_lease"].default:
            problems.add(SpecError("worker_lease", "only `scheduler: workers` takes it", "Drop it"))
        if kind is not None:
            _check_kind(spec, kind, problems)
    for name in ("initial", "warm_start", "max_trials"):
        if spec.parameters_from is not None and getattr(spec, name):
            problem = "it is for searches, and `parameters_from` asks for a single trial"
            problems.add(SpecError(name, problem, "Drop one"))
    if spec.finalists == "full" and kind == WORKERS:
        problems.add(SpecError("finalists", "'full' trains here, and workers train elsewhere", "Drop it"))
    elif spec.finalists == "full" and spec.sampling == 1.0 and not problems.concern("sampling"):
        problems.add(SpecError("finalists", "'full' repeats trainings on all data", "Give `sampling`, such as 0.25"))
    elif spec.finalists == "full" and kind == "function":
        problems.add(SpecError("finalists", "'full' is not offered for functions", "Train the best ones yourself"))
    gpus, most = spec.resources.gpus, spec.max_gpus
    if gpus is not None and most is not None and gpus > most and not problems.concern("max_gpus", "resources"):
        problems.add(
            SpecError("max_gpus", f"{most} for the search, and each trial takes {gpus}", f"Give {gpus} or more")
        )
    _check_resources(spec, problems)
    if spec.resources.cpus == 0 and spec.max_concurrency is None and not problems.concern("max_concurrency"):
        problem = "trials that take no core are as many at once as you say"
        problems.add(SpecError("resources.cpus", problem, "Give `max_concurrency`", 0))


def _check_resources(spec: ExperimentSpec, problems: Problems) -> None:
    if problems.concern("resources", "scheduler"):
        return
    resources = spec.resources
    if spec.scheduler not in (RAY, WORKERS):
        for name in ("gpu_type", "labels", "custom"):
            if value := getattr(resources, name):
                shown = value if isinstance(value, str) else ", ".join(f"{key}: {of}" for key, of in value.items())
                problem = f"{shown}, but only the nodes of a cluster are told apart by it"
                problems.add(SpecError(f"resources.{name}", problem, "Drop it, or give `scheduler: ray`", value))
        if resources.gpus is not None and resources.gpus != int(resources.gpus):
            problem = f"{resources.gpus:g}, but trials share a GPU only on a cluster"
            remedy = "Give a whole number, or `scheduler: ray`"
            problems.add(SpecError("resources.gpus", problem, remedy, resources.gpus))
    if resources.gpu_type and resources.gpus == 0:
        problem = f"{resources.gpu_type}, but trials get no GPU"
        problems.add(SpecError("resources.gpu_type", problem, "Drop it, or `gpus: 0`", resources.gpu_type))


def _kind(spec: ExperimentSpec, problems: Problems) -> str | None:
    """Return the field that says what is trained; None if that is wrong."""
    if problems.concern(*KINDS, "scheduler"):
        return None
    given = [kind for kind in KINDS if getattr(spec, kind)]
    if not given:
        problems.add(SpecError("task", "it is missing", "Name a built-in `task`, or the `command` that trains"))
        return None
    if len(given) > 1:
        problem = "exactly one of them says what is trained"
        problems.add(SpecError(" and ".join(given), problem, f"Drop `{given[0]}`"))
        problems.suspect(*given)
        return None
    return given[0]


def _check_workers(spec: ExperimentSpec, problems: Problems) -> None:
    for kind in ("task", "function"):
        if getattr(spec, kind):
            problem = "it trains on the machine of the search, and `scheduler: workers` elsewhere"
            problems.add(SpecError(kind, problem, "Drop one of them"))
    _check_parameters(spec, problems)
    for name, remedy in _OF_THIS_MACHINE.items():
        if getattr(spec, name) not in (None, {}):
            problems.add(SpecError(name, "it is about the machine of the search, and workers train elsewhere", remedy))
    if spec.resources != type(spec.resources)():
        problem = "they are those of the machine of the search, and workers train elsewhere"
        problems.add(SpecError("resources", problem, "Drop them, and start as many workers as their machines bear"))
    if spec.metric_pattern is not None and spec.command is None:
        problems.add(SpecError("metric_pattern", "it is about the output of a `command`", "Drop it, or give that"))


def _check_parameters(spec: ExperimentSpec, problems: Problems) -> None:
    if not spec.parameters and not problems.concern("parameters", "parameters_from"):
        problems.add(SpecError("parameters", "there is nothing to search", "Give at least one parameter"))


def _check_kind(spec: ExperimentSpec, kind: str, problems: Problems) -> None:
    if kind == "task" and spec.data is None and not problems.concern("data"):
        problems.add(SpecError("data", "it is missing", "Point it at the data set's folder"))
    if kind != "task":
        _check_parameters(spec, problems)
    if kind == "function" and spec.code is None and spec.working_directory is not None:
        problem = "only commands take it, and this is a function"
        problems.add(SpecError("working_directory", problem, "Drop it"))
    for name in _FOREIGN[kind]:
        if getattr(spec, name) not in (None, {}):
            owners = "commands take" if name in _FOREIGN["task"] else "built-in tasks take"
            owners = "Python functions have" if name == "function_code" else owners
            problems.add(SpecError(name, f"only {owners} it, and this is a {kind}", "Drop it"))
