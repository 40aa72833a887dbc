"""The Python front: search over a function, in a script or a notebook."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tunewell.display.following import follow_lines, wait_for_search
from tunewell.display.lines import ProgressLines
from tunewell.reports.charts import standalone
from tunewell.service.paging import every
from tunewell.service.runs import Given, Situation
from tunewell.service.service import Service
from tunewell.service.types import SearchResult, TrialResult
from tunewell.service.verbs import ChartName, Verbs
from tunewell.service.views import save_report
from tunewell.spec.errors import ArgumentError, SpecError, UserError, count
from tunewell.spec.names import DEFAULT_HOME
from tunewell.spec.states import ExperimentState

log = logging.getLogger(__name__)

SchedulerName = Literal["auto", "inline", "local", "ray"]


#: Kind of an error → what to do about it in Python.
_REMEDIES = {
    "backup-needed": "Make one (pg_dump), then run `tunewell database upgrade`",
    "database-moved": 'Name that one with `database="{database}"`, or in TUNEWELL_DATABASE',
    "database-not-usable": "Choose another folder with `home=` or TUNEWELL_HOME",
    "experiment-differs": "Give the new one another name with `name=`, leave `name` out, or undo the change",
    "experiment-running": "Wait for it, or give another name with `name=`",
    "functions-not-allowed": "Ask whoever runs it to start it with --allow-functions, or search here, without `server`",
    "folder-busy": "Wait for its end, or choose another `name=` or `home=`",
    "foreign-database": "Give Tunewell one of its own with `home=` or `database=`",
    "home-not-writable": "Choose another with `home=` or TUNEWELL_HOME",
    "newer-database": "Upgrade Tunewell, or use another `home=` or `database=`",
}


@contextmanager
def _python_words() -> Iterator[None]:
    """Let errors leave with the remedies that a program has, and without the traces of what they explain."""
    try:
        yield
    except UserError as error:
        told = copy.copy(error)  # without the way that it has come
        told.remedy = _REMEDIES.get(error.kind, error.remedy)
        raise told from None


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart: a notebook shows it, and `save` writes it to a file."""

    #: The chart as an SVG document, with all that it needs.
    svg: str

    def save(self, path: str | Path) -> Path:
        """Write it to an SVG file; return its path."""
        target = Path(path)
        target.write_text(self.svg, encoding="utf-8")
        return target

    def _repr_svg_(self) -> str:
        return self.svg


class Result:
    """What a search over a function, a script or a built-in task has brought."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Verbs]], name: str, summary: SearchResult) -> None:
        """Take the summary of experiment `name`; further figures are asked of the verbs that `opened` gives."""
        self._open = opened
        self.name = name
        self.summary = summary

    @contextmanager
    def _opened(self) -> Iterator[Verbs]:
        with _python_words(), self._open() as verbs:
            yield verbs

    @property
    def state(self) -> ExperimentState:
        """State of the experiment."""
        return self.summary.state

    @property
    def best(self) -> TrialResult:
        """The best trial; raises ValueError if no trial has a result."""
        if self.summary.best is None:
            raise ValueError(f"no trial of '{self.name}' has a result: {self.summary.detail}")
        return self.summary.best

    def top(self, number: int = 5) -> list[TrialResult]:
        """Return the best `number` trials, best first."""
        with self._opened() as verbs:
            return list(verbs.top(self.name, number))

    def trials(self) -> list[dict[str, Any]]:
        """Return every trial with state, cause, parameters, value and reports: rows for a data frame."""
        with self._opened() as verbs:
            exported = every(lambda cursor: verbs.export_trials(self.name, cursor=cursor))
            return [trial.to_json() for trial in exported]

    def plot(self, chart: ChartName = "history") -> Plot | None:
        """Return a chart of the search, which a notebook shows; None: there is nothing to draw yet."""
        with self._opened() as verbs:
            drawn = verbs.chart(self.name, chart)
        return None if drawn.svg is None else Plot(standalone(drawn.svg, drawn.title))

    def report(self, path: str | Path | None = None) -> Path:
        """Write the HTML report; return its path. Without a path it is the experiment's own, where its home is here."""
        with self._opened() as verbs:
            if path is None and not isinstance(verbs, Service):
                path = f"{self.name.replace('/', '-')}-report.html"
            if path is None:
                return Path(verbs.write_report(self.name).path)
            return save_report(verbs.report(self.name), Path(path))

    def __repr__(self) -> str:
        summary = self.summary
        best = summary.best
        value = f"{summary.objective.metric} {best.value:.6g} (trial {best.number})" if best else "no result"
        ended = sum(number for state, number in summary.trials.items() if state.final)
        return f"<Result of '{self.name}': {summary.state}, {count(ended, 'trial')}, {value}>"


@_python_words()
def search(  # noqa: PLR0913 - each is a thing that users set by name
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    *,
    metric: str = "objective",
    goal: Literal["maximize", "minimize"] | None = None,
    target: float | None = None,
    name: str | None = None,
    home: str | Path | None = None,
    database: str | None = None,
    server: str | None = None,
    scheduler: SchedulerName = "auto",
    ray: str | None = None,
    progress: bool = True,
    **fields: Any,
) -> Result:
    """Search for the parameters with which `function` gives the best objective.

    The function is called as `function(trial, **parameters)`, or `function(**parameters)` if it takes no
    `trial`. It returns the objective (or a mapping of metrics), or reports it with `trial.report`.

    Args:
        function: what is optimised.
        parameters: name → declaration, by `tunewell.uniform`, `loguniform`, `integer`, `choice`, `ordinal`,
            or as in a spec file.
        metric: name of the objective metric.
        goal: "maximize" or "minimize"; guessed for common metric names.
        target: stop as soon as the objective is as good as this.
        name: name of the experiment. A named one continues what was interrupted, and shows what has ended.
            Without a name, a search of the same function and spec goes on if it was interrupted, or has trials that
            `tunewell retry` is to run again; otherwise a new one begins.
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
        progress: print a line a trial.
        fields: any other field of the spec, such as `max_trials`, `algorithm`, `max_concurrency`, `seed`.

    Raises:
        UserError: something is wrong with the arguments; the message says what and how to fix it.
    """
    objective: dict[str, Any] = {"metric": metric}
    if goal is not None:
        objective["goal"] = goal
    if target is not None:
        objective["target"] = target
    raw = {
        **fields,
        "objective": objective,
        "parameters": dict(parameters),
        **({"name": name} if name else {}),
    }
    if server is not None:
        for field, value in {"home": home, "database": database}.items():
            if value is not None:
                raise ArgumentError(field, "the server has its own", "Leave it out", value)
        if scheduler == "inline":
            raise ArgumentError("scheduler", "a server calls no function in this thread", "Leave it out", scheduler)
        if ray is not None:
            raise ArgumentError("ray", "the server has its own cluster", "Leave it out", ray)
        if scheduler in ("local", "ray"):
            raw["scheduler"] = scheduler
        return _search_there(server, function, raw, progress)
    on_cluster = scheduler == "ray"
    if ray is not None and not on_cluster:
        raise ArgumentError("ray", "nothing runs on a cluster", "Add scheduler='ray'", ray)
    inline = not on_cluster and _inline(scheduler, fields)
    folder, database = _place(home, database)
    with Service(folder, database) as service:
        if on_cluster:
            service.join_cluster(ray or os.environ.get("TUNEWELL_RAY") or "auto")
            raw["scheduler"] = "ray"
        submission = service.submit(raw, function, new="if-ended" if name is None else "never")
        if submission.kind != "finished":
            line = ProgressLines(service, submission.name) if progress else None
            ended = service.run(
                submission.name,
                Given(None if on_cluster else function, inline, follow_up=False),
                on_step=line.update if line else _Warnings().update,
                tell=line.tell if line else lambda sentence: None,
            )
            if line:
                line.conclude()
            if not ended:
                raise KeyboardInterrupt(f"The search was interrupted; call it again to go on ('{submission.name}').")
        return Result(_reading(folder, database), submission.name, service.result(submission.name))


def _search_there(server: str, function: Callable[..., Any], raw: Mapping[str, Any], progress: bool) -> Result:
    """Search on a server, and follow that."""
    from tunewell.client.client import Client
    from tunewell.client.shipping import shipped_function

    with Client(server) as client:
        spec = shipped_function(client, raw, function)
        submission = client.create(spec, new="never" if "name" in raw else "if-ended")
        name, goes_on = submission.name, submission.kind == "continued"
        if submission.kind != "finished":
            try:
                if progress:
                    hint = "The search goes on if this is interrupted; call it again to follow it."
                    ended = follow_lines(client, name, goes_on=goes_on, hint=hint)
                else:
                    ended = wait_for_search(client, name, goes_on=goes_on)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"'{name}' goes on at {server}; call the search again to follow it.") from None
            if not ended:
                log.warning("'%s' is paused; this is its result so far", name)
        return Result(partial(Client, server), name, client.result(name))


@_python_words()
def load(name: str, home: str | Path | None = None, database: str | None = None, server: str | None = None) -> Result:
    """Return the result so far of a recorded experiment, of a server's if one is given; raises `NotFoundError`."""
    if server is not None:
        from tunewell.client.client import Client

        opened: Callable[[], AbstractContextManager[Verbs]] = partial(Client, server)
    else:
        opened = _reading(*_place(home, database))
    with opened() as verbs:
        return Result(opened, name, verbs.result(name))


def _reading(folder: Path, database: str | None) -> Callable[[], Service]:
    return partial(Service, folder, database, access="read")


def _place(home: str | Path | None, database: str | None) -> tuple[Path, str | None]:
    """Return home and database as given, or else as the environment has them."""
    folder = Path(home or os.environ.get("TUNEWELL_HOME") or DEFAULT_HOME)
    return folder, database or os.environ.get("TUNEWELL_DATABASE")


class _Warnings:
    """Logs what keeps a search waiting that prints nothing."""

    def __init__(self) -> None:
        self._problem = ""

    def update(self, run: Situation) -> None:
        """Log what is new."""
        if run.problem and run.problem != self._problem:
            log.warning("waiting: %s", run.problem)
        self._problem = run.problem


def _inline(scheduler: str, fields: Mapping[str, Any]) -> bool:
    if scheduler not in ("auto", "inline", "local"):
        raise ArgumentError("scheduler", f"{scheduler!r} is none", "Known: auto, inline, local, ray", scheduler)
    supervised = [
        name
        for name in ("max_trial_duration", "max_trial_silence", "resources", "resumable")
        if fields.get(name) not in (None, False)
    ]
    many = (fields.get("max_concurrency") or 1) > 1
    if scheduler == "inline":
        if supervised or many:
            field = supervised[0] if supervised else "max_concurrency"
            raise SpecError(field, "the inline scheduler can't keep to it", "Use scheduler='local'")
        return True
    return scheduler == "auto" and not supervised and not many
