"""Submitting, listing and changing experiments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.serving import SECRET, SPEC
from tunewell.spec.files import to_yaml

YAML = {"Content-Type": "application/yaml; charset=utf-8"}


def test_a_spec_comes_as_json_or_yaml(api: TestClient) -> None:
    """Both say the same: what one has created, the other continues."""
    made = api.post("/experiments", json={**SPEC, "name": "x"})
    assert (made.status_code, made.json()) == (201, {"name": "x", "kind": "new", "notes": []})
    again = api.post("/experiments", content=to_yaml({**SPEC, "name": "x"}), headers=YAML)
    assert (again.status_code, again.json()) == (200, {"name": "x", "kind": "continued", "notes": []})
    new = api.post("/experiments?new=always", content=to_yaml({**SPEC, "name": "x"}), headers=YAML)
    assert (new.status_code, new.json()["name"]) == (201, "x-2")


def test_a_dry_run_records_nothing(api: TestClient) -> None:
    """It tells what follows from a spec, and what is found in a line."""
    answer = api.post("/experiments?dry_run=true&line=epoch 3 accuracy=0.5", json={**SPEC, "name": "x"})
    assert (answer.status_code, answer.json()["algorithm"]) == (200, "random")
    assert answer.json()["line"]["metrics"] == {"accuracy": 0.5}
    assert api.get("/experiments/x").status_code == 404


@pytest.mark.parametrize(
    ("content", "media_type", "status", "field"),
    [
        ("{", "application/json", 422, "body"),
        ('{"a": 1, "a": 2}', "application/json", 422, "body"),
        ("[1]", "application/json", 422, "body"),
        ("", "application/json", 422, "body"),
        ("a: [", "application/yaml", 422, "body"),
        ("- a", "application/yaml", 422, "body"),
        ("name: !!binary YWRhL2U=", "application/yaml", 422, "name"),
        ("a: !!python/object/apply:os.system [true]", "application/yaml", 422, "body"),
        (b"\xff\xfe\xff", "application/json", 400, "body"),
        ("<spec/>", "application/xml", 415, "Content-Type"),
        (b" " * 1_000_001, "application/json", 413, "body"),
    ],
)
def test_a_body_that_is_no_spec(
    api: TestClient, content: str | bytes, media_type: str, status: int, field: str
) -> None:
    """It is told what is wrong with it."""
    answer = api.post("/experiments", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text


def test_all_that_is_wrong_with_a_spec_is_told(api: TestClient) -> None:
    """Each error has its field, value and remedy; a secret is in none."""
    wrong = {**SPEC, "name": "x", "max_trials": -1, "algorithm": "bayesean", "environment": {"TOKEN": [SECRET]}}
    answer = api.post("/experiments", json=wrong)
    problem = answer.json()
    assert (answer.status_code, problem["kind"]) == (422, "invalid-spec")
    told = {error["field"]: error for error in problem["errors"]}
    assert told["max_trials"]["value"] == -1 and "bayesian" in told["algorithm"]["remedy"]
    assert SECRET not in answer.text


def test_a_list_stays_as_it_is_while_it_grows(api: TestClient) -> None:
    """Page after page, each experiment comes once."""
    for number in range(4):
        api.post("/experiments", json={**SPEC, "name": f"x{number}"})
    page = api.get("/experiments?limit=2").json()
    names = [one["name"] for one in page["items"]]
    api.post("/experiments", json={**SPEC, "name": "later"})
    while page["next"] is not None:
        page = api.get("/experiments", params={"limit": 2, "cursor": page["next"]}).json()
        names += [one["name"] for one in page["items"]]
    assert names == ["x3", "x2", "x1", "x0", "e"]
    assert api.get("/experiments?cursor=nonsense").status_code == 422


def test_a_change_needs_what_was_seen(api: TestClient) -> None:
    """Without a condition nothing is changed, nor after somebody else has changed it; asked again, it is done."""
    seen = api.get("/experiments/e").headers["etag"]
    change = {"max_trials": 8}
    assert api.patch("/experiments/e", json=change).status_code == 428
    headers = {"If-Match": seen, "Idempotency-Key": "k"}
    done = api.patch("/experiments/e", json=change, headers=headers)
    assert (done.status_code, done.json()["max_trials"]) == (200, 8)
    assert done.headers["etag"] == api.get("/experiments/e").headers["etag"] != seen
    stale = api.patch("/experiments/e", json={"max_trials": 9}, headers={"If-Match": seen})
    assert (stale.status_code, stale.json()["kind"]) == (412, "stale")
    again = api.patch("/experiments/e", json=change, headers=headers)
    assert again.status_code == 200 and again.headers["etag"] == done.headers["etag"]
    forced = api.patch("/experiments/e", json={"max_trials": 9}, headers={"If-Match": "*"})
    assert forced.json()["max_trials"] == 9
    other = api.patch("/experiments/e", json={"seed": 3}, headers={"If-Match": "*"})
    assert (other.status_code, other.json()["field"]) == (422, "seed")


def test_parameters_that_there_are_not(api: TestClient) -> None:
    """They are refused, all at once and on every route, with the nearest there is: else a filter would be missed."""
    wrong = api.get("/experiments?stat=running&serch=x&limit=1")
    told = {one["field"]: one["remedy"] for one in wrong.json()["errors"]}
    assert wrong.status_code == 422
    assert told == {"stat": "Did you mean 'state'", "serch": "Did you mean 'search'"}
    one = api.post("/experiments/e/stop?force=true")
    assert (one.status_code, one.json()["field"]) == (422, "force")
    assert api.get("/experiments?state=created&tag=none").json()["items"] == []


def test_a_key_is_for_one_request(api: TestClient) -> None:
    """Used for another, it is refused; another caller's is another one."""
    headers = {"Idempotency-Key": "k"}
    assert api.post("/experiments/e/pause", headers=headers).status_code == 202
    assert api.post("/experiments/e/stop", headers=headers).status_code == 409
    assert api.post("/experiments", json=SPEC, headers={**headers, "As": "ada"}).status_code == 201
    assert api.post("/experiments/e/stop", headers={"Idempotency-Key": "ä b".encode()}).status_code == 422


def test_who_sees_what(api: TestClient) -> None:
    """A bare name is one's own; what is another's is addressed with its owner, and commanded by nobody else."""
    assert api.get("/experiments/e", headers={"As": "ada"}).status_code == 404
    assert api.get("/experiments/owner~e", headers={"As": "ada"}).status_code == 200
    refused = api.post("/experiments/owner~e/stop", headers={"As": "ada"})
    assert (refused.status_code, refused.json()["kind"]) == (403, "forbidden")
    assert api.post("/experiments", json=SPEC, headers={"As": "eve"}).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "\ud800"},
        {"\ud800": 1},
        {"name": 5},
        {"name": ["e"]},
        {"name": None},
        {"name": "a/b/c"},
        {"parameters": {"\ud800": [1, 2]}},
        {"parameters": {"x": {"low": float("nan"), "high": float("inf")}}},
        {"warm_start": {"a": 1}},
        {"warm_start": ["e", 3, None]},
        {"parameters_from": "\0"},
        {"task": {}, "command": None},
        {"data": 3, "task": "image-classification", "command": None},
        {"environment": {"A": "\0"}},
        {"environment": 3},
        {"max_trials": 10**400},
        {"objective": 3},
        {"algorithm": {"name": ["x"]}},
        {"resources": {"cpus": -1}},
        {"project": 5},
        {"tags": ["a,b"]},
    ],
    ids=str,
)
def test_specs_that_nobody_means(api: TestClient, wrong: dict[str, Any]) -> None:
    """Each is told what is wrong with it, in text that can be sent."""
    content = json.dumps({**SPEC, "name": "x", **wrong})
    for address in ("/experiments", "/experiments?dry_run=true", "/data-checks"):
        answer = api.post(address, content=content, headers={"As": "ada"})
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["detail"]
    changed = api.patch("/experiments/e", content=json.dumps(wrong), headers={"If-Match": "*"})
    assert 400 <= changed.status_code < 500, changed.text
    body = json.dumps({"spec": {**SPEC, **wrong}, "table": "x,accuracy\n0.5,0.9\n"})
    assert 400 <= api.post("/imports", content=body).status_code < 500
