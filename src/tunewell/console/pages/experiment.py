"""One experiment: what it has reached, why it stands where it stands, and all of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from tunewell.api.answers import PICTURE_POLICY, streamed
from tunewell.api.asked import AsCaller, Name, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.console.causes import in_words, remedy
from tunewell.console.page import FILE, Page, packed, server, show
from tunewell.console.rights import may_change
from tunewell.console.snippets import worker_command
from tunewell.console.trial_table import TrialTable
from tunewell.reports.charts import picture
from tunewell.service.types import Chart, Experiment, Trial, TrialFilter
from tunewell.service.verbs import ChartName, Verbs
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import count
from tunewell.spec.format import duration, number
from tunewell.spec.names import own_name
from tunewell.spec.space import NO_DEFAULT, Numeric, Parameter, describe_domain
from tunewell.spec.states import Cause, ExperimentState

router = APIRouter()

_NO_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg"/>'
#: Most parameters that have a chart of their own.
SLICES = 12

PARTS = (
    "experiment-head",
    "experiment-figures",
    "experiment-workers",
    "experiment-running",
    "experiment-progress",
    "experiment-parallel",
    "experiment-failures",
    "experiment-trials",
    "experiment-parameters",
    "experiment-timeline",
)


@router.get("/experiments/{name}")
@takes_long
def experiment(request: Request, verbs: AsCaller, caller: TheCaller, name: Name) -> Response:
    """Return the page of an experiment."""
    overview = verbs.overview(name)
    one = overview.experiment
    best = overview.result.best
    title = f"{one.name}" if best is None else f"{number(best.value)} {one.name}"
    names = tuple(one.space)
    table = TrialTable(one, request.query_params.multi_items(), names)
    over = "time" if request.query_params.get("over") == "time" else "trials"
    workers = verbs.workers(name) if one.spec.get("scheduler") == "workers" else ()
    context = {
        "one": one,
        "workers": workers,
        "worker_of": {worker.trial: worker.name for worker in workers},
        "worker_command": worker_command(server(request), one.name, one.spec, one.space),
        "overview": overview,
        "result": overview.result,
        "best": best,
        "table": table,
        "trials": verbs.trials(name, filter=table.filter, sort=table.order, cursor=table.cursor, limit=table.rows),
        "may_change": may_change(caller, one.owner),
        "subject": subject(one),
        "own_fields": own_fields(one, best.parameters if best is not None else {}),
        "stands": stands(one),
        "over": over,
        **_charts(verbs, name, table, over),
        "failures": overview.failures,
        "latest_failures": {cause: _latest_failure(verbs, name, cause) for cause in overview.failures},
        "in_words": in_words,
        "remedy": remedy,
    }
    return show(request, Page("experiment.html.j2", title, PARTS, context, follows=(one.name,)))


def _charts(verbs: Verbs, name: str, table: TrialTable, over: str) -> dict[str, Any]:
    """Return what is drawn of a search; trials that the address wants stand out."""
    wanted = table.filter

    def drawn(chart: ChartName, *of: str) -> Chart:
        return verbs.chart(name, chart, of=of, filter=wanted)

    space = parse_space(table.one.space)
    searched = [parameter.name for parameter in space if parameter.size != 1]
    order = [one.parameter for one in verbs.importances(name) if one.parameter in searched]
    order += [name for name in searched if name not in order]
    pair = table.pair(order)
    algorithm = table.one.algorithm
    return {
        "ribbon": verbs.chart(name, "ribbon"),
        "history": drawn("history-over-time" if over == "time" else "history"),
        "curves": drawn("learning-curves"),
        "parallel": drawn("parallel"),
        "importance": drawn("importance"),
        "timeline": drawn("timeline"),
        "slices": [drawn("slice", parameter) for parameter in order[:SLICES]],
        "searched": searched,
        "pair": pair,
        "contour": drawn("contour", *pair) if pair else None,
        "lineage": drawn("lineage") if algorithm in ("evolutionary", "pshe2") else None,
    }


def _latest_failure(verbs: Verbs, name: str, cause: Cause) -> Trial | None:
    """Return the trial that has failed last for a cause; None: it has been told to run again meanwhile."""
    found = verbs.trials(name, filter=TrialFilter(causes=(cause,)), sort="-end", limit=1).items
    return found[0] if found else None


@router.get("/experiments/{name}/export", tags=FILE)
@takes_long
def export(request: Request, verbs: AsCaller, name: Name, format: Literal["csv", "json"] = "csv") -> Response:
    """Return all trials, or those that the address wants, as a file."""
    parts = verbs.export(name, format, filter=TrialFilter.from_query(request.query_params.multi_items()))
    return streamed(request, parts, "application/octet-stream", f"{own_name(name)}.{format}")


@router.get("/experiments/{name}/report", tags=FILE)
@takes_long
def report(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Return the report as a file: it has scripts of its own, which are nothing for this origin."""
    return streamed(request, iter([verbs.report(name)]), "application/octet-stream", f"{own_name(name)}.html")


@router.get("/experiments/{name}/ribbon.svg", tags=FILE)
@takes_long
def ribbon(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Return the strip of a search as a picture for lists, which ask again when what it shows has changed."""
    drawn = verbs.chart(name, "ribbon")
    headers = {"Content-Security-Policy": PICTURE_POLICY, "Cache-Control": "private, max-age=86400"}
    return packed(request, picture(drawn.svg) if drawn.svg is not None else _NO_PICTURE, "image/svg+xml", headers)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter in the form for a configuration of one's own."""

    name: str
    #: Its range, for people.
    domain: str
    #: What it begins with; empty: nothing.
    value: Any
    #: Its values, where they are few; none: any number.
    choices: tuple[Any, ...]
    #: Whether it may be left out.
    is_conditional: bool
    #: Whether there is no choice.
    is_fixed: bool


def own_fields(one: Experiment, best: Mapping[str, Any]) -> list[Field]:
    """Return all parameters, with their best values so far, or else their defaults."""
    return [
        Field(
            name=parameter.name,
            domain=describe_domain(parameter) if isinstance(parameter, Numeric) else "",
            value=best.get(parameter.name, _first_value(parameter)),
            choices=() if isinstance(parameter, Numeric) else parameter.values_,
            is_conditional=bool(parameter.when),
            is_fixed=parameter.size == 1,
        )
        for parameter in parse_space(one.space)
    ]


def _first_value(parameter: Parameter) -> Any:
    if parameter.size == 1:
        return parameter.values(1)[0]
    return "" if parameter.default is NO_DEFAULT else parameter.default


def subject(one: Experiment) -> str:
    """Return what is trained, in a few words."""
    spec = one.spec
    if spec["task"]:
        return " · ".join(str(part) for part in (spec["task"], spec["network"]) if part).replace("-", " ", 1)
    if spec["command"]:
        return " ".join(map(str, spec["command"]))
    if spec.get("scheduler") == "workers":
        return "trained by workers"
    return f"Python function {spec['function']}" if spec["function"] else "imported trials"


def stands(one: Experiment) -> str:
    """Return why an experiment stands where it stands, and what ends it next."""
    if one.state.final:
        return one.detail
    ended = sum(amount for state, amount in one.trials.items() if state.final)
    if one.state is ExperimentState.PAUSED:
        return f"Paused after {count(ended, 'trial')}. Time does not count until it goes on."
    if one.state is ExperimentState.STOPPING:
        return one.detail or "It is being stopped."
    if not one.running and one.state is not ExperimentState.CREATED:
        return "It is paused: no controller runs it now. It goes on when one does."
    waits = f"{one.waits_for.detail} " if one.waits_for is not None and one.waits_for.code != "max_concurrency" else ""
    return f"{waits}It ends {_ends(one, ended)}."


def _ends(one: Experiment, ended: int) -> str:
    """Return what ends a search, the likeliest first."""
    ends = (
        [f"after {count(one.max_trials - ended, 'more trial')}"] if one.max_trials > ended else ["with the last trial"]
    )
    target = one.spec["objective"].get("target")
    if target is not None:
        reached = "at least" if one.objective.goal == "maximize" else "at most"
        ends.append(f"as soon as {one.objective.metric} is {reached} {number(target)}")
    if one.spec["max_duration"] is not None:
        ends.append(f"after {_longest(one.spec['max_duration'])}, of which {duration(one.elapsed_seconds)} are over")
    return ends[0] if len(ends) == 1 else f"{', '.join(ends[:-1])}, or {ends[-1]}"


def _longest(limit: object) -> str:
    return duration(float(limit)) if isinstance(limit, int | float) else str(limit)
