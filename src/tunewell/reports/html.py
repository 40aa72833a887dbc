"""The HTML report: one file that works offline, with everything about an experiment in it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from tunewell.reports import charts, summary
from tunewell.reports.charts import Chart
from tunewell.reports.evaluations import evaluation_reports, measure_on
from tunewell.reports.importance import parameter_importances
from tunewell.reports.pages import Inline, source, templates
from tunewell.reports.view import ExperimentView, TrialView, failures_by_cause, is_result, ranked, search_view
from tunewell.spec import format
from tunewell.spec.errors import count
from tunewell.spec.files import to_yaml
from tunewell.spec.format import shortened
from tunewell.spec.space import Parameter, Value, describe_domain
from tunewell.spec.standing import REPEATS_NOTE, choice_text, rank_text
from tunewell.trial.files import beside

#: Most rows in the table of all trials; of more trials, the best are listed.
TRIAL_ROWS = 500
#: Most failed trials that are listed under one cause.
FAILURE_ROWS = 10
#: Most trials whose notes are listed.
NOTED_ROWS = 100
#: Most parameters that are told of a trial where its mark in a chart is pointed at.
CARD_PARAMETERS = 12
_MARKED = re.compile(r' data-trial="(\d+)"')


@dataclass(frozen=True, slots=True)
class Drawn:
    """The charts of the parts of a report, as far as there is something to draw."""

    ribbon: tuple[Chart, ...] = ()
    progress: tuple[Chart, ...] = ()
    curves: tuple[Chart, ...] = ()
    parameters: tuple[Chart, ...] = ()
    #: Slices and contours, two beside each other.
    pairs: tuple[Chart, ...] = ()
    resources: tuple[Chart, ...] = ()

    def trials(self) -> set[int]:
        """Return the numbers of the trials that have marks."""
        every = (*self.ribbon, *self.progress, *self.curves, *self.parameters, *self.pairs, *self.resources)
        return {int(number) for chart in every for number in _MARKED.findall(chart.svg or "")}


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
    drawn = _draw(view)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            view=view,
            headline=summary.headline(view),
            subject=summary.describe_subject(view),
            key_figures=summary.key_figures(view),
            steps=summary.next_steps(view),
            parameter_rows=_parameter_rows(view),
            schedule=_schedule(view),
            searched=_searched(view),
            best_trials=[view.trial(number) for number in view.top],
            test_values={n: value for n in view.top if (value := measure_on(view, n, "test")) is not None},
            intervals=_intervals(view),
            choice=choice_text(sum(map(is_result, view.trials))),
            repeats_note=REPEATS_NOTE,
            drawn=drawn,
            cards=_cards(view, drawn.trials()),
            evaluations=evaluation_reports(view),
            failures=failures_by_cause(view),
            causes=summary.CAUSES,
            failure_rows=FAILURE_ROWS,
            noted=[trial for trial in view.trials if trial.notes],
            noted_rows=NOTED_ROWS,
            trial_rows=_trial_rows(view),
            spec_text=to_yaml(view.spec),
            style=Inline(charts.style() + source("report.css")),
            script=Inline(source("report.js")),
        )
    )


def _intervals(view: ExperimentView) -> Mapping[int, tuple[float, float]]:
    """Return the intervals of the values of the best trials, by the number of the trial."""
    trained = {one.number for one in view.finalists}  # whose intervals are those of other models
    return {number: ends for number, ends in view.standing.intervals.items() if number not in trained}


def _draw(view: ExperimentView) -> Drawn:
    """Draw the charts of a search, those of values where there are any."""
    search = search_view(view)
    if not view.trials:
        return Drawn()
    drawn = Drawn(ribbon=(charts.ribbon(search),), resources=(charts.outcomes(search), charts.timeline(search)))
    if not search.table.measured.any():
        return drawn
    found = parameter_importances(search.table)
    curves = charts.learning_curves(search), charts.lineage(search)
    return replace(
        drawn,
        progress=(charts.history_over_trials(search), charts.history_over_time(search)),
        curves=tuple(chart for chart in curves if chart.svg),
        parameters=(charts.parallel_coordinates(search, found), charts.importance(search, found)),
        pairs=(*charts.slices(search, found), *charts.contours(search, found)),
    )


def _cards(view: ExperimentView, marked: Collection[int]) -> Markup:
    """Return what is told of a trial where its mark is pointed at, as JSON for a `<script>` element.

    `names` of the figures, and for the number of each trial that is `marked` and has no row in the table of all trials
    its state and the figures.
    """
    rest = set(marked) - {trial.number for trial in _trial_rows(view)}
    names = _searched(view)[:CARD_PARAMETERS]
    trials = {
        trial.number: [
            f"{trial.state}: {trial.cause}" if trial.cause else str(trial.state),
            _figure(trial.value),
            *(_figure(trial.parameters.get(name, "")) for name in names),
        ]
        for trial in view.trials
        if trial.number in rest
    }
    facts = {"names": [shortened(name, 40) for name in (view.metric, *names)], "trials": trials}
    # Without `<`, nothing can end the element early.
    return Markup(json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def _figure(value: Value) -> float | str:
    """Return a value rounded, as JSON has it short."""
    text = format.scalar(value, 4)
    return float(text) if isinstance(value, float) and text.isascii() else shortened(text, 40)


def _searched(view: ExperimentView) -> list[str]:
    """Return the names of the parameters that have more than one value."""
    return [parameter.name for parameter in view.space if parameter.size != 1]


def write(view: ExperimentView, path: Path) -> None:
    """Write the report to `path`; a reader sees the old file or the new one, never a part. Raises OSError.

    It is for its owner alone, or for whom the old file was for. Names that are no UTF-8 (lone surrogates) come out as
    escapes.
    """
    save(render(view), path)


def save(document: str, path: Path) -> None:
    """Write a rendered report to `path`, as `write` does."""
    temporary = beside(path)
    try:
        temporary.touch(mode=0o600)
        temporary.write_text(document, encoding="utf-8", errors="backslashreplace", newline="\n")
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
def environment() -> Environment:
    """Return the templates with what they need to word figures."""
    environment = templates()
    environment.filters |= {
        "number": format.number,
        "within": format.within,
        "share": format.share,
        "scalar": format.scalar,
        "duration": format.duration,
        "moment": format.moment,
        "breakable": _breakable,
    }
    environment.tests |= {"wide": lambda svg: ' wide"' in svg.partition(">")[0]}
    environment.globals |= {"count": count, "rank": rank_text}
    return environment


def _breakable(text: str) -> Markup:
    """Return text whose lines may be broken after underscores: parameter names head narrow columns."""
    return escape(text).replace("_", Markup("_<wbr>"))
