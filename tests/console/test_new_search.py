"""The page of a new search, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.console.serving import ACTS, SENDS, browser
from tests.service.storage.archives import zip_of
from tunewell.console.forms import KINDS
from tunewell.console.new_search import roughly
from tunewell.service.running import Given
from tunewell.service.service import Service
from tunewell.tasks.image_classification.digits import write_digits

PICTURES = {"task": "image-classification", "data": "dataset:digits", "mode": "search"}
PROGRAM = {
    "task": "command",
    "mode": "search",
    "command": "sh -c 'echo accuracy={x}'",
    "metric": "accuracy",
    "row.0.name": "x",
    "row.0.kind": "number",
    "row.0.low": "0",
    "row.0.high": "1",
}
EARLIER: dict[str, Any] = {
    "name": "earlier",
    "command": ["sh", "-c", "echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": "accuracy",
    "max_trials": 2,
    "environment": {"TOKEN": "hunter2-and-more"},
}
MARKUP = "<img src=x onerror=alert(1)>\"'</script><b>"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    write_digits(folder)
    return folder


@pytest.fixture
def pictures(service: Service, digits: Path) -> Service:
    """A service with the data set `digits`."""
    service.allow_folder(digits.parent)
    service.add_dataset("digits", folder=str(digits))
    return service


@pytest.fixture
def ran(service: Service) -> Service:
    """A service with the search `earlier`, which has ended."""
    service.create(EARLIER)
    assert service.run("earlier", Given(follow_up=False))
    return service


def looked(client: TestClient, fields: Mapping[str, str], act: str = "live") -> str:
    """Return the page after a look at fields."""
    answer = client.post("/new/look", data={**fields, "act": act}, headers=SENDS)
    assert answer.status_code == 200, answer.text
    return answer.text


def created(client: TestClient, fields: Mapping[str, str]) -> str:
    """Start a search; return where that leads."""
    answer = client.post("/new", data={**fields, "act": "create"}, headers=SENDS)
    assert answer.status_code == 303, errors_in(answer.text)
    return answer.headers["location"]


def errors_in(page: str) -> dict[str, list[str]]:
    """Return what a page says is wrong, by field."""
    places = re.findall(r'<div class="errors" id="e-([^"]*)">(.*?)</div>', page, re.DOTALL)
    return {
        field: [unescape(text) for text in re.findall(r'<p class="error">(.*?)</p>', part)]
        for field, part in places
        if part.strip()
    }


def value_of(page: str, field: str) -> str:
    """Return the value of a field."""
    match = re.search(rf'name="{re.escape(field)}"[^>]* value="([^"]*)"', page)
    assert match is not None
    return unescape(match[1])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "1 s"), (100, "100 s"), (306, "5 min"), (7300, "2 h"), (9000, "2.5 h"), (200_000, "2 days")],
)
def test_a_guess_is_told_in_one_unit(seconds: float, told: str) -> None:
    """It is no more exact than a guess can be."""
    assert roughly(seconds) == told


def test_an_empty_form_says_what_is_still_to_be_chosen(administrator: TestClient) -> None:
    """Nothing is wrong with what nobody has filled in yet, until somebody wants to start."""
    page = administrator.get("/new")
    assert page.status_code == 200 and "Still to choose" in page.text and "the data set" in page.text
    assert errors_in(page.text) == {}
    answer = administrator.post("/new", data={"task": "image-classification", "act": "create"}, headers=SENDS)
    assert errors_in(answer.text) == {"data": ["The data set is missing."]}


def test_pictures_in_a_minute(pictures: Service, administrator: TestClient) -> None:
    """A data set is all that has to be chosen."""
    page = looked(administrator, PICTURES)
    assert "Ready to start" in page and "small-cnn" in page and "learning_rate" in page
    assert created(administrator, PICTURES) == "/experiments/owner~digits-small-cnn"
    spec = pictures.experiment("digits-small-cnn").spec
    assert (spec["task"], spec["data"], spec["parameters"]) == ("image-classification", "dataset:digits", {})


def test_the_address_fills_the_form_in(pictures: Service, administrator: TestClient) -> None:
    """So other pages lead to a search over their data set."""
    page = administrator.get("/new?task=image-classification&data=dataset:digits&network=resnet18")
    assert "Ready to start" in page.text and "<b>resnet18</b>" in page.text
    assert "Ready to start" in administrator.get("/new?data=owner/digits").text


def test_ranges_are_those_of_the_network(pictures: Service, administrator: TestClient) -> None:
    """What is changed is on record; ranges of parameters that another network lacks are forgotten."""
    changed = {"range.learning_rate.high": "0.01", "range.mixup.kind": "fixed", "range.nothing.low": "1"}
    page = looked(administrator, PICTURES | changed)
    assert errors_in(page) == {} and value_of(page, "range.mixup.value") == "0.0"
    assert "range.nothing" not in page
    created(administrator, PICTURES | changed | {"name": "own"})
    assert pictures.experiment("own").spec["parameters"] == {"learning_rate": {"high": 0.01}, "mixup": 0.0}
    assert value_of(looked(administrator, PICTURES | changed, "reset."), "range.learning_rate.high") == ""


def test_all_that_is_wrong_stands_at_its_field(pictures: Service, administrator: TestClient) -> None:
    """The planner's errors come all at once."""
    crossed = looked(administrator, PICTURES | {"range.learning_rate.high": "1e-9"})
    assert errors_in(crossed).keys() == {"range.learning_rate.low"}
    wrong = {"max_trials": "0", "target": "2", "range.learning_rate.low": "9", "option.initial_trials": "99"}
    page = looked(administrator, PICTURES | wrong | {"algorithm": "bayesian", "name": "a b", "more": "sede: 1"})
    found = errors_in(page)
    assert found.keys() == {*wrong, "name", "more"}
    assert found["option.initial_trials"] == ["99 is not possible. Give a whole number from 1 to 20."]
    assert "6 things to fix" in page and "Did you mean" in page
    assert looked(administrator, PICTURES | {"more": "- 1"}).count('class="error"') == 1


def test_by_hand_one_training(pictures: Service, administrator: TestClient) -> None:
    """It has the values that were given, and the defaults."""
    created(administrator, PICTURES | {"mode": "hand", "name": "once", "range.optimizer.value": "sgd"})
    spec = pictures.experiment("once").spec
    assert (spec["max_trials"], spec["parameters"]) == (1, {"optimizer": "sgd"})


def test_existing_results(ran: Service, administrator: TestClient) -> None:
    """Their best is trained once, or what they know begins a new search."""
    existing = {"task": "command", "command": PROGRAM["command"], "metric": "accuracy", "mode": "existing"}
    assert "an earlier search" in looked(administrator, existing)
    page = looked(administrator, existing | {"use": "best", "best_of": "earlier"})
    assert "Ready to start" in page and "Start the training" in page
    created(administrator, PROGRAM | existing | {"use": "warm", "warm_start": "earlier", "name": "on"})
    assert ran.experiment("on").spec["warm_start"] == ["earlier"]


def test_a_copy_of_another(ran: Service, administrator: TestClient) -> None:
    """It is the same search under a name that is free; values of variables are told to nobody."""
    page = administrator.get("/new?copy=owner~earlier").text
    assert value_of(page, "name") == "earlier-2" and value_of(page, "row.0.name") == "x"
    assert "TOKEN" in page and "hunter2" not in page
    assert "Ready to start" in page
    assert "a trial took" in page and 'href="/experiments/owner~earlier"' in page
    assert administrator.get("/new?copy=nothing").status_code == 404


def test_what_belongs_to_others_has_its_owner(ran: Service, digits: Path, user: TestClient) -> None:
    """So data sets, earlier searches and copies are the same to everybody."""
    ran.allow_folder(digits.parent)
    ran.add_dataset("digits", folder=str(digits))
    page = looked(user, PICTURES | {"data": "dataset:owner/digits"})
    assert 'value="dataset:owner/digits" selected' in page and "Ready to start" in page
    assert 'href="/datasets/owner~digits"' in page
    created(user, PROGRAM | {"mode": "existing", "use": "warm", "warm_start": "owner/earlier", "name": "on"})
    page = user.get("/new?copy=ada~on").text
    assert 'value="owner/earlier" checked' in page and "Ready to start" in page
    assert "Ready to start" in user.get("/new?copy=owner~earlier").text


def test_a_double_click_starts_one_search(service: Service, administrator: TestClient) -> None:
    """The second one leads to where the first one led."""
    fields = PROGRAM | {"key": "k", "suggested": "train"}
    assert created(administrator, fields) == created(administrator, fields) == "/experiments/owner~train"
    assert created(administrator, fields | {"key": "other"}) == "/experiments/owner~train-2"
    named = PROGRAM | {"name": "mine"}
    assert created(administrator, named | {"key": "m"}) == created(administrator, named | {"key": "m"})
    assert len(service.experiments().items) == 3


def test_a_name_that_is_taken(ran: Service, administrator: TestClient) -> None:
    """That is told while the form is filled in; a suggested name is free."""
    page = looked(administrator, PROGRAM | {"name": "earlier"})
    assert errors_in(page) == {"name": ["There is an experiment 'earlier' already. Take another name."]}
    answer = administrator.post("/new", data={**PROGRAM, "name": "earlier", "act": "create"}, headers=SENDS)
    assert errors_in(answer.text).keys() == {"name"}
    same = PROGRAM | {"command": "sh earlier.sh {x}"}
    assert 'placeholder="earlier-2"' in looked(administrator, same)
    ran.delete("earlier")
    assert 'placeholder="earlier-2"' in looked(administrator, same)


def test_a_program_of_ones_own(service: Service, user: TestClient) -> None:
    """An archive is taken without scripts, too; its files are listed, and commands suggested."""
    archive = zip_of(("train.py", b"print('accuracy=1')"), ("lib/a.txt", b"a"))
    answer = user.post("/new", data={**PROGRAM, "act": "upload"}, files={"archive": ("p.zip", archive)}, headers=SENDS)
    code = value_of(answer.text, "code")
    assert "lib/a.txt" in answer.text and 'value="python train.py"' in answer.text
    created(user, PROGRAM | {"code": code, "command": "python train.py {x}"})
    assert service.experiment("ada/train").spec["code"] == code
    answer = user.post("/new", data={**PROGRAM, "act": "upload"}, headers=SENDS)
    assert errors_in(answer.text) == {"code": ["No archive is chosen. Choose a zip, tar or tar.gz with the program."]}
    assert "lib/a.txt" not in looked(user, PROGRAM | {"code": code}, "forget-code")


def test_parameters_of_a_program(administrator: TestClient) -> None:
    """Rows come and go by buttons."""
    page = looked(administrator, PROGRAM, "add-row")
    assert value_of(page, "row.0.name") == "x" and value_of(page, "row.1.name") == ""
    page = looked(administrator, PROGRAM | {"row.7.name": "y"}, "remove-row.0")
    assert "row.0." not in page and value_of(page, "row.7.name") == "y"
    twice = looked(administrator, PROGRAM | {"row.1.name": "x", "row.2.name": "", "row.2.low": "1", "row.3.name": ""})
    assert errors_in(twice) == {
        "row.1.name": ["There is a parameter 'x' already."],
        "row.2.name": ["The name of the parameter is missing."],
    }


def test_the_same_elsewhere(administrator: TestClient) -> None:
    """The search stands beside the form as YAML, as a command, and as a program that can be run."""
    page = unescape(looked(administrator, PROGRAM | {"name": "n"}))
    assert "name: n\n" in page and "tunewell search n.yaml --server http://127.0.0.1:8700" in page
    program = re.search(r"spec = (\{.*?\})\nwith", page, re.DOTALL)
    assert program is not None and eval(program[1])["parameters"] == {"x": {"low": 0, "high": 1, "type": "float"}}


def test_scripts_are_told_where_to_go(administrator: TestClient) -> None:
    """They get the parts of the page, and the page of a search that has been started."""
    answer = administrator.post("/new/look", data=PROGRAM, headers={**ACTS, "x-have": "none"}).json()
    assert answer["parts"].keys() == {"new-form", "new-check"}
    answer = administrator.post("/new", data={**PROGRAM, "act": "create"}, headers={**ACTS, "x-have": "none"}).json()
    assert answer == {"then": "/experiments/owner~sh"}
    news = administrator.get("/new", headers={**ACTS, "x-have": "none"}).json()
    assert news["parts"] == {}


def test_looks_are_in_no_audit_log(service: Service, administrator: TestClient) -> None:
    """Only what is started is."""
    looked(administrator, PROGRAM)
    assert [one.verb for one in service.audit().items if one.about == "" and one.verb != "sign_in"] == []
    created(administrator, PROGRAM)
    assert "create" in [one.verb for one in service.audit().items]


def test_who_may_not(service: Service, viewer: TestClient) -> None:
    """Whoever may look only, or not run code, is told so."""
    page = looked(viewer, PICTURES)
    assert "vic may look at things, and change nothing" in unescape(page)
    service.add_user("eve", {"role": "user"})
    page = looked(browser(service, "eve"), PROGRAM)
    assert "You may not have code of your own run" in page and "command" in errors_in(page)
    answer = viewer.post("/new", data={**PROGRAM, "act": "create"}, headers=SENDS)
    assert answer.status_code == 422 and service.experiments().items == ()


def test_markup_is_text(administrator: TestClient) -> None:
    """Whatever stands in a field, in every form of the page."""
    fields = dict.fromkeys(PROGRAM, MARKUP) | {"task": "command", "mode": "search", "more": f"project: '{MARKUP}'"}
    for act in ("live", "check"):
        assert "<img" not in looked(administrator, fields, act)
    assert "<img" not in administrator.get("/new", params={"name": MARKUP, "data": f"dataset:{MARKUP}"}).text


NAMES = [*PROGRAM, *PICTURES, "use", "best_of", "warm_start", "algorithm", "option.rounds", "sampling", "gpus", "more"]
NAMES += [f"range.learning_rate.{part}" for part in ("kind", "low", "high", "values", "value", "default")]
WORDS = [
    "",
    "command",
    "existing",
    "hand",
    "warm",
    "evolutionary",
    "0",
    "1e999",
    "-1",
    "null",
    "{x}",
    "'",
    "a: [",
    *KINDS,
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.one_of(st.sampled_from([*WORDS, *KINDS]), st.text(max_size=5)), max_size=6
    )
)
def test_whatever_is_filled_in_has_an_answer(pictures: Service, fields: dict[str, str]) -> None:
    """No combination of fields is a bug."""
    client = browser(pictures)
    for base in (PICTURES, PROGRAM):
        looked(client, base | fields, "check")
