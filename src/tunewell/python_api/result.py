"""What a search has brought, as a program or a notebook looks at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tunewell.display.wording import failures_text
from tunewell.python_api.html import result_html
from tunewell.python_api.table import data_frame
from tunewell.python_api.wording import front, python_words
from tunewell.reports.charts import standalone
from tunewell.service.paging import every
from tunewell.service.service import Service
from tunewell.service.types import ExperimentSummary, ExportedTrial, SearchResult, TrialResult
from tunewell.service.verbs import ChartName, Verbs
from tunewell.service.views import save_report
from tunewell.spec.errors import ArgumentError, count, shown
from tunewell.spec.names import DEFAULT_HOME
from tunewell.spec.states import ExperimentState
from tunewell.spec.text import check_text

Access = Literal["read", "write"]
#: Gives the verbs that a result is asked of.
Opened = Callable[[Access], AbstractContextManager[Verbs]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart: a notebook shows it, and `save` writes it to a file."""

    #: The chart as an SVG document, with all that it needs.
    svg: str = field(repr=False)

    def save(self, path: str | Path) -> Path:
        """Write it to an SVG file; return its path.

        Raises:
            ArgumentError: the name is that of another kind of file.
        """
        target = checked_path("path", path)
        if target.suffix.lower() not in ("", ".svg"):
            raise ArgumentError("path", f"{shown(target.name)} is no name for an SVG file", "End it in .svg", str(path))
        target.write_text(self.svg, encoding="utf-8")
        return target

    def _repr_svg_(self) -> str:
        return self.svg


class Result:
    """What a search over a function, a script or a built-in task has brought. A notebook shows it as a table."""

    def __init__(self, opened: Opened, name: str, summary: SearchResult) -> None:
        """Take the summary of experiment `name`; further figures are asked of the verbs that `opened` gives."""
        self._open = opened
        self.name = name
        self.summary = summary

    @contextmanager
    def _opened(self, access: Access = "read") -> Iterator[Verbs]:
        with python_words(), self._open(access) as verbs:
            yield verbs

    @property
    def state(self) -> ExperimentState:
        """State of the experiment."""
        return self.summary.state

    @property
    def project(self) -> str:
        """What the experiment belongs to; empty: nothing."""
        return self.summary.project

    @property
    def tags(self) -> tuple[str, ...]:
        """Words that the experiment is found by."""
        return self.summary.tags

    @property
    def description(self) -> str:
        """What the experiment is about, or what was learned."""
        return self.summary.description

    @property
    def best(self) -> TrialResult:
        """The best trial; raises ValueError if no trial has a result."""
        if self.summary.best is None:
            why = failures_text(self.summary) if self.summary.failures else self.summary.detail
            raise ValueError(f"no trial of '{self.name}' has a result. {why}")
        return self.summary.best

    def top(self, number: int = 5) -> list[TrialResult]:
        """Return the best `number` trials, best first; raises `ArgumentError` if it is no whole number from 0 on."""
        wanted = _checked_count("number", number)
        with self._opened() as verbs:
            return list(verbs.top(self.name, wanted))

    def trials(self) -> list[dict[str, Any]]:
        """Return every trial with state, cause, parameters, value and reports."""
        return [trial.to_json() for trial in self._trials()]

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame, a row a trial, by number.

        Its columns are those of `tunewell export … --format csv`: `number`, `state`, `cause`, `value`, …, then
        `parameter:NAME` for each parameter, and `metric:NAME` for what the trial has reported last of each metric.
        `start` and `end` are moments with their zone (UTC). A cell is empty where a trial has no such thing.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame(self._trials())

    def _trials(self) -> list[ExportedTrial]:
        with self._opened() as verbs:
            return list(every(lambda cursor: verbs.export_trials(self.name, cursor=cursor)))

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
            return save_report(verbs.report(self.name), checked_path("path", path))

    def update(
        self, *, project: str | None = None, tags: str | Sequence[str] | None = None, description: str | None = None
    ) -> None:
        """Change what is said of the experiment, running or not; None leaves it as it is, an empty text takes it away.

        Args:
            project: what experiments are grouped by.
            tags: words that experiments are found by, instead of those that there are (`result.tags`).
            description: what it is about, or what was learned.

        Raises:
            UserError: a value is wrong, and nothing is changed.
        """
        labels = {"project": project, "tags": tags, "description": description}
        with self._opened("write") as verbs:
            verbs.update(self.name, {field: label for field, label in labels.items() if label is not None})
            self.summary = verbs.result(self.name)

    def __repr__(self) -> str:
        summary = self.summary
        best = summary.best
        value = f"{summary.objective.metric} {best.value:.6g} (trial {best.number})" if best else "no result"
        ended = sum(number for state, number in summary.trials.items() if state.final)
        return f"<Result of '{self.name}': {summary.state}, {count(ended, 'trial')}, {value}>"

    def _repr_html_(self) -> str:
        return result_html(self.name, self.summary)


@front
def load(name: str, home: str | Path | None = None, database: str | None = None, server: str | None = None) -> Result:
    """Return the result so far of a recorded experiment, of a server's if one is given; raises `NotFoundError`."""
    _checked_texts("name", (name,))
    opened = _opened(home, database, server)
    with opened("read") as verbs:
        return Result(opened, name, verbs.result(name))


@front
def experiments(
    *,
    states: str | Sequence[str] | None = None,
    search: str = "",
    owner: str | None = None,
    project: str | None = None,
    tags: str | Sequence[str] = (),
    home: str | Path | None = None,
    database: str | None = None,
    server: str | None = None,
) -> list[ExperimentSummary]:
    """Return the recorded experiments, of a server's if one is given, the newest first.

    Args:
        states: only those in one of these states, such as `["completed"]`.
        search: only those with this in their names.
        owner: only those of this user.
        project: only those of this project.
        tags: only those with this tag; several: with them all.
        home: folder of database and trials; default: TUNEWELL_HOME, or `.tunewell`.
        database: URL of the database; default: TUNEWELL_DATABASE, or one in the home.
        server: address of a server.

    Raises:
        ArgumentError: a state is none, or an argument is no text where it should be one.
        NotFoundError: there is no such home.
        SpecError: an argument holds what no text may.
    """
    for name, value in (("search", search), ("owner", owner), ("project", project)):
        _checked_texts(name, () if value is None else (value,))
    states = None if states is None else _checked_texts("states", states)
    for state in states or ():
        if state not in list(ExperimentState):
            raise ArgumentError("states", f"{shown(state)} is none", f"Known: {', '.join(ExperimentState)}", state)
    wanted = _checked_texts("tags", tags)
    chosen = dict[str, Any](states=states, search=search, owner=owner, project=project, tags=wanted)
    with _opened(home, database, server)("read") as verbs:
        return list(every(lambda cursor: verbs.experiments(**chosen, cursor=cursor)))


def _checked_texts(name: str, given: Any) -> list[str]:
    """Return an argument's texts, of which it may be a single one."""
    texts = [given] if isinstance(given, str) else given
    wrong = [text for text in texts if not isinstance(text, str)] if isinstance(texts, Collection) else [given]
    if wrong:
        raise ArgumentError(name, f"{shown(wrong[0])} is no text", "Give texts, such as 'baseline'", given)
    check_text(name, list(texts))
    return list(texts)


def _opened(home: str | Path | None, database: str | None, server: str | None) -> Opened:
    return on_server(server) if server is not None else at_home(*place(home, database))


def _checked_count(name: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ArgumentError(name, f"{shown(given)} is no number of trials", "Give 0 or more", given)
    return given


def checked_path(name: str, given: Any) -> Path:
    """Return an argument's path; raises `ArgumentError` if it is none."""
    if not isinstance(given, str | os.PathLike):
        raise ArgumentError(name, f"{shown(given)} is no path", "Give one as a text or a pathlib.Path", given)
    return Path(given)


def on_server(server: str) -> Opened:
    """Return what gives the verbs of a server, whose rights say what they may do."""
    from tunewell.client.client import Client

    return lambda access: Client(server)


def at_home(folder: Path, database: str | None) -> Opened:
    """Return what gives the verbs of a home here, to look only or to change something."""
    return partial(Service, folder, database)


def place(home: str | Path | None, database: str | None) -> tuple[Path, str | None]:
    """Return home and database as given, or else as the environment has them."""
    folder = checked_path("home", home or os.environ.get("TUNEWELL_HOME") or DEFAULT_HOME)
    return folder, database or os.environ.get("TUNEWELL_DATABASE")
