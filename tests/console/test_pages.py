"""What holds for every page: who sees it, what browsers may do with it, what it shows of others' words, how it lives.

Pages are found by their routes, so a new one is tested without being named here; `VALUES` says what stands for the
parameters in its address.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.markup import parse
from tests.console.serving import ACTS, FOLLOWS, SENDS, browser, whole
from tunewell.api.answers import PICTURE_POLICY
from tunewell.api.visits import COOKIE
from tunewell.console import words
from tunewell.console.pages import ROUTERS
from tunewell.console.policy import POLICY
from tunewell.service.service import Service
from tunewell.spec.names import in_address
from tunewell.spec.states import ExperimentState

#: How the part of an address begins → parameter in it → what is tried there, in the home full of searches.
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "/datasets/": {"name": tuple(map(in_address, looks.DATASETS)), "id": ("0" * 32,)},
    "/experiments/": {"name": tuple(map(in_address, looks.NAMES)), "number": ("1", "7")},
    "/settings/people/": {"name": ("ada", "owner")},
    "/settings/tokens/": {"id": ("1",)},
    "/settings/notifications/": {"id": ("1", "2"), "delivery": ("1",)},
    "/models/": {"name": tuple(map(in_address, looks.MODELS)), "number": ("1",)},
    "/jobs/": {"id": ("1",), "number": ("0",)},
}
#: What everybody may see.
PUBLIC = ("/sign-in",)


def routes(method: str) -> list[APIRoute]:
    """Return the routes of pages that know a method."""
    every = [route for router in ROUTERS for route in router.routes]
    return [route for route in every if isinstance(route, APIRoute) and method in route.methods]


def filled(path: str) -> Iterator[str]:
    """Yield a path with every value that `VALUES` has for each of its parameters."""
    found = re.search(r"{(\w+)(?::\w+)?}", path)
    if found is None:
        yield path
        return
    values = next((known for start, known in VALUES.items() if path.startswith(start)), {})
    assert found[1] in values, f"say in VALUES what stands for {found[1]} in {path}"
    for value in values[found[1]]:
        yield from filled(path.replace(found[0], value, 1))


def one_of(route: APIRoute) -> str:
    """Return an address of a route; where it is about a trial, one that there is."""
    return next(one for one in filled(route.path) if "number" not in route.path or "none" not in one)


ADDRESSES = [address for route in routes("GET") for address in filled(route.path)]
#: One address of each route.
EACH = [one_of(route) for route in routes("GET")]
#: Those that are pages, not files.
PAGES = [one_of(route) for route in routes("GET") if "file" not in route.tags]
ACTIONS = [next(filled(route.path)) for route in routes("POST")]


def test_there_are_pages() -> None:
    """The pages are found that the ways to name them have in mind."""
    assert {"/", "/experiments/owner~none"} <= set(ADDRESSES)
    assert "/experiments/owner~none/pause" in ACTIONS


# Who comes in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [one for one in EACH if one not in PUBLIC])
def test_pages_are_behind_the_sign_in(searches: Service, address: str) -> None:
    """Without a session, a person is led to the sign-in and from there back; a script is told; a program, too."""
    nobody = browser(searches, None)
    answer = nobody.get(address, params={"search": "a b"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")
    for headers in ({"accept": "application/json"}, {"x-have": "none"}, {"accept": "*/*"}):
        answer = nobody.get(address, headers=headers)
        assert (answer.status_code, answer.json()["kind"]) == (401, "unauthenticated")


@pytest.mark.parametrize("address", [one for one in ACTIONS if one not in PUBLIC])
def test_actions_are_behind_the_sign_in(searches: Service, address: str) -> None:
    """Nobody has anything done without a session, nor with one from a page of another origin."""
    assert browser(searches, None).post(address, headers=SENDS).status_code == 401
    assert browser(searches, None).post(address, headers=ACTS).status_code == 401
    for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert browser(searches, "owner").post(address, headers={**SENDS, **foreign}).status_code == 403


def test_a_private_experiment_of_others_does_not_exist(searches: Service) -> None:
    """Its page, and all below it, is the page about what does not exist, as with a name that nobody has."""
    vic = browser(searches, "vic")
    below = [one for one in ADDRESSES if one.startswith("/experiments/ada~secret")]
    assert below
    for address in below:
        unknown = address.replace("secret", "sesame")
        answer, other = vic.get(address), vic.get(unknown)
        assert (answer.status_code, other.status_code) == (404, 404)
        assert answer.text.replace("secret", "sesame") == other.text.replace("secret", "sesame")
        assert "It does not exist" in parse(answer.text).one("h1").text
    assert "secret" not in vic.get("/").text
    assert browser(searches, "ada").get("/experiments/ada~secret").status_code == 200


def test_everybody_sees_what_is_for_all(anybody: TestClient) -> None:
    """Searches of the team are seen by each role, whoever's they are."""
    for name in ("owner~running", "ada~shared", "owner~many"):
        assert anybody.get(f"/experiments/{name}").status_code == 200


# What browsers may do with it -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ADDRESSES)
def test_pages_are_strict(searches: Service, address: str) -> None:
    """No page has a script or style of its own in it; all it loads is ours; the policy says so; users' words are text.

    Files get a policy of their own, and no browser guesses what they are.
    """
    answer = browser(searches, "owner").get(address)
    assert answer.headers["x-content-type-options"] == "nosniff"
    if not answer.headers.get("content-type", "").startswith("text/html"):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        return
    assert answer.status_code in (200, 404), answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    check_markup(answer.text)


def check_markup(html: str) -> None:
    """Check that a page can do nothing by itself, and that none of what users wrote has become markup."""
    document = parse(html)
    assert html.count("<!doctype html>") == 1
    for element in document.elements:
        assert element.tag not in ("style", "iframe", "object", "embed", "base"), element
        assert not (element.tag == "script" and (element.text.strip() or "src" not in element.attributes)), element
        for name, value in element.attributes.items():
            assert name != "style", element
            assert not name.startswith("on"), element
            assert not value.strip().lower().startswith(("javascript:", "data:text")), element
        assert element.attributes.get("src") != "x", element
    assert not any(re.match(r"(?:[a-z]+:)?//", address) for address in document.addresses), document.addresses
    assert document.one("main")
    assert len(list(document.all("h1"))) == 1


def test_what_users_write_is_shown_as_text(searches: Service) -> None:
    """Markup in tags, projects, metrics and choices stands on pages, letter by letter."""
    assert looks.MARKUP in parse(browser(searches, "owner").get("/experiments/owner~hostile").text).text
    assert looks.MARKUP in parse(browser(searches, "owner").get("/").text).text


def test_markup_in_addresses_is_text(searches: Service) -> None:
    """What is searched for, and an address that there is not, are shown as text."""
    one = browser(searches, "owner")
    for address in ("/", "/nothing", "/experiments/owner~none"):
        answer = one.get(address, params={"search": looks.MARKUP, "project": looks.MARKUP, "state": looks.MARKUP})
        check_markup(answer.text)
    check_markup(one.get("/experiments/<b>").text)
    check_markup(one.get("/<img src=x onerror=alert(1)>").text)


def test_the_same_page_in_the_same_colours(searches: Service) -> None:
    """What a cookie says about colours is one of two words, or nothing."""
    one = browser(searches, "owner")
    for theme, shown in (("dark", "dark"), ("light", "light"), ('"><b>', None)):
        seen = parse(one.get("/", headers={"cookie": f"tunewell-theme={theme}; {_cookie(one)}"}).text)
        assert seen.one("html").attributes.get("data-theme") == shown


def _cookie(one: TestClient) -> str:
    return f"{COOKIE}={one.cookies[COOKIE]}"


# Problems are pages -----------------------------------------------------------------------------------------


def test_problems_are_pages(searches: Service) -> None:
    """Whoever reads pages is told on a page what is wrong, and with which status; scripts and programs as JSON."""
    vic = browser(searches, "vic")
    for method, address, status in (
        ("GET", "/nothing", 404),
        ("GET", "/experiments/a/b/c", 404),
        ("GET", "/experiments/owner~none~more", 404),
        ("GET", "/experiments/nobody~here", 404),
        ("GET", "/?cursor=nonsense", 422),
        ("POST", "/experiments/owner~running/pause", 403),
        ("POST", "/", 405),
        ("POST", "/theme", 422),
    ):
        answer = vic.request(method, address, headers=SENDS if method == "POST" else FOLLOWS)
        assert answer.status_code == status, (address, answer.text)
        assert answer.headers["content-security-policy"] == POLICY
        check_markup(answer.text)
        script = vic.request(method, address, headers=ACTS)
        assert script.status_code in (status, 422)  # to a program, a name that is none is a wrong argument
        assert script.json()["detail"]
        assert script.headers["content-type"] == "application/problem+json"


def test_a_bug_is_a_page_that_tells_its_number(searches: Service, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is told as a page, too: with the number under which the log has it, and no more."""
    app, guard = whole(searches)

    @app.get("/bug")
    def bug() -> None:
        raise ValueError("something private")

    one = browser(searches, "owner")
    client = TestClient(guard, base_url=one.base_url, headers=FOLLOWS, cookies={COOKIE: one.cookies[COOKIE]})
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert "something private" not in answer.text
    check_markup(answer.text)
    (number,) = re.findall(r"bug (\w+):", caplog.text)
    assert number in parse(answer.text).text
    assert client.get("/bug", headers=ACTS).json()["kind"] == "bug"


# Pages in parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", EACH)
def test_a_page_sends_what_differs_alone(searches: Service, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that has parts of a page gets the others; one that has none gets all, as they stand in the page."""
    free = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)  # other programs write files meanwhile
    one = browser(searches, "owner")
    whole_page = one.get(address)
    if whole_page.status_code != 200 or "html" not in whole_page.headers["content-type"] or address == "/new":
        return  # what is being filled in is not news
    known = parse(whole_page.text).stamps

    def asked(*stamps: str) -> dict[str, object]:
        answer = one.get(address, headers={"x-have": ",".join(stamps) or "none"})
        assert answer.headers["content-type"] == "application/json"
        assert "X-Have" in answer.headers["vary"].title()
        found = json.loads(answer.text)
        assert found["stamps"] == known
        return found["parts"]

    assert asked(*known.values()) == {}
    assert set(asked()) == set(known)
    for name, stamp in known.items():
        (news,) = asked(*set(known.values()) - {stamp}).items()
        assert news[0] == name
        assert _timeless(news[1]) in _timeless(whole_page.text)


def _timeless(html: str) -> str:
    """Return markup without how long ago something was."""
    return re.sub(r"(<time [^>]*>)[^<]*", r"\1", html)


def test_time_that_passes_is_no_news(
    administrator: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part in which only the words for how long ago something was differ, is not sent again."""
    service.create(looks.spec("old"))
    before = parse(administrator.get("/").text)
    monkeypatch.setattr(words, "relative", lambda seconds: "long ago")
    after = parse(administrator.get("/").text)
    assert (after.one("time").text, after.stamps) == ("long ago", before.stamps)
    service.update("old", {"tags": ["x"]})
    assert parse(administrator.get("/").text).stamps != before.stamps


def test_only_what_changed_is_sent(administrator: TestClient, service: Service) -> None:
    """After a change, the parts that show it are sent, and no others."""
    service.create(looks.spec("few"))
    looks.trials(service, "few", 3)
    before = parse(administrator.get("/experiments/few").text).stamps
    looks.begin(service, "few")
    answer = administrator.get("/experiments/few", headers={"x-have": ",".join(before.values())}).json()
    assert answer["parts"]
    assert set(answer["parts"]) < set(before)
    assert "owner" not in answer["follows"]


@pytest.mark.parametrize("address", EACH)
def test_pages_stay_below_their_root(searches: Service, address: str) -> None:
    """Behind a proxy that offers the service below a path, whatever a page leads to lies below that path."""
    one = browser(searches, "owner", root_path="/tune")
    answer = one.get(f"/tune{address}")
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return
    found = parse(answer.text)
    assert {one for one in found.addresses if one.startswith("/") and not one.startswith("/tune/")} == set()
    assert found.one("body").attributes["data-root"] == "/tune"
    nobody = browser(searches, None, root_path="/tune").get(f"/tune{address}")
    if address not in PUBLIC:
        assert nobody.headers["location"].startswith("/tune/sign-in?next=%2F")


def test_the_strip_of_a_search_in_the_list(administrator: TestClient, service: Service) -> None:
    """It is a picture that browsers keep, until what it shows has changed: then it has another address."""

    def address() -> str:
        (found,) = [one for one in parse(administrator.get("/").text).addresses if "ribbon.svg" in one]
        return found

    service.create(looks.spec("few"))
    assert "ribbon.svg" not in administrator.get("/").text
    looks.trials(service, "few", 3)
    before = address()
    answer = administrator.get(before)
    assert answer.headers["content-type"] == "image/svg+xml" and "max-age" in answer.headers["cache-control"]
    assert answer.headers["content-security-policy"] == PICTURE_POLICY
    assert address() == before
    looks.end(service, "few")
    assert address() == before
    service.create(looks.spec("other"))
    looks.trials(service, "other", 1)
    assert before in administrator.get("/").text


def test_the_bin(administrator: TestClient, service: Service) -> None:
    """What is deleted leaves the list for the bin, which says how to have it back; a script is led to the list."""
    service.create(looks.spec("gone"))
    looks.end(service, "gone")
    answer = administrator.post("/experiments/owner~gone/delete", headers=ACTS).json()
    assert (answer["then"], answer["said"]) == ("/", "gone is in the bin.")
    assert "/experiments/owner~gone/restore" not in administrator.get("/").text
    listed = parse(administrator.get("/", params={"state": "in the bin"}).text)
    assert "gone" in listed.text
    assert "/experiments/owner~gone" not in listed.addresses
    assert administrator.post("/experiments/owner~gone/restore", headers=ACTS).json()["said"] == "gone is back."
    assert "/experiments/owner~gone" in parse(administrator.get("/").text).addresses
    assert "The bin is empty." in administrator.get("/", params={"state": "in the bin"}).text


def test_a_failure_is_shown_with_the_words_of_a_trial(administrator: TestClient, service: Service) -> None:
    """Beside each cause stands what the trial that failed last for it has said, with a link."""
    service.create(looks.spec("failing"))
    looks.trials(service, "failing", 7, detail="no such optimiser: boom")
    found = parse(administrator.get("/experiments/owner~failing").text)
    assert "Trial 7: no such optimiser: boom" in " ".join(found.text.split())
    assert "/experiments/owner~failing/trials/7" in found.addresses


def test_a_change_that_lets_nothing_go_on_says_so(administrator: TestClient, service: Service) -> None:
    """A search that too many failures have ended stays ended with more trials, and goes on with more failures."""
    service.create(looks.spec("burned"))
    looks.begin(service, "burned")
    looks.trials(service, "burned", 3)
    with service.store.transaction() as tx:
        old, new = ExperimentState.RUNNING, ExperimentState.FAILED
        tx.set_experiment_state("burned", old, new, stop_rule="max_failed_trials", detail="2 of 3 trials failed.")
    change = "/experiments/owner~burned/change"
    said = administrator.post(change, data={"max_trials": "500"}, headers=ACTS).json()["said"]
    assert said == "Changed. The search stays ended; it goes on when more failures are allowed."
    said = administrator.post(change, data={"max_failed_trials": "80%"}, headers=ACTS).json()["said"]
    assert said == "Changed."
    assert not service.experiment("burned").state.final
    assert 'value="80%"' in administrator.get("/experiments/owner~burned").text


def test_a_form_that_is_too_old_changes_nothing(administrator: TestClient, service: Service) -> None:
    """Without scripts a form sends all of its fields: what others have changed since it was made is not undone."""
    service.create(looks.spec("old"))
    revision = service.experiment("old").revision
    service.update("old", {"visibility": "private"})
    sent = {"revision": str(revision), "tags": "mine", "visibility": "team"}
    answer = administrator.post("/experiments/owner~old/change", data=sent, headers=ACTS)
    assert (answer.status_code, answer.json()["kind"]) == (412, "stale")
    assert service.experiment("old").visibility == "private"
    for nonsense in ("", "x", "9" * 5000, "\u0665"):
        answer = administrator.post("/experiments/owner~old/change", data=sent | {"revision": nonsense}, headers=ACTS)
        assert answer.status_code == 412
    fresh = sent | {"revision": str(service.experiment("old").revision)}
    assert administrator.post("/experiments/owner~old/change", data=fresh, headers=ACTS).status_code == 200


def test_what_people_say_is_changed_without_scripts(administrator: TestClient, service: Service) -> None:
    """A browser sends the lines of a text with carriage returns, and tags with commas between."""
    service.create(looks.spec("old"))
    said = {"project": "signs", "tags": "a, b,, a", "description": "one\r\n\r\ntwo\r\n"}
    assert administrator.post("/experiments/owner~old/change", data=said).status_code == 303
    one = service.experiment("old")
    assert (one.project, one.tags, one.description) == ("signs", ("a", "b"), "one\n\ntwo")
    page = parse(administrator.get("/experiments/owner~old").text)
    assert {"/?project=signs", "/?tag=a", "/?tag=b"} <= set(page.addresses)
    wrong = administrator.post("/experiments/owner~old/change", data={"project": "p" * 101}, headers=ACTS)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "project")


def test_a_list_is_narrowed_by_project_and_tags(administrator: TestClient, service: Service) -> None:
    """The address keeps what was chosen, through links to more and to less, and only what has it all is listed."""
    for name, tags in (("few", ["a"]), ("both", ["a", "b & c"]), ("many", [f"tag {number}" for number in range(20)])):
        service.create(looks.spec(name, tags=tags, project="p&q"))
    shown = administrator.get("/", params={"project": "p&q", "tag": ["a", "b & c"], "sort": "name"})
    page = parse(shown.text)
    assert "owner~both" in shown.text and "owner~few" not in shown.text and "owner~many" not in shown.text
    assert {"?project=p%26q&tag=b+%26+c&sort=name", "?project=p%26q&tag=a&sort=name"} <= set(page.addresses)
    kept = [(one.attributes["name"], one.attributes["value"]) for one in page.all("input", type="hidden")]
    assert kept == [("project", "p&q"), ("tag", "a"), ("tag", "b & c")]
    every = administrator.get("/").text
    assert "+14" in every and "tag 5" in every and "tag 6" not in every
    assert "No experiment matches" in administrator.get("/", params={"tag": "c"}).text


@pytest.mark.parametrize(
    ("address", "list_", "called"),
    [
        ("/models/none", "/models", "All models"),
        ("/datasets/none", "/datasets", "All data sets"),
        ("/experiments/none", "/", "All experiments"),
    ],
)
def test_what_is_not_there_leads_to_its_list(administrator: TestClient, address: str, list_: str, called: str) -> None:
    """Who looks for a model finds the models, and so with each kind."""
    answer = administrator.get(address)
    assert answer.status_code == 404 and f'href="{list_}">{called}</a>' in answer.text
