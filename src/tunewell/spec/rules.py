"""The rules that tie the fields of a spec to each other; each field by itself is right, or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.spec.errors import SpecError
from tunewell.spec.problems import Problems

if TYPE_CHECKING:
    from tunewell.spec.experiment import ExperimentSpec

#: Exactly one of them says what is trained.
KINDS = ("task", "command", "function")
#: Kind → fields that go with others only.
_FOREIGN = {
    "task": ("metric_pattern", "environment", "code", "working_directory", "resumable"),
    "command": ("data", "dataset", "network"),
    "function": ("data", "dataset", "network", "metric_pattern", "environment"),
}


def check_rules(spec: ExperimentSpec, problems: Problems) -> None:
    """Add the rules that a spec breaks, as far as the fields that they are about are right."""
    kind = _kind(spec, problems)
    if kind is not None:
        _check_kind(spec, kind, problems)
    for name in ("initial", "warm_start", "max_trials"):
        if spec.parameters_from is not None and getattr(spec, name):
            problem = "it is for searches, and `parameters_from` asks for a single trial"
            problems.add(SpecError(name, problem, "Drop one"))
    if spec.finalists == "full" and spec.sampling == 1.0 and not problems.concern("sampling"):
        problems.add(SpecError("finalists", "'full' repeats trainings on all data", "Give `sampling`, such as 0.25"))
    elif spec.finalists == "full" and kind == "function":
        problems.add(SpecError("finalists", "'full' is not offered for functions", "Train the best ones yourself"))
    gpus, most = spec.resources.gpus, spec.max_gpus
    if gpus is not None and most is not None and gpus > most and not problems.concern("max_gpus", "resources"):
        problems.add(
            SpecError("max_gpus", f"{most} for the search, and each trial takes {gpus}", f"Give {gpus} or more")
        )
    if spec.resources.cpus == 0 and spec.max_concurrency is None and not problems.concern("max_concurrency"):
        problem = "trials that take no core are as many at once as you say"
        problems.add(SpecError("resources.cpus", problem, "Give `max_concurrency`", 0))


def _kind(spec: ExperimentSpec, problems: Problems) -> str | None:
    """Return the field that says what is trained; None if that is wrong."""
    if problems.concern(*KINDS):
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


def _check_kind(spec: ExperimentSpec, kind: str, problems: Problems) -> None:
    if kind == "task" and spec.data is None and not problems.concern("data"):
        problems.add(SpecError("data", "it is missing", "Point it at the data set's folder"))
    if kind != "task" and not spec.parameters and not problems.concern("parameters", "parameters_from"):
        problems.add(SpecError("parameters", "there is nothing to search", "Give at least one parameter"))
    if kind == "function" and spec.code is None and spec.working_directory is not None:
        problem = "only commands take it, and this is a function"
        problems.add(SpecError("working_directory", problem, "Drop it"))
    for name in _FOREIGN[kind]:
        if getattr(spec, name) not in (None, {}):
            owners = "commands take" if name in _FOREIGN["task"] else "built-in tasks take"
            problems.add(SpecError(name, f"only {owners} it, and this is a {kind}", "Drop it"))
