"""Jobs: work on record that is no trial."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tunewell.api import logs
from tunewell.api.answers import streamed, whole
from tunewell.api.asked import (
    AsCaller,
    Cursor,
    FilePath,
    Follow,
    JobId,
    Key,
    Limit,
    LogLimit,
    Offset,
    Text,
)
from tunewell.api.document import FILE, LOG
from tunewell.api.lanes import takes_long
from tunewell.service.types import Artifact, Job, JobKind, LogPart, Page
from tunewell.service.verbs import LOG_BYTES, PAGE
from tunewell.spec.names import from_address
from tunewell.spec.states import JobState

router = APIRouter(tags=["jobs"])


@router.get("/jobs", summary="List jobs, the newest first")
def jobs(
    verbs: AsCaller,
    experiment: Annotated[
        Text | None, Query(description="Only those about this experiment: `NAME`, `OWNER~NAME`.")
    ] = None,
    kind: Annotated[JobKind | None, Query(description="Only those of this kind.")] = None,
    state: Annotated[list[JobState] | None, Query(description="Only those in one of these states.")] = None,
    model: Annotated[
        Text | None, Query(description="Only those about this published model: `NAME`, `OWNER~NAME`.")
    ] = None,
    caller: Annotated[Text | None, Query(description="Only those that this user has asked for.")] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[Job]:
    """Return the jobs that the caller sees."""
    about, published = (None if name is None else from_address(name) for name in (experiment, model))
    return verbs.jobs(
        experiment=about, kind=kind, states=state, model=published, caller=caller, cursor=cursor, limit=limit
    )


@router.get("/jobs/{id}", summary="Read a job")
def job(verbs: AsCaller, id: JobId) -> Job:
    """Return a job."""
    return verbs.job(id)


@router.get("/jobs/{id}/log", summary="Read what a job has printed", response_class=Response, responses=LOG)
def job_log(
    request: Request,
    verbs: AsCaller,
    id: JobId,
    offset: Offset = 0,
    limit: LogLimit = LOG_BYTES,
    follow: Follow = False,
) -> Response:
    """Return what the latest attempt at a job has printed, as that of a trial is returned."""

    def read(offset: int, limit: int) -> LogPart:
        return verbs.job_log(id, offset=offset, limit=limit)

    return logs.answer(request, read, logs.Wanted(offset, limit, follow))


@router.get("/jobs/{id}/artifacts", summary="List the files that a job has left")
@takes_long
def job_artifacts(verbs: AsCaller, id: JobId) -> Page[Artifact]:
    """Return the files that the latest attempt at a job has left, by path."""
    return whole(verbs.job_artifacts(id))


@router.get(
    "/jobs/{id}/artifacts/{path:path}",
    summary="Read a file that a job has left",
    response_class=Response,
    responses=FILE,
)
@takes_long
def job_artifact(request: Request, verbs: AsCaller, id: JobId, path: FilePath) -> Response:
    """Return a file, to be saved: no browser shows it."""
    return streamed(request, verbs.job_artifact(id, path), "application/octet-stream", path.rpartition("/")[2])


@router.post("/jobs/{id}/stop", status_code=202, summary="Stop a job")
def stop_job(verbs: AsCaller, id: JobId, key: Key = None) -> Job:
    """Have a job end."""
    return verbs.stop_job(id, key=key)


@router.post("/jobs/{id}/retry", status_code=202, summary="Run a job again")
def retry_job(verbs: AsCaller, id: JobId, key: Key = None) -> Job:
    """Have a job that failed or was stopped run again."""
    return verbs.retry_job(id, key=key)
