"""One trial: what it was tried with and why, what it reached beside best and default, what it printed and left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller, Attempt, Name, Number, Text
from tunewell.api.settings import BASE
from tunewell.console.causes import remedy, sentence
from tunewell.console.events import told
from tunewell.console.output import NO_FILES, Files, Log, files_at
from tunewell.console.page import Page, root, show
from tunewell.reports.charts import metric_curve
from tunewell.service.types import Experiment, Report, SearchResult, TrialDetails
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import NotFoundError
from tunewell.spec.format import number as in_figures
from tunewell.spec.format import scalar
from tunewell.spec.names import in_address, own_name
from tunewell.spec.rules import WORKERS

router = APIRouter()

PARTS = ("trial-head", "trial-figures", "trial-parameters", "trial-metrics", "trial-life", "trial-files", "trial-log")
#: About so many reports of a trial are read at most: for its curves that is enough.
REPORTS = MOST // 2


@router.get("/experiments/{name}/trials/{number}")
def trial(
    request: Request, verbs: AsCaller, name: Name, number: Number, attempt: Attempt = None, metric: Text = ""
) -> Response:
    """Return the page of a trial.

    Args:
        request: what asks for it.
        verbs: of who asks.
        name: the experiment.
        number: of the trial.
        attempt: whose log and files are shown; default: the latest.
        metric: whose curve is drawn; default: the objective.
    """
    this = verbs.trial(name, number)
    one, result = verbs.experiment(name), verbs.result(name)
    best = result.best if result.best and result.best.number != number else None
    reports = _reports(verbs, name, number)
    best_reports = _reports(verbs, name, best.number) if best else ()
    drawn = metric or one.objective.metric
    here = f"/experiments/{in_address(one.name)}/trials/{number}"
    chosen = _chosen(this, attempt)
    files, log = _files(request, verbs, name, number, chosen, here), _log(request, verbs, name, number, chosen, here)
    by_workers = one.spec.get("scheduler") == WORKERS
    context = {
        "one": one,
        "this": this,
        "result": result,
        "best": best,
        "reason": this.reason,
        "total": sum(one.trials.values()),
        "parameters": _parameters(one, this, result),
        "metrics": _metrics(reports, best_reports),
        "metric": drawn,
        "latest": _latest(reports).get(one.objective.metric),
        "curve": metric_curve(
            drawn, _curve(reports, drawn), _curve(best_reports, drawn), best.number if best else None
        ),
        "events": [(event, told(event)) for event in verbs.events(name, trial=number)],
        "chosen": chosen,
        "files": files,
        "log": log,
        "by_workers": by_workers,
        # Workers need send neither.
        "has_log": not by_workers or (log is not None and log.read(0, 0).size_bytes > 0),
        "link": partial(_link, {"attempt": str(attempt or ""), "metric": metric}),
        "sentence": sentence,
        "remedy": remedy,
    }
    return show(request, Page("trial.html.j2", _title(one, this), PARTS, context, follows=(one.name,)))


def _title(one: Experiment, this: TrialDetails) -> str:
    reached = "" if this.value is None else f"{in_figures(this.value)} "
    return f"{reached}trial {this.number} of {one.name}"


def _link(chosen: Mapping[str, str], **changes: object) -> str:
    """Return the address of the page with other choices."""
    return "?" + urlencode({name: value for name, value in {**chosen, **changes}.items() if value})


# Parameters -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter of the trial beside that of others; None where it is not active, or there is no other."""

    name: str
    value: str | None
    default: str | None
    best: str | None


def _parameters(one: Experiment, this: TrialDetails, result: SearchResult) -> list[Row]:
    default = result.default.parameters if result.default else _declared(one.space)
    best = result.best.parameters if result.best else {}
    names = dict.fromkeys([*one.space, *this.parameters])
    return [Row(name, *(_written(known, name) for known in (this.parameters, default, best))) for name in names]


def _declared(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that a space declares."""
    return {name: known["default"] for name, known in space.items() if isinstance(known, dict) and "default" in known}


def _written(parameters: Mapping[str, Any], name: str) -> str | None:
    return scalar(parameters[name], 4) if name in parameters else None


# Metrics --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric as it was last reported: its value (None: it was not finite), the step, and the best trial's value."""

    name: str
    value: float | None
    step: int
    best: float | None


def _reports(verbs: Verbs, name: str, number: int) -> Sequence[Report]:
    """Return reports spread over all of them, and of the last ones each: a metric need not be in every report."""
    found = verbs.reports(name, number, points=REPORTS)
    if len(found) < 2:
        return found
    return (*found[:-1], *verbs.reports(name, number, after=found[-2].step), found[-1])


def _latest(reports: Sequence[Report]) -> dict[str, tuple[float | None, int]]:
    """Return metric → its latest value, and at which step that was."""
    return {name: (value, report.step) for report in reports for name, value in report.metrics.items()}


def _metrics(reports: Sequence[Report], of_best: Sequence[Report]) -> list[Measured]:
    best = _latest(of_best)
    return [Measured(name, *known, best.get(name, (None, 0))[0]) for name, known in _latest(reports).items()]


def _curve(reports: Sequence[Report], metric: str) -> dict[int, float]:
    """Return step → value where it was finite."""
    found = ((report.step, report.metrics.get(metric)) for report in reports)
    return {step: value for step, value in found if value is not None}


# What it printed and left ---------------------------------------------------------------------------------


def _chosen(this: TrialDetails, attempt: int | None) -> int | None:
    """Return the attempt whose output is shown; None: there was none. Raises `NotFoundError`."""
    known = [one.attempt for one in this.attempt_list]
    if attempt is not None and attempt not in known:
        raise NotFoundError(f"Trial {this.number} has no attempt {attempt}: it has been tried {len(known)} times.")
    return attempt if attempt is not None else max(known, default=None)


def _log(request: Request, verbs: Verbs, name: str, number: int, attempt: int | None, here: str) -> Log | None:
    if attempt is None:
        return None
    return Log(
        id=f"log-{attempt}",
        address=f"{root(request)}{BASE}{here}/log?attempt={attempt}",
        file=f"{own_name(name)}-trial-{number}-attempt-{attempt}.log",
        read=lambda offset, limit: verbs.log(name, number, attempt=attempt, offset=offset, limit=limit),
    )


def _files(request: Request, verbs: Verbs, name: str, number: int, attempt: int | None, here: str) -> Files:
    if attempt is None:
        return NO_FILES
    address = f"{root(request)}{BASE}{here}/artifacts"
    return files_at(verbs.artifacts(name, number, attempt=attempt), address, f"?attempt={attempt}")
