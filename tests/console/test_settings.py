"""The settings: who sees which section, secrets that are shown once, forms that come back with what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.console import looks
from tests.console.markup import Document, parse
from tests.console.serving import ACTS, SENDS, browser
from tests.console.test_pages import check_markup
from tunewell.console.pages.settings.frame import SECTIONS
from tunewell.service.service import Service

FOR_ALL = [one.place for one in SECTIONS if not one.for_administrators]
FOR_ADMINISTRATORS = [one.place for one in SECTIONS if one.for_administrators]


def address(place: str) -> str:
    """Return the address of a section."""
    return f"/settings/{place}".rstrip("/")


def page(one: TestClient, address: str) -> Document:
    """Return a page that is there."""
    answer = one.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def send(one: TestClient, address: str, **fields: str) -> Response:
    """Send the form of a page as a browser without scripts does, with its key."""
    shown = page(one, address.removesuffix("/link"))
    key = next((box.attributes["value"] for box in shown.all("input", name="key")), "")
    return one.post(address, data={"key": key, **fields}, headers=SENDS)


def again(one: TestClient, answer: Response) -> Response:
    """Send a form again, as a reload does."""
    return one.post(str(answer.request.url), content=answer.request.content, headers=dict(answer.request.headers))


def secret_in(answer: Response) -> str:
    """Return the secret that a page shows."""
    (found,) = set(re.findall(r"twl?_[A-Za-z0-9_\-]{43}", answer.text))
    return str(found)


# Sections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["owner", "ada", "vic"])
def test_everybody_sees_what_is_for_them(service: Service, name: str) -> None:
    """The way between sections shows those that may be seen, and the others are refused."""
    one = browser(service, name)
    is_administrator = name == "owner"
    shown = page(one, "/settings").addresses
    for place in FOR_ALL:
        assert address(place) in shown
        assert page(one, address(place))
    for place in FOR_ADMINISTRATORS:
        assert (address(place) in shown) == is_administrator
        if place != "folders":  # which whoever adds a data set sees as well
            assert one.get(address(place)).status_code == (200 if is_administrator else 403)


def test_what_one_may_and_uses(service: Service) -> None:
    """Role, rights, and each limit beside what is used of it."""
    service.change_user("ada", {"quota": {"gpus": 2, "disk_bytes": "20G"}})
    text = page(browser(service, "ada"), "/settings").text
    for words in ("You run searches", "You may have programs of your own run.", "0 of 2", "0 B of 20 GiB", "no limit"):
        assert words in text
    assert "programs" not in page(browser(service, "vic"), "/settings").text


def test_folders_and_limits(service: Service, tmp_path: Path) -> None:
    """What is allowed, how to allow more, and what this service takes."""
    one = browser(service)
    assert "No folder is allowed" in page(one, "/settings/folders").text
    data = tmp_path / "data"
    data.mkdir()
    service.allow_folder(data)
    shown = page(one, "/settings/folders").text
    assert str(data) in shown and "tunewell datasets allow FOLDER" in shown
    about = page(one, "/settings/about")
    assert "SQLite" in about.text and "up to 100 GiB" in about.text
    assert "/docs" in about.addresses


# Tokens -----------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once(service: Service) -> None:
    """Its secret is in the answer to the form and nowhere else; it works; sent again, the form makes none."""
    ada = browser(service, "ada")
    answer = send(ada, "/settings/tokens", label="laptop", days="30")
    secret = secret_in(answer)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert not answer.history and "location" not in answer.headers
    assert "laptop" in parse(answer.text).text
    check_markup(answer.text)
    bearer = {"authorization": f"Bearer {secret}", "accept": "application/json"}
    assert browser(service, None).get("/api/v1/me", headers=bearer).json()["name"] == "ada"
    made = service.tokens(owner="ada").items
    reloaded = again(ada, answer)
    assert reloaded.status_code == 409
    assert "This form was sent before" in parse(reloaded.text).text
    assert service.tokens(owner="ada").items == made
    for shown in (reloaded, ada.get("/settings/tokens"), ada.get("/settings/tokens", headers={"x-have": "none"})):
        assert secret not in shown.text
    administrator = browser(service)
    for place in ("/settings/audit", "/settings/people/ada"):
        assert secret not in administrator.get(place).text


@pytest.mark.parametrize("label", ["", "  ", "x" * 101, "two\nlines"])
def test_a_label_that_is_none(user: TestClient, service: Service, label: str) -> None:
    """What is wrong stands at the field, what was typed stays, and no token is made."""
    answer = send(user, "/settings/tokens", label=label, days="365")
    document = parse(answer.text)
    assert answer.status_code == 422
    field = document.one("input", name="label")
    assert field.attributes["aria-invalid"] == "true"
    assert "is no label" in document.one("p", id=field.attributes["aria-describedby"]).text
    assert field.attributes["value"] == label
    assert document.one("option", selected="").attributes["value"] == "365"
    assert all(one.kind == "session" for one in service.tokens(owner="ada").items)


def test_tokens_are_revoked(service: Service) -> None:
    """One's own, at once; those of others are not there. Without scripts the list is shown again."""
    ada, ben = browser(service, "ada"), browser(service, "ben")
    id = service.as_caller(looks.ADA).create_token(looks.MARKUP).token.id
    shown = ada.get("/settings/tokens")
    assert looks.MARKUP in parse(shown.text).text
    check_markup(shown.text)
    assert ben.post(f"/settings/tokens/{id}/revoke", headers=SENDS).status_code == 404
    answer = ada.post(f"/settings/tokens/{id}/revoke", headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/tokens")
    assert looks.MARKUP not in parse(ada.get("/settings/tokens").text).text


def test_other_sessions_are_ended(service: Service) -> None:
    """All but the one that asks; tokens stay."""
    here, there, elsewhere = (browser(service, "ada") for _ in range(3))
    service.as_caller(looks.ADA).create_token("laptop")
    assert "this browser" in page(here, "/settings/tokens").text
    answer = here.post("/settings/end-other-sessions", headers=ACTS)
    assert answer.json()["said"] == "Signed out of 2 other browsers."
    assert [one.get("/settings").status_code for one in (here, there, elsewhere)] == [200, 303, 303]
    assert [one.kind for one in service.tokens(owner="ada").items] == ["token", "session"]
    assert here.post("/settings/end-other-sessions", headers=ACTS).json()["said"] == "No other browser is signed in."


# People -----------------------------------------------------------------------------------------------------

PERSON = {"name": "eve", "role": "user", "run_code": "yes", "weight": "2", "quota.gpus": "3", "quota.disk_bytes": "20G"}


def test_somebody_is_added_and_comes_in(service: Service, administrator: TestClient) -> None:
    """With role, rights and limits; the link is in this one answer and signs in once; sent again, nothing is done."""
    answer = send(administrator, "/settings/people", **PERSON)
    assert answer.status_code == 200, answer.text
    secret = secret_in(answer)
    assert f"http://127.0.0.1:8700/sign-in?link={secret}" in parse(answer.text).text
    eve = service.user("eve")
    assert (eve.role, eve.run_code, eve.weight, eve.quota) == ("user", True, 2, {"gpus": 3, "disk_bytes": 20 << 30})
    reloaded = again(administrator, answer)
    assert reloaded.status_code == 409 and "nothing was done again" in parse(reloaded.text).text
    for shown in (reloaded, administrator.get("/settings/people/eve"), administrator.get("/settings/audit")):
        assert secret not in shown.text
    nobody = browser(service, None)
    assert nobody.post("/sign-in", data={"link": secret}, headers=SENDS).status_code == 303
    assert "eve" in page(nobody, "/settings").text


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"name": "Eve!"}, "name", "can't be called"),
        ({"name": looks.MARKUP}, "name", "can't be called"),
        ({"name": "ada"}, "name", "ada"),
        ({"weight": "0"}, "weight", "Give a number above 0"),
        ({"weight": "much"}, "weight", "Give a number above 0"),
        ({"quota.gpus": "-1"}, "quota.gpus", "-1"),
        ({"quota.gpus": "1.5"}, "quota.gpus", "1.5"),
        ({"quota.disk_bytes": "20 elephants"}, "quota.disk_bytes", "20 elephants"),
    ],
)
def test_what_is_wrong_with_somebody(
    service: Service, administrator: TestClient, wrong: dict[str, str], field: str, told: str
) -> None:
    """It stands at its field, all that was typed stays, and nobody is added."""
    answer = send(administrator, "/settings/people", **{**PERSON, **wrong})
    document = parse(answer.text)
    assert answer.status_code in (409, 422)
    check_markup(answer.text)
    box = document.one("input", name=field)
    assert box.attributes["aria-invalid"] == "true"
    assert told in document.one("p", id=box.attributes["aria-describedby"]).text
    for name, typed in {**PERSON, **wrong}.items():
        shown = {one.attributes.get("value") for one in (*document.all("input", name=name), *document.all("option"))}
        assert typed in shown, name
    assert [one.name for one in service.users().items] == ["ada", "ben", "owner", "vic"]


def test_somebody_is_changed(service: Service, administrator: TestClient) -> None:
    """What a form names changes, an emptied limit is gone, and all else stays; a script is told in a sentence."""
    service.change_user("ada", {"weight": 3, "quota": {"gpus": 2, "cpus": 8, "disk_bytes": "1.5G"}})
    shown = page(administrator, "/settings/people/ada")
    assert {box.attributes["name"]: box.attributes["value"] for box in shown.all("input", type="text")} == {
        "weight": "3",
        "quota.running": "",
        "quota.cpus": "8",
        "quota.gpus": "2",
        "quota.cpu_hours": "",
        "quota.gpu_hours": "",
        "quota.disk_bytes": "1536M",
    }
    answer = administrator.post("/settings/people/ada", data={"quota.gpus": "", "role": "viewer"}, headers=ACTS)
    assert answer.json()["said"] == "Changed."
    ada = service.user("ada")
    assert (ada.role, ada.weight, ada.quota) == ("viewer", 3, {"cpus": 8, "disk_bytes": 1.5 * (1 << 30)})
    answer = administrator.post("/settings/people/ada", data={"weight": "5"}, headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/people/ada")
    answer = administrator.post("/settings/people/ada", data={"weight": "none", "quota.cpus": "9"}, headers=SENDS)
    assert answer.status_code == 422
    assert parse(answer.text).one("input", name="quota.cpus").attributes["value"] == "9"
    assert service.user("ada").quota["cpus"] == 8
    answer = administrator.post("/settings/people/ada", data={"weight": "none"}, headers=ACTS)
    assert (answer.status_code, answer.json()["field"]) == (422, "weight")


def test_the_last_administrator_stays_one(administrator: TestClient) -> None:
    """Whoever would leave nobody in charge is told so, at the head of the form."""
    answer = administrator.post("/settings/people/owner", data={"role": "user"}, headers=SENDS)
    assert answer.status_code == 409
    assert "the last administrator" in parse(answer.text).text
    assert "/settings/people/owner/disable" not in page(administrator, "/settings/people/owner").addresses


def test_somebody_is_shut_out_and_let_in(service: Service, administrator: TestClient) -> None:
    """Their sessions end; a link is made when they may come in again, once for a form."""
    ada = browser(service, "ada")
    assert administrator.post("/settings/people/ada/disable", headers=ACTS).json()["undo"]["label"] == "Undo"
    assert ada.get("/settings").status_code == 303
    assert "Let ada in again first." in page(administrator, "/settings/people/ada").text
    assert administrator.post("/settings/people/ada/enable", headers=SENDS).status_code == 303
    answer = send(administrator, "/settings/people/ada/link")
    secret = secret_in(answer)
    assert service.gate.link_state(secret) == "good"
    assert again(administrator, answer).status_code == 409
    assert service.gate.link_state(secret) == "good"


def test_people_are_for_administrators(service: Service) -> None:
    """Nobody else adds, changes or shuts out anybody, nor makes a link."""
    ada = browser(service, "ada")
    for place, fields in (
        ("/settings/people", PERSON),
        ("/settings/people/ada", {"role": "administrator"}),
        ("/settings/people/vic/link", {}),
        ("/settings/people/vic/disable", {}),
    ):
        assert ada.post(place, data=fields, headers=SENDS).status_code == 403
    assert service.user("ada").role == "user"


# The log ----------------------------------------------------------------------------------------------------


def test_the_log_is_narrowed(service: Service, administrator: TestClient) -> None:
    """By person and verb, in the address; what was refused is marked; it comes in pages."""
    ada = browser(service, "ada")
    ada.post("/settings/people/vic/link", headers=SENDS)
    for number in range(60):
        service.as_caller(looks.ADA).create(looks.spec(f"e{number}"))
        ada.post(f"/experiments/ada~e{number}/stop", headers=SENDS)
    shown = page(administrator, "/settings/audit?person=ada")
    assert "?person=ada&cursor=" in " ".join(shown.addresses)
    assert len([*shown.all("tr", **{"class": "refused"})]) == 0
    refused = page(administrator, "/settings/audit?person=ada&verb=sign_in_link")
    (row,) = refused.all("tr", **{"class": "refused"})
    assert "refused forbidden" in row.text
    assert "There is no such entry." in page(administrator, "/settings/audit?person=-&verb=stop").text
    chosen = [one.attributes["value"] for one in refused.all("option", selected="")]
    assert chosen == ["ada", "sign_in_link"]


def test_all_that_is_on_record_can_be_chosen(service: Service, administrator: TestClient) -> None:
    """Whatever the console alone calls so, too, and nothing that was never done; alike ones are told apart."""
    administrator.post("/settings/people", data={"name": "zoe", "role": "user"}, headers=SENDS)
    for verb in ("share_model", "change_model", "switch_off"):
        with service.store.transaction() as tx:
            tx.add_audit("ada", "::1", verb, "", "done", {})
    offered = {one.attributes["value"]: one.text for one in page(administrator, "/settings/audit").all("option")}
    assert {entry.verb for entry in service.audit().items} < offered.keys()
    assert offered["switch_off"] == "switch a channel off" and "purge" not in offered
    assert offered["share_model"] == "change who sees a model (share_model)"
    assert offered["change_model"] == "change who sees a model (change_model)"
