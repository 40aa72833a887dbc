"""Published models over HTTP: pictures as a form or as they are, archives, and what is refused."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import pytest

from tests.client.serving import Served, serving
from tests.service.published import SPEC, add_trial, picture
from tunewell.serving.contract import Answer, Item, Published
from tunewell.spec.errors import BusyError, ModelError, UserError
from tunewell.tasks.contract import Answering


class Asked:
    """In place of what asks models: notes what it is asked, and answers or fails as it is told."""

    def __init__(self) -> None:
        self.items: Sequence[Item] = ()
        self.answering: Answering | None = None
        self.error: UserError | None = None

    def ask(self, model: Published, items: Sequence[Item], answering: Answering) -> Answer:
        """Answer that each is a cat."""
        self.items, self.answering = items, answering
        if self.error is not None:
            raise self.error
        return Answer([{"file": item.name, "label": "cat", "error": None} for item in items], 0.01)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service with a model `signs` of two versions."""
    with serving(tmp_path) as served:
        served.service.create(SPEC)
        for number in (1, 2):
            add_trial(served.service, number, 0.9 - number / 10)
            served.service.publish("e", "signs", trial=number)
        yield served


@pytest.fixture
def web(served: Served) -> Iterator[httpx2.Client]:
    """What asks as the person whose home it is."""
    headers = {"Authorization": f"Bearer {served.token()}"}
    with httpx2.Client(base_url=f"{served.address}/api/v1", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def asked(served: Served, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the models are asked."""
    asked = Asked()
    monkeypatch.setattr(type(served.service), "asks", asked, raising=False)
    served.service.__dict__.pop("asks", None)
    return asked


def test_publishing(web: httpx2.Client) -> None:
    """It answers where the version is; a body is not needed."""
    answer = web.post("/experiments/e/publish")
    assert answer.status_code == 201 and answer.headers["location"] == "/api/v1/models/owner~e/versions/1"
    assert web.get(answer.headers["location"].removeprefix("/api/v1")).json()["trial"] == 1
    named = web.post("/experiments/e/publish", json={"name": "signs", "trial": 2, "note": "again"}).json()
    assert (named["model"], named["number"], named["note"]) == ("signs", 3, "again")


def test_changing(web: httpx2.Client) -> None:
    """Each command answers with what it has changed."""
    assert web.post("/models/signs/current", json={"version": 1}).json()["current"]["number"] == 1
    assert web.patch("/models/signs", json={"visibility": "private"}).json()["visibility"] == "private"
    assert web.patch("/models/signs/versions/1", json={"note": "good"}).json()["note"] == "good"
    assert [one["number"] for one in web.get("/models/signs/versions").json()["items"]] == [2, 1]
    assert web.delete("/models/signs").status_code == 204 and web.get("/models/signs").status_code == 404
    assert web.post("/models/signs/restore").json()["name"] == "signs"
    assert web.delete("/models/signs", params={"forever": True}).status_code == 204


def test_files(web: httpx2.Client) -> None:
    """A version comes as a tar."""
    answer = web.get("/models/signs/versions/2/files")
    assert (
        answer.headers["content-type"] == "application/x-tar" and "signs-2.tar" in answer.headers["content-disposition"]
    )
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["model.json", "weights.safetensors"]


def test_pictures_come_in_two_ways(web: httpx2.Client, asked: Asked) -> None:
    """As the files of a form, whatever its fields are called, or one as it is."""
    content = picture().content
    answer = web.post("/models/signs/predict", files=[("a", ("a.png", content)), ("b", ("x/b.png", content))])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["model"], answer.json()["version"]) == ("signs", 2)
    assert [one["file"] for one in answer.json()["predictions"]] == ["a.png", "b.png"]
    raw = web.post("/models/owner~signs/versions/1/predict", content=content, headers={"Content-Type": "image/png"})
    assert raw.json()["version"] == 1 and asked.items[0].content == content
    assert asked.answering == Answering()
    sent = {"content": content, "headers": {"Content-Type": "image/png"}}
    assert web.post("/models/signs/predict?probabilities=true", **sent).status_code == 200
    assert asked.answering == Answering(probabilities=True)
    refused = web.post("/models/signs/predict?threshold=0.3", **sent)
    assert (refused.status_code, refused.json()["field"]) == (422, "threshold"), refused.text


def test_what_is_refused(web: httpx2.Client, asked: Asked) -> None:
    """Each wrong body is told by its field."""
    place, many = "/models/signs/predict", [("p", (f"{n}.png", b"x")) for n in range(33)]
    refused = {
        web.post(place, data={"text": "hello"}).json()["kind"]: 415,
        web.post(place, files=[("p", ("a.png", b""))]).json()["field"]: "a.png",
        web.post(place, files=many).json()["field"]: "pictures",
        web.post(place, files=[("p", ("a.png", bytes((16 << 20) + 1)))]).json()["detail"]: "too large",
    }
    assert list(refused)[:3] == ["unknown-media-type", "a.png", "pictures"] and "16 MiB are taken" in list(refused)[3]
    assert web.post(place, content=bytes(40 << 20), headers={"Content-Type": "image/png"}).status_code == 413
    assert web.post("/models/signs/versions/9/predict", files=many[:1]).status_code == 404
    assert not asked.items


def test_a_busy_model_says_when_to_come_again(web: httpx2.Client, asked: Asked) -> None:
    """429 with Retry-After beyond the queue; 500 where a model has died over it, in words of its own."""
    files = [("p", ("a.png", picture().content))]
    asked.error = BusyError("16 requests to this model are not at their end", kind="model-busy")
    answer = web.post("/models/signs/predict", files=files)
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["kind"]) == (429, "1", "model-busy")
    asked.error = ModelError("the process of the model has ended over it", kind="model-died")
    answer = web.post("/models/signs/predict", files=files)
    assert (answer.status_code, answer.json()["kind"]) == (500, "model-died")


def test_predicting_is_no_change(web: httpx2.Client, served: Served, asked: Asked) -> None:
    """Nothing is recorded of it, neither a change nor a line in the audit log."""
    web.get("/me")  # that a token is used is noted
    before = served.service.version(), len(served.service.audit().items)
    assert web.post("/models/signs/predict", files=[("p", ("a.png", picture().content))]).status_code == 200
    assert (served.service.version(), len(served.service.audit().items)) == before
    web.post("/models/signs/current", json={"version": 1})
    assert served.service.audit().items[0].verb == "use_model_version"


def test_what_models_are_asked_is_counted(web: httpx2.Client, served: Served, asked: Asked) -> None:
    """By what came of it, without the names of models, which not everybody may know."""
    files = [("p", ("a.png", picture().content))]

    def counted() -> dict[str, float]:
        found = re.findall(
            r'^tunewell_model_requests_total{outcome="(\w+)"} (\S+)$', web.get(f"{served.address}/metrics").text, re.M
        )
        return {outcome: float(amount) for outcome, amount in found}

    before = counted()
    assert web.post("/models/signs/predict", files=files).status_code == 200
    asked.error = BusyError("16 requests to this model are not at their end", kind="model-busy")
    web.post("/models/signs/predict", files=files)
    asked.error = ModelError("the process of the model has ended over it", kind="model-died")
    web.post("/models/signs/predict", files=files)
    after = counted()
    for outcome in ("answered", "busy", "failed"):
        assert after[outcome] == before.get(outcome, 0.0) + 1
