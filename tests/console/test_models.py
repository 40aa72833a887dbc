"""The pages about published models: what they show, and what they have done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.markup import Document, parse
from tests.console.serving import ACTS, SENDS, browser
from tests.service.published import SPEC, add_pictures, add_trial, picture
from tunewell.service.service import Service
from tunewell.serving.contract import Answer, Item, Published
from tunewell.spec.errors import BusyError, UserError
from tunewell.tasks.contract import Answering


class Asked:
    """In place of what asks models: says that each is a cat, or fails as it is told."""

    error: UserError | None = None

    def ask(self, model: Published, items: Sequence[Item], answering: Answering) -> Answer:
        """Answer."""
        if self.error is not None:
            raise self.error
        top = [{"label": "cat", "probability": 0.75}, {"label": "dog", "probability": 0.25}]
        more = {"probabilities": {"cat": 0.75, "dog": 0.25, "cow": 0.0}} if answering.probabilities else {}
        return Answer([{"file": one.name, **top[0], "top": top, **more, "error": None} for one in items], 0.01)


@pytest.fixture
def trained(service: Service) -> Service:
    """A home with an experiment `e` that has ended with two models."""
    service.create(SPEC)
    for number in (1, 2):
        add_trial(service, number, 1 - number / 10)
    looks.end(service, "e")
    return service


def page(one: TestClient, address: str) -> Document:
    """Return a page that is there."""
    answer = one.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def test_the_list(searches: Service) -> None:
    """Name, figures, current version, and a private one for its owner and administrators alone."""
    text = page(browser(searches, "owner"), "/models").text
    for words in ("signs", "0.93", "version 2 of 3", "small-cnn", "With the pictures of March.", "ada/hidden"):
        assert words in text
    assert "ada/hidden" not in page(browser(searches, "vic"), "/models").text
    assert "No model matches" in page(browser(searches, "owner"), "/models?search=nothing").text
    assert "The bin is empty" in page(browser(searches, "owner"), "/models?bin=yes").text


def test_an_empty_home(administrator: TestClient) -> None:
    """It says how a model gets there."""
    assert "A model gets here when somebody publishes it" in page(administrator, "/models").text


def test_a_model(searches: Service) -> None:
    """Its versions with their figures, what changed from one to the next, and how it is used."""
    found = page(browser(searches, "owner"), "/models/owner~signs")
    for words in ("0.92", "learning_rate 0.01 → 0.1", "trained on the training data → all data", "the first one"):
        assert words in found.text, words
    assert "/api/v1/models/owner~signs/predict" in found.text
    assert "/models/owner~signs/versions/1/use" in found.addresses
    looking = page(browser(searches, "vic"), "/models/owner~signs")
    assert not [one for one in looking.addresses if "/use" in one or "/files" in one or "/try" in one]


def test_versions_side_by_side(searches: Service) -> None:
    """The best figure stands out, what differs comes first, and the same is counted; models may be different ones."""
    one = browser(searches, "owner")
    found = page(one, "/models/compare?m=owner~signs@1&m=signs@2&m=owner~odd@2")
    assert [cell.text for cell in found.all("td") if "best" in cell.attributes.get("class", "").split()] == []
    same = page(one, "/models/compare?m=signs@1&m=signs@2&m=signs@3")
    best = [cell.text for cell in same.all("td") if "best" in cell.attributes.get("class", "").split()]
    assert best == ["0.93"] and "1 parameter that is the same" in same.text
    assert "Which versions?" in page(one, "/models/compare").text
    assert one.get("/models/compare?m=signs@9").status_code == 404
    assert one.get("/models/compare?m=signs@x").status_code == 422
    assert one.get("/models/compare?" + "&".join(f"m=signs@{n}" for n in range(9))).status_code == 422
    assert browser(searches, "vic").get("/models/compare?m=ada~hidden@1").status_code == 404


def test_publishing(trained: Service) -> None:
    """The page of results has a form for it, whose answer leads to the model; each version can be the current one."""
    one = browser(trained, "owner")
    assert "/experiments/owner~e/publish" in page(one, "/experiments/owner~e/results").addresses
    for trial in ("", "2"):
        sent = one.post("/experiments/owner~e/publish", data={"name": "signs", "trial": trial}, headers=SENDS)
        assert (sent.status_code, sent.headers["location"]) == (303, "/models/owner~signs")
    told = one.post("/models/owner~signs/versions/1/use", headers=ACTS).json()
    assert told["said"] == "Version 1 is the current one."
    assert one.post(told["undo"]["address"], headers=ACTS).json()["said"] == "Version 2 is the current one."
    one.post("/models/owner~signs/versions/1/note", data={"note": " good at night "}, headers=ACTS)
    assert trained.model_version("signs", 1).note == "good at night"
    one.post("/models/owner~signs/visibility", data={"visibility": "private"}, headers=ACTS)
    assert trained.model("signs").visibility == "private"
    told = one.post("/models/owner~signs/delete", headers=ACTS).json()
    assert told["then"] == "/models" and trained.models().items == ()
    assert "signs" in page(one, "/models?bin=yes").text
    one.post(told["undo"]["address"], headers=ACTS)
    assert trained.model("signs").latest == 2


def test_a_wrong_name_is_told_at_its_field(trained: Service) -> None:
    """What is refused has the name of its field."""
    told = browser(trained, "owner").post("/experiments/owner~e/publish", data={"name": "a b"}, headers=ACTS)
    assert (told.status_code, told.json()["field"]) == (422, "name")


def test_a_private_search_proposes_no_name(trained: Service) -> None:
    """Its form asks for one, and has it private unless the opposite is chosen."""
    trained.update("e", {"visibility": "private"})
    found = page(browser(trained, "owner"), "/experiments/owner~e/results")
    (name,) = [one for one in found.all("input") if one.attributes.get("list") == "model-names"]
    assert name.attributes["value"] == "" and "does not learn which one it was" in found.text


def test_trying_a_model(trained: Service) -> None:
    """A script gets the answer as markup, with the picture where its size is known; a form the page with it."""
    trained.publish("e", "signs")
    trained.asks = asked = Asked()
    one, sent = browser(trained, "owner"), {"picture": ("cat.png", picture().content)}
    place = "/models/owner~signs/try"
    told = one.post(place, data={"version": 1, "width": 40, "height": 30}, files=sent, headers=ACTS).json()["answer"]
    assert next(parse(told).all("svg")).attributes["viewbox"] == "0 0 40 30" and "0.750" in told and "10 ms" in told
    shown = parse(one.post(place, data={"version": 1}, files=sent, headers=SENDS).text)
    assert "cat.png" in shown.text and "0.750" in shown.text and "Versions" in shown.text
    all_of_them = {"version": 1, "probabilities": "true"}
    in_full = one.post(place, data=all_of_them, files=sent, headers=ACTS).json()["answer"]
    assert "cow" not in told and "cow" in in_full
    asked.error = BusyError("others ask too much", remedy="Try again in a second")
    busy = one.post(place, data={"version": 1}, files=sent, headers=ACTS)
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
    assert "others ask too much" in parse(one.post(place, data={"version": 1}, files=sent, headers=SENDS).text).text
    box = parse(one.get("/models/owner~signs").text)
    assert list(box.all("input", name="probabilities")) and not list(box.all("input", name="threshold"))
    refused = one.post(place, data={"version": 1, "threshold": "0.3"}, files=sent, headers=SENDS)
    assert "likeliest label" in parse(refused.text).text


def test_measuring_a_model(trained: Service) -> None:
    """Without a data set, the page says where to add one; with one, a form asks for a job, to which it leads."""
    trained.publish("e", "signs")
    one = browser(trained, "owner")
    assert "There is no data set yet" in page(one, "/models/owner~signs").text
    add_pictures(trained, "autumn")
    assert [option.text for option in page(one, "/models/owner~signs").all("option", value="autumn")] == ["autumn"]
    answer = one.post("/models/owner~signs/evaluate", data={"version": 1, "data": "autumn"}, headers=SENDS)
    (job,) = trained.jobs(kind="evaluate-model").items
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}")
    assert job.arguments["model"] == "model:signs@1" and job.arguments["dataset"].startswith("autumn@")
    assert f"/jobs/{job.id}" in {link.attributes.get("href") for link in page(one, "/models/owner~signs").all("a")}
    assert "Evaluation on other data" in page(one, f"/jobs/{job.id}").text
    with trained.store.transaction() as tx:
        for _ in range(101):
            tx.add_job("evaluate-model", None, {"model": "model:others@1", "dataset": "autumn@0"}, "owner")
    assert f"/jobs/{job.id}" in {link.attributes.get("href") for link in page(one, "/models/owner~signs").all("a")}


def test_a_version_is_removed(trained: Service) -> None:
    """The current version has no such button; of a list that is all in the bin the page says so."""
    trained.publish("e", "signs")
    trained.publish("e", "signs", trial=2)
    with browser(trained, "owner") as one:
        shown = one.get("/models/owner~signs").text
        assert 'aria-label="Delete version 1"' in shown and 'aria-label="Delete version 2"' not in shown
        assert one.post("/models/owner~signs/versions/2/delete", headers=ACTS).status_code == 409
        assert "Version 1 is gone." in one.post("/models/owner~signs/versions/1/delete", headers=ACTS).json()["said"]
        trained.delete_model("signs")
        assert "No model but those in the bin" in one.get("/models").text
