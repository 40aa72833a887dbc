"""Uploads, data sets and code over HTTP: parts go to the disk as they come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from tests.service.storage.archives import decent, tar_of
from tunewell.api import bodies
from tunewell.api.lanes import Lanes
from tunewell.api.routes import code, datasets, uploads
from tunewell.service.rights import caller_of
from tunewell.service.service import Service
from tunewell.service.types import DataSetView
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, UserError
from tunewell.tasks.image_classification.digits import write_digits

STATUSES: dict[type[UserError], int] = {ConflictError: 409, ForbiddenError: 403, NotFoundError: 404}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service with a user."""
    with Service(tmp_path) as service:
        with service.store.transaction() as tx:
            tx.add_user("ada", "user", run_code=True)
        yield service


@pytest.fixture
def web(service: Service) -> Iterator[TestClient]:
    """What asks as ada."""
    app = FastAPI()
    app.state.service, app.state.lanes = service, Lanes()
    for router in (uploads.router, datasets.router, code.router):
        app.include_router(router, prefix="/api/v1")

    @app.middleware("http")
    async def known(request: Request, call_next: Any) -> Any:
        request.state.caller = caller_of(service.store, "ada")
        return await call_next(request)

    @app.exception_handler(UserError)
    def problem(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse(error.to_json(), STATUSES.get(type(error), 422))

    with TestClient(app, base_url="http://localhost/api/v1/") as client:
        yield client


def sent(web: TestClient, data: bytes) -> str:
    """Send a file in three parts; return its id."""
    facts = {"name": "data.zip", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    answer = web.post("uploads", json=facts, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert answer.headers["location"] == f"/api/v1/uploads/{id}"
    third = len(data) // 3
    for begin, end in ((0, third), (third, 2 * third), (2 * third, len(data))):
        answer = web.put(f"uploads/{id}/parts/{begin}", content=data[begin:end])
        assert (answer.status_code, answer.json()["received_bytes"]) == (200, end)
    assert web.post(f"uploads/{id}/finish").json()["finished_at"]
    return str(id)


def test_from_a_file_to_a_data_set(web: TestClient) -> None:
    """The whole way, and back."""
    id = sent(web, decent("zip"))
    assert [one["id"] for one in web.get("uploads").json()["items"]] == [id]
    made = web.post("datasets", json={"name": "d", "upload": id})
    assert made.status_code == 201 and made.headers["location"] == "/api/v1/datasets/ada~d"
    assert web.get("datasets/d").json() == web.get("datasets/ada~d").json() == made.json()
    assert web.get(f"contents/{made.json()['sha256']}").json()["kind"] == "dataset"
    assert web.get("datasets").json()["items"] == [made.json()]
    assert web.delete("datasets/d").status_code == 204 and web.get("datasets/d").status_code == 404
    assert web.post("datasets/d/restore").json() == made.json()
    assert web.get("allowed-folders").json() == {"items": [], "next": None}
    assert web.post("datasets", json={"name": "e", "folder": "/etc"}).status_code == 403


def test_what_a_check_finds(web: TestClient, service: Service, tmp_path: Path) -> None:
    """The view is a type of its own; its samples are pictures that a browser takes for nothing else."""
    write_digits(tmp_path / "digits")
    files = sorted((tmp_path / "digits").rglob("*.png"))[::20]
    entries = [(path.relative_to(tmp_path / "digits").as_posix(), path.read_bytes()) for path in files]
    web.post("datasets", json={"name": "d", "upload": sent(web, tar_of(*entries))})
    assert web.get("datasets/d/view").status_code == 404
    job = web.post("datasets/d/check", json={"task": "image-classification"}).json()
    service.carry_out(job["id"])
    view = DataSetView.model_validate_json(web.get("datasets/d/view").text)
    number = next(iter(view.examples.values()))[0].picture
    sample = web.get(f"datasets/d/samples/{number}")
    assert sample.headers["content-type"] == "image/jpeg"
    assert sample.headers["content-disposition"] == "inline"
    assert sample.headers["x-content-type-options"] == "nosniff"
    assert sample.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert sample.headers["cache-control"].startswith("private")
    assert sample.content.startswith(b"\xff\xd8\xff")
    for wrong in ("0", "10000", "1.jpg", "..%2f1", "-1"):
        assert web.get(f"datasets/d/samples/{wrong}").status_code in (404, 422)


@pytest.mark.parametrize("wrong", [{"name": "."}, {"name": ".."}, {"size": True}, {"size": "ten"}, {"size": 0}])
def test_what_is_no_file(web: TestClient, wrong: dict[str, Any]) -> None:
    """Names that mean a folder, and sizes that are no numbers, are refused."""
    assert web.post("uploads", json={"name": "a", "size": 10, **wrong}).status_code == 422
    assert web.get("uploads").json()["items"] == []


def test_code(web: TestClient) -> None:
    """An archive becomes code."""
    made = web.post("code", json={"upload": sent(web, decent("tar.gz"))})
    assert made.status_code == 201 and web.get(f"code/{made.json()['id']}").json() == made.json()
    assert len(web.get(f"code/{made.json()['id']}/files").json()["items"]) == made.json()["files"]


def test_a_part_in_the_wrong_place(web: TestClient) -> None:
    """The present size is told, from which a client goes on."""
    id = web.post("uploads", json={"name": "a", "size": 10}).json()["id"]
    web.put(f"uploads/{id}/parts/0", content=b"abc")
    answer = web.put(f"uploads/{id}/parts/5", content=b"abc")
    assert (answer.status_code, answer.json()["facts"]) == (409, {"size": 3})
    assert web.put(f"uploads/{id}/parts/3", content=b"x" * 8).status_code == 422
    assert web.delete(f"uploads/{id}").status_code == 204
    assert web.get(f"uploads/{id}").status_code == 404


@pytest.mark.parametrize("end", ["whole", "broken", "late"])
def test_a_part_is_not_held_in_memory(
    web: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """So much of it at most, until that is on the disk; of one that breaks off, too, all that has come stays."""
    monkeypatch.setattr(bodies, "PIECE_BYTES", 200_000)
    id = web.post("uploads", json={"name": "a", "size": 500_000}).json()["id"]
    sizes: list[int] = []

    async def receive() -> dict[str, Any]:
        sizes.append((service.home.uploads / id).stat().st_size)
        if len(sizes) == 6 and end == "late":
            raise HTTPException(408)
        if len(sizes) == 6:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": end != "whole" or len(sizes) < 5}

    async def send(message: dict[str, Any]) -> None:
        pass

    path = f"/api/v1/uploads/{id}/parts/0"
    state = {"caller": caller_of(service.store, "ada")}
    scope = {"type": "http", "method": "PUT", "path": path, "headers": [], "query_string": b"", "state": state}
    app = FastAPI()
    app.state.service, app.state.lanes = service, Lanes()
    app.include_router(uploads.router, prefix="/api/v1")
    anyio.run(app, scope, receive, send)
    assert sizes[:5] == [0, 0, 200_000, 200_000, 400_000]
    assert web.get(f"uploads/{id}").json()["received_bytes"] == 500_000


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fetc", "%252e%252e", "a" * 31, "A" * 32, "0" * 32 + "%00"])
def test_ids_that_are_none(web: TestClient, id: str) -> None:
    """What is no id is looked for nowhere."""
    for method, path in (("GET", ""), ("PUT", "/parts/0"), ("POST", "/finish"), ("DELETE", "")):
        assert web.request(method, f"uploads/{id}{path}").status_code in (404, 405, 422)
