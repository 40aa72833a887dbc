"""From what a user wrote to an experiment in the store: completed, checked, created or continued."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tunewell.controller.resources import plan_resources
from tunewell.home.home import Home
from tunewell.schedulers.local import LocalScheduler
from tunewell.service.checking import completed_spec, findings_of, searched_space, trained_task
from tunewell.service.warm_start import find_best, find_sources, with_space
from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.differences import BUDGET_FIELDS, Difference, spec_differences
from tunewell.spec.errors import ConflictError, listed
from tunewell.spec.experiment import ExperimentSpec, gather_spec, parse_spec
from tunewell.spec.places import PLACES, beside, moved_spec, resolved_spec
from tunewell.spec.problems import Problems
from tunewell.spec.secrets import without_values
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.spec.states import TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.contract import Task
from tunewell.tuners.catalogue import RESUMING, AlgorithmChoice, check_options, choose, create, initial_configurations
from tunewell.tuners.contract import Tuner
from tunewell.tuners.sources import Source, starts

Function = Callable[..., Any]
#: Name of the algorithm, and origin of the trials, of an experiment that was imported.
IMPORTED = "imported"
#: When to begin afresh under a numbered name although the name is taken: never, always, or if that experiment
#: has ended, has another spec, or is being run.
Fresh = Literal["never", "always", "if-ended"]
#: Fields that the choice of an algorithm, and its tuner, depend on.
_CHOSEN_BY = (
    "algorithm",
    "early_stopping",
    "initial",
    "max_concurrency",
    "max_trials",
    "objective",
    "parameters",
    "parameters_from",
    "resources",
    "resumable",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A spec that has passed every check, with what follows from it. Nothing has been started or recorded."""

    spec: ExperimentSpec
    task: Task
    space: SearchSpace
    choice: AlgorithmChoice
    #: What the check found, a line each.
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a spec that was submitted."""

    name: str
    #: `new`: it was created; `continued`: it goes on; `finished`: it has ended, nothing is to be done.
    kind: Literal["new", "continued", "finished"]


def make_plan(raw: Mapping[str, Any], function: Function | None = None) -> Plan:
    """Check everything that can be checked without starting anything.

    Raises:
        UserError: something is wrong; the error names it and the remedy.
        SpecErrors: several things are; it holds an error for each that doesn't depend on another.
    """
    problems = Problems()
    spec = resolved_spec(_with_epochs(gather_spec(completed_spec(raw, function, problems), problems)))
    task = trained_task(spec, function, problems)
    space = searched_space(task, spec, problems) if task is not None else None
    with problems.gathering():
        check_options(spec.algorithm.name, spec.algorithm.options)
    choice = _choice(spec, task, space, problems) if task is not None and space is not None else None
    findings = findings_of(task, spec, problems) if task is not None else []
    problems.raise_any()
    assert task is not None and space is not None and choice is not None
    return Plan(spec, task, space, choice, (*findings, *_findings_on_earlier(spec)))


def _choice(spec: ExperimentSpec, task: Task, space: SearchSpace, problems: Problems) -> AlgorithmChoice | None:
    """Return the algorithm that searches, as far as all that it depends on is right, and its tuner can be made."""
    at_once, initial = None, []
    if not problems.concern("resources", "max_concurrency"):
        with problems.gathering():
            at_once = _at_once(spec)
    with problems.gathering():
        initial = initial_configurations(space, spec.initial)
    choice = None
    if not problems.concern(*_CHOSEN_BY):
        with problems.gathering():
            choice = _chosen(spec, task, space, at_once, initial)
    return choice


def _chosen(
    spec: ExperimentSpec,
    task: Task,
    space: SearchSpace,
    at_once: int | None,
    initial: Sequence[tuple[str, Configuration]],
) -> AlgorithmChoice:
    choice = choose(
        spec.algorithm.name,
        space,
        spec.max_trials,
        task.resumable(spec),
        _epochs(space),
        spec.early_stopping,
        at_once,
        **spec.algorithm.options,
    )
    if spec.parameters_from is not None:
        choice = replace(choose("random", space, 1), reason=f"a single trial, as good as {spec.parameters_from}")
    plan = Plan(spec, task, space, choice, findings=())
    make_tuner(spec, task, space, choice.max_trials, _algorithm_record(plan, initial))
    return choice


def _at_once(spec: ExperimentSpec) -> int | None:
    """Return how many trials run at once, if the user said so: no more than fit.

    Raises:
        SpecError: not one fits.
    """
    with closing(LocalScheduler()) as scheduler:
        slots = scheduler.slots(plan_resources(spec, scheduler))
    return min(spec.max_concurrency, slots) if spec.max_concurrency is not None else None


def _with_epochs(spec: ExperimentSpec) -> ExperimentSpec:
    """Return the spec with the length of a training that follows from the rounds of a population, if it says none."""
    options = spec.algorithm.options
    parts = (options.get("rounds"), options.get("disturbance_interval"))
    if spec.task is None or "epochs" in spec.parameters or not all(type(part) is int for part in parts):
        return spec
    return spec.model_copy(update={"parameters": {**spec.parameters, "epochs": math.prod(parts)}})


def _findings_on_earlier(spec: ExperimentSpec) -> list[str]:
    earlier = [*spec.warm_start, *([spec.parameters_from] if spec.parameters_from is not None else [])]
    names = listed([f"'{name}'" for name in earlier])
    return [f"Earlier experiments, looked up when the search begins: {names}."] if earlier else []


def make_tuner(
    spec: ExperimentSpec, task: Task, space: SearchSpace, max_trials: int, algorithm: Mapping[str, Any]
) -> Tuner:
    """Return the tuner of an experiment, without any history. `algorithm` is what is on record about it."""
    return create(
        algorithm["name"],
        space,
        goal=spec.objective.goal,
        seed=spec.seed,
        max_trials=max_trials,
        max_concurrency=spec.max_concurrency,
        resumable=task.resumable(spec),
        epochs=_epochs(space),
        structural=task.structural,
        early_stopping="off" if spec.parameters_from is not None else spec.early_stopping,
        initial=[(origin, dict(configuration)) for origin, configuration in algorithm["initial"]],
        sources=[Source.from_json(source) for source in algorithm["sources"]],
        **algorithm["options"],
    )


def _algorithm_record(
    plan: Plan, initial: Sequence[tuple[str, Configuration]], sources: Sequence[Source] = ()
) -> dict[str, Any]:
    """Return what is recorded of the algorithm: all that its tuner is made of, whatever becomes of spec and sources."""
    return {
        "name": plan.choice.name,
        "reason": plan.choice.reason,
        "version": plan.choice.version,
        "max_trials": _default_trials(plan),
        "options": dict(plan.choice.options),
        "initial": [[origin, configuration] for origin, configuration in initial],
        "sources": [source.to_json() for source in sources],
    }


def _initial(plan: Plan, store: Store, sources: Sequence[Source]) -> list[tuple[str, Configuration]]:
    """Return what the search tries first: default, the user's own and the sources' best, or just the best of another.

    Raises:
        SpecError: that other experiment does not exist, or has nothing that fits.
    """
    single = find_best(store, plan.spec.name, plan.space, plan.spec.parameters_from)
    if single is not None:
        return [single]
    own = initial_configurations(plan.space, plan.spec.initial)
    found = starts(plan.space, sources, plan.choice.max_trials, [configuration for _, configuration in own])
    if plan.task.resumable(plan.spec) and plan.choice.name in RESUMING:
        found = found[: plan.choice.options["population_size"] - len(own)]
    return own + found


def _epochs(space: SearchSpace) -> int | None:
    """Return the length of a full training where a parameter `epochs` says so and is fixed."""
    if "epochs" not in space or space["epochs"].size != 1:
        return None
    value = space["epochs"].values(1)[0]
    return value if isinstance(value, int) else None


def submit(
    store: Store, home: Home, raw: Mapping[str, Any], function: Function | None = None, new: Fresh = "never"
) -> Submission:
    """Create the experiment that `raw` describes, or continue the one that has its name.

    `new` says when a taken name gets a number behind it instead. Otherwise, the spec must agree with the
    recorded one in all but its budget; a larger budget continues a search that has ended.

    Raises:
        UserError: the spec is wrong, or differs from the recorded one.
    """
    plan = make_plan(with_space(store, raw), function)
    if new != "never":
        plan = _renamed(store, home, plan, new)
    row = store.find_experiment(plan.spec.name)
    if row is not None:
        return _continue(store, home, row, plan)
    sources = find_sources(store, plan.spec.name, plan.space, plan.spec.warm_start)
    try:
        store.create_experiment(
            plan.spec.name,
            spec=plan.spec.model_dump(mode="json"),
            space=declare(plan.space),
            algorithm=_algorithm_record(plan, _initial(plan, store, sources), sources),
            home=home.real_path,
        )
    except ConflictError:
        if store.find_experiment(plan.spec.name) is None:
            raise
        return submit(store, home, raw, function, new)  # another process was faster: now it is a known name
    return Submission(plan.spec.name, "new")


def recorded_spec(home: Home, row: ExperimentRow) -> ExperimentSpec:
    """Return the spec of an experiment as it is on record, its paths as they are today if the home was moved."""
    spec = parse_spec(row.spec)
    return moved_spec(spec, Path(row.home), Path(home.real_path)) if row.home else spec


def shareable_spec(home: Home, row: ExperimentRow) -> dict[str, Any]:
    """Return the recorded spec as JSON types, for reports and other people's eyes; see `recorded_spec`, `secrets`."""
    return without_values(recorded_spec(home, row).model_dump(mode="json"))


def recorded_plan(
    home: Home, row: ExperimentRow, function: Function | None = None
) -> tuple[ExperimentSpec, Task, SearchSpace]:
    """Return spec, task and space of an experiment as they are on record; see `recorded_spec`."""
    spec = recorded_spec(home, row)
    return spec, task_for(spec, function), parse_space(row.space)


def check_searched(row: ExperimentRow) -> None:
    """Raise `ConflictError` if an experiment was imported, so that it can't go on."""
    if row.algorithm["name"] == IMPORTED:
        raise ConflictError(
            f"Experiment '{row.name}' was imported: it can't go on",
            remedy=f"Start a search under another `name`, with `warm_start: {row.name}`",
        )


def _default_trials(plan: Plan) -> int:
    """Return the number of trials of the plan's algorithm where the spec gives none."""
    if plan.spec.parameters_from is not None:
        return 1
    options = {**plan.spec.algorithm.options, **plan.choice.options}
    resumable, rule = plan.task.resumable(plan.spec), plan.spec.early_stopping
    epochs = _epochs(plan.space)
    return choose(plan.choice.name, plan.space, None, resumable, epochs, early_stopping=rule, **options).max_trials


def trial_budget(spec: ExperimentSpec, row: ExperimentRow) -> int:
    """Return the number of trials that an experiment may make: the spec's, or else the algorithm's default."""
    return spec.max_trials or int(row.algorithm["max_trials"])


def _renamed(store: Store, home: Home, plan: Plan, new: Fresh) -> Plan:
    for name in itertools.chain([plan.spec.name], (f"{plan.spec.name}-{n}" for n in itertools.count(2))):
        spec = plan.spec.model_copy(update={"name": name})
        row = store.find_experiment(name)
        if row is None or (new == "if-ended" and _waits_for(store, home, row, spec)):
            return replace(plan, spec=spec)
    raise AssertionError("names never run out")


def _waits_for(store: Store, home: Home, row: ExperimentRow, spec: ExperimentSpec) -> bool:
    """Whether an experiment is to go on, and nothing but a process with this very spec is missing."""
    return _unfinished(store, row) and not home.is_running(row.name) and recorded_spec(home, row) == spec


def _unfinished(store: Store, row: ExperimentRow) -> bool:
    """Whether the search has not ended, or some of its trials are to run again."""
    retried = any(request.verb == "retry" for request in store.requests(row.name))
    return not row.state.final or retried or store.counts(row.name).get(TrialState.WAITING, 0) > 0


def _continue(store: Store, home: Home, row: ExperimentRow, plan: Plan) -> Submission:
    check_searched(row)
    spec, recorded = plan.spec, parse_spec(row.spec)
    together = moved_spec(recorded, Path(row.home), Path(home.real_path), beside) if row.home else recorded
    elsewhere = {
        field for field in PLACES if getattr(spec, field) not in (getattr(recorded, field), getattr(together, field))
    }
    differences = [d for d in spec_differences(recorded, spec) if d.field not in PLACES or d.field in elsewhere]
    fixed = [d for d in differences if d.field not in BUDGET_FIELDS and not _may_have_moved(d)]
    if fixed:
        changes = "; ".join(map(str, fixed[:5]))
        changes += f"; and {len(fixed) - 5} more" if len(fixed) > 5 else ""
        raise ConflictError(
            f"Experiment '{row.name}' exists with another spec ({changes})",
            remedy="Give the new one another `name`, or undo the change",
            kind="experiment-differs",
            experiment=row.name,
        )
    if elsewhere:
        plan.task.check_same(spec, home.experiment(row.name))
    if (recorded, row.home) != (spec, home.real_path):
        with home.lock(row.name), store.transaction() as tx:
            tx.set_spec(row.name, spec.model_dump(mode="json"), home=home.real_path)
    larger = any(difference.field in BUDGET_FIELDS for difference in differences)
    return Submission(row.name, "continued" if larger or _unfinished(store, row) else "finished")


def _may_have_moved(difference: Difference) -> bool:
    """Whether a path that differs may lead to the same all the same; of data and weights, their content tells."""
    if difference.field == "working_directory":
        return difference.old is not None and difference.new is not None and not Path(difference.old).exists()
    words = (None, "auto", "none")
    return difference.field in PLACES and difference.old not in words and difference.new not in words
