"""From an experiment's record to what runs it. A spec was resolved when recorded; nothing is worked out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewell.home.home import Home
from tunewell.home.spec_on_record import recorded_spec
from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import SearchSpace
from tunewell.store.rows import ExperimentRow
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.contract import Task
from tunewell.tuners.catalogue import build, rungs_of
from tunewell.tuners.contract import Search, Tuner
from tunewell.tuners.sources import Source

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the record of an experiment says, ready for use."""

    spec: ExperimentSpec
    task: Task
    space: SearchSpace
    algorithm: Mapping[str, Any]
    #: Number of trials that it may make.
    max_trials: int

    def tuner(self) -> Tuner:
        """Return its tuner, without any history."""
        return make_tuner(self.spec, self.task, self.space, self.max_trials, self.algorithm)


def recorded(home: Home, row: ExperimentRow, function: Function | None = None) -> Recorded:
    """Return what the record of an experiment says; see `recorded_spec`.

    Raises:
        UserError: what it needs is not there, such as the libraries of its task.
    """
    spec = recorded_spec(home, row)
    return Recorded(spec, task_for(spec, function), parse_space(row.space), row.algorithm, trial_budget(spec, row))


def trial_budget(spec: ExperimentSpec, row: ExperimentRow) -> int:
    """Return the number of trials that an experiment may make: the spec's, or else the algorithm's default."""
    return spec.max_trials or int(row.algorithm["max_trials"])


def make_tuner(
    spec: ExperimentSpec, task: Task, space: SearchSpace, max_trials: int, algorithm: Mapping[str, Any]
) -> Tuner:
    """Return the tuner of an experiment, without any history. `algorithm` is what is on record about it."""
    early_stopping = "off" if spec.parameters_from is not None else spec.early_stopping
    search = Search(
        space=space,
        goal=spec.objective.goal,
        seed=spec.seed,
        initial=[(origin, dict(configuration)) for origin, configuration in algorithm["initial"]],
        max_trials=max_trials,
        max_concurrency=spec.max_concurrency,
        resumable=task.resumable(spec),
        early_stopping=early_stopping,
        rungs=rungs_of(early_stopping, fixed_epochs(space)),
        structural=task.structural,
        sources=[Source.from_json(source) for source in algorithm["sources"]],
    )
    return build(algorithm["name"], algorithm["options"], search)


def fixed_epochs(space: SearchSpace) -> int | None:
    """Return the length of a full training where a parameter `epochs` says so and is fixed."""
    if "epochs" not in space or space["epochs"].size != 1:
        return None
    value = space["epochs"].values(1)[0]
    return value if isinstance(value, int) else None
