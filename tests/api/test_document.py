"""What the API says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from tests.api.serving import api_of
from tunewell.api import problems
from tunewell.api.examples import EXAMPLES
from tunewell.service import types
from tunewell.service.service import Service
from tunewell.service.verbs import Verbs

#: Verbs that name paths or addresses on the server, or are another route's: they are not offered over a network.
NOT_OFFERED = {"check", "import_study", "import_in_background", "allow_folder", "withdraw_folder", "version", "watch"}
#: Operations beside the verbs.
NO_VERBS = {
    *("network_of_task", "experiments_in_bin", "healthz", "readyz", "figures"),
    *("predict_with_version", "predict_upload_with_version", "export_version", "evaluate_version"),
}
TYPES = {**vars(types), **vars(problems)}


@pytest.fixture
def document(ran: TestClient) -> Any:
    """The document."""
    return ran.get("http://testserver/openapi.json").json()


def operations(document: Any) -> Iterator[Any]:
    """Yield all operations."""
    for item in document["paths"].values():
        yield from item.values()


def test_every_verb_is_an_operation(document: Any) -> None:
    """An operation is called like its verb; what is not offered is named."""
    verbs = {name for name in dir(Verbs) if not name.startswith("_")}
    assert {one["operationId"] for one in operations(document)} == verbs - NOT_OFFERED | NO_VERBS


def test_every_operation_is_described(document: Any) -> None:
    """It has a summary, a tag, parameters that say what they are, and answers with their problems."""
    tags = {tag["name"] for tag in document["tags"]}
    for one in operations(document):
        name = one["operationId"]
        assert one["summary"] and one["description"] and set(one["tags"]) <= tags, name
        assert all(parameter["description"] for parameter in one.get("parameters", ())), name
        done = next(one["responses"][status] for status in ("200", "201", "202", "204") if status in one["responses"])
        assert done["description"] and ("204" in one["responses"]) == ("content" not in done), name
        assert all(media["schema"] for media in done.get("content", {}).values()), name
        if name == "readyz":  # which says what is missing
            continue
        for status in ("401", "403", "404", "422", "429", "500", "503"):
            assert one["responses"][status] == {"$ref": f"#/components/responses/Problem{status}"}, name


def test_it_says_how_to_prove_who_asks(document: Any) -> None:
    """By a token or by a session; what needs no caller says so."""
    schemes = document["components"]["securitySchemes"]
    assert (schemes["token"]["scheme"], schemes["session"]["in"]) == ("bearer", "cookie")
    assert document["security"] == [{"token": []}, {"session": []}]
    open_ = {one["operationId"] for one in operations(document) if one.get("security") == []}
    assert open_ == {"healthz", "readyz"}


def test_limits_have_names_and_units(document: Any) -> None:
    """A quota is no free object, neither where it is set nor where it is told."""
    schemas = document["components"]["schemas"]
    names = {"running", "cpus", "gpus", "disk_bytes", "cpu_hours", "gpu_hours"}
    for limits in (schemas["Quota"], schemas["User"]["properties"]["quota"], schemas["Me"]["properties"]["used"]):
        assert limits["properties"].keys() == names and limits["additionalProperties"] is False
        assert all(one["description"] for one in limits["properties"].values())


def test_every_type_has_a_description_and_an_example(document: Any) -> None:
    """Fields say what the comments above them say; an example is one of its type, and has all of its fields."""
    for name, schema in document["components"]["schemas"].items():
        kind = TYPES.get(name)
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        (example,) = schema["examples"]
        if name not in ("Part", "Problem"):  # which leave out what does not apply
            assert kind.model_validate(example).model_dump(mode="json").keys() == example.keys(), name
        kind.model_validate(example)
        assert schema["description"], name
    fields = document["components"]["schemas"]["Experiment"]["properties"]
    assert fields["max_trials"]["description"] == "Number of trials that it may make."
    assert set(EXAMPLES) <= TYPES.keys()


def test_the_page_needs_nothing_from_elsewhere(ran: TestClient, document: Any) -> None:
    """It shows every operation, runs no script, and asks for nothing."""
    answer = ran.get("http://testserver/docs")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "script" not in policy
    assert "<script" not in answer.text and not re.search(r'(src|href)="(https?:)?//', answer.text)
    for one in operations(document):
        assert f'id="{one["operationId"]}"' in answer.text


def test_behind_a_proxy(ran_service: Service) -> None:
    """Addresses that are told begin with the path below which the service is offered."""
    api = TestClient(api_of(ran_service), root_path="/tunewell")
    assert api.get("/openapi.json").json()["servers"] == [{"url": "/tunewell"}]
    assert 'href="/tunewell/openapi.json"' in api.get("/docs").text
    made = api.post("/api/v1/experiments/e/evaluate", headers={"Idempotency-Key": "proxy"})
    assert made.headers["location"].startswith("/tunewell/api/v1/jobs/")
