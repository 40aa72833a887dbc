"""Where notifications of the caller go, what was sent there, and, for administrators, which hosts are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Path, Query, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.api.problems import status_of
from tunewell.api.sizes import takes
from tunewell.console.pages.actions import FORM_BYTES, done
from tunewell.console.pages.settings.frame import section
from tunewell.service.types import Caller, NewChannel
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, UserError, ended
from tunewell.spec.notifications import ChannelKind, NotifiedEvent, NotifiedSearches, WebhookBody, host_and_port

router = APIRouter()

SECTION = "notifications"
PLACE = f"/settings/{SECTION}"
#: What a change of may have something sent.
FOLLOWED = ("experiments",)
#: Deliveries on a page.
ROWS = 25
#: Event → what people call it.
EVENTS: Final[Mapping[NotifiedEvent, str]] = {
    "ended": "A search has ended",
    "target_reached": "A search has reached its target",
    "failed": "A search has failed",
    "disk_low": "The disk is nearly full",
}
#: Which searches → what people call them.
SEARCHES: Final[Mapping[NotifiedSearches, str]] = {
    "own": "my searches",
    "all": "all searches that I may see",
    "project": "searches of a project",
}
#: Port of a host where none is named.
_PORT = 443
#: How the form calls what a channel is → its kind, and what it is sent.
KINDS: Final[Mapping[str, tuple[ChannelKind, WebhookBody]]] = {
    "slack": ("webhook", "slack"),
    "json": ("webhook", "json"),
    "mail": ("mail", "json"),
}
_ChannelId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_DeliveryId = Annotated[int, Path(ge=1, le=2**31 - 1)]
#: What the form begins with.
_EMPTY: Final[Mapping[str, Any]] = {
    "kind": "slack",
    "target": "",
    "label": "",
    "events": ("ended",),
    "searches": "own",
    "project": "",
}


@router.get(PLACE)
def notifications(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Return the channels of the caller."""
    return _page(request, verbs, caller)


@router.post(PLACE)
@takes(FORM_BYTES)
async def add_channel(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Add a channel; the page that follows tells its secret, or what is wrong, at the field."""
    given = {**_EMPTY, **await _told_of(request)}
    kind, body = KINDS.get(given["kind"], ("webhook", "json"))

    def add() -> NewChannel:
        return verbs.add_channel(
            given["target"],
            kind=kind,
            body=body,
            label=given["label"],
            events=given["events"],
            searches=given["searches"],
            project=given["project"],
        )

    try:
        new = await run_sync(add)
    except UserError as error:
        return await run_sync(partial(_page, request, verbs, caller, given=given, error=error))
    request.state.about = str(new.channel.id)
    return await run_sync(partial(_page, request, verbs, caller, new=new))


@router.get(f"{PLACE}/{{id}}")
def deliveries(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    id: _ChannelId,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
) -> Response:
    """Return what was sent to a channel, or is to be."""
    one = verbs.channel(id)
    context = {
        "one": one,
        "found": verbs.deliveries(id, cursor=cursor, limit=ROWS),
        "is_first": cursor is None,
        "is_own": one.owner == caller.name and caller.role != "viewer",
        "event_words": EVENTS,
    }
    title = "Deliveries"
    return section(
        request, caller, "deliveries", SECTION, context, parts=("deliveries",), follows=FOLLOWED, title=title
    )


@router.post(f"{PLACE}/{{id}}/change")
@takes(FORM_BYTES)
async def change_channel(request: Request, verbs: AsCaller, id: _ChannelId) -> Response:
    """Change what a channel is told of."""
    changes = await _told_of(request)
    await run_sync(lambda: verbs.change_channel(id, changes))
    return done(request, "Changed.", PLACE)


@router.post(f"{PLACE}/{{id}}/on")
def switch_on(request: Request, verbs: AsCaller, id: _ChannelId) -> Response:
    """Have notifications sent to a channel again."""
    verbs.change_channel(id, {"active": True})
    return done(request, "Notifications are sent there again.", PLACE)


@router.post(f"{PLACE}/{{id}}/off")
def switch_off(request: Request, verbs: AsCaller, id: _ChannelId) -> Response:
    """Have nothing sent to a channel any more."""
    verbs.change_channel(id, {"active": False})
    return done(request, "Nothing is sent there any more.", PLACE, (f"{PLACE}/{id}/on", "Undo"))


@router.post(f"{PLACE}/{{id}}/remove")
def remove_channel(request: Request, verbs: AsCaller, id: _ChannelId) -> Response:
    """Remove a channel."""
    verbs.remove_channel(id)
    return done(request, "It is removed.", PLACE)


@router.post(f"{PLACE}/{{id}}/test")
@takes_long
def test_channel(request: Request, verbs: AsCaller, id: _ChannelId) -> Response:
    """Send a test message, or another code to an address that is not confirmed."""
    sent = verbs.test_channel(id)
    good = "Another code is sent." if sent.event == "confirmation" else "The test message was delivered."
    return done(request, good if sent.state == "delivered" else f"Not delivered: {sent.error}", PLACE)


@router.post(f"{PLACE}/{{id}}/confirm")
def confirm_channel(
    request: Request, verbs: AsCaller, id: _ChannelId, code: Annotated[str, Form(max_length=100)]
) -> Response:
    """Confirm an address by the code that it was sent."""
    verbs.confirm_channel(id, code)
    return done(request, "The address is confirmed.", PLACE)


@router.post(f"{PLACE}/{{id}}/deliveries/{{delivery}}/redeliver")
def redeliver(request: Request, verbs: AsCaller, id: _ChannelId, delivery: _DeliveryId) -> Response:
    """Have something sent to a channel again."""
    verbs.redeliver(id, delivery)
    return done(request, "It is sent again.", f"{PLACE}/{id}")


@router.post(f"{PLACE}/hosts/allow")
def allow_host(  # what a form of an entry says
    request: Request,
    verbs: AsCaller,
    host: Annotated[str, Form(max_length=2000)],
    port: Annotated[int, Form(ge=1, le=65535)] = _PORT,
    plain_http: Annotated[bool, Form()] = False,
    private: Annotated[bool, Form()] = False,
) -> Response:
    """Let notifications be sent to a host."""
    host, named = host_and_port(host, port)
    if port not in (named, _PORT):
        problem = f"the host names port {named}, and this is another one"
        raise ArgumentError("port", problem, "Write the port once")
    request.state.about = f"{host} {named}"
    verbs.allow_host(host, port=named, plain_http=plain_http, private=private)
    return done(request, f"Notifications may be sent to {host}{'' if named == _PORT else f':{named}'}.", PLACE)


@router.post(f"{PLACE}/hosts/withdraw")
def withdraw_host(
    request: Request,
    verbs: AsCaller,
    host: Annotated[str, Form(max_length=255)],
    port: Annotated[int, Form(ge=1, le=65535)] = 443,
) -> Response:
    """Let nothing be sent to a host any more."""
    request.state.about = f"{host} {port}"
    verbs.withdraw_host(host, port=port)
    return done(request, f"Nothing is sent to {host} any more.", PLACE)


def _page(
    request: Request,
    verbs: Verbs,
    caller: Caller,
    new: NewChannel | None = None,
    given: Mapping[str, Any] = _EMPTY,
    error: UserError | None = None,
) -> Response:
    """Return the page, with what was just added, or with what is wrong with a form as it was sent."""
    is_administrator = caller.role == "administrator"
    others = [one for one in verbs.channels(everyone=True) if one.owner != caller.name] if is_administrator else []
    context = {
        "channels": verbs.channels(),
        "others": others,
        "allowed": verbs.allowed_hosts(),
        "is_administrator": is_administrator,
        "may_add": caller.role != "viewer",
        "event_words": {name: words for name, words in EVENTS.items() if is_administrator or name != "disk_low"},
        "searches_words": SEARCHES,
        "given": given,
        "new": new,
        "wrong": _wrong(error),
        "to_allow": error.facts.get("host") if error is not None else None,
    }
    return section(
        request,
        caller,
        SECTION,
        SECTION,
        context,
        parts=("channels", "allowed-hosts"),
        follows=FOLLOWED,
        status=status_of(error) if error is not None else 200,
    )


def _wrong(error: UserError | None) -> dict[str, str]:
    """Return what is wrong by fields of the form; what is about none of them, or about several, by an empty name."""
    found: dict[str, str] = {}
    for part in error.parts if error is not None else ():
        name = part.field.partition(".")[0]
        text = " ".join(ended(words) for words in (part.what, part.remedy) if words)
        if part.kind == "host-not-allowed":
            text = ended(part.what)  # the page itself says what to do
        if "host" not in part.facts:  # else it begins with a host
            text = text[:1].upper() + text[1:]
        found[name if name in _EMPTY else ""] = text
    return found


async def _told_of(request: Request) -> dict[str, Any]:
    """Return the fields of a form about a channel; `project` goes with those searches alone."""
    form = await request.form()
    given: dict[str, Any] = {
        name: value.strip() for name, value in form.items() if name in _EMPTY and isinstance(value, str)
    }
    if given.get("searches") != "project":
        given["project"] = ""
    return {**given, "events": [one for one in EVENTS if one in form.getlist("events")]}
