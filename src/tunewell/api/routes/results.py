"""What a search has brought: the best trials, reports, charts, exports, models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from tunewell.api.answers import PICTURE_POLICY, REPORT_POLICY, streamed, whole
from tunewell.api.asked import AsCaller, Key, Name, Text, Wanted
from tunewell.api.document import ARCHIVE, DRAWING, EXPORT, PAGE_OF_HTML, WITHIN
from tunewell.api.lanes import takes_long
from tunewell.reports.charts import standalone
from tunewell.service.types import (
    Chart,
    Evaluation,
    Finalist,
    Overview,
    Page,
    ParameterImportance,
    ReportFile,
    SearchResult,
    TrainedModel,
    TrainedModelKind,
    TrialResult,
)
from tunewell.service.verbs import MOST, ChartName, ExportFormat

router = APIRouter(tags=["results"])


@router.get("/experiments/{name}/result", summary="Read what a search has brought")
def result(verbs: AsCaller, name: Name) -> SearchResult:
    """Return what a search has brought so far."""
    return verbs.result(name)


@router.get("/experiments/{name}/top", summary="List the best trials")
def top(
    verbs: AsCaller, name: Name, number: Annotated[int, Query(description="How many.", ge=1, le=MOST)] = 5
) -> Page[TrialResult]:
    """Return the best trials, best first."""
    return whole(verbs.top(name, number))


@router.get("/experiments/{name}/overview", summary="Read a search as it is now")
def overview(
    verbs: AsCaller,
    name: Name,
    recent: Annotated[int, Query(description="How many of the last that ended.", ge=1, le=MOST)] = 30,
) -> Overview:
    """Return a search with its trials that run and wait, and the last that ended."""
    return verbs.overview(name, recent)


@router.get(
    "/experiments/{name}/export",
    summary="Export an experiment",
    response_class=Response,
    responses=EXPORT,
    openapi_extra=WITHIN,
)
@takes_long
def export(
    request: Request,
    verbs: AsCaller,
    name: Name,
    filter: Wanted,
    format: Annotated[ExportFormat, Query(description="What kind of file.")] = "json",
) -> Response:
    """Return all that is known of an experiment and its trials, or some of them, as a file."""
    media_type = "application/json" if format == "json" else "text/csv; charset=utf-8"
    parts = verbs.export(name, format, filter=filter)
    return streamed(request, parts, media_type, f"{name.replace('/', '-')}.{format}")


@router.get("/experiments/{name}/report", summary="Read the report", response_class=Response, responses=PAGE_OF_HTML)
@takes_long
def report(verbs: AsCaller, name: Name) -> Response:
    """Return the HTML report, one file for itself; a browser shows it in a sandbox."""
    headers = {"Content-Security-Policy": REPORT_POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(verbs.report(name), headers=headers, media_type="text/html; charset=utf-8")


@router.post("/experiments/{name}/report", summary="Write the report into the experiment's folder")
@takes_long
def write_report(verbs: AsCaller, name: Name, key: Key = None) -> ReportFile:
    """Write the HTML report beside the files of the experiment."""
    return verbs.write_report(name, key=key)


@router.get(
    "/experiments/{name}/charts/{chart}",
    summary="Draw a chart",
    response_model=Chart,
    responses=DRAWING,
    openapi_extra=WITHIN,
)
def chart(
    request: Request,
    verbs: AsCaller,
    name: Name,
    chart: Annotated[ChartName, Path(description="Which.")],
    filter: Wanted,
    of: Annotated[
        list[Text] | None, Query(description="Parameters that it is about: one of a `slice`, two of a `contour`.")
    ] = None,
) -> Chart | Response:
    """Return a chart for pages with the style sheet of charts, or `Accept: image/svg+xml` for a file of its own.

    The trials of a selection stand out.
    """
    drawn = verbs.chart(name, chart, of=of or (), filter=filter)
    if "image/svg+xml" not in request.headers.get("accept", "") or drawn.svg is None:
        return drawn
    headers = {"Content-Security-Policy": PICTURE_POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(standalone(drawn.svg, drawn.title), headers=headers, media_type="image/svg+xml")


@router.get("/experiments/{name}/importances", summary="Say which parameters matter")
def importances(verbs: AsCaller, name: Name) -> Page[ParameterImportance]:
    """Return how much each parameter decides whether a trial is among the best, the most important first."""
    return whole(verbs.importances(name))


@router.get("/experiments/{name}/evaluations", summary="List the detailed evaluations")
def evaluations(
    verbs: AsCaller,
    name: Name,
    trial: Annotated[int | None, Query(description="Only that of this trial.", ge=1, le=2**31 - 1)] = None,
    details: Annotated[bool, Query(description="Whether to give more than single numbers.")] = True,
) -> Page[Evaluation]:
    """Return the evaluations that there are, by trial; with details, they may hold megabytes of pictures."""
    return whole(verbs.evaluations(name, trial=trial, details=details))


@router.get("/experiments/{name}/finalists", summary="List the trials that were trained on all data")
def finalists(verbs: AsCaller, name: Name) -> Page[Finalist]:
    """Return the trials of a search on a sample that were trained on all data, best first."""
    return whole(verbs.finalists(name))


@router.get("/experiments/{name}/models", summary="List the models of an experiment")
def trained_models(verbs: AsCaller, name: Name) -> Page[TrainedModel]:
    """Return the models of an experiment."""
    return whole(verbs.trained_models(name))


@router.get(
    "/experiments/{name}/models/{kind}/files",
    summary="Read the files of a model",
    response_class=Response,
    responses=ARCHIVE,
)
@takes_long
def trained_model_files(
    request: Request, verbs: AsCaller, name: Name, kind: Annotated[TrainedModelKind, Path(description="Which.")]
) -> Response:
    """Return the folder of a model as an archive."""
    parts = verbs.trained_model_files(name, kind)
    return streamed(request, parts, "application/x-tar", f"{name.replace('/', '-')}-{kind}.tar")
