"""Changing experiments, running or not: how far they go, what people call them, and configurations of one's own.

A change is on record when it is answered. If a controller runs the experiment it is asked to read the record again, and
goes on with the new values; else they are there when one takes the experiment over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.controller.going_on import goes_on
from tunewell.controller.loading import fixed_epochs, trial_budget
from tunewell.home.home import Home
from tunewell.service.facts import FACTS, check_facts
from tunewell.service.idempotency import Asked, once, settled
from tunewell.service.imported import check_searched
from tunewell.service.types import JsonObject, OwnConfiguration
from tunewell.spec.declaration import parse_space
from tunewell.spec.differences import BUDGET_FIELDS
from tunewell.spec.errors import ConflictError, SpecError, count, nearest
from tunewell.spec.experiment import ExperimentSpec, gather_spec, parse_spec
from tunewell.spec.problems import Problems
from tunewell.spec.space import key
from tunewell.store.rows import ExperimentRow, Standing
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction
from tunewell.tasks.catalogue import task_for
from tunewell.tuners.catalogue import choose, takes_own


def change(
    store: Store, home: Home, name: str, changes: Mapping[str, Any], asked: Asked, revision: int | None = None
) -> None:
    """Change fields of an experiment's budget, and facts about it; all of them or none.

    Raises:
        SpecError: a field can't be changed, or its value is wrong.
        ConflictError: the experiment was imported and its budget is to change, or `revision` is not its own any more.
    """
    for field in changes:
        if field not in BUDGET_FIELDS and field not in FACTS:
            raise SpecError(field, "it can't be changed", nearest(field, [*BUDGET_FIELDS, *FACTS]))
    facts = check_facts({field: value for field, value in changes.items() if field in FACTS})
    budget = {field: value for field, value in changes.items() if field in BUDGET_FIELDS}

    def act() -> JsonObject:
        while not _change(store, home, name, budget, facts, asked, revision):
            pass  # somebody was faster
        return {}

    settled(store, asked, act)


def _change(
    store: Store, home: Home, name: str, budget: JsonObject, facts: JsonObject, asked: Asked, revision: int | None
) -> bool:
    """Do it once; False: the experiment is another than it was when this was made ready."""
    row = store.experiment(name)
    is_running = home.is_running(name)
    if facts.get("visibility") == "team":
        _check_sources(store, row)
    spec = changed_spec(row, budget) if budget else None
    with store.transaction() as tx:
        standing = tx.standing(name)
        if revision is not None and standing.revision != revision:
            raise ConflictError(
                f"Experiment '{name}' has been changed meanwhile", remedy="Look at it again", kind="stale"
            )
        if standing != Standing(row.revision, row.term):
            return False
        row = store.experiment(name)
        if spec is not None:
            tx.set_spec(name, spec.model_dump(mode="json"))
        if facts:
            tx.set_facts(name, facts)
        if spec is not None and row.state.final and goes_on(row.stop_rule, row, parse_spec(row.spec), spec):
            tx.let_go_on(name)
        elif is_running and (budget or facts):
            tx.add_request(name, "update", data={"fields": [*budget, *facts]})
        asked.answer(tx, {})
    return True


def changed_spec(row: ExperimentRow, budget: Mapping[str, Any]) -> ExperimentSpec:
    """Return the spec of an experiment with another budget.

    Raises:
        SpecError: a value is wrong, or does not go with the rest of the spec.
        ConflictError: the experiment was imported.
    """
    check_searched(row)
    objective = {field.removeprefix("objective."): value for field, value in budget.items() if "." in field}
    fields = {field: value for field, value in budget.items() if "." not in field}
    problems = Problems()
    spec = gather_spec({**row.spec, **fields, "objective": {**row.spec["objective"], **objective}}, problems)
    problems.raise_any()
    begun = sum(row.counts.values())
    if "max_trials" in budget and spec.max_trials is not None and spec.max_trials < begun:
        remedy = f"Give {begun} or more, or stop the search"
        raise SpecError(
            "max_trials",
            f"{count(begun, 'trial')} {'has' if begun == 1 else 'have'} begun already",
            remedy,
            spec.max_trials,
        )
    if spec.parameters_from is None:
        space, resumable = parse_space(row.space), task_for(spec, None).resumable(spec)
        options, epochs = spec.algorithm.options, fixed_epochs(space)
        choose(spec.algorithm.name, space, spec.max_trials, resumable, epochs, spec.early_stopping, **options)
    return spec


def _check_sources(store: Store, row: ExperimentRow) -> None:
    """Raise `ConflictError` where an experiment would tell everybody the name of a private one."""
    spec = parse_spec(row.spec)
    for source in (*spec.warm_start, *([spec.parameters_from] if spec.parameters_from is not None else [])):
        found = store.find_access(source)
        if found is not None and found.visibility == "private":
            raise ConflictError(
                f"it builds on '{source}', which is private", field="visibility", remedy="Share that one first"
            )


def add_trial(store: Store, name: str, parameters: Mapping[str, Any], asked: Asked) -> OwnConfiguration:
    """Ask for a trial of a configuration of the caller's own.

    Raises:
        SpecError: it is none of the space.
        ConflictError: it has been tried, there is no trial left for it, or the search takes none from outside.
    """
    return OwnConfiguration.model_validate(
        settled(store, asked, lambda: _add_trial(store, name, parameters, asked).to_json())
    )


def _add_trial(store: Store, name: str, parameters: Mapping[str, Any], asked: Asked) -> OwnConfiguration:
    row = store.experiment(name)
    _check_takes_own(row)
    configuration = parse_space(row.space).check(parameters)
    _check_is_new(store, row, configuration)

    def act(tx: Transaction) -> JsonObject:
        tx.standing(name)  # from here on, nobody else writes
        row = store.experiment(name)
        _check_goes_on(row)
        asked_for = [request for request in store.requests(name) if request.verb == "add_trial"]
        waiting = [(request.data or {})["parameters"] for request in asked_for]
        if key(configuration) in map(key, waiting):
            raise ConflictError("this configuration has been added already", field="parameters", kind="tried-already")
        _check_is_left(row, len(waiting))
        tx.add_request(name, "add_trial", data={"parameters": configuration})
        return OwnConfiguration(parameters=configuration).to_json()

    return OwnConfiguration.model_validate(once(store, asked, act))


def _check_goes_on(row: ExperimentRow) -> None:
    if row.state.final:
        raise ConflictError(
            f"Experiment '{row.name}' has ended already (it is {row.state})",
            remedy="Give it a larger budget and let it go on first",
        )


def _check_takes_own(row: ExperimentRow) -> None:
    check_searched(row)
    _check_goes_on(row)
    spec = parse_spec(row.spec)
    if not takes_own(row.algorithm["name"], task_for(spec, None).resumable(spec)):
        raise ConflictError(
            f"'{row.algorithm['name']}' trains a population in rounds, and takes no configurations from outside",
            remedy="Start a search with them as `initial`",
            kind="takes-no-configurations",
        )


def _check_is_left(row: ExperimentRow, waiting: int) -> None:
    budget = trial_budget(parse_spec(row.spec), row)
    if sum(row.counts.values()) + waiting >= budget:
        raise ConflictError(
            f"Experiment '{row.name}' makes {count(budget, 'trial')}, and all of them are given out",
            remedy="Raise `max_trials` first",
            kind="no-trial-left",
        )


def _check_is_new(store: Store, row: ExperimentRow, configuration: JsonObject) -> None:
    wanted = key(configuration)
    if any(key(initial) == wanted for _, initial in row.algorithm["initial"]):
        raise ConflictError("the search tries this configuration by itself", field="parameters", kind="tried-already")
    for trial in store.iterate_trials(row.name):
        if key(trial.parameters) == wanted:
            raise ConflictError(
                f"trial {trial.number} has this configuration already",
                field="parameters",
                remedy="Change a value",
                kind="tried-already",
                trial=trial.number,
            )
