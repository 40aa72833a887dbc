"""From what a user wrote to an experiment in the store: completed, checked, created or continued."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunewell.controller.going_on import goes_on
from tunewell.controller.loading import Function, fixed_epochs, make_tuner
from tunewell.controller.resources import most_at_once, plan_resources
from tunewell.home.cluster import Cluster, read_cluster
from tunewell.home.home import Home
from tunewell.home.spec_on_record import recorded_spec
from tunewell.schedulers import hardware
from tunewell.service.checking import completed_spec, findings_of, searched_space, trained_task
from tunewell.service.idempotency import Asked, settled
from tunewell.service.imported import check_searched
from tunewell.service.types import Submission
from tunewell.service.verbs import Fresh
from tunewell.service.warm_start import find_best, find_sources, with_space
from tunewell.spec.capacity import Capacity
from tunewell.spec.declaration import declare
from tunewell.spec.differences import BUDGET_FIELDS, LABEL_FIELDS, Difference, spec_differences
from tunewell.spec.errors import ConflictError, SpecError, count, listed
from tunewell.spec.experiment import ExperimentSpec, gather_spec, needs_its_program, parse_spec
from tunewell.spec.labels import LABELS, labels_of
from tunewell.spec.names import Visibility, cluster_called
from tunewell.spec.places import PLACES, beside, moved_spec, resolved_spec
from tunewell.spec.problems import Problems
from tunewell.spec.rules import RAY
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction
from tunewell.tasks.catalogue import name_function
from tunewell.tasks.contract import Task
from tunewell.tasks.function_code import checksum, differ
from tunewell.tuners.catalogue import (
    RESUMING,
    AlgorithmChoice,
    check_options,
    choose,
    initial_configurations,
)
from tunewell.tuners.contract import Tuner
from tunewell.tuners.sources import Source, starts

#: What else is done in the transaction that records a submission.
Also = Callable[[Transaction, Submission], None]

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
    #: Without any history, and without what earlier experiments know.
    tuner: Tuner
    #: What the check found, a line each.
    findings: tuple[str, ...]
    #: The machines that its trials are for.
    machines: Capacity


def make_plan(raw: Mapping[str, Any], function: Function | None = None, cluster: Cluster | None = None) -> Plan:
    """Check everything that can be checked without starting anything.

    Args:
        raw: the spec.
        function: what is trained, for a search over a Python function.
        cluster: the Ray cluster that searches of this home can use; None: there is none.

    Raises:
        UserError: something is wrong; the error names it and the remedy.
        SpecErrors: several things are; it holds an error for each that doesn't depend on another.
    """
    problems = Problems()
    completed, task = completed_spec(raw, function, problems)
    spec = resolved_spec(_with_epochs(gather_spec(completed, problems)))
    task = trained_task(spec, function, problems, task)
    machines = _machines(spec, cluster, problems)
    space = searched_space(task, spec, problems, machines) if task is not None else None
    with problems.gathering():
        check_options(spec.algorithm.name, spec.algorithm.options)
    search = _search(spec, task, space, machines, problems) if task is not None and space is not None else None
    findings = findings_of(task, spec, problems) if task is not None else []
    problems.raise_any()
    assert task is not None and space is not None and search is not None
    return Plan(spec, task, space, *search, (*findings, *_findings_on_earlier(spec)), machines)


def _machines(spec: ExperimentSpec, cluster: Cluster | None, problems: Problems) -> Capacity:
    """Return the machines that trials are for; this one, where those of a cluster are not known."""
    if spec.scheduler != RAY or problems.concern("scheduler"):
        return hardware.machine()
    if cluster is None or not cluster.capacity.nodes:
        kind = "no-cluster-named" if cluster is None else "no-cluster"
        if cluster is None:
            problem, remedy = "there is no Ray cluster", "Name its address when the service is started"
        else:
            why = cluster.problem or "it has not answered yet"
            problem, remedy = f"{cluster_called(cluster.address)} can't be used ({why})", "See to it, and try again"
        problems.add(
            SpecError("scheduler", problem, f"{remedy}; or have trials run here: scheduler: local", RAY, kind=kind)
        )
        return hardware.machine()
    return cluster.capacity


def _search(
    spec: ExperimentSpec, task: Task, space: SearchSpace, machines: Capacity, problems: Problems
) -> tuple[AlgorithmChoice, Tuner] | None:
    """Return the algorithm that searches, as far as all that it depends on is right, and its tuner can be made."""
    at_once, initial = None, []
    if not problems.concern("resources", "max_concurrency", "scheduler"):
        with problems.gathering():
            at_once = _at_once(spec, machines)
    with problems.gathering():
        initial = initial_configurations(space, spec.initial)
    if not problems.concern(*_CHOSEN_BY):
        with problems.gathering():
            choice = _chosen(spec, space, task.resumable(spec), at_once)
            return choice, make_tuner(spec, task, space, choice.max_trials, _algorithm_record(choice, initial))
    return None


def _chosen(spec: ExperimentSpec, space: SearchSpace, resumable: bool, at_once: int | None) -> AlgorithmChoice:
    """Return the algorithm of a spec, all that follows from the number of trials settled."""
    name, options = spec.algorithm.name, spec.algorithm.options
    if spec.parameters_from is not None:
        reason = f"a single trial, as good as {spec.parameters_from}"
        return replace(choose("random", space, 1), reason=reason, default_trials=1)
    return choose(name, space, spec.max_trials, resumable, fixed_epochs(space), spec.early_stopping, at_once, **options)


def _at_once(spec: ExperimentSpec, machines: Capacity) -> int | None:
    """Return how many trials run at once, if the user said so: no more than fit.

    Raises:
        SpecError: not one fits.
    """
    resources = plan_resources(spec, machines)
    slots, most = machines.slots(resources), most_at_once(spec, resources.gpus)
    return min(most, slots) if most is not None else None


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


def _algorithm_record(
    choice: AlgorithmChoice, initial: Sequence[tuple[str, Configuration]], sources: Sequence[Source] = ()
) -> dict[str, Any]:
    """Return what is recorded of the algorithm: all that its tuner is made of, whatever becomes of spec and sources."""
    return {
        "name": choice.name,
        "reason": choice.reason,
        "version": choice.version,
        "max_trials": choice.default_trials,
        "options": dict(choice.options),
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
    # The members of a population are all trained as far as each other, and a grid has all that is to be tried.
    populated = plan.task.resumable(plan.spec) and plan.choice.name in RESUMING
    promising = [] if populated or plan.choice.name == "grid" else plan.task.promising(plan.spec, plan.space)
    own = initial_configurations(plan.space, plan.spec.initial, promising)
    found = starts(plan.space, sources, plan.choice.max_trials, [configuration for _, configuration in own])
    return own + (found[: plan.choice.options["population_size"] - len(own)] if populated else found)


def create(store: Store, home: Home, raw: Mapping[str, Any], new: Fresh, asked: Asked) -> Submission:
    """Create or continue an experiment, as `submit` does, once."""

    def also(tx: Transaction, made: Submission) -> None:
        asked.answer(tx, made.to_json())
        elsewhere = made.kind == "continued" and not asked.caller.local  # whoever is here runs it next
        if elsewhere and store.experiment(made.name).state is ExperimentState.PAUSED:
            tx.add_request(made.name, "resume")

    answer = settled(store, asked, lambda: submit(store, home, raw, None, new, also).to_json())
    return Submission.model_validate(answer)


def submit(
    store: Store,
    home: Home,
    raw: Mapping[str, Any],
    function: Function | None = None,
    new: Fresh = "never",
    also: Also = lambda tx, made: None,
) -> Submission:
    """Create the experiment that `raw` describes, or continue the one that has its name.

    A search over a Python function has the function's own name where it has no other. `new` says when a taken name
    gets a number behind it instead. Otherwise, the spec must agree with the recorded one in all but its budget; a
    larger budget continues a search that has ended. `also` is done in the transaction that records it.

    Raises:
        UserError: the spec is wrong, or differs from the recorded one.
    """
    if function is not None:
        name, path = name_function(function)
        raw = {"name": name, "function": path, "function_code": checksum(function), **raw}
    plan = make_plan(with_space(store, raw), function, read_cluster(home.folder))
    plan, row = _named(store, home, plan, new)
    if row is not None:
        return _continue(store, home, row, plan, also)
    sources = find_sources(store, plan.spec.name, plan.space, plan.spec.warm_start)
    algorithm = _algorithm_record(plan.choice, _initial(plan, store, sources), sources)
    submission, visibility = Submission(name=plan.spec.name, kind="new"), visibility_of(store, plan.spec)
    try:
        with store.transaction() as tx:
            also(tx, submission)
            spec = plan.spec.model_dump(mode="json")
            tx.create_experiment(
                plan.spec.name,
                spec,
                declare(plan.space),
                algorithm,
                home=home.real_path,
                visibility=visibility,
            )
    except ConflictError:
        if store.find_experiment(plan.spec.name) is None:
            raise
        return submit(store, home, raw, function, new, also)  # somebody was faster: now it is a known name
    return submission


def visibility_of(store: Store, spec: ExperimentSpec) -> Visibility:
    """Return who sees a new experiment: what builds on a private one tells its name, and so is private, too."""
    earlier = [*spec.warm_start, *([spec.parameters_from] if spec.parameters_from is not None else [])]
    rows = map(store.find_access, earlier)
    hidden = any(row is not None and row.visibility == "private" for row in rows)
    return "private" if hidden else spec.visibility


def _named(store: Store, home: Home, plan: Plan, new: Fresh) -> tuple[Plan, ExperimentRow | None]:
    """Return the plan, under a numbered name where `new` says so, and the experiment that it is to continue, if any."""
    for name in itertools.chain([plan.spec.name], (f"{plan.spec.name}-{n}" for n in itertools.count(2))):
        spec = plan.spec.model_copy(update={"name": name})
        row = store.find_experiment(name)
        if row is None or new == "never" or (new == "if-ended" and _waits_for(store, home, row, spec)):
            return replace(plan, spec=spec), row
    raise AssertionError("names never run out")


def _waits_for(store: Store, home: Home, row: ExperimentRow, spec: ExperimentSpec) -> bool:
    """Whether an experiment has this spec, but for what people say of it, and is to go on.

    No other program must be at it with its function.
    """
    busy = needs_its_program(row.spec) and home.is_running(row.name)
    recorded = recorded_spec(home, row)
    same = _searched(recorded) == _searched(spec.model_copy(update={"function_code": recorded.function_code}))
    return _unfinished(store, row) and not busy and same


def _searched(spec: ExperimentSpec) -> ExperimentSpec:
    """Return a spec without what people say of the experiment."""
    return spec.model_copy(update=dict.fromkeys(LABELS))


def _unfinished(store: Store, row: ExperimentRow) -> bool:
    """Whether the search has not ended, or could not be brought to its end."""
    if row.state is ExperimentState.FAILED and row.stop_rule == "error":
        return True  # it could not go on; whoever gives it again has seen to that
    return not row.state.final or store.counts(row.name).get(TrialState.WAITING, 0) > 0


def _continue(store: Store, home: Home, row: ExperimentRow, plan: Plan, also: Also) -> Submission:
    check_searched(row)
    spec, recorded = plan.spec, parse_spec(row.spec)
    together = moved_spec(recorded, Path(row.home), Path(home.real_path), beside) if row.home else recorded
    elsewhere = {
        field for field in PLACES if getattr(spec, field) not in (getattr(recorded, field), getattr(together, field))
    }
    differences = [d for d in spec_differences(recorded, spec) if d.field not in PLACES or d.field in elsewhere]
    free = BUDGET_FIELDS | LABEL_FIELDS | {"function_code"}
    fixed = [d for d in differences if d.field not in free and not _may_have_moved(d)]
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
    is_to_go_on = _unfinished(store, row) or goes_on(row.stop_rule, row, recorded, spec)
    notes = _notes_on_code(store, row, recorded, spec, is_to_go_on)
    if not is_to_go_on:  # what is on record was reached with the code that is on record
        spec = spec.model_copy(update={"function_code": recorded.function_code})
    submission = Submission(name=row.name, kind="continued" if is_to_go_on else "finished", notes=notes)
    changed = (recorded, row.home) != (spec, home.real_path)
    # What people have changed since stays where the spec says what it said.
    before, said = labels_of(dict(recorded)), labels_of(dict(spec))
    labels = {field: label for field, label in said.items() if label != before[field]}
    is_other = (_searched(recorded), row.home) != (_searched(spec), home.real_path)
    with home.lock(row.name) if is_other else nullcontext(), store.transaction() as tx:
        also(tx, submission)
        if changed:
            tx.set_spec(row.name, spec.model_dump(mode="json"), home=home.real_path)
        if labels:
            tx.set_facts(row.name, labels)
        if (recorded.visibility, spec.visibility) == ("team", "private"):  # it is never shared by the way
            tx.set_facts(row.name, {"visibility": "private"})
        if is_to_go_on and notes:
            tx.add_notes(row.name, notes)
        if is_to_go_on and row.state.final:
            tx.let_go_on(row.name)
    return submission


def _notes_on_code(
    store: Store, row: ExperimentRow, recorded: ExperimentSpec, spec: ExperimentSpec, is_to_go_on: bool
) -> tuple[str, ...]:
    """Return a note if the code of a search's function has changed since it was put on record."""
    if not differ(recorded.function_code, spec.function_code):
        return ()
    if not is_to_go_on:
        return ("The function's code has changed since: this is what the earlier code has reached.",)
    ended = sum(amount for state, amount in store.counts(row.name).items() if state.final)
    if not ended:
        return ()
    trials = count(ended, "trial")
    return (f"The function's code was changed when {trials} had ended: compare values before and after with care.",)


def _may_have_moved(difference: Difference) -> bool:
    """Whether a path that differs may lead to the same all the same; of data and weights, their content tells."""
    if difference.field == "working_directory":
        return difference.old is not None and difference.new is not None and not Path(difference.old).exists()
    words = (None, "auto", "none")
    return difference.field in PLACES and difference.old not in words and difference.new not in words
