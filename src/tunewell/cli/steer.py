"""Commands that change what a search does and what people call it, running or not; and the bin."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tunewell.cli.options import HOME, DatabaseOption, ExperimentArgument, HomeOption, ServerOption, existing
from tunewell.cli.summary import again_text
from tunewell.display.wording import parameters_text, stays_ended
from tunewell.service.service import Service
from tunewell.service.types import Experiment
from tunewell.service.verbs import Verbs
from tunewell.spec.differences import BUDGET_FIELDS
from tunewell.spec.errors import ArgumentError, ConflictError, SpecError, UserError, listed, shown


def set_(
    experiment: ExperimentArgument,
    max_trials: Annotated[int | None, typer.Option("--max-trials", help="Number of trials.")] = None,
    max_concurrency: Annotated[int | None, typer.Option("--max-concurrency", help="Most trials at once.")] = None,
    max_duration: Annotated[
        str | None, typer.Option("--max-duration", help="Longest time that the search runs, such as 90m.")
    ] = None,
    max_failed_trials: Annotated[
        str | None, typer.Option("--max-failed-trials", help="Failures allowed: a count, or a share such as 50%.")
    ] = None,
    target: Annotated[
        float | None, typer.Option("--target", help="The search stops as soon as a report reaches this.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="What it is about, or what was learned; '' for nothing.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="What it belongs to; '' for nothing.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag to add; repeat it for more.")] = None,
    untags: Annotated[list[str] | None, typer.Option("--untag", help="A tag to remove; repeat it for more.")] = None,
    weight: Annotated[
        float | None, typer.Option("--weight", help="Its share, in proportion to those of its owner's others.")
    ] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--team", help="Who sees it: its owner alone, or everybody.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Change limits, tags and other settings of a search. A running one goes on with them."""
    given: dict[str, Any] = {
        "max_trials": max_trials,
        "max_concurrency": max_concurrency,
        "max_duration": max_duration,
        "max_failed_trials": None if max_failed_trials is None else _value(max_failed_trials),
        "objective.target": target,
        "description": description,
        "project": project,
        "weight": weight,
        "visibility": None if private is None else "private" if private else "team",
    }
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes and not tags and not untags:
        raise UserError("there is nothing to change", remedy="Give an option such as --max-trials 50; see --help")
    with existing(home, database, server, "write") as service:
        changed = _changed(service, experiment, changes, tags or [], untags or [])
        alone = isinstance(service, Service) and not service.readiness().controller
        again = again_text(service, changed)
    fields = [*changes, *(["tags"] if tags or untags else [])]
    print(f"Experiment '{experiment}' is changed: {', '.join(fields)}.")
    if not BUDGET_FIELDS.isdisjoint(changes) and (stays := stays_ended(changed)):
        print(stays)
    if changed.waits_for is not None and changed.waits_for.code == "no_controller":
        print(changed.waits_for.detail, *([f"Go on: {again}."] if alone else []))


def _changed(
    service: Verbs, name: str, changes: Mapping[str, Any], tags: Sequence[str], untags: Sequence[str]
) -> Experiment:
    """Change an experiment; tags are added to those that it has, and taken away, even while others do so, too."""
    if not tags and not untags:
        return service.update(name, changes)
    while True:
        known = service.experiment(name)
        for tag in untags:
            if tag not in known.tags:
                has = f"It has {listed(known.tags)}" if known.tags else "It has none"
                raise ArgumentError("untag", f"'{name}' has no tag {shown(tag)}", has, tag)
        kept = [tag for tag in (*known.tags, *tags) if tag not in untags]
        try:
            return service.update(name, {**changes, "tags": kept}, revision=known.revision)
        except ConflictError as error:
            if error.kind != "stale":
                raise


def add(
    experiment: ExperimentArgument,
    parameters: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE ...", help="All parameters, such as learning_rate=0.01.")
    ],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Have a search try a configuration of your own next. It counts as one of its trials."""
    values: dict[str, Any] = {}
    for text in parameters:
        name, given, value = text.partition("=")
        if not given or not name:
            raise SpecError("parameters", f"{shown(text)} is not possible", "Write NAME=VALUE, such as epochs=10", text)
        if name in values:
            raise SpecError(f"parameters.{name}", "it is given twice", "Give it once")
        values[name] = _value(value)
    with existing(home, database, server, "write") as service:
        added = service.add_trial(experiment, values)
    print(f"'{experiment}' tries this next: {parameters_text(added.parameters)}")


def _value(text: str) -> Any:
    """Return a value as JSON has it, a plain text without quotes; what is written like a number is one."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def delete(
    experiment: ExperimentArgument,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="Remove one that is in the bin, with its trials and files.")
    ] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Put an ended experiment into the bin."""
    with existing(home, database, server, "write") as service:
        if for_good:
            service.purge(experiment)
            print(f"Experiment '{experiment}' is removed.")
            return
        service.delete(experiment)
    print(f"Experiment '{experiment}' is in the bin. Take it out again: tunewell restore {experiment}")


def restore(
    experiment: ExperimentArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Take an experiment out of the bin."""
    with existing(home, database, server, "write") as service:
        service.restore(experiment)
    print(f"Experiment '{experiment}' is restored.")
