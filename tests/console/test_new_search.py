"""The page of a new search, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.console.serving import ACTS, ORIGIN, SENDS, browser
from tests.service.storage.archives import zip_of
from tunewell.console.form_words import LABELS
from tunewell.console.forms import KINDS, RESERVED
from tunewell.console.kept import KEPT, Kept
from tunewell.home.cluster import Cluster, write_cluster
from tunewell.schedulers import hardware
from tunewell.service import estimating
from tunewell.service.measuring import Measured
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.spec.capacity import Capacity, Gpu
from tunewell.spec.errors import UserError
from tunewell.spec.format import roughly
from tunewell.tasks import command as command_task
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


def test_what_a_cluster_offers(service: Service) -> None:
    """Parts and types of its GPUs, not those of this machine; a search that asks for them is made as it says."""
    client = browser(service)
    assert 'name="gpu_type"' not in looked(client, PROGRAM)
    gpus = tuple(Gpu(str(number), name) for number, name in enumerate(("H100", "L4", "L4")))
    node = replace(hardware.empty_node(8, 64 << 30, gpus), name="58b7a01e")
    write_cluster(service.home.folder, Cluster("head:6379", Capacity((node,))))
    service.uses_cluster = True
    page = looked(client, PROGRAM, "check")
    assert re.findall(r'<option value="(\w*)"(?: selected)?>(?:any|H100|L4)</option>', page) == ["", "H100", "L4"]
    assert "or a part such as 0.5" in page and "labels of the nodes" in page
    wrong = looked(client, PROGRAM | {"gpu_type": "H200", "gpus": "0.5"}, "check")
    assert "No node of the cluster has GPUs of the type H200. There are: H100, L4." in unescape(wrong)
    created(client, PROGRAM | {"gpu_type": "L4", "gpus": "0.5"})
    (one,) = service.experiments().items
    spec = service.experiment(one.name).spec
    assert (spec["scheduler"], spec["resources"]["gpu_type"], spec["resources"]["gpus"]) == ("ray", "L4", 0.5)


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


class Form(HTMLParser):
    """What a browser would send of the form on a page."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.fields: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self._is_inside, self._select, self._text, self._label = False, "", "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a field has."""
        own = {name: value or "" for name, value in attrs}
        name, value = own.get("name", ""), own.get("value", "")
        if tag == "form":
            self._is_inside = own.get("id") == "new-search"
        if not self._is_inside:
            return
        if tag == "label":
            self._label = own.get("for", "").removeprefix("f-")
        elif tag == "input" and name and own.get("type") != "file":
            if own.get("type") not in ("radio", "checkbox") or "checked" in own:
                self.fields[name] = value
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in own or self._select not in self.fields):
            self.fields[self._select] = value
        elif tag == "textarea":
            self._text = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        """Leave the form, or a field of it."""
        if tag == "form":
            self._is_inside = False
        self._select = "" if tag == "select" else self._select
        self._text = "" if tag == "textarea" else self._text
        self._label = "" if tag == "label" else self._label

    def handle_data(self, data: str) -> None:
        """Take the text of a field, or of a label."""
        if self._text:
            self.fields[self._text] += data.removeprefix("\n")
        if self._label and data.strip():
            self.labels.setdefault(self._label, data.strip())


def filled(page: str) -> dict[str, str]:
    """Return what is filled in, without what no person sees."""
    unseen = ("key", "suggested", KEPT)
    return {name: text for name, text in Form(page).fields.items() if text.strip() and name not in unseen}


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


def test_the_time_of_a_trial_is_measured_when_asked(
    pictures: Service, administrator: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A button has it measured; limits that are too short are told as the form calls them, and why, if it can't be."""
    monkeypatch.setattr(estimating, "measure", lambda *_: Measured(10, 20, 1.0, 4.0))
    fields = {**PICTURES, "max_trials": "40", "max_duration": "10m", "max_trial_duration": "1m"}
    before = looked(administrator, fields)
    assert 'value="estimate">Estimate time</button>' in before and "A trial in full takes" not in before
    told = unescape(looked(administrator, fields, "estimate"))
    assert "A trial in full takes about 4 min here (10 epochs of 20 steps, 1 s a step, measured)." in told
    assert "Trials would be cut off in epoch 3 of 10 by “Longest time of a trial” 1m: give 6m." in told
    assert "Estimate time" not in told

    def fail(*_: object) -> Measured:
        raise UserError("a few steps took longer than 40 s")

    monkeypatch.setattr(estimating, "measure", fail)
    told = unescape(looked(administrator, fields, "estimate"))
    assert "Ready to start" in told
    assert "How long a trial takes can't be measured: a few steps took longer than 40 s." in told
    assert 'value="estimate">Try again</button>' in told, "the machine may have time later"
    assert "Estimate time" not in looked(administrator, PROGRAM)


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
    assert "A trial takes about" in page and 'href="/experiments/owner~earlier"' in page
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
    assert "You may not run your own code" in page and "command" in errors_in(page)
    answer = viewer.post("/new", data={**PROGRAM, "act": "create"}, headers=SENDS)
    assert answer.status_code == 422 and service.experiments().items == ()


def test_markup_is_text(administrator: TestClient) -> None:
    """Whatever stands in a field, in every form of the page."""
    fields = dict.fromkeys(PROGRAM, MARKUP) | {"task": "command", "mode": "search", "more": f"project: '{MARKUP}'"}
    for act in ("live", "check"):
        assert "<img" not in looked(administrator, fields, act)
    assert "<img" not in administrator.get("/new", params={"name": MARKUP, "data": f"dataset:{MARKUP}"}).text


FILLED = PICTURES | {
    "network": "small-cnn",
    "metric": "loss",
    "max_trials": "8",
    "max_concurrency": "1",
    "target": "0.99",
    "algorithm": "bayesian",
    "option.initial_trials": "7",
    "range.epochs.values": "4",
    "range.image_size.values": "32",
    "range.learning_rate.kind": "log",
    "range.learning_rate.low": "0.001",
    "range.learning_rate.high": "0.01",
}
SWITCHES = [
    ("mode", "hand"),
    ("mode", "search"),
    ("mode", "existing"),
    ("task", "object-detection"),
    ("task", "multilabel-classification"),
    ("task", "command"),
    ("task", "image-classification"),
    ("network", "resnet18"),
    ("network", "small-cnn"),
    ("algorithm", "evolutionary"),
    ("algorithm", "bayesian"),
    ("range.learning_rate.kind", "fixed"),
    ("range.learning_rate.kind", "values"),
    ("range.learning_rate.kind", ""),
    ("range.learning_rate.kind", "log"),
]
BACK = ("task", "network", "algorithm", "mode", "range.learning_rate.kind")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3, deadline=None)
@given(st.lists(st.sampled_from(SWITCHES), min_size=1, max_size=5))
@example([("task", "object-detection"), ("mode", "hand")])
@example([("task", "command"), ("mode", "hand")])
@example([("network", "resnet18"), ("algorithm", "evolutionary")])
@example([("range.learning_rate.kind", "values")])
def test_whoever_comes_back_finds_what_was_filled_in(pictures: Service, switches: list[tuple[str, str]]) -> None:
    """Whatever task, network, algorithm, mode or kind was looked at in between."""
    client = browser(pictures)
    page = looked(client, FILLED)
    before, fields = filled(page), Form(page).fields
    assert FILLED.items() <= before.items()
    for name, value in [*switches, *((name, FILLED[name]) for name in BACK)]:
        if name in fields:
            fields = Form(looked(client, fields | {name: value})).fields
    assert filled(looked(client, fields)) == before


def test_where_nobody_was_nothing_is_changed(pictures: Service, administrator: TestClient) -> None:
    """Ranges of a search are no values by hand, and an option is its algorithm's; what fits another task goes along."""
    fields = Form(looked(administrator, FILLED)).fields
    page = looked(administrator, fields | {"mode": "hand"})
    assert 'class="changed"' not in page and value_of(page, "range.epochs.value") == ""
    page = looked(administrator, fields | {"algorithm": "evolutionary"})
    assert errors_in(page) == {} and "option.initial_trials" not in filled(page)
    found = filled(looked(administrator, fields | {"task": "multilabel-classification"}))
    assert (found["network"], found["range.epochs.values"]) == ("small-cnn", "4")
    found = filled(looked(administrator, fields | {"task": "command"}))
    assert not {"metric", "network"} & found.keys()


def test_what_is_reset_or_removed_is_not_kept(pictures: Service, administrator: TestClient) -> None:
    """It does not come back from a mode that was looked at before."""
    fields = Form(looked(administrator, PICTURES | {"mode": "hand", "range.epochs.value": "3"})).fields
    fields = Form(looked(administrator, fields | {"mode": "search", "range.epochs.values": "4"})).fields
    fields = Form(looked(administrator, fields, "reset.epochs.")).fields
    assert "range.epochs.value" not in filled(looked(administrator, fields | {"mode": "hand"}))
    fields = Form(looked(administrator, PROGRAM | {"row.1.name": "y", "row.1.low": "1", "row.1.high": "2"})).fields
    fields = Form(looked(administrator, fields | {"mode": "hand"})).fields
    fields = Form(looked(administrator, fields, "remove-row.1")).fields
    fields = Form(looked(administrator, fields, "add-row")).fields
    assert "row.1.low" not in filled(looked(administrator, fields | {"mode": "search"}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"at": 1, "texts": {}}', '{"at": {}, "texts": {"": 1}}', "[" * 9999]
)
def test_what_is_kept_may_make_no_sense(text: str) -> None:
    """Then nothing is kept."""
    assert Kept.read(text) == Kept()


def test_parameters_in_the_command_have_rows(service: Service, administrator: TestClient) -> None:
    """Each is named with what it lacks; rows that nobody has filled in go with the command."""
    program = {"task": "command", "metric": "accuracy", "command": "true {lr} {layers} {{text}} {trial}"}
    page = looked(administrator, program)
    fields = Form(page).fields
    assert (fields["row.0.name"], fields["row.1.name"]) == ("lr", "layers") and "row.2.name" not in fields
    assert "a range for lr" in page and 'href="#f-row.1.low"' in page and errors_in(page) == {}
    assert "{lr} is no parameter" not in looked(administrator, fields, "check")
    assert errors_in(looked(administrator, fields, "check"))["row.0.low"] == ["A range for lr is missing."]
    assert errors_in(looked(administrator, fields | {"mode": "hand"}, "check")).keys() == {"row.0.value", "row.1.value"}
    fields |= {"row.0.low": "0", "row.0.high": "1", "command": "true {lr} {depth}"}
    page = looked(administrator, fields)
    assert "layers" not in page
    fields = Form(page).fields | {"command": "true {depth}"}
    names = {text for name, text in filled(looked(administrator, fields)).items() if name.endswith(".name")}
    assert names == {"lr", "depth"}
    assert "a range for lr" not in looked(administrator, program | {"more": "parameters: {lr: [1, 2], layers: [3, 4]}"})
    nothing = looked(administrator, {"task": "command", "metric": "accuracy", "command": "true"}, "check")
    assert errors_in(nothing) == {"parameters": ["A parameter to search is missing."]}


def test_reserved_placeholders_are_those_of_commands() -> None:
    """A parameter can have none of these names."""
    assert set(RESERVED) == set(command_task.RESERVED)


def test_what_is_wrong_is_listed_from_top_to_bottom(pictures: Service, administrator: TestClient) -> None:
    """What is still to be chosen stands below it; whoever searches on names an earlier search."""
    page = looked(administrator, PICTURES | WRONG | {"range.mixup.low": "a", "data": "", "network": "small-cnn"})
    listed = re.findall(r'<li><a href="#f-([^"]+)">', page)
    order = [*filter(Form(page).fields.__contains__, listed)]
    assert order[-1] == "data" and "Still to choose:" in page
    places = [page.index(f'id="f-{field}"') for field in order[:-1]]
    assert places == sorted(places)
    warm = looked(administrator, PICTURES | {"mode": "existing", "use": "warm"})
    assert "at least one earlier search" in warm and "Ready to start" not in warm


def test_what_must_be_filled_in_says_so(pictures: Service, administrator: TestClient) -> None:
    """Whatever is missing from an empty form is marked at its field."""
    for fields, required in (
        ({"task": "image-classification"}, {"data"}),
        ({"task": "command"}, {"command", "metric"}),
        ({"task": "command", "command": "true {x}"}, {"metric", "row.0.low"}),
    ):
        page = looked(administrator, fields, "check")
        assert errors_in(page).keys() == required
        for field in required - {"row.0.low"}:
            assert re.search(rf'name="{field}" aria-required="true"', page), field


WRONG = {
    "target": "95%",
    "max_trials": "many",
    "max_concurrency": "two",
    "max_duration": "soon",
    "max_failed_trials": "lots",
    "max_trials_without_improvement": "-1",
    "max_trial_duration": "x",
    "sampling": "half",
    "cpus": "-1",
    "memory": "big",
    "name": "a" * 120,
    "project": "p" * 120,
}


def test_errors_call_fields_as_the_form_does(pictures: Service, administrator: TestClient) -> None:
    """Each stands at its field, and no name or notation of a spec file is in it."""
    page = looked(administrator, PICTURES | WRONG)
    found = errors_in(page)
    assert found.keys() == WRONG.keys()
    labels = Form(page).labels
    listed = dict(re.findall(r'<li><a href="#f-([^"]+)">([^<]+)</a>: ', page))
    for field in WRONG:
        assert listed[field] == labels[field] == LABELS[field]
    assert {field: LABELS[field] for field in labels if field in LABELS} == {
        field: label for field, label in labels.items() if field in LABELS
    }
    for text in [one for texts in found.values() for one in texts]:
        assert not re.search(r"`|_|is a text|quotes|spec", text.replace("'_'", "")), text


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        (
            {"range.mixup.kind": "log", "range.mixup.low": "0", "range.mixup.high": "1"},
            "range.mixup.low",
            "A log scale can't reach 0. Give a lower end above 0, or choose a kind without log scale.",
        ),
        (
            {"range.learning_rate.high": "1e-9"},
            "range.learning_rate.low",
            "0.0001 is above the upper end, 1e-09. Exchange them.",
        ),
        ({"range.mixup.low": "a"}, "range.mixup.low", "'a' is not a number. Write a number such as 0.1."),
        (
            {"finalists": "full"},
            "finalists",
            "The search has all data already. Give a “Share of the training data”, such as 25%.",
        ),
        (
            {"algorithm": "evolutionary", "max_trials": "3", "option.population_size": "4", "option.rounds": "2"},
            "max_trials",
            "3 are too few for 4 members in 2 rounds, a trial each. "
            "Give 8, or a smaller “Population size” or fewer rounds.",
        ),
        (
            {"algorithm": "evolutionary", "early_stopping": "promotion", "max_trials": "20"},
            "early_stopping",
            None,
        ),
        ({"cpus": "0"}, "cpus", "Trials that take no core are as many at once as you say. Fill in “Trials at once”."),
    ],
)
def test_remedies_can_be_followed_in_the_form(
    pictures: Service, administrator: TestClient, fields: dict[str, str], field: str, text: str | None
) -> None:
    """They name its labels, and what can be chosen in it."""
    found = errors_in(looked(administrator, PICTURES | fields))
    assert found.keys() == {field}
    assert text is None or found[field] == [text]
    assert "`" not in found[field][0]


@pytest.mark.parametrize(
    ("fields", "default"), [(PROGRAM, "are trained to the end"), (PICTURES, "stop early (halving)")]
)
def test_the_usual_rule_for_bad_trials_comes_first(
    pictures: Service, administrator: TestClient, fields: dict[str, str], default: str
) -> None:
    """Built-in tasks end them early; a program of one's own must ask for it."""
    page = looked(administrator, fields)
    options = re.findall(r'<select id="f-early_stopping".*?</select>', page, re.DOTALL)[0]
    assert re.search(r'<option value=""[^>]*>(.*?)</option>', options)[1] == default  # type: ignore[index]
    assert "algorithm" not in errors_in(page) and "early_stopping" not in errors_in(page)


def test_each_choice_is_there_once(pictures: Service, administrator: TestClient) -> None:
    """The default is no second entry beside the one it stands for."""
    for algorithm in ("random", "evolutionary", "bayesian", "tpe", "cmaes", "pshe2"):
        page = looked(administrator, PICTURES | {"algorithm": algorithm})
        for name, options in re.findall(r'<select id="f-([^"]+)"(.*?)</select>', page, re.DOTALL):
            titles = [title.removesuffix(" (default)") for title in re.findall(r"<option[^>]*>(.*?)</option>", options)]
            if not name.startswith("range."):  # there, kinds of the network and of one's own are two groups
                assert len(titles) == len(set(titles)), (name, titles)


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


@pytest.mark.parametrize(
    "more",
    [
        "command: [python, train.py, --epochs, 5]",
        "command: [[a], {b: c}, null, 1.5]",
        "name: 5",
        "name: [a]",
        "name: {a: b}",
        "name: 2026-01-01",
        "name: !!binary YWRhL2U=",
        "metric: 5",
        "objective: 5",
        "parameters: 5",
        "data: 5",
        "network: [a]",
        "algorithm: 5",
        "warm_start: 5",
    ],
)
def test_further_fields_of_any_kind_have_an_answer(pictures: Service, administrator: TestClient, more: str) -> None:
    """What is no text where one belongs is told as any mistake."""
    for base in (PICTURES, PROGRAM):
        for page in (
            looked(administrator, base | {"more": more}),
            looked(administrator, base | {"more": more}, "check"),
        ):
            assert "in the log of the service" not in page
        assert administrator.post("/new", data=base | {"more": more}, headers=SENDS).status_code in (303, 422)


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


BY_WORKERS = {
    "task": "command",
    "scheduler": "workers",
    "mode": "search",
    "metric": "loss",
    "row.0.name": "lr",
    "row.0.kind": "number",
    "row.0.low": "0",
    "row.0.high": "1",
}


def test_a_search_for_workers(service: Service) -> None:
    """It needs neither program nor right to run code, shows how a worker is started, and can be copied as it is."""
    with browser(service) as client:
        page = client.post("/new/look", data=BY_WORKERS | {"act": "check"}).text
        assert "Ready to start" in page and "as many at once as workers ask for" in page
        assert f"tunewell worker {ORIGIN} search -- python train.py &#39;{{lr}}&#39;" in page
        assert 'name="cpus"' not in page and "Choose a folder" not in page
        # What is about machines of the service counts for nothing, and is there when one comes back.
        filled = client.post("/new/look", data=BY_WORKERS | {"scheduler": "", "cpus": "3", "act": "live"})
        assert 'name="cpus"' in filled.text
        made = client.post("/new", data=BY_WORKERS | {"cpus": "3", "act": "create"})
        assert made.status_code == 303, made.text
        (one,) = service.experiments().items
        spec = service.experiment(one.name).spec
        assert (spec["scheduler"], spec["command"], spec["resources"]["cpus"]) == ("workers", None, None)
        copied = client.get(f"/new?copy={one.name.replace('/', '~')}").text
        assert re.search(r'name="scheduler" value="workers" checked', copied)
        with_command = BY_WORKERS | {"command": "python train.py {lr}", "act": "check"}
        assert f"tunewell worker {ORIGIN} train</pre>" in client.post("/new/look", data=with_command).text
