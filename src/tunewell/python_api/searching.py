"""`tunewell.search`: over a function, in this process, on a Ray cluster or by a service."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from tunewell.display.following import wait_for_search
from tunewell.display.lines import started_line
from tunewell.python_api.callbacks import Callbacks, OnTrial
from tunewell.python_api.progress import Progress, progress_of
from tunewell.python_api.result import Result, at_home, on_server, place
from tunewell.python_api.wording import front
from tunewell.service.runs import Given, Situation
from tunewell.service.service import Service
from tunewell.service.types import Submission
from tunewell.service.verbs import Verbs
from tunewell.spec.declaration import check_domains
from tunewell.spec.errors import ArgumentError, SpecError, shown
from tunewell.spec.experiment import EarlyStoppingRule, Goal
from tunewell.spec.names import Visibility

log = logging.getLogger("tunewell")

SchedulerName = Literal["auto", "inline", "local", "ray"]
AlgorithmName = Literal["auto", "bayesian", "cmaes", "evolutionary", "grid", "pshe2", "random", "tpe"]
#: Such as `"90m"`, or seconds.
Duration = str | float | timedelta

#: Fields that only a supervisor can keep to.
_SUPERVISED = ("max_trial_duration", "max_trial_silence", "resources", "resumable")


@front
def search(  # noqa: PLR0913 - each is a thing that users set by name
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    *,
    metric: str = "objective",
    goal: Goal | None = None,
    target: float | None = None,
    name: str | None = None,
    algorithm: AlgorithmName | Mapping[str, Any] | None = None,
    early_stopping: EarlyStoppingRule | None = None,
    initial: Sequence[Mapping[str, Any]] | None = None,
    warm_start: str | Sequence[str] | None = None,
    parameters_from: str | None = None,
    max_trials: int | None = None,
    max_duration: Duration | None = None,
    max_concurrency: int | None = None,
    max_gpus: int | None = None,
    max_failed_trials: int | float | str | None = None,
    max_trials_without_improvement: int | None = None,
    stop_when_converged: bool | None = None,
    max_trial_duration: Duration | None = None,
    max_trial_silence: Duration | None = None,
    max_attempts: int | None = None,
    resumable: bool | None = None,
    resources: Mapping[str, Any] | None = None,
    sampling: float | str | None = None,
    project: str | None = None,
    tags: str | Sequence[str] | None = None,
    description: str | None = None,
    visibility: Visibility | None = None,
    seed: int | None = None,
    on_trial_end: OnTrial | None = None,
    on_improvement: OnTrial | None = None,
    progress: bool = True,
    home: str | Path | None = None,
    database: str | None = None,
    server: str | None = None,
    scheduler: SchedulerName = "auto",
    ray: str | None = None,
) -> Result:
    """Search for the parameters with which `function` gives the best objective.

    The function is called as `function(trial, **parameters)`, or `function(**parameters)` if it takes no
    `trial`. It returns the objective (or a mapping of metrics), or reports it with `trial.report`.

    What is left out, or None, has the default of the spec; see `docs/spec.md` for those that are not told here.

    Args:
        function: what is optimised.
        parameters: name → declaration, by `tunewell.uniform`, `loguniform`, `integer`, `choice`, `ordinal`,
            or as in a spec file.
        metric: name of the objective metric.
        goal: "maximize" or "minimize"; guessed for common metric names.
        target: stop as soon as the objective is as good as this.
        name: name of the experiment. A named one continues what is paused, and shows what has ended.
            Without a name, a search of the same function and spec goes on if it is paused, or has trials that
            `tunewell retry` is to run again; otherwise a new one begins.
        algorithm: name of the search algorithm, or a mapping with its `name` and options; default: "auto".
        early_stopping: how training is saved on trials that promise little.
        initial: configurations to try first, after the default one.
        warm_start: names of earlier experiments in the same home whose trials help this search.
        parameters_from: an experiment in the same home: a single trial runs with the parameters of its best.
        max_trials: number of trials; default: 20, all points of a grid.
        max_duration: longest time that the search is at work, such as "90m" or a number of seconds; default: 24 hours.
        max_concurrency: most trials at once.
        max_gpus: most GPUs that the whole search uses at once.
        max_failed_trials: failures allowed: a count, or a share such as 0.5 or "50%".
        max_trials_without_improvement: stop when so many trials in a row brought no better value.
        stop_when_converged: whether the search stops when further gains are unlikely.
        max_trial_duration: longest time of a trial.
        max_trial_silence: longest time that a trial may print and report nothing.
        max_attempts: tries in a row for a trial that is lost through no fault of its own, and gets no further.
        resumable: whether a trial goes on from what lies in its `checkpoint_dir`, and trains as far as `fidelity` says.
        resources: what one trial gets: `cpus`, `gpus`, `memory`, …
        sampling: share of the training data to search on; a trial has it as `trial.sampling`.
        project: what experiments are grouped by.
        tags: words that experiments are found by.
        description: what it is about. Project, tags and description are no part of what is searched: a call that gives
            others goes on with the same search.
        visibility: who sees it: "team" or "private".
        seed: source of all randomness of the search.
        on_trial_end: called here with each trial that ends from now on, a `tunewell.service.types.Trial`. If it raises
            an exception, that is logged, and the search goes on.
        on_improvement: called in the same way with each trial that becomes the best one.
        progress: show how the search goes on: a line a trial, in a notebook a bar.
        home: folder of database and trials; default: TUNEWELL_HOME, or `.tunewell`.
        database: URL of the database, such as `postgresql://user@host/name`; default: TUNEWELL_DATABASE, or one in the
            home.
        server: address of a server that runs the trials, if it allows functions. The function is sent there, with
            what it takes from your own modules; what is installed must be installed there, too. The search goes on if
            this program ends, and the same call follows it again.
        scheduler: "inline" calls the function in this thread; "local" in a process of its own for each trial,
            supervised, several at once; "auto" is inline unless more than one trial at once or a limit that
            only a supervisor can enforce is asked for; "ray" on the nodes of a Ray cluster, where the function is sent
            with what it takes from your own modules.
        ray: address of that cluster, HOST:PORT of its head; default: TUNEWELL_RAY, or "auto", the one that this machine
            is a node of.

    Raises:
        UserError: something is wrong with the arguments; the message says what and how to fix it.
        KeyboardInterrupt: the search is paused; the same call goes on.
    """
    fields = {
        "name": name or None,
        "algorithm": algorithm,
        "early_stopping": early_stopping,
        "initial": initial,
        "warm_start": warm_start,
        "parameters_from": parameters_from,
        "max_trials": max_trials,
        "max_duration": max_duration,
        "max_concurrency": max_concurrency,
        "max_gpus": max_gpus,
        "max_failed_trials": max_failed_trials,
        "max_trials_without_improvement": max_trials_without_improvement,
        "stop_when_converged": stop_when_converged,
        "max_trial_duration": max_trial_duration,
        "max_trial_silence": max_trial_silence,
        "max_attempts": max_attempts,
        "resumable": resumable,
        "resources": resources,
        "sampling": sampling,
        "project": project,
        "tags": tags,
        "description": description,
        "visibility": visibility,
        "seed": seed,
    }
    check_domains(parameters)
    _check_calls({"function": function, "on_trial_end": on_trial_end, "on_improvement": on_improvement})
    objective = {"metric": metric, "goal": goal, "target": target}
    raw = {field: value for field, value in fields.items() if value is not None}
    raw["objective"] = {field: value for field, value in objective.items() if value is not None}
    raw["parameters"] = dict(parameters)
    calls = (on_trial_end, on_improvement)
    if server is not None:
        _check_on_server(home, database, scheduler, ray)
        if scheduler in ("local", "ray"):
            raw["scheduler"] = scheduler
        return _search_there(server, function, raw, progress, calls)
    on_cluster = scheduler == "ray"
    if ray is not None and not on_cluster:
        raise ArgumentError("ray", "nothing runs on a cluster", "Add scheduler='ray'", ray)
    inline = not on_cluster and _inline(scheduler, raw)
    folder, database = place(home, database)
    with Service(folder, database) as service:
        if on_cluster:
            service.join_cluster(ray if ray is not None else os.environ.get("TUNEWELL_RAY") or "auto")
            raw["scheduler"] = "ray"
        submission = service.submit(raw, function, new="if-ended" if name is None else "never")
        _tell_notes(submission)
        if submission.kind != "finished":
            given = Given(None if on_cluster else function, inline, follow_up=False)
            if not _run_here(service, submission.name, given, progress, calls):
                raise KeyboardInterrupt(f"The search is paused; call it again to go on ('{submission.name}').")
        return Result(at_home(folder, database), submission.name, service.result(submission.name))


def _check_calls(given: Mapping[str, object]) -> None:
    for field, function in given.items():
        if not callable(function) and (function is not None or field == "function"):
            raise ArgumentError(field, f"{shown(function)} can't be called", "Give a Python function", function)


def _tell_notes(submission: Submission) -> None:
    """Log what is to be known of a search that has ended; one that goes on has its notes on record."""
    for note in submission.notes if submission.kind == "finished" else ():
        log.warning("'%s': %s", submission.name, note)


#: `on_trial_end` and `on_improvement`.
Calls = tuple[OnTrial | None, OnTrial | None]


def _run_here(service: Service, name: str, given: Given, progress: bool, calls: Calls) -> bool:
    """Run a search in this process; return whether it has ended."""
    shown, callbacks = progress_of(service, name, progress), Callbacks(service, name, *calls)
    ended = service.run(name, given, on_step=_both(shown, callbacks), tell=shown.tell)
    callbacks.update()
    shown.conclude()
    return ended


def _search_there(
    server: str, function: Callable[..., Any], raw: Mapping[str, Any], progress: bool, calls: Calls
) -> Result:
    """Search on a server, and follow that."""
    from tunewell.client.client import Client
    from tunewell.client.shipping import shipped_function

    with Client(server) as client:
        spec = shipped_function(client, raw, function)
        submission = client.create(spec, new="never" if "name" in raw else "if-ended")
        _tell_notes(submission)
        name = submission.name
        if submission.kind != "finished":
            try:
                ended = _follow_there(client, submission, progress, calls)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"'{name}' goes on at {server}; call the search again to follow it.") from None
            if not ended:
                log.warning("'%s' is paused; this is its result so far", name)
        return Result(on_server(server), name, client.result(name))


def _follow_there(client: Verbs, submission: Submission, progress: bool, calls: Calls) -> bool:
    """Follow a search that a server runs; return whether it has ended."""
    name = submission.name
    shown, callbacks = progress_of(client, name, progress), Callbacks(client, name, *calls)
    shown.tell(started_line(client.overview(name, 1)))
    shown.tell("The search goes on if this is interrupted; call it again to follow it.")
    goes_on = submission.kind == "continued"
    ended = wait_for_search(client, name, goes_on=goes_on, on_step=_both(shown, callbacks))
    callbacks.update()
    shown.conclude()
    return ended


def _both(shown: Progress, callbacks: Callbacks) -> Callable[[Situation], None]:
    def step(run: Situation) -> None:
        callbacks.update(run)
        shown.update(run)

    return step


def _check_on_server(home: object, database: object, scheduler: str, ray: object) -> None:
    """Raise `ArgumentError` for what goes with a search in this process alone."""
    for field, value in {"home": home, "database": database}.items():
        if value is not None:
            raise ArgumentError(field, "the server has its own", "Leave it out", value)
    if scheduler == "inline":
        raise ArgumentError("scheduler", "a server calls no function in this thread", "Leave it out", scheduler)
    if ray is not None:
        raise ArgumentError("ray", "the server has its own cluster", "Leave it out", ray)


def _inline(scheduler: str, fields: Mapping[str, Any]) -> bool:
    if scheduler not in ("auto", "inline", "local"):
        raise ArgumentError("scheduler", f"{scheduler!r} is none", "Known: auto, inline, local, ray", scheduler)
    supervised = [name for name in _SUPERVISED if fields.get(name) not in (None, False)]
    at_once = fields.get("max_concurrency")
    many = isinstance(at_once, int) and at_once > 1
    if scheduler == "inline":
        if supervised or many:
            field = supervised[0] if supervised else "max_concurrency"
            raise SpecError(field, "the inline scheduler can't keep to it", "Use scheduler='local'")
        return True
    return scheduler == "auto" and not supervised and not many
