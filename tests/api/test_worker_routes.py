"""The route by which programs on other machines report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.testclient import TestClient

from tests.contracts.test_verbs_contract import RUNNING, SPEC, Bench, running_attempt
from tunewell.api.routes.workers import router
from tunewell.schedulers.report_reader import ReportReader
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.errors import ConflictError, ForbiddenError, UserError
from tunewell.spec.launch import AttemptKey

STATUS = {ConflictError: 409, ForbiddenError: 403}
PATH = "/experiments/e/trials/1/reports"
BODY: dict[str, Any] = {"reports": [{"step": 1, "metrics": {"accuracy": 0.5}}, {"metrics": {"accuracy": "NaN"}}]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of an app over an experiment `e` with a running trial; headers say who asks."""
    with Service(tmp_path) as service:
        bench = Bench(service, service, service.as_caller)
        service.create(SPEC)
        running_attempt(bench)
        bench.add(2, RUNNING)
        app = FastAPI()
        app.state.service = service
        app.include_router(router)

        @app.middleware("http")
        async def identify(request: Request, call_next: Any) -> Response:
            attempt, name = request.headers.get("attempt"), request.headers.get("caller")
            request.state.attempt = AttemptKey("e", 1, int(attempt)) if attempt else None
            request.state.caller = Caller(name=name, role="user") if name else None
            answer: Response = await call_next(request)
            return answer

        @app.exception_handler(UserError)
        def problem(request: Request, error: UserError) -> Response:
            return JSONResponse(error.to_json(), STATUS.get(type(error), 422))

        yield TestClient(app)


def reports(tmp_path: Path) -> int:
    """Return how many reports there are of the running attempt."""
    return len(ReportReader(tmp_path / "experiments" / "e" / "trials" / "1" / "1").read_rest())


def test_an_attempt_reports(client: TestClient, tmp_path: Path) -> None:
    """By its own credential, once under a key, and is told whether to end."""
    for _ in range(2):
        answer = client.post(PATH, json=BODY, headers={"attempt": "1", "Idempotency-Key": "first"})
        assert (answer.status_code, answer.json()) == (201, {"reports": 2, "should_stop": False})
    assert reports(tmp_path) == 2


def test_nobody_else_reports(client: TestClient, tmp_path: Path) -> None:
    """A credential is good for nothing but its own attempt, while that runs; a stranger has no right to report."""
    own = {"attempt": "1"}
    assert client.post("/experiments/e/trials/2/reports", json=BODY, headers=own).status_code == 403
    assert client.post("/experiments/bob~e/trials/1/reports", json=BODY, headers=own).status_code == 403
    assert client.post(f"{PATH}?attempt=2", json=BODY, headers=own).status_code == 403
    over = client.post(PATH, json=BODY, headers={"attempt": "2"})
    assert (over.status_code, over.json()["kind"]) == (409, "attempt-over")
    stranger = {"caller": "bob"}
    answer = client.post("/experiments/owner~e/trials/1/reports?attempt=1", json=BODY, headers=stranger)
    assert answer.status_code == 403
    assert client.post("/experiments/owner~e/trials/1/reports", json=BODY, headers=stranger).status_code == 422
    assert reports(tmp_path) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reports": []},
        {"reports": [{"metrics": {}}]},
        {"reports": [{"metrics": {"accuracy": "good"}}]},
        {"reports": [{"metrics": {"accuracy": None}}]},
        {"reports": [{"metrics": {"": 1}}]},
        {"reports": [{"step": 2**60, "metrics": {"accuracy": 1}}]},
        {"reports": [{"metrics": {"accuracy": 1}}] * 1001},
        {"reports": [{"metrics": {"accuracy": 1}, "setp": 1}]},
        {"reports": [{"metrics": {"accuracy": True}}]},
        {"reports": [{"metrics": {"accuracy": 1}, "step": True}]},
        {"reports": [{"metrics": {"accu\0racy": 1}}]},
        {"reports": [{"metrics": {"accuracy\n": 1}}]},
        {"reports": [{"metrics": {"accuracy": 1}, "time": "0001-01-01T00:00:00"}]},
        {"reports": [{"metrics": {"accuracy": 1}, "time": "0001-01-01T00:00:00"}, {"metrics": {"accuracy": 1}}]},
    ],
)
def test_what_is_no_report(client: TestClient, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """It is refused, and nothing of it is written."""
    assert client.post(PATH, json=wrong, headers={"attempt": "1"}).status_code == 422
    assert reports(tmp_path) == 0
