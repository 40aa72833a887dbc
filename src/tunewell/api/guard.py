"""What stands before every route, known or not, and every method.

A request must be sent to a name of the service, must not come from a page of another origin, and, but for a few
addresses, must prove who its caller is: by a token (`Authorization: Bearer`), by the cookie of a session, which counts
only from our own pages, or, where attempts report, by the credential of one. The caller is then in
`request.state.caller`; where an attempt asks, `request.state.attempt` is that, and the caller None. How often, and how
much is sent, is limited. Every answer has headers that keep browsers from doing more with it than it is meant for, and
none that opens it to other origins. Whatever changes something is logged before its answer is given, done or refused.

Limits of rates are those of one process.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunewell.api import problems
from tunewell.api.looking import is_looked, is_to_be_put_down
from tunewell.api.problems import Problem, Refusal
from tunewell.api.rates import Buckets
from tunewell.api.settings import Settings
from tunewell.api.sizes import Body, is_head_too_large
from tunewell.api.visits import STATIC, Doors, Visit
from tunewell.service.gate import Entry, Proof
from tunewell.service.proofs import Kind
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.errors import UserError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import HOME_OWNER, from_address, full_name, owner_of
from tunewell.spec.secrets import hide_tokens

log = logging.getLogger(__name__)

#: Where the credential of an attempt is good, for a POST: where its own trial reports.
_OF_ATTEMPTS = re.compile(
    r"/api/v1/experiments/(?P<name>[^/]+)/trials/(?P<number>[0-9]+)/(reports|heartbeat|log|complete)"
)
_ATTEMPT_PREFIX = "twa_"
#: Headers of every answer that has none of its own of that name.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: Headers of every answer.
_FIXED = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
#: What routes and others leave in the state of a request → what the log calls it. (`about`: whom, beside the address.)
_TOLD = {"request_id": "request", "fields": "fields"}
#: What the log says of a refusal that does not say itself of which kind it is.
_OUTCOMES = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    409: "conflict",
    413: "too-large",
    422: "wrong-input",
}


class Guard:
    """The outermost part of an app."""

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        settings: Settings,
        show_problem: Callable[[Request, Problem], Response] | None = None,
    ) -> None:
        """Stand before an app over a service; `show_problem` makes a page of a problem, for people who see pages."""
        self._app = app
        self._show_problem = show_problem
        self._service = service
        self._doors = Doors.of(settings)
        self._requests = Buckets(settings.requests_per_second, settings.requests_at_once)
        self._body_seconds = settings.body_seconds
        self._failures = Buckets(settings.failures_per_minute / 60, settings.failures_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        visit = Visit(scope, self._doors)
        state = scope.setdefault("state", {})
        state.update(caller=None, attempt=None, proof=None, address=visit.address, https=visit.is_https)
        if visit.is_to_us and visit.is_for_person:
            state["show_problem"] = self._show_problem
        _hide_link(scope)
        body = Body(scope, receive, self._body_seconds)
        answer = _Answer(send, visit, body, self._service)
        try:
            self._check(visit)
            await self._identify(visit)
        except UserError as error:
            if visit.is_to_us and (page := _instead(visit, error)) is not None:
                await page(scope, receive, answer.send)
                return
            error = self._count(visit, error)
            if problems.status_of(error) == 429:  # else whoever comes too often would fill the log
                answer.is_logged = False
            await _respond(error, scope, receive, answer.send)
            return
        try:
            await self._app(scope, body.receive, answer.send)
        finally:
            if body.is_too_large and not answer.begun:
                await answer.refuse_size()
        if visit.path == "/sign-in" and answer.status == 401:
            self._failures.take(visit.address)

    # Who may come in --------------------------------------------------------------------------------------

    def _check(self, visit: Visit) -> None:
        """Raise a `Refusal` if it doesn't matter who asks."""
        if is_head_too_large(visit.scope):
            raise Refusal(431, "the head of the request is too large", kind="head-too-large")
        if not visit.is_to_us:
            raise Refusal(
                403,
                "the request was sent to a name that is none of this service's",
                field="Host",
                kind="foreign-host",
                remedy="Whoever runs the service can allow the name",
            )
        if visit.is_foreign:
            raise Refusal(
                403,
                "the request comes from a page of another origin",
                field="Origin",
                kind="foreign-origin",
                remedy="Behind a proxy, the service must know its own names and the proxy's address",
            )
        wait = self._failures.wait(visit.address) if visit.path == "/sign-in" and not visit.is_safe else 0.0
        if wait:
            raise _too_many(wait)

    async def _identify(self, visit: Visit) -> None:
        """Find out who asks; raise a `Refusal` if somebody must and nobody does."""
        state: dict[str, Any] = visit.scope["state"]
        if visit.is_public:
            self._limit(("address", visit.address))
            return
        bearer, cookie = visit.bearer, visit.cookie
        if bearer is not None and bearer.startswith(_ATTEMPT_PREFIX):
            state["attempt"] = await self._attempt(visit, bearer)
            self._limit(state["attempt"])
            return
        kind: Kind = "token" if bearer is not None else "session"
        secret = bearer if bearer is not None else cookie
        proof = await self._proof(secret, kind) if secret is not None else None
        if secret is None or proof is None:
            self._limit(("address", visit.address))
            _reject(is_wrong=bearer is not None)
        admitted = partial(self._is_admitted, secret, kind, proof.caller)
        state.update(caller=proof.caller, proof=proof, caller_name=proof.caller.name, admitted=admitted)
        self._limit(("caller", proof.caller.name))

    async def _proof(self, secret: str, kind: Kind) -> Proof | None:
        gate = self._service.gate
        return gate.known(secret, kind) or await run_sync(gate.prove, secret, kind)

    async def _is_admitted(self, secret: str, kind: Kind, caller: Caller) -> bool:
        """Whether a secret still proves that somebody is a caller with the same rights."""
        proof = await self._proof(secret, kind)
        return proof is not None and proof.caller == caller

    async def _attempt(self, visit: Visit, credential: str) -> AttemptKey:
        attempt = await run_sync(self._service.attempt_of, credential)
        if attempt is None:
            _reject(is_wrong=True)
        place = _OF_ATTEMPTS.fullmatch(visit.path) if visit.method == "POST" else None
        name = full_name(HOME_OWNER, place["name"].replace("~", "/", 1)) if place is not None else ""
        if place is None or (name, int(place["number"])) != (attempt.experiment, attempt.trial):
            raise Refusal(403, "the credential of an attempt is good for its own reports alone", kind="forbidden")
        return attempt

    def _limit(self, whose: object) -> None:
        wait = self._requests.take(whose)
        if wait:
            raise _too_many(wait)

    def _count(self, visit: Visit, error: UserError) -> UserError:
        """Return how a refused request is answered: who fails too often is told to wait."""
        tried = not visit.is_safe or visit.bearer is not None
        wait = self._failures.take(visit.address) if tried and problems.status_of(error) in (401, 403) else 0.0
        return _too_many(wait) if wait else error


class _Answer:
    """What is sent, with the headers that it needs, and logged first if the request may have changed something."""

    def __init__(self, send: Send, visit: Visit, body: Body, service: Service) -> None:
        self._send = send
        self._visit = visit
        self._body = body
        self._service = service
        self._held: Message | None = None
        self.is_logged = not visit.is_safe
        self.begun = False
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if self._body.is_too_large and not self.begun:
            return  # the app's own word about it
        if message["type"] == "http.response.start":
            self._set_headers(message)
            self.status = message["status"]
            if self.is_logged and self.status >= 400:
                self._held = message  # the kind of the error is in the body
                return
            await self._log("done")
            self._begin()
        elif self._held is not None:
            held, self._held = self._held, None
            kind = _kind(message.get("body", b""))
            await self._log(kind or _OUTCOMES.get(self.status, f"status {self.status}"))
            self._begin()
            await self._send(held)
        await self._send(message)

    def _begin(self) -> None:
        self.begun = True
        self._body.is_awaited = False

    async def refuse_size(self) -> None:
        """Answer a request whose body is too large."""
        self._body.is_too_large = False
        self._held = None
        limit = self._body.limit
        refusal = Refusal(413, f"the body is larger than {limit} bytes", kind="too-large", field="body")
        await _respond(refusal, self._visit.scope, self._body.receive, self.send)

    def _set_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name in [name for name in headers if name.startswith("access-control-")]:
            del headers[name]
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        for name, value in _FIXED.items():
            headers[name] = value
        if not self._visit.path.startswith(STATIC):
            headers.setdefault("Cache-Control", "no-store")

    async def _log(self, outcome: str) -> None:
        scope = self._visit.scope
        state = scope["state"]
        if not (self.is_logged or is_to_be_put_down(scope)) or (outcome == "done" and is_looked(scope)):
            return
        caller, endpoint = state["caller"], scope.get("endpoint")
        named = " ".join(from_address(str(one)) for one in scope.get("path_params", {}).values())
        entry = Entry(
            caller=caller.name if caller is not None else _owner(state["attempt"]),
            address=self._visit.address,
            verb=getattr(endpoint, "__name__", self._visit.method),
            about=state.get("about") or (named if endpoint is not None else self._visit.path),
            outcome=outcome,
            data={"status": self.status, **{told: state[name] for name, told in _TOLD.items() if name in state}},
        )
        try:
            await run_sync(self._service.gate.note, entry)
        except Exception:  # what was done is done, and has its answer
            log.exception("not in the audit log: %s", entry)


def _owner(attempt: AttemptKey | None) -> str:
    """Return for whom an attempt speaks that proves itself; empty: nobody known."""
    return owner_of(attempt.experiment) if attempt is not None else ""


def _kind(body: bytes) -> str:
    """Return of which kind a problem is, empty if it is none."""
    try:
        return str(json.loads(body).get("kind", ""))
    except (ValueError, AttributeError):
        return ""


def _too_many(wait: float) -> Refusal:
    seconds = math.ceil(wait)
    remedy, headers = f"Try again in {seconds} s", {"Retry-After": f"{seconds}"}
    return Refusal(429, "there were too many requests", kind="too-many", remedy=remedy, headers=headers)


def _reject(is_wrong: bool) -> NoReturn:
    challenge = 'Bearer realm="tunewell"' + (', error="invalid_token"' if is_wrong else "")
    what = "the token is wrong, was revoked or has expired" if is_wrong else "the request does not say who sends it"
    remedy = "Send `Authorization: Bearer TOKEN`, or sign in with a link, which an administrator makes"
    raise Refusal(401, what, kind="unauthenticated", remedy=remedy, headers={"WWW-Authenticate": challenge})


def _instead(visit: Visit, error: UserError) -> Response | None:
    """Return what a person gets who asks for a page and has not proven who they are; None: the error itself."""
    if visit.arrives:
        return HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0"><title>Tunewell</title>')
    if visit.is_page and problems.status_of(error) == 401:
        return RedirectResponse(f"{visit.root}/sign-in?{urlencode({'next': visit.address_below})}", 303)
    return None


async def _respond(error: UserError, scope: Scope, receive: Receive, send: Send) -> None:
    await problems.answer_to(error, scope)(scope, receive, send)


def _hide_link(scope: Scope) -> None:
    """Take what somebody proves themselves by out of the address, which is in every log."""
    query = scope["query_string"].decode("latin-1")
    hidden = hide_tokens(query)
    if hidden != query:
        scope["state"]["query"] = query
        scope["query_string"] = hidden.encode("latin-1")
