"""The HTML report: one file that works offline, with everything about an experiment in it."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from tunewell.reports import charts, summary
from tunewell.reports.charts import Chart
from tunewell.reports.evaluations import evaluation_reports, measure_on
from tunewell.reports.importance import Importance, parameter_importances
from tunewell.reports.pages import source, templates
from tunewell.reports.view import ExperimentView, TrialView, comparable, ended_with_value, failures_by_cause, ranked
from tunewell.spec import format
from tunewell.spec.errors import count
from tunewell.spec.files import to_yaml
from tunewell.spec.space import Parameter, Value, describe_domain

#: Most rows in the table of all trials; of more trials, the best are listed.
TRIAL_ROWS = 1000
#: Most failed trials that are listed under one cause.
FAILURE_ROWS = 10
#: Most trials whose notes are listed.
NOTED_ROWS = 100


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter with its best value beside its default."""

    name: str
    best: str
    default: str
    #: Whether best and default differ.
    changed: bool
    domain: str
    #: When it is active: `optimizer = sgd`; empty if always.
    condition: str


def render(view: ExperimentView) -> str:
    """Return the report as one HTML document."""
    importances = importances_of(view)
    template = _environment().get_template("report.html.j2")
    plotly, script = _plotly_source(), source("report.js")
    return template.render(
        view=view,
        headline=summary.headline(view),
        subject=summary.describe_subject(view),
        key_figures=summary.key_figures(view),
        steps=summary.next_steps(view),
        parameter_rows=_parameter_rows(view),
        schedule=_schedule(view),
        searched=[parameter.name for parameter in view.space if parameter.size != 1],
        best_trials=[view.trial(number) for number in view.top],
        test_values={n: value for n in view.top if (value := measure_on(view, n, "test")) is not None},
        has_values=bool(ended_with_value(view)),
        progress=[charts.history_over_trials(view), charts.history_over_time(view)],
        wide_charts=[charts.learning_curves(view), charts.parallel_coordinates(view, importances)],
        importance=charts.importance(view, importances),
        slices=charts.slices(view, importances),
        resources=[charts.outcomes(view), charts.timeline(view)],
        evaluations=evaluation_reports(view),
        failures=failures_by_cause(view),
        causes=summary.CAUSES,
        failure_rows=FAILURE_ROWS,
        noted=[trial for trial in view.trials if trial.notes],
        noted_rows=NOTED_ROWS,
        trial_rows=_trial_rows(view),
        spec_text=to_yaml(view.spec),
        style=Markup(source("report.css")),
        plotly=Markup(plotly),
        script=Markup(script),
        script_hashes=[_hash(plotly), _hash(script)],
    )


def write(view: ExperimentView, path: Path) -> None:
    """Write the report to `path`; a reader sees the old file or the new one, never a part. Raises OSError.

    It is for its owner alone, or for whom the old file was for. Names that are no UTF-8 (lone surrogates) come out as
    escapes.
    """
    save(render(view), path)


def save(document: str, path: Path) -> None:
    """Write a rendered report to `path`, as `write` does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.touch(mode=0o600)
        temporary.write_text(document, encoding="utf-8", errors="backslashreplace", newline="\n")
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def importances_of(view: ExperimentView) -> Sequence[Importance] | None:
    """Return how much each parameter matters; None: there are too few trials to say."""
    trials = comparable(view)
    values = [trial.value for trial in trials if trial.value is not None]
    return parameter_importances(view.space, [trial.parameters for trial in trials], values, view.goal)


def _schedule(view: ExperimentView) -> list[int]:
    """Return the trials whose values, in turn, the best one was trained with; none if all had the same."""
    if view.best is None:
        return []
    lineage = view.lineage(view.best.number)
    alike = all(view.trial(number).parameters == view.best.parameters for number in lineage)
    return [] if alike else lineage


def _parameter_rows(view: ExperimentView) -> list[ParameterRow]:
    best = view.best.parameters if view.best else {}
    default = view.default.parameters if view.default else view.space.default()
    return [
        ParameterRow(
            name=parameter.name,
            best=_text(best, parameter.name),
            default=_text(default or {}, parameter.name),
            changed=bool(best) and summary.differs(best, default, parameter.name),
            domain="fixed" if parameter.size == 1 else describe_domain(parameter),
            condition=_condition(parameter),
        )
        for parameter in sorted(view.space, key=lambda parameter: parameter.size == 1)
    ]


def _text(configuration: Mapping[str, Value], name: str) -> str:
    return format.scalar(configuration[name]) if name in configuration else format.NOTHING


def _condition(parameter: Parameter) -> str:
    return " and ".join(
        f"{condition.parent} = {' or '.join(format.scalar(value) for value in condition.values)}"
        for condition in parameter.when
    )


def _trial_rows(view: ExperimentView) -> list[TrialView]:
    if len(view.trials) <= TRIAL_ROWS:
        return list(view.trials)
    return sorted(ranked(view)[:TRIAL_ROWS], key=lambda trial: trial.number)


@cache
def _environment() -> Environment:
    environment = templates()
    environment.filters |= {
        "number": format.number,
        "share": format.share,
        "scalar": format.scalar,
        "duration": format.duration,
        "moment": format.moment,
        "figure": _figure_json,
        "breakable": _breakable,
    }
    environment.globals |= {"count": count}
    return environment


def _figure_json(chart: Chart) -> Markup:
    """Return the figure as JSON for a `<script>` element: without `<`, so that nothing ends it early."""
    assert chart.figure is not None
    return Markup(chart.figure.to_json().replace("<", "\\u003c"))


def _breakable(text: str) -> Markup:
    """Return text whose lines may be broken after underscores: parameter names head narrow columns."""
    return escape(text).replace("_", Markup("_<wbr>"))


@cache
def _plotly_source() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("\r\n", "\n")


def _hash(script: str) -> str:
    """Return what a content security policy lets through: this very script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
