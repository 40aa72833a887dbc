"""Where notifications go, what has become of them, and which hosts they may be sent to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tunewell.api.answers import located, whole
from tunewell.api.asked import AsCaller, Cursor, Key, Limit
from tunewell.api.document import CREATED
from tunewell.api.lanes import takes_long
from tunewell.service.types import AllowedHost, Channel, Delivery, NewChannel, Page
from tunewell.service.verbs import PAGE
from tunewell.spec.notifications import ChannelKind, NotifiedEvent, NotifiedSearches, WebhookBody

router = APIRouter(tags=["notifications"])

_ChannelId = Annotated[int, Path(description="Id of a channel.", ge=1, le=2**31 - 1)]
_DeliveryId = Annotated[int, Path(description="Id of a delivery to it.", ge=1, le=2**31 - 1)]
_Port = Annotated[int, Query(description="The port of the entry.", ge=1, le=65535)]


class ChannelChanges(BaseModel):
    """What can be changed of a channel."""

    model_config = ConfigDict(extra="forbid")

    #: What it is told of.
    events: tuple[NotifiedEvent, ...] = ("ended",)
    #: Which searches it is told of: one's own, all that one may see, or those of a project.
    searches: NotifiedSearches = "own"
    #: With `project`: which one.
    project: str = Field("", max_length=100)
    #: What one calls it.
    label: str = Field("", max_length=100)
    #: Whether anything is sent there.
    active: bool = Field(True, strict=True)


class ChannelAsked(BaseModel):
    """A channel to be added."""

    model_config = ConfigDict(extra="forbid")

    #: A URL, or an address.
    target: str = Field(max_length=2000, examples=["https://hooks.example.org/tunewell"])
    #: Which of the two it is.
    kind: ChannelKind = "webhook"
    #: What a webhook is sent: facts for programs, or a message as Slack takes it.
    body: WebhookBody = "json"
    #: What one calls it.
    label: str = Field("", max_length=100)
    #: What it is told of.
    events: tuple[NotifiedEvent, ...] = ("ended",)
    #: Which searches it is told of: one's own, all that one may see, or those of a project.
    searches: NotifiedSearches = "own"
    #: With `project`: which one.
    project: str = Field("", max_length=100)


class HostAsked(BaseModel):
    """A host to be allowed."""

    model_config = ConfigDict(extra="forbid")

    #: A name, an address, or `*.` and what names end in.
    host: str = Field(max_length=255, examples=["hooks.slack.com"])
    #: The only port that counts.
    port: int = Field(443, ge=1, le=65535)
    #: Whether http:// is allowed, which anybody on the way reads.
    plain_http: bool = Field(False, strict=True)
    #: Whether it may lead to addresses that are not of the public internet.
    private: bool = Field(False, strict=True)


@router.get("/channels", summary="List where notifications go")
def channels(
    verbs: AsCaller,
    everyone: Annotated[bool, Query(description="Those of all, for administrators.")] = False,
) -> Page[Channel]:
    """Return the caller's channels, the oldest first."""
    return whole(verbs.channels(everyone=everyone))


@router.post("/channels", status_code=201, summary="Have notifications sent somewhere", responses=CREATED)
def add_channel(
    request: Request, response: Response, verbs: AsCaller, asked: Annotated[ChannelAsked, Body()]
) -> NewChannel:
    """Add a channel. A webhook's secret is shown once; an address is sent a code, and must be confirmed with it."""
    made = verbs.add_channel(
        asked.target,
        kind=asked.kind,
        body=asked.body,
        label=asked.label,
        events=asked.events,
        searches=asked.searches,
        project=asked.project,
    )
    request.state.about = str(made.channel.id)
    located(request, response, f"/channels/{made.channel.id}")
    return made


@router.get("/channels/{id}", summary="Read a channel")
def channel(verbs: AsCaller, id: _ChannelId) -> Channel:
    """Return a channel, with what is in the way of sending there."""
    return verbs.channel(id)


@router.patch("/channels/{id}", summary="Change a channel")
def change_channel(
    request: Request, verbs: AsCaller, id: _ChannelId, changes: Annotated[ChannelChanges, Body()], key: Key = None
) -> Channel:
    """Change the fields that are named. What waits for a channel that is no longer active is given up."""
    given = changes.model_dump(exclude_unset=True)
    request.state.fields = sorted(given)
    return verbs.change_channel(id, given, key=key)


@router.delete("/channels/{id}", status_code=204, summary="Remove a channel")
def remove_channel(verbs: AsCaller, id: _ChannelId, key: Key = None) -> None:
    """Remove a channel; what waits for it is given up."""
    verbs.remove_channel(id, key=key)


@router.post("/channels/{id}/confirm", summary="Confirm an address")
def confirm_channel(
    verbs: AsCaller,
    id: _ChannelId,
    code: Annotated[str, Body(embed=True, description="The code that it was sent.", max_length=100)],
    key: Key = None,
) -> Channel:
    """Confirm the address of a channel by the code that it was sent."""
    return verbs.confirm_channel(id, code, key=key)


@router.post("/channels/{id}/test", summary="Send a test message now")
@takes_long
def test_channel(verbs: AsCaller, id: _ChannelId) -> Delivery:
    """Send a test message, once, and say what has come of it; an address that is not confirmed is sent a new code."""
    return verbs.test_channel(id)


@router.get("/channels/{id}/deliveries", summary="List what was sent to a channel")
def deliveries(verbs: AsCaller, id: _ChannelId, cursor: Cursor = None, limit: Limit = PAGE) -> Page[Delivery]:
    """Return what was sent there within 30 days, or is to be, the latest first."""
    return verbs.deliveries(id, cursor=cursor, limit=limit)


@router.post("/channels/{id}/deliveries/{delivery}/redeliver", summary="Have something sent again")
def redeliver(verbs: AsCaller, id: _ChannelId, delivery: _DeliveryId, key: Key = None) -> Delivery:
    """Have what was delivered or given up sent to a channel again, as the same message."""
    return verbs.redeliver(id, delivery, key=key)


@router.get("/allowed-hosts", summary="List the hosts that notifications may be sent to")
def allowed_hosts(verbs: AsCaller) -> Page[AllowedHost]:
    """Return the hosts, sorted. Nothing is sent to any other."""
    return whole(verbs.allowed_hosts())


@router.post("/allowed-hosts", summary="Allow a host")
def allow_host(request: Request, verbs: AsCaller, asked: Annotated[HostAsked, Body()], key: Key = None) -> AllowedHost:
    """Let notifications be sent to a host, or change what is allowed of it. For administrators."""
    request.state.about = f"{asked.host} {asked.port}"
    return verbs.allow_host(asked.host, port=asked.port, plain_http=asked.plain_http, private=asked.private, key=key)


@router.delete("/allowed-hosts/{host}", status_code=204, summary="Allow a host no longer")
def withdraw_host(
    verbs: AsCaller,
    host: Annotated[str, Path(description="As the list has it.", max_length=255, examples=["hooks.slack.com"])],
    port: _Port = 443,
    key: Key = None,
) -> None:
    """Let nothing be sent to a host any more. For administrators."""
    verbs.withdraw_host(host, port=port, key=key)
