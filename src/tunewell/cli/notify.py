"""Commands on notifications: where they go, what has become of them, and which hosts they may be sent to."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast, get_args
from urllib.parse import urlsplit

import typer
from rich.table import Table

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    made,
    print_json,
    terminal,
)
from tunewell.service.notifications.mail import MailServer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.sending import public_address
from tunewell.service.service import Service
from tunewell.service.types import AllowedHost, Delivery
from tunewell.spec.errors import ArgumentError
from tunewell.spec.format import moment
from tunewell.spec.notifications import NotifiedEvent, NotifiedSearches, WebhookBody, host_and_port

if TYPE_CHECKING:
    from tunewell.cli.options import Place

app = typer.Typer(
    help="Send messages to Slack or by mail when searches end.", no_args_is_help=True, rich_markup_mode=None
)

#: What takes messages of Slack's.
_SLACK = ("hooks.slack.com", "hooks.slack-gov.com")

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="As `tunewell notify list` shows it.")]
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event", help=f"What to be told of ({', '.join(get_args(NotifiedEvent))}); more than once. New ones: ended."
    ),
]
SearchesOption = Annotated[
    NotifiedSearches | None, typer.Option("--searches", help="Which searches; new ones are told of your own.")
]
ProjectOption = Annotated[str | None, typer.Option("--project", help="Of all searches, those of this project.")]
LabelOption = Annotated[str | None, typer.Option("--label", help="What you call it.")]


@app.command("list")
def list_(
    everyone: Annotated[bool, typer.Option("--everyone", help="Those of all, for administrators.")] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """List where notifications go."""
    with existing(home, database, server) as service:
        found = service.channels(everyone=everyone)
    if json_:
        print_json({"channels": [one.to_json() for one in found]})
        return
    console = terminal()
    if not found:
        console.print("No notifications yet. Add a webhook or a mail address: tunewell notify add TARGET")
        return
    owner = ("owner",) if everyone else ()
    table = Table("id", *owner, "to", "label", "told of", "searches", "last sent", box=None, pad_edge=False)
    for one in found:
        whose = (one.owner,) if everyone else ()
        searches = one.project or one.searches
        table.add_row(str(one.id), *whose, one.target, one.label, ", ".join(one.events), searches, _state(one.latest))
    console.print(table)
    for one in found:
        if one.problem:
            allow = f" An administrator allows it: tunewell notify allow {one.host_to_allow}"
            console.print(f"{one.id}: {one.problem}{allow if one.host_to_allow else ''}")


@app.command("add")
def add(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A URL, or a mail address.")],
    event: EventOption = None,
    searches: SearchesOption = None,
    project: ProjectOption = None,
    label: LabelOption = None,
    body: Annotated[
        WebhookBody | None, typer.Option("--body", help="What a URL is sent; default: json, to Slack's own: slack.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Send notifications to a URL or a mail address.

    The secret that signs what a URL is sent is printed only once.
    """
    is_mail = "@" in target and "://" not in target
    with _at(made(home, database, server)) as service:
        new = service.add_channel(
            target,
            kind="mail" if is_mail else "webhook",
            body=body or _body(target),
            label=label or "",
            events=cast(list[NotifiedEvent], event or ["ended"]),
            searches=searches or ("project" if project else "own"),
            project=project or "",
        )
    if json_:
        print_json(new.to_json())
        return
    console, id = terminal(stderr=True, soft_wrap=True), new.channel.id
    if new.secret is None:
        console.print(f"Channel {id}: a code is sent to {target}. Give it: tunewell notify confirm {id} CODE")
        return
    print(new.secret)
    console.print(f"Channel {id}: what is sent is signed with this secret, which is shown this once.")
    console.print(f"Try it: tunewell notify test {id}")


@app.command("set")
def set_(
    id: IdArgument,
    event: EventOption = None,
    searches: SearchesOption = None,
    project: ProjectOption = None,
    label: LabelOption = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help="Whether anything is sent there.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Change what a channel is told of, or switch it off."""
    which = searches or ("project" if project else None)
    of = "" if which is not None and which != "project" and project is None else project
    given = {"events": event or None, "searches": which, "project": of, "label": label, "active": active}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise ArgumentError("event", "nothing is to be changed", "Name what to change")
    with existing(home, database, server, "write") as service:
        service.change_channel(id, changes)


@app.command("remove")
def remove(
    id: IdArgument, home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None
) -> None:
    """Remove a channel; nothing is sent there any more."""
    with existing(home, database, server, "write") as service:
        service.remove_channel(id)


@app.command("test")
def test(
    id: IdArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> int:
    """Send a test message now, or a new code to confirm an address."""
    with _at(existing(home, database, server, "write")) as service:
        sent = service.test_channel(id)
    if json_:
        print_json(sent.to_json())
    elif sent.state == "delivered":
        terminal().print(f"Delivered{f' ({sent.status})' if sent.status else ''}.")
    else:
        terminal(stderr=True, soft_wrap=True).print(f"Not delivered. {sent.error}")
    return 0 if sent.state == "delivered" else 1


@app.command("confirm")
def confirm(
    id: IdArgument,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code in the mail.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Confirm a mail address by the code that it was sent."""
    with existing(home, database, server, "write") as service:
        service.confirm_channel(id, code)


@app.command("deliveries")
def deliveries(
    id: IdArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="List so many.")] = 20,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """List what was sent to a channel, the latest first."""
    with existing(home, database, server) as service:
        found = service.deliveries(id, limit=limit).items
    if json_:
        print_json({"deliveries": [one.to_json() for one in found]})
        return
    table = Table("id", "event", "search", "state", "tries", "last try", "", box=None, pad_edge=False)
    for one in found:
        told = one.error or (f"{one.status}" if one.status else "")
        when = _when(one.tried_at)
        table.add_row(str(one.id), one.event, one.search or "", one.state, str(one.attempts), when, told)
    terminal().print(table)


@app.command("redeliver")
def redeliver(
    id: IdArgument,
    delivery: Annotated[int, typer.Argument(metavar="DELIVERY", help="As `tunewell notify deliveries` shows it.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Have something sent to a channel again."""
    with existing(home, database, server, "write") as service:
        service.redeliver(id, delivery)
    terminal().print("It will be sent again.")


@app.command("allow")
def allow(
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST[:PORT]]", help="A name, or *.example.org; default: list them.")
    ] = None,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="Without TLS, too.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Also where it leads to addresses of your own network.")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Allow it no longer.")] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Let notifications be sent to a host. Nothing is sent to any other."""
    if host is None and withdraw:
        raise ArgumentError("host", "it is missing", "Name the host that is no longer allowed")
    with made(home, database, server) as service:
        if host is not None:
            name, port = host_and_port(host)
            if withdraw:
                service.withdraw_host(name, port=port)
            else:
                service.allow_host(name, port=port, plain_http=plain_http, private=private)
        allowed = service.allowed_hosts()
    if json_:
        print_json({"hosts": [one.to_json() for one in allowed]})
        return
    console = terminal(soft_wrap=True)
    console.print("Notifications may be sent to:" if allowed else "No host is allowed.")
    for one in allowed:
        console.print(f"  {_entry(one)}")


def _at(place: Place) -> Place:
    """Return where verbs are carried out; a home here sends by the mail server of the environment."""
    if isinstance(place, Service):
        mail = MailServer.named(os.environ.get("TUNEWELL_SMTP", ""), os.environ.get("TUNEWELL_MAIL_FROM", ""), None)
        place.outgoing = Outgoing(mail, public_address(place.address))
    return place


def _body(target: str) -> WebhookBody:
    try:
        return "slack" if urlsplit(target).hostname in _SLACK else "json"
    except ValueError:
        return "json"


def _entry(one: AllowedHost) -> str:
    host = f"[{one.host}]" if ":" in one.host else one.host
    more = [word for word, holds in (("plain http", one.plain_http), ("private addresses", one.private)) if holds]
    also = f" ({', '.join(more)})" if more else ""
    return f"{host}{'' if one.port == 443 else f':{one.port}'}{also}"


def _state(latest: Delivery | None) -> str:
    return "" if latest is None else f"{latest.state} {_when(latest.tried_at)}".strip()


def _when(when: datetime | None) -> str:
    return moment(when.timestamp()) if when is not None else ""
