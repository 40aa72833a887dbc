"""People before the guard: whoever asks for a page, from where, and where the sign-in leads them."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.api.guard.asking import Answer, Asker
from tests.api.guard.conftest import People
from tests.api.guard.test_guard import ORIGIN, check_refused, session_of
from tunewell.api.visits import COOKIE
from tunewell.console.policy import POLICY
from tunewell.service.gate import Gate
from tunewell.service.proofs import LINK_SECONDS
from tunewell.service.service import Service

NAVIGATES = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
#: What a browser sends that follows a link of a page of ours, and of one elsewhere.
OWN = {**NAVIGATES, "sec-fetch-site": "same-origin"}
ELSEWHERE = {**NAVIGATES, "sec-fetch-site": "cross-site"}
PAGES = ("/", "/docs", "/experiments/ada~e", "/nothing", "/?search=a%26b", "/metrics")


def is_again(answer: Answer) -> bool:
    """Whether an answer has the browser ask the same again, from a page of ours, and tells nothing."""
    return answer.status == 200 and b'http-equiv="refresh" content="0"' in answer.body and len(answer.body) < 200


def signs_in(ask: Asker, service: Service, wanted: str) -> Answer:
    """Send the form of the sign-in with a good link, and where to go then."""
    body = f"link={service.sign_in_link('ada').secret}&next={quote(wanted, safe='')}".encode()
    return ask("POST", "/sign-in", {**OWN, "origin": ORIGIN}, body=body)


def test_whoever_arrives_by_a_link_from_elsewhere_asks_again(ask: Asker, service: Service) -> None:
    """Their cookie does not come along from there; what they are told is the same whoever they are."""
    cookie = {"cookie": f"{COOKIE}={session_of(service, 'owner')}"}
    for page in PAGES:
        for site in ("cross-site", "same-site"):
            answer = ask("GET", page, {**ELSEWHERE, "sec-fetch-site": site})
            assert is_again(answer), page
            assert ask("GET", page, {**ELSEWHERE, **cookie, "sec-fetch-site": site}) == answer
        assert "default-src 'none'" in (answer.header("content-security-policy") or "")
        assert answer.header("x-frame-options") == "DENY"
        second = ask("GET", page, {**OWN, **cookie})
        assert not is_again(second)
        assert second.status in (200, 404)


def test_only_a_page_can_be_arrived_at(ask: Asker, people_: People) -> None:
    """Frames, scripts, forms, requests of scripts and the API are refused to pages elsewhere as ever."""
    refused: list[tuple[str, str, dict[str, str]]] = [
        ("POST", "/experiments/ada~e/stop", ELSEWHERE),
        ("POST", "/sign-in", ELSEWHERE),
        ("POST", "/sign-out", ELSEWHERE),
        ("GET", "/", {**ELSEWHERE, "origin": "http://evil.example"}),
        ("GET", "/", {**ELSEWHERE, "origin": "null"}),
        ("GET", "/", {**ELSEWHERE, "sec-fetch-dest": "iframe"}),
        ("GET", "/", {**ELSEWHERE, "sec-fetch-mode": "cors"}),
        ("GET", "/", {**ELSEWHERE, "sec-fetch-dest": "empty"}),
        ("GET", "/api/v1/me", ELSEWHERE),
        ("GET", "/", {**ELSEWHERE, "x-have": "none"}),
        ("GET", "/", {**ELSEWHERE, "accept": "application/json"}),
    ]
    for method, path, headers in refused:
        for token in (None, people_.owner):
            answer = ask(method, path, headers, token=token)
            assert answer.status == 403, (method, path, headers)
            assert not is_again(answer)
    check_refused(ask("GET", "/", ELSEWHERE, host="evil.example"), 403, "foreign-host")
    check_refused(ask("GET", "/", OWN, host="evil.example"), 403, "foreign-host")


def test_nobody_is_led_to_the_sign_in_and_back(ask: Asker, service: Service) -> None:
    """A person without a session gets there with where they wanted to go, and goes there from there."""
    for page in PAGES:
        answer = ask("GET", page, OWN)
        assert answer.status == 303
        place = urlsplit(answer.header("location") or "")
        assert (place.scheme, place.netloc, place.path) == ("", "", "/sign-in")
        assert parse_qs(place.query) == {"next": [page]}
        form = ask("GET", answer.header("location") or "", OWN)
        assert f'name="next" value="{page}"' in unescape(form.body.decode())
        assert signs_in(ask, service, page).header("location") == page


def test_below_a_path_it_is_the_same(ask: Asker, service: Service) -> None:
    """Behind a proxy that offers the service below a path, all of this happens below that path."""
    ask.root_path = "/tune"
    answer = ask("GET", "/tune/experiments/ada~e?x=1", OWN)
    assert answer.header("location") == "/tune/sign-in?next=%2Fexperiments%2Fada~e%3Fx%3D1"
    body = f"link={service.sign_in_link('ada').secret}&next=%2Fexperiments%2Fada~e%3Fx%3D1".encode()
    answer = ask("POST", "/tune/sign-in", {**OWN, "origin": ORIGIN}, body=body)
    assert answer.header("location") == "/tune/experiments/ada~e?x=1"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/ok\r\nset-cookie: a=b",
        "/a\\b",
        "/\x00",
        "/ä",
        "/" + "a" * 3000,
        "",
    ],
)
def test_the_sign_in_leads_to_our_own_pages_alone(ask: Asker, service: Service, wanted: str) -> None:
    """Whatever somebody has put into an address, nobody is led away, and no header is added."""
    answer = signs_in(ask, service, wanted)
    assert (answer.status, answer.header("location")) == (303, "/")
    assert [name for name, _ in answer.headers].count("set-cookie") == 1


def test_what_is_put_into_the_address_of_the_sign_in_is_text(ask: Asker) -> None:
    """It stands in a field of the form, and nowhere as markup."""
    for planted in ('"><script>alert(1)</script>', "'><b>", "/<img src=x onerror=alert(1)>"):
        page = ask("GET", f"/sign-in?next={quote(planted)}&link={quote(planted)}", OWN).body.decode()
        assert planted not in page
        assert planted in unescape(page)


# What the sign-in says --------------------------------------------------------------------------------------


def told(answer: Answer) -> str:
    """Return the alert on a page, empty if there is none."""
    _, _, rest = answer.body.decode().partition('role="alert">')
    return unescape(rest.partition("<")[0])


def test_the_page_says_what_is_wrong_with_a_link(ask: Asker, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is none, was used, has expired or was withdrawn: before the button is pressed, and after."""

    def both(link: str, wanted: str = "/x") -> tuple[Answer, Answer]:
        form = f"link={link}&next={wanted}".encode()
        return ask("GET", f"/sign-in?link={link}", OWN), ask("POST", "/sign-in", {**OWN, "origin": ORIGIN}, body=form)

    good = service.sign_in_link("ada").secret
    before, after = both(good)
    assert (told(before), after.status) == ("", 303)
    lost = service.sign_in_link("ben").secret
    service.change_user("ben", {"disabled": True})
    old = service.sign_in_link("ada").secret
    for link, words in ((good, "used before"), (lost, "not known"), ("twl_" + "x" * 43, "not known")):
        before, after = both(link)
        assert words in told(before)
        assert words in told(after)
        assert (before.status, after.status) == (200, 401)
        assert after.header("content-security-policy") == POLICY
        assert 'value="/x"' in after.body.decode()  # it still leads there
        assert link not in before.body.decode() + after.body.decode()
    before, after = both("nonsense")
    assert (told(before), "no sign-in link" in told(after)) == ("", True)
    later = service.gate._clock() + LINK_SECONDS + 1
    monkeypatch.setattr(service.gate, "_clock", lambda: later)
    before, after = both(old)
    assert "expired" in told(before)
    assert "expired" in told(after)


def test_a_link_that_was_withdrawn_is_not_said_to_be_used(service: Service) -> None:
    """What whoever has a link may know of it: of a token or a session, nothing."""
    gate = Gate(service.store)
    link = service.sign_in_link("ada").secret
    assert gate.link_state(link) == "good"
    service.revoke_token(service.tokens(owner="ada").items[0].id)
    assert gate.link_state(link) == "unknown"
    assert gate.link_state(service.create_token("t").secret) == "unknown"
    assert gate.link_state(session_of(service, "ada")) == "unknown"


def test_too_many_tries_are_a_page(asker: Callable[..., Asker], service: Service) -> None:
    """Whoever tries links too often is told on a page to wait, and for how long."""
    ask = asker(failures_per_minute=1, failures_at_once=3)
    headers = {**OWN, "origin": ORIGIN}
    answers = [ask("POST", "/sign-in", headers, body=b"link=twl_" + b"x" * 43) for _ in range(4)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].header("content-security-policy") == POLICY
    seconds = answers[-1].header("retry-after")
    assert f"Try again in {seconds} s" in answers[-1].body.decode()
    assert ask("GET", "/sign-in", OWN).status == 200


def test_a_page_is_told_to_wait_by_a_page(asker: Callable[..., Asker], service: Service) -> None:
    """Whoever asks too often for pages is told so on one; a host that is none of ours gets no page."""
    ask = asker(requests_per_second=0.01, requests_at_once=1)
    headers = {**OWN, "cookie": f"{COOKIE}={session_of(service, 'ada')}"}
    assert ask("GET", "/", headers).status == 200
    answer = ask("GET", "/", headers)
    assert answer.status == 429
    assert answer.header("content-type") == "text/html; charset=utf-8"
    check_refused(ask("GET", "/api/v1/me", headers), 429, "too-many")
