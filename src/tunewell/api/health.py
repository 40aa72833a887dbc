"""Whether the service is alive and ready, and its figures: for those who watch over it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from tunewell.api import metrics
from tunewell.service.service import Service
from tunewell.service.types import Readiness

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Whether this process is alive")
async def healthz() -> dict[str, str]:
    """Answer as long as requests are answered at all."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Whether the service can do its work",
    responses={503: {"model": Readiness, "description": "The part that is `false` is missing."}},
)
def readyz(request: Request, response: Response) -> Readiness:
    """Say whether the database can be read and a controller runs what is on record; 503 if not."""
    found = _service(request).readiness()
    if not found.database:
        metrics.STORE_ERRORS.inc()
    if not found.ready:
        response.status_code = 503
    return found


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def figures(request: Request) -> Response:
    """Return the figures of the service, and those of all its processes together."""
    return Response(metrics.render(_service(request).figures()), media_type=CONTENT_TYPE_LATEST)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
