"""What stands before every route: on every route and every method, known or not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from starlette.types import Message

from tests.api.guard import matrix
from tests.api.guard.asking import HOST, Answer, Asker
from tests.api.guard.conftest import ADA, SECRET, SPEC, People
from tests.api.guard.matrix import SAFE, Operation, operations, unseen
from tunewell.api.rates import Buckets
from tunewell.api.visits import COOKIE, PUBLIC, SECURE_COOKIE, STATIC
from tunewell.service import credentials
from tunewell.service.proofs import new_secret
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store.rows import AttemptEnd, AuditRow

ORIGIN = f"http://{HOST}"
PLAIN = "http://tune.example"
#: Routes that are tried in every way that can be thought of; all others in those that matter most.
THOROUGH = (*matrix.THOROUGH, "/api/v1/nothing")


def every(ask: Asker) -> list[Operation]:
    """Return every route of the app with its methods and others."""
    return operations(ask.app)  # type: ignore[arg-type]


def is_public(operation: Operation) -> bool:
    """Whether nobody need say who asks."""
    return operation.template in PUBLIC or operation.template.startswith(STATIC)


def check_refused(answer: Answer, status: int, kind: str) -> None:
    """Check that an answer is a problem of a kind, and tells nothing else."""
    assert (answer.status, answer.json["kind"]) == (status, kind), answer.text
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json["status"] == status


def state(service: Service) -> Any:
    """Return what nobody may change without a right to it."""
    tokens = [service.tokens(owner=user.name) for user in service.users().items]
    return service.experiments(), service.jobs(), service.users(), [[one.id for one in page.items] for page in tokens]


def session_of(service: Service, name: str) -> str:
    """Sign a user in, and return what their browser proves itself by."""
    session = service.gate.sign_in(service.sign_in_link(name).secret)
    assert session is not None
    return session.secret


def test_no_route_is_overlooked(ask: Asker) -> None:
    """Whatever the document of the API has is among what these tests try."""
    assert unseen(ask.app) == set()  # type: ignore[arg-type]


# Who asks ---------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_proof(ask: Asker, service: Service) -> None:
    """Every route but the public ones wants to know who asks, whatever the method, and tells no known one apart."""
    before, seen = state(service), set()
    for operation in every(ask):
        answer = ask(operation.method, operation.path())
        if is_public(operation):
            assert answer.status in (200, 401, 404, 405, 503)
            continue
        check_refused(answer, 401, "unauthenticated")
        assert answer.header("www-authenticate") == 'Bearer realm="tunewell"'
        seen.add(answer.body)
    assert len(seen) == 1
    assert state(service) == before


def wrong_proofs(service: Service) -> dict[str, list[tuple[str, str]]]:
    """Return headers that prove nothing, by what is wrong with them."""
    good = service.create_token("good").secret
    expired = service.create_token("t", datetime.now(UTC) + timedelta(seconds=0.2))
    revoked = service.create_token("t")
    service.revoke_token(revoked.token.id)
    lost = service.create_token("t", owner="ben").secret
    service.change_user("ben", {"disabled": True})
    ended = session_of(service, "ada")
    service.revoke_token(service.tokens(owner="ada").items[0].id)
    while service.gate.prove(expired.secret, "token") is not None:
        time.sleep(0.01)  # the clock is all that it waits for
    bearers = {
        "unknown": new_secret("token"),
        "expired": expired.secret,
        "revoked": revoked.secret,
        "of one who is shut out": lost,
        "a link": service.sign_in_link("ada").secret,
        "a session": session_of(service, "ada"),
        "cut short": good[:-1],
        "empty": "",
        "two": f"{good} {good}",
        "an attempt's that never was": "twa_" + "A" * 43 + ".1.1.e",
        "no text": "tw_\x80\xff",
    }
    own = ("sec-fetch-site", "same-origin")
    return {
        **{what: [("authorization", f"Bearer {secret}")] for what, secret in bearers.items()},
        "basic": [("authorization", f"Basic {good}")],
        "twice": [("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")],
        "a session that was ended": [("cookie", f"{COOKIE}={ended}"), own],
        "a token as cookie": [("cookie", f"{COOKIE}={good}"), own],
        "two cookies": [("cookie", f"{COOKIE}={session_of(service, 'ada')}; {COOKIE}=x"), own],
        "another cookie": [("cookie", f"{SECURE_COOKIE}={session_of(service, 'ada')}"), own],
        "a wrong token and a good session": [
            ("authorization", "Bearer tw_x"),
            ("cookie", f"{COOKIE}={session_of(service, 'ada')}"),
            own,
        ],
        "in the address": [],
    }


def test_a_wrong_proof_is_none(ask: Asker, service: Service) -> None:
    """Expired, revoked, forged, of another kind: on no route it proves anything, and nothing is done."""
    proofs = wrong_proofs(service)
    secret = service.create_token("t", owner="ada").secret
    before = state(service)
    for operation in every(ask):
        if is_public(operation):
            continue
        of_all = operation.template in THOROUGH
        for what in proofs if of_all else ("expired", "revoked", "a session that was ended"):
            headers = proofs[what]
            query = f"?token={secret}&access_token={secret}" if what == "in the address" else ""
            answer = ask(operation.method, operation.path() + query, headers)
            assert answer.status == 401, (what, operation)
            assert (answer.header("www-authenticate") or "").startswith("Bearer")
    assert state(service) == before


# Where from and where to ------------------------------------------------------------------------------------

FOREIGN_HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example:8700",
    "localhost.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1:8700:80",
    "127.0.0.1:8700.evil.example",
    "0.0.0.0:8700",
    "127.0.0.1 ",
    "localhost.",
    "[::2]",
    "[::1]evil",
    "10.0.0.1",
    "",
    None,
]


def test_a_request_to_a_foreign_name_is_refused(ask: Asker, service: Service, people_: People) -> None:
    """A page whose name was made to lead here gets nothing, with the best of proofs, from any route and method."""
    before = state(service)
    for operation in every(ask):
        for host in FOREIGN_HOSTS if operation.template in THOROUGH else FOREIGN_HOSTS[:2]:
            check_refused(ask(operation.method, operation.path(), host=host, token=people_.owner), 403, "foreign-host")
        twice = ask(operation.method, operation.path(), {"host": "evil.example"}, token=people_.owner)
        check_refused(twice, 403, "foreign-host")
    assert state(service) == before


def test_the_names_of_the_service_are_taken(asker: Callable[..., Asker], people_: People) -> None:
    """Those of this machine always, others where they are configured; ports and letter case don't matter."""
    ask = asker(allowed_hosts=("Tune.example", "FD00::1"))
    for host in (
        "[fd00::1]:8700",
        "127.0.0.1",
        "localhost:1",
        "LOCALHOST",
        "[::1]",
        "[::1]:8700",
        "tune.example",
        "TUNE.example:443",
    ):
        assert ask("GET", "/api/v1/me", host=host, token=people_.owner).status == 200
    check_refused(ask("GET", "/api/v1/me", host="sub.tune.example", token=people_.owner), 403, "foreign-host")


FOREIGN: list[dict[str, str]] = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:8701"},
    {"origin": "http://localhost:8700"},
    {"origin": f"{ORIGIN}.evil.example"},
    {"origin": f"{ORIGIN}/"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "anything"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "origin": ORIGIN},
]


def test_a_request_from_a_page_elsewhere_is_refused(ask: Asker, service: Service, people_: People) -> None:
    """Whatever it proves, and whatever the method: reading is no exception, nor is a preflight."""
    before, cookie = state(service), {"cookie": f"{COOKIE}={session_of(service, 'owner')}"}
    preflight = {"origin": "http://evil.example", "access-control-request-method": "DELETE"}
    for operation in every(ask):
        for headers in (*FOREIGN, preflight) if operation.template in THOROUGH else (FOREIGN[0], FOREIGN[-1]):
            answer = ask(operation.method, operation.path(), {**headers, **cookie}, token=people_.owner)
            check_refused(answer, 403, "foreign-origin")
    now = state(service)
    assert now[:3] == before[:3]


def test_whoever_follows_a_link_from_elsewhere_sees_what_all_may_see(ask: Asker, people_: People) -> None:
    """A page that needs nobody opens from a mail; all else does not, not even with a proof."""
    follows = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask("GET", "/sign-in", follows).status == 200
    check_refused(ask("POST", "/sign-in", follows), 403, "foreign-origin")
    check_refused(ask("GET", "/sign-in", {**follows, "sec-fetch-dest": "iframe"}), 403, "foreign-origin")
    check_refused(ask("GET", "/api/v1/me", follows, token=people_.owner), 403, "foreign-origin")


def test_a_cookie_counts_from_our_own_pages_alone(ask: Asker, service: Service) -> None:
    """A browser must say that the request comes from a page of ours; of one that says nothing nobody is known."""
    cookie = {"cookie": f"theme=dark; {COOKIE}={session_of(service, 'owner')}"}
    own: list[dict[str, str]] = [{"origin": ORIGIN}, {"sec-fetch-site": "same-origin"}]
    typed: list[dict[str, str]] = [{"sec-fetch-site": "none"}, {"referer": f"{ORIGIN}/docs"}]
    foreign: list[dict[str, str]] = [{}, {"referer": "http://evil.example/"}, {"referer": "http://[/"}]
    for headers in (*own, *typed):
        assert ask("GET", "/api/v1/me", {**cookie, **headers}).json["name"] == "owner"
    before = state(service)
    for operation in every(ask):
        if is_public(operation):
            continue
        for headers in foreign if operation.method in SAFE else (*foreign, *typed):
            check_refused(ask(operation.method, operation.path(), {**cookie, **headers}), 401, "unauthenticated")
    assert state(service) == before
    for headers in own:
        assert ask("POST", "/api/v1/users/ada/link", {**cookie, **headers}).status == 201


def test_over_https_origin_and_cookie_are_those_of_https(asker: Callable[..., Asker], service: Service) -> None:
    """A page that came unencrypted, which anybody on the way may have written, is foreign."""
    session = session_of(service, "owner")
    ask = asker(https=True, allowed_hosts=("tune.example",))
    cookie = {"cookie": f"{SECURE_COOKIE}={session}"}
    for origin, status in (
        ("https://tune.example", 200),
        ("https://tune.example:443", 200),
        ("http://tune.example", 403),
    ):
        assert ask("GET", "/api/v1/me", {**cookie, "origin": origin}, host="tune.example").status == status
    plain = {"cookie": f"{COOKIE}={session}", "origin": PLAIN.replace("http:", "https:")}
    assert ask("GET", "/api/v1/me", plain, host="tune.example").status == 401


def test_a_socket_is_refused(make_socket: Callable[[str], list[Message]]) -> None:
    """Nothing but HTTP comes past the guard."""
    assert make_socket("/api/v1/me") == [{"type": "websocket.close", "code": 1008}]


@pytest.fixture
def make_socket(ask: Asker, runner: asyncio.Runner) -> Callable[[str], list[Message]]:
    """What opens a web socket and returns what comes back."""

    def call(path: str) -> list[Message]:
        got: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            got.append(message)

        headers = [(b"host", HOST.encode())]
        runner.run(ask.app({"type": "websocket", "path": path, "headers": headers}, receive, send))
        return got

    return call


# What may be done -------------------------------------------------------------------------------------------

#: Forms that are only looked at.
_LOOKS = ("/new/look",)
#: What whoever only looks may do all the same: prove who they are, and stop to.
_OWN = ("/api/v1/tokens", "/api/v1/tokens/{id}", "/sign-in", "/sign-out")


def test_a_viewer_changes_nothing(ask: Asker, service: Service, people_: People) -> None:
    """No command of any route is carried out for somebody who may only look."""
    before = state(service)[:3]
    for operation in every(ask):
        if operation.method in SAFE or operation.template in _OWN:
            continue
        for body in (None, {"name": "eve", "label": "x", "role": "administrator"}):
            for name in ("ada~e", "vic") if "{name}" in operation.template else ("e",):
                answer = ask(operation.method, operation.path(name=name), token=people_.viewer, json_=body)
                assert not 200 <= answer.status < 300 or operation.path() in _HARMLESS, operation
                if operation.known and "experiments/{name}/" in operation.template:
                    assert operation.path() in _HARMLESS or answer.status in (403, 404, 415, 422, 428), (
                        operation,
                        answer.text,
                    )
    assert state(service)[:3] == before


#: Commands that change nothing, though they are no reads.
_HARMLESS = ("/api/v1/small", "/api/v1/stream", "/api/v1/experiments/e/clone", "/new/look")


@pytest.mark.parametrize("who", ["ben", "viewer"])
def test_what_may_not_be_seen_does_not_exist(ask: Asker, service: Service, people_: People, who: str) -> None:
    """A private experiment of somebody else is answered in the same words as one that never was, on every route."""
    token = getattr(people_, who)
    about = [operation for operation in every(ask) if "experiments/{name}" in operation.template]

    def answers() -> list[Answer]:
        return [
            ask(operation.method, operation.path(name="ada~hidden"), token=token, json_=body)
            for operation in about
            for body in ((None,) if operation.method in SAFE else (None, {}))
        ]

    nothing = answers()
    service.as_caller(ADA).create({**SPEC, "name": "hidden"})
    with service.store.transaction() as tx:
        tx.set_facts("ada/hidden", {"visibility": "private"})
    assert answers() == nothing
    assert {answer.status for answer in nothing} <= {403, 404, 405, 415, 422, 428}
    assert ask("GET", "/api/v1/experiments/ada~hidden", token=people_.owner).status == 200
    listed = ask("GET", "/api/v1/experiments", token=token)
    assert "ada/e" in listed.text
    assert "hidden" not in listed.text


def test_people_and_the_log_are_for_administrators(ask: Asker, people_: People) -> None:
    """Nobody else gets past any of their routes."""
    bodies: dict[str, Any] = {"POST": {"name": "eve"}, "PATCH": {"role": "administrator"}}
    for operation in every(ask):
        about_people = operation.template.startswith(("/api/v1/users", "/api/v1/audit")) and operation.known
        if about_people and operation.method != "HEAD":
            for token in (people_.ada, people_.viewer):
                answer = ask(
                    operation.method, operation.path(name="ada"), token=token, json_=bodies.get(operation.method)
                )
                check_refused(answer, 403, "forbidden")


# Attempts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def attempts(service: Service) -> list[str]:
    """Credentials of two attempts that run: at trial 1 of ada's `e`, and of the owner's."""
    keys = [AttemptKey(name, 1, 1) for name in ("ada/e", "e")]
    with service.store.transaction() as tx:
        for key in keys:
            tx.add_trial(key.experiment, 1, {"x": 0.5}, "random", 1.0, None)
            tx.start_attempt(key, "0" * 32)
    return [credentials.issue(service.store, service.home, key) for key in keys]


def test_the_credential_of_an_attempt_is_good_for_its_reports_alone(
    ask: Asker, service: Service, attempts: list[str]
) -> None:
    """Every other address, of other trials too, is closed to it; what comes when it has ended has no effect."""
    place = "/api/v1/experiments/{}/trials/{}/reports"
    for operation in every(ask):
        if not is_public(operation):
            answer = ask(operation.method, operation.path(name="f"), token=attempts[0])
            check_refused(answer, 403, "forbidden")
    for name, credential, key in (
        ("ada~e", attempts[0], AttemptKey("ada/e", 1, 1)),
        ("e", attempts[1], AttemptKey("e", 1, 1)),
        ("owner~e", attempts[1], AttemptKey("e", 1, 1)),
    ):
        assert ask("POST", place.format(name, 1), token=credential).status not in (401, 403)
        assert (ask.scope["state"]["attempt"], ask.scope["state"]["caller"]) == (key, None)
    for wrong in (place.format("e", 1), place.format("ada~e", 2), place.format("ada~hidden", 1)):
        check_refused(ask("POST", wrong, token=attempts[0]), 403, "forbidden")
    check_refused(ask("GET", place.format("ada~e", 1), token=attempts[0]), 403, "forbidden")
    with service.store.transaction() as tx:
        tx.finish_trial(AttemptKey("ada/e", 1, 1), AttemptEnd(TrialState.STOPPED))
    reports = {"reports": [{"metrics": {"accuracy": 0.5}}]}
    over = ask("POST", place.format("ada~e", 1), token=attempts[0], json_=reports)
    check_refused(over, 409, "attempt-over")


# What browsers may do with answers --------------------------------------------------------------------------


#: Pictures whose addresses change with what they show.
_KEPT = ("/experiments/{name}/ribbon.svg",)


def test_every_answer_has_the_headers_that_it_needs(ask: Asker, people_: People) -> None:
    """No frame, no guess at what it is, no store, no scripts; and nothing opens it to other origins."""
    for operation in every(ask):
        for token in (None, people_.ada):
            answer = ask(operation.method, operation.path(), {"origin": ORIGIN}, token=token)
            assert answer.header("x-content-type-options") == "nosniff"
            assert answer.header("x-frame-options") == "DENY"
            assert answer.header("referrer-policy") in ("same-origin", "strict-origin")
            assert answer.header("cross-origin-resource-policy") == "same-origin"
            kept = "private, max-age=86400" if operation.template in _KEPT and answer.status == 200 else "no-store"
            assert answer.header("cache-control") == kept
            policy = answer.header("content-security-policy") or ""
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy or "sandbox" in policy
            assert "unsafe" not in policy or ("sandbox" in policy and "allow-same-origin" not in policy)
            assert not [name for name, _ in answer.headers if name.startswith("access-control")]


def test_a_bug_is_answered_with_them_too(ask: Asker, people_: People, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked is told a number and nothing else."""
    answer = ask("POST", "/api/v1/bug", token=people_.owner)
    check_refused(answer, 500, "bug")
    assert "private" not in answer.text
    assert answer.header("x-content-type-options") == "nosniff"
    caplog.clear()


# How often and how much -------------------------------------------------------------------------------------


def test_a_bucket_fills_up_again() -> None:
    """There are so many at once, and so many a second; everybody has their own."""
    now = [1000.0]
    buckets = Buckets(2.0, 3, lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.wait("a") == 0.5
    assert buckets.take("b") == buckets.wait("b") == 0
    now[0] += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    now[0] += 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    for number in range(20_000):
        buckets.take(number)
    assert len(buckets._buckets) == 10_000


def test_a_caller_who_asks_too_often_has_to_wait(asker: Callable[..., Asker], people_: People) -> None:
    """The answer says for how long; others don't notice. Whoever is nobody is counted by the address."""
    ask = asker(requests_per_second=0.01, requests_at_once=3)
    for token in (people_.ada, people_.ben, None):
        statuses = [ask("GET", "/api/v1/me", token=token).status for _ in range(5)]
        assert statuses == [401 if token is None else 200] * 3 + [429] * 2
    answer = ask("GET", "/api/v1/me", token=people_.ada)
    check_refused(answer, 429, "too-many")
    assert 90 <= int(answer.header("retry-after") or 0) <= 100
    check_refused(ask("GET", "/healthz"), 429, "too-many")
    ask.address = "127.0.0.2"
    assert ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("way", ["token", "link", "origin"])
def test_an_address_that_fails_too_often_has_to_wait(
    asker: Callable[..., Asker], service: Service, people_: People, way: str
) -> None:
    """It is told so, and its failures fill no log any more; who proves who they are comes in from there, too."""
    ask = asker(failures_per_minute=1, failures_at_once=3)
    ways: dict[str, Callable[[], Answer]] = {
        "token": lambda: ask("POST", "/api/v1/experiments/e/stop", token="tw_wrong"),
        "link": lambda: ask("POST", "/sign-in", {"origin": ORIGIN}, body=b"link=twl_" + b"x" * 43),
        "origin": lambda: ask("POST", "/api/v1/tokens", {"origin": "null"}, token=people_.owner),
    }
    logged = len(service.audit().items)
    answers = [ways[way]() for _ in range(6)]
    assert [answer.status for answer in answers] == [403 if way == "origin" else 401] * 3 + [429] * 3
    assert 1 <= int(answers[-1].header("retry-after") or 0) <= 60
    assert len(service.audit().items) == logged + 3
    assert ask("GET", "/api/v1/me", token=people_.ada).status == 200
    ask.address = "127.0.0.2"
    assert ways[way]().status != 429


def in_parts(size: int, parts: int) -> Iterable[bytes]:
    """Return a body in parts, whose size nobody is told before."""
    return [b"x" * size] * parts


@pytest.mark.parametrize("body", [b"x" * 11, in_parts(6, 2)])
def test_a_body_is_as_large_as_its_route_takes(ask: Asker, people_: People, body: Any) -> None:
    """A larger one is refused, whether its size is told before or not."""
    assert ask("POST", "/api/v1/small", body=b"x" * 10, token=people_.ada).json == 10
    answer = ask("POST", "/api/v1/small", body=body, token=people_.ada)
    check_refused(answer, 413, "too-large")
    assert "10 bytes" in answer.text
    assert answer.header("x-content-type-options") == "nosniff"


def test_what_is_said_to_be_too_large_is_not_read(ask: Asker, people_: People) -> None:
    """No byte of the body is waited for."""
    sent = [("content-length", str(10**12)), ("authorization", f"Bearer {people_.ada}")]
    check_refused(ask("POST", "/api/v1/stream", sent, body=[]), 413, "too-large")
    many = ask("POST", "/api/v1/stream", body=in_parts(1 << 20, 5), token=people_.ada)
    check_refused(many, 413, "too-large")
    assert ask("POST", "/api/v1/stream", body=in_parts(1 << 20, 4), token=people_.ada).json == 4 << 20


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/healthz", [("x-long", "x" * 40_000)]),
        ("/healthz", [(f"x-{number}", "y") for number in range(120)]),
        ("/healthz?" + "x" * 40_000, []),
    ],
)
def test_a_head_that_is_too_large_is_refused(ask: Asker, path: str, headers: list[tuple[str, str]]) -> None:
    """Long headers, many of them, and long addresses are."""
    check_refused(ask("GET", path, headers), 431, "head-too-large")


# The log ----------------------------------------------------------------------------------------------------


def logged(service: Service) -> list[AuditRow]:
    """Return the log without what was done on this machine, the oldest first."""
    return [row for row in reversed(service.store.audits()) if row.address != "local"]


def test_whatever_changes_something_is_logged_done_or_refused(ask: Asker, service: Service, people_: People) -> None:
    """With who, from where, what, and what became of it; before the answer is given; reads are not."""
    ask("GET", "/api/v1/me", token=people_.ada)
    ask("POST", "/api/v1/experiments/ada~e/stop", token=people_.ada)
    ask("POST", "/api/v1/experiments/ada~e/stop", token=people_.ben)
    ask("POST", "/api/v1/experiments/ada~nothing/stop", token=people_.ben)
    ask("POST", "/api/v1/experiments/ada~e/stop")
    ask("POST", "/api/v1/experiments/ada~e/stop", {"origin": "null"}, token=people_.ada)
    ask("POST", "/api/v1/tokens", token=people_.ada, json_={"label": ""})
    ask("DELETE", "/api/v1/nowhere", token=people_.ada)
    ask("POST", "/api/v1/small", token=people_.ada, body=b"x" * 11)
    assert [(row.caller, row.address, row.verb, row.about, row.outcome) for row in logged(service)] == [
        ("ada", "127.0.0.1", "stop", "ada/e", "done"),
        ("ben", "127.0.0.1", "stop", "ada/e", "forbidden"),
        ("ben", "127.0.0.1", "stop", "ada/nothing", "not-found"),
        ("", "127.0.0.1", "POST", "/api/v1/experiments/ada~e/stop", "unauthenticated"),
        ("", "127.0.0.1", "POST", "/api/v1/experiments/ada~e/stop", "foreign-origin"),
        ("ada", "127.0.0.1", "create_token", "ada", "invalid-field"),
        ("ada", "127.0.0.1", "DELETE", "/api/v1/nowhere", "no-such-address"),
        ("ada", "127.0.0.1", "small", "", "too-large"),
    ]
    assert logged(service)[1].data == {"status": 403}


def test_what_was_made_is_named_and_what_comes_often_is_left_out(ask: Asker, service: Service, people_: People) -> None:
    """A line tells what came of it; checks, reports and parts of uploads, which programs send on end, have none."""
    spec = {
        "name": "new",
        "scheduler": "workers",
        "parameters": {"x": [1, 2]},
        "objective": {"metric": "loss", "goal": "minimize"},
        "max_trials": 1,
    }
    post = partial(ask, "POST", token=people_.ada)
    post("/api/v1/experiments?dry_run=true", json_=spec)
    assert post("/api/v1/experiments", json_=spec).status == 201
    upload = post("/api/v1/uploads", json_={"name": "a.zip", "size": 3}).json["id"]
    ask("PUT", f"/api/v1/uploads/{upload}/parts/0", token=people_.ada, body=b"abc")
    post("/api/v1/experiments/new/suggestions", json_={"worker": "w", "wait": 0})
    assert [(row.verb, row.about, row.outcome) for row in logged(service)] == [
        ("create", "ada/new", "done"),
        ("create_upload", upload, "done"),
    ]


def test_every_command_of_every_route_is_logged(ask: Asker, service: Service, people_: People) -> None:
    """There is no route that somebody could use without a trace."""
    for operation in every(ask):
        if operation.method in SAFE or not operation.known or operation.template in _LOOKS:
            continue
        before = len(service.store.audits(limit=10_000))
        ask(operation.method, operation.path(), {"origin": ORIGIN}, token=people_.viewer)
        assert len(service.store.audits(limit=10_000)) > before, operation


def test_an_answer_is_given_though_the_log_cannot_be_written(
    ask: Asker, service: Service, people_: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was done is done; the line goes into the program's own log."""

    def fail(entry: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(service.gate, "note", fail)
    assert ask("POST", "/api/v1/experiments/ada~e/stop", token=people_.ada).status == 202
    assert "not in the audit log" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_a_forwarded_address_is_believed_of_our_proxies_alone(
    asker: Callable[..., Asker], service: Service, people_: People, peer: str, forwarded: str, address: str
) -> None:
    """And of what such a proxy says, only what lies behind it."""
    ask = asker(trusted_proxies=("10.0.0.0/8",))
    ask.address = peer
    ask("POST", "/api/v1/experiments/ada~e/stop", {"x-forwarded-for": forwarded}, token=people_.ada)
    assert logged(service)[-1].address == address


def test_https_is_believed_of_our_proxies_alone(asker: Callable[..., Asker], service: Service) -> None:
    """It decides which cookie a browser gets."""
    ask = asker(trusted_proxies=("10.0.0.1",))
    for peer, cookie in (("10.0.0.1", SECURE_COOKIE), ("10.0.0.2", COOKIE)):
        ask.address = peer
        body = f"link={service.sign_in_link('ada').secret}".encode()
        origin = "https" if peer == "10.0.0.1" else "http"
        headers = {"x-forwarded-proto": "https", "origin": f"{origin}://{HOST}"}
        assert (ask("POST", "/sign-in", headers, body=body).header("set-cookie") or "").startswith(f"{cookie}=")


# Secrets ----------------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_answer_or_log(
    ask: Asker, service: Service, people_: People, attempts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens, links, sessions, credentials and values of environments are told nobody but whom they were made for."""
    caplog.set_level(logging.DEBUG)
    link, session = service.sign_in_link("ada").secret, session_of(service, "ada")
    secrets = [*people_.__dict__.values(), *attempts, link, session, SECRET]
    answers = []
    for operation in every(ask):
        for token in (None, people_.owner, attempts[0]):
            if (token is not None and operation.template == "/sign-out") or operation.method in ("HEAD", "OPTIONS"):
                continue
            spec = {**SPEC, "label": 3, "max_trials": "x"}
            for body in (None,) if operation.method in SAFE else (None, spec):
                path = f"{operation.path(name='ada~e')}?link={link}"
                cookie = {"cookie": f"{COOKIE}={session}", "origin": ORIGIN}
                answer = ask(operation.method, path, cookie, token=token, json_=body)
                if operation.template not in ("/sign-in",):
                    answers.append(answer.text)
                assert link not in str(ask.scope["query_string"])
    ask("POST", f"/api/v1/experiments/{link}/stop", token=people_.ada)
    told = caplog.text + repr(service.store.audits(limit=10_000)) + repr(service.audit(limit=1000))
    for secret in secrets:
        assert secret not in told
        assert not [answer for answer in answers if secret in answer]
    caplog.clear()
