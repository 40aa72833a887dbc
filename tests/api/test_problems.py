"""What an answer says where what was asked for can't be done."""

from __future__ import annotations

import errno
import logging

import pytest
from fastapi.testclient import TestClient

from tunewell.service.service import Service
from tunewell.spec.errors import (
    ArgumentError,
    ConflictError,
    DataError,
    ForbiddenError,
    NotFoundError,
    SpecError,
    SpecErrors,
    TransitionRefused,
    UserError,
)
from tunewell.store.errors import Busy, StoreError, Unreachable

#: Error → status and last part of the type of its problem.
ERRORS: dict[Exception, tuple[int, str]] = {
    UserError("no"): (422, "wrong-input"),
    SpecError("max_trials", "-1 is less than 1", "Give 1 or more", -1): (422, "invalid-field"),
    ArgumentError("limit", "0 is not possible", "Give 1 or more", 0): (422, "invalid-argument"),
    SpecErrors([SpecError("a", "no"), SpecError("b", "no")]): (422, "invalid-spec"),
    DataError("it is no picture", field="a.png"): (422, "bad-data"),
    NotFoundError("There is no job 1"): (404, "not-found"),
    ForbiddenError("ada may not"): (403, "forbidden"),
    ConflictError("It has ended", kind="experiment-differs", experiment="e"): (409, "conflict"),
    ConflictError("It was changed", kind="stale"): (412, "conflict"),
    TransitionRefused("trial 1 is failed"): (409, "conflict"),
    StoreError("no room"): (503, "store-unavailable"),
    Unreachable("no answer"): (503, "store-unavailable"),
    Busy("locked"): (503, "store-unavailable"),
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_is_a_problem(
    api: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Its parts are the error's; what may pass says when to come again."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Service, "resources", fail)
    answer = api.get("/resources")
    problem = answer.json()
    status, kind = ERRORS[error]
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:tunewell:problem:{kind}"
    assert problem["title"] and problem["detail"].endswith(".")
    assert ("retry-after" in answer.headers) == (status == 503)
    if isinstance(error, UserError):
        known = error.to_json()
        if status == 503:  # which database it is, and what is wrong with it, is nobody's business
            known |= {"kind": "store-unavailable", "field": "", "remedy": ""}
        assert [problem.get(name, "") for name in ("kind", "field", "remedy")] == [
            known[name] for name in ("kind", "field", "remedy")
        ]
        assert problem.get("value") == known["value"] and problem.get("facts", {}) == known["facts"]
        assert [part["field"] for part in problem.get("errors", [])] == [part["field"] for part in known["errors"]]


def test_no_error_tells_where_the_home_is(api: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the home is named as from there; which database it is, is in the log alone."""
    place = service.home.folder / "experiments" / "e"
    errors = {
        DataError(
            f"{place} is no file", field=str(place), value=str(place), remedy=f"See {place}", at=[str(place)]
        ): 422,
        SpecErrors([SpecError("a", f"{place} is not"), SpecError("b", str(place))]): 422,
        Unreachable(f"{service.home.folder}/tunewell.db is away"): 503,
    }
    for error, status in errors.items():

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Service, "resources", fail)
        answer = api.get("/resources")
        assert answer.status_code == status and str(service.home.folder) not in answer.text
        assert ("experiments/e" in answer.text) == (status == 422)


def test_a_bug_tells_nothing_but_its_number(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was wrong is in the log, under the number that the answer has."""

    def fail(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(Service, "resources", fail)
    with caplog.at_level(logging.ERROR):
        answer = api.get("/resources")
    assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"
    assert "the inside" not in answer.text and "RuntimeError" not in answer.text
    (record,) = caplog.records
    assert record.exc_text is not None and "the inside" in record.exc_text
    number = record.getMessage().split()[1].rstrip(":")
    assert number in answer.json()["detail"]


def test_a_request_that_is_wrong(api: TestClient) -> None:
    """Each parameter that is wrong is named with its value, before anything is done."""
    answer = api.get("/experiments?limit=0&state=gone")
    problem = answer.json()
    assert answer.status_code == 422 and problem["detail"] == "The request has 2 errors."
    assert {(part["field"], part["value"]) for part in problem["errors"]} == {("limit", "0"), ("state.0", "gone")}
    one = api.get("/jobs/abc").json()
    assert (one["field"], one["value"], one["kind"]) == ("id", "abc", "invalid-argument")
    body = api.post("/imports", json={"spec": {}, "table": 3}).json()
    assert body["field"] == "table" and "value" not in body


def test_unknown_addresses_and_methods(api: TestClient) -> None:
    """They are problems as well; what is possible is told."""
    nothing = api.get("/nothing")
    assert (nothing.status_code, nothing.json()["kind"]) == (404, "no-such-address")
    wrong = api.put("/experiments/e")
    assert (wrong.status_code, wrong.json()["kind"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "DELETE, GET, HEAD, PATCH"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/experiments/", "/experiments/e//", "/experiments/e/trials/"])
def test_a_slash_at_the_end_leads_nowhere(api: TestClient, method: str, path: str) -> None:
    """No redirect, whose address would be wrong behind a proxy: the right address is named."""
    answer = api.request(method, path, follow_redirects=False)
    assert answer.status_code == 404
    if method != "HEAD":
        assert answer.json()["remedy"] == f"Leave out the slash at the end: /api/v1{path.rstrip('/')}"
    assert api.get("/nothing/").json()["remedy"] == "See /docs"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing(
    api: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It is told as such, with when to come again; what else goes wrong with a disk is a bug."""

    def fail(*_: object) -> None:
        raise OSError(number, "no", str(service.home.folder))

    monkeypatch.setattr(Service, "resources", fail)
    answer = api.get("/resources")
    expected = (500, "bug") if number == errno.EIO else (507, "disk-full")
    assert (answer.status_code, answer.json()["kind"]) == expected
    assert ("retry-after" in answer.headers) == (expected[0] == 507)
    assert str(service.home.folder) not in answer.text


@pytest.mark.parametrize(
    ("body", "detail", "remedy"),
    [
        ({"target": "https://a.org", "events": ["sunrise"]}, "events.0: 'sunrise' is not possible.", "Give ended, "),
        ({"target": "https://a.org", "label": 7}, "label: it is no text.", "Give a text"),
        ({"target": "https://a.org", "label": "x" * 200}, "label: it is longer than 100 characters.", "Shorten it"),
        ({}, "target: it is missing.", ""),
    ],
)
def test_what_does_not_fit_is_told_in_our_words(
    api: TestClient, body: dict[str, object], detail: str, remedy: str
) -> None:
    """Over REST as anywhere else: of what, what is wrong with it, and what to do; nothing of how it is checked."""
    problem = api.post("/channels", json=body).json()
    assert problem["detail"] == detail and problem.get("remedy", "").startswith(remedy)
