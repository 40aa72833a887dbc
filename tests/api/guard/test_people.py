"""The routes about people, and signing in and out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.guard.asking import HOST, Answer, Asker
from tests.api.guard.conftest import People
from tunewell.api.visits import SECURE_COOKIE
from tunewell.service.service import Service

OWN = {"origin": f"http://{HOST}"}
FORM = {**OWN, "content-type": "application/x-www-form-urlencoded"}


def sign_in(ask: Asker, link: str) -> Answer:
    """Do what the button on the page of a link does."""
    return ask("POST", "/sign-in", FORM, body=f"link={link}".encode())


def cookie_of(answer: Answer) -> str:
    """Return what a browser sends back from then on."""
    return (answer.header("set-cookie") or "").partition(";")[0]


def test_everybody_learns_who_they_are(ask: Asker, service: Service, people_: People) -> None:
    """Name, role, rights, quota, and what of it is used."""
    service.change_user("ada", {"quota": {"gpus": 2}})
    answer = ask("GET", "/api/v1/me", token=people_.ada)
    used = {"running": 0, "cpus": 0, "gpus": 0, "disk_bytes": 0, "cpu_hours": 0.0, "gpu_hours": 0.0}
    known = {"name": "ada", "role": "user", "run_code": True, "weight": 1.0, "quota": {"gpus": 2}}
    assert answer.json == {**known, "used": used}


def test_an_administrator_adds_and_changes_users(ask: Asker, people_: People) -> None:
    """Only what is named changes; a key has it done once."""

    def call(method: str, path: str, body: Any = None, key: str = "k") -> Answer:
        return ask(method, f"/api/v1/users{path}", {"idempotency-key": key}, token=people_.owner, json_=body)

    for _ in range(2):
        made = call("POST", "", {"name": "eve", "weight": 2})
        assert (made.status, made.json["role"], made.json["weight"]) == (201, "user", 2.0)
    assert call("POST", "", {"name": "eve"}, "l").status == 409
    changed = call("PATCH", "/eve", {"role": "viewer"}, "m").json
    assert (changed["role"], changed["weight"], changed["disabled_at"]) == ("viewer", 2.0, None)
    assert call("PATCH", "/eve", {"disabled": True}, "n").json["disabled_at"] is not None
    assert [user["name"] for user in call("GET", "").json["items"]] == ["ada", "ben", "eve", "owner", "vic"]
    page = call("GET", "?limit=2").json
    assert [user["name"] for user in call("GET", f"?limit=2&cursor={page['next']}").json["items"]] == ["eve", "owner"]
    assert call("GET", "/eve").json["role"] == "viewer"
    for wrong in (
        {"role": "king"},
        {"run_code": "yes"},
        {"weight": 0},
        {"quota": {"gpus": "x"}},
        {"name": "x"},
        {"role": None},
    ):
        assert call("PATCH", "/eve", wrong, "o").status == 422, wrong
    assert call("PATCH", "/nobody", {"role": "user"}, "p").status == 404
    assert call("PATCH", "/owner", {"role": "user"}, "q").status == 409
    assert call("GET", "?cursor=X").status == call("GET", "?limit=0").status == 422


def test_all_that_is_wrong_with_a_body_is_told_at_once(ask: Asker, people_: People) -> None:
    """Each error has its field, and a remedy that names what there is."""
    body = {"name": "Eve", "wieght": 2, "quota": {"gpu": 2, "disk_bytes": "much"}}
    answer = ask("POST", "/api/v1/users", token=people_.owner, json_=body)
    told = {one["field"]: one for one in answer.json["errors"]}
    assert answer.status == 422 and told.keys() == {"name", "wieght", "quota.gpu", "quota.disk_bytes"}
    assert told["wieght"]["remedy"] == "Did you mean 'weight'" and told["quota.gpu"]["remedy"] == "Did you mean 'gpus'"
    assert told["quota.disk_bytes"]["remedy"] == "Write it like 500M or 8G"


def test_tokens_come_and_go(ask: Asker, people_: People) -> None:
    """The secret is told once; a revoked one is good for nothing at once."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = ask("POST", "/api/v1/tokens", token=people_.ada, json_={"label": "laptop", "expires_at": until})
    assert made.status == 201
    secret, id = made.json["secret"], made.json["token"]["id"]
    assert ask("GET", "/api/v1/me", token=secret).json["name"] == "ada"
    listed = ask("GET", "/api/v1/tokens", token=secret)
    assert [(one["label"], one["kind"]) for one in listed.json["items"]] == [("laptop", "token"), ("t", "token")]
    assert secret not in listed.text
    assert ask("DELETE", f"/api/v1/tokens/{id}", token=people_.ben).status == 404
    assert ask("DELETE", f"/api/v1/tokens/{id}", token=people_.ada).status == 204
    assert ask("GET", "/api/v1/me", token=secret).status == 401
    for body in ({}, {"label": ""}, {"label": "x", "expires_at": "2000-01-01T00:00:00Z"}, {"label": "x", "more": 1}):
        assert ask("POST", "/api/v1/tokens", token=people_.ada, json_=body).status == 422
    assert ask("POST", "/api/v1/tokens", token=people_.ada, json_={"label": "x", "owner": "ben"}).status == 403
    assert ask("GET", "/api/v1/tokens?owner=ben", token=people_.ada).status == 403
    assert ask("GET", "/api/v1/tokens?owner=ben", token=people_.owner).json["items"][0]["owner"] == "ben"


def test_a_link_signs_a_browser_in_once(ask: Asker, people_: People) -> None:
    """Looking at it uses nothing up; the button does, and its cookie is for browsers of this site alone."""
    made = ask("POST", "/api/v1/users/ada/link", token=people_.owner)
    link = made.json["secret"]
    for method in ("GET", "HEAD", "GET"):
        page = ask(method, f"/sign-in?link={link}")
        assert page.status in (200, 405)
    assert f'value="{link}"' in page.text
    answer = sign_in(ask, link)
    assert (answer.status, answer.header("location")) == (303, "/")
    flags = {flag.strip().lower() for flag in (answer.header("set-cookie") or "").split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=1209600"} <= flags
    assert not any(flag.startswith(("domain", "secure")) for flag in flags)
    cookie = {"cookie": cookie_of(answer), **OWN}
    assert ask("GET", "/api/v1/me", cookie).json["name"] == "ada"
    assert sign_in(ask, link).status == 401
    out = ask("POST", "/sign-out", cookie)
    assert out.status == 204
    assert "max-age=0" in (out.header("set-cookie") or "").lower()
    assert ask("GET", "/api/v1/me", cookie).status == 401


def test_the_cookie_over_https_is_bound_to_the_host(asker: Callable[..., Asker], service: Service) -> None:
    """No other host can set it, and it never travels unencrypted; a path below which the service is offered is kept."""
    ask = asker(https=True)
    ask.root_path = "/tune"
    body = f"link={service.sign_in_link('ada').secret}".encode()
    answer = ask("POST", "/sign-in", {"origin": f"https://{HOST}"}, body=body)
    assert answer.header("location") == "/tune/"
    assert cookie_of(answer).startswith(f"{SECURE_COOKIE}=")
    assert "; secure" in (answer.header("set-cookie") or "").lower()
    assert ask("GET", "/tune/api/v1/me").status == 401
    assert ask("GET", "/tune/healthz").status == 200


@pytest.mark.parametrize("link", ["", "twl_x", "<script>", "twl_" + "x" * 43, "%00", "&&&=", "tw_" + "x" * 43])
def test_what_is_no_link_signs_nobody_in(ask: Asker, link: str) -> None:
    """The page asks for another one, and shows nothing of what it was given."""
    answer = sign_in(ask, link)
    assert answer.status == 401
    assert answer.header("set-cookie") is None
    page = ask("GET", f"/sign-in?link={link}")
    assert page.status == 200
    assert "<script>" not in page.text + answer.text


def test_a_link_may_be_pasted_whole(ask: Asker, service: Service) -> None:
    """Whoever copies the whole address into the field is signed in, too."""
    link = service.sign_in_link("ada").secret
    assert sign_in(ask, f"http%3A%2F%2F{HOST}%2Fsign-in%3Flink%3D{link}").status == 303


def test_a_program_signs_out_by_losing_its_token(ask: Asker, people_: People) -> None:
    """What was come with is revoked, and nothing else of its user's."""
    other = ask("POST", "/api/v1/tokens", token=people_.ada, json_={"label": "other"}).json["secret"]
    assert ask("POST", "/sign-out", token=other).status == 204
    assert ask("GET", "/api/v1/me", token=other).status == 401
    assert ask("GET", "/api/v1/me", token=people_.ada).status == 200


def test_whoever_is_shut_out_is_out_at_once(ask: Asker, service: Service, people_: People) -> None:
    """Sessions, tokens and links are all gone, and stay so when the account is enabled again."""
    cookie = {"cookie": cookie_of(sign_in(ask, service.sign_in_link("ada").secret)), **OWN}
    link = service.sign_in_link("ada").secret
    for disabled in (True, False):
        assert ask("PATCH", "/api/v1/users/ada", token=people_.owner, json_={"disabled": disabled}).status == 200
        assert ask("GET", "/api/v1/me", cookie).status == 401
        assert ask("GET", "/api/v1/me", token=people_.ada).status == 401
        assert sign_in(ask, link).status == 401


def test_the_log_tells_who_signed_in(ask: Asker, service: Service, people_: People) -> None:
    """And who could not; its pages and its filter work."""
    link = service.sign_in_link("ada").secret
    for _ in range(2):
        sign_in(ask, link)
    entries = ask("GET", "/api/v1/audit?limit=2", token=people_.owner).json
    told = [(one["caller"], one["verb"], one["outcome"], one["address"]) for one in entries["items"]]
    assert told == [("", "sign_in", "unauthenticated", "127.0.0.1"), ("ada", "sign_in", "done", "127.0.0.1")]
    assert ask("GET", f"/api/v1/audit?cursor={entries['next']}", token=people_.owner).status == 200
    of_ada = ask("GET", "/api/v1/audit?caller=ada", token=people_.owner).json["items"]
    assert {one["caller"] for one in of_ada} == {"ada"}
    assert ask("GET", "/api/v1/audit?caller=", token=people_.owner).json["items"][0]["caller"] == ""
    assert ask("GET", "/api/v1/audit?cursor=x", token=people_.owner).status == 422
    assert ask("GET", "/api/v1/audit?caller=%00", token=people_.owner).status in (404, 422)


def test_the_log_tells_about_whom(ask: Asker, service: Service, people_: People) -> None:
    """Who was added, changed or given a token, and which fields, here and over the network; never their values."""
    ask("POST", "/api/v1/users", token=people_.owner, json_={"name": "eve"})
    ask("PATCH", "/api/v1/users/eve", token=people_.owner, json_={"weight": 2, "quota": {"gpus": 1}})
    ask("POST", "/api/v1/tokens", token=people_.owner, json_={"label": "x", "owner": "eve"})
    service.change_user("eve", {"role": "viewer"})
    entries = service.audit(limit=4).items
    assert [(one.verb, one.about, one.data.get("fields")) for one in entries] == [
        ("change_user", "eve", ["role"]),
        ("create_token", "eve", None),
        ("change_user", "eve", ["quota", "weight"]),
        ("add_user", "eve", None),
    ]


def test_the_link_leaves_in_no_referer(ask: Asker, service: Service) -> None:
    """What the page loads, and where it leads, learns of which origin it is and no more."""
    page = ask("GET", f"/sign-in?link={service.sign_in_link('ada').secret}")
    assert page.header("referrer-policy") == "strict-origin"
