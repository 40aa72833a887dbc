"""Commands about who may use the service, their tokens and passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    print_json,
    terminal,
)
from tunewell.display.deeds import in_words
from tunewell.server.welcome import write_secret
from tunewell.service.paging import every
from tunewell.service.service import Service
from tunewell.service.types import SignInLink, User
from tunewell.service.verbs import MOST
from tunewell.spec.errors import ArgumentError
from tunewell.spec.names import Role
from tunewell.spec.quota import Quota, amount

if TYPE_CHECKING:
    from tunewell.cli.options import Place

users = typer.Typer(help="Manage the users of a service.", no_args_is_help=True, rich_markup_mode=None)
tokens = typer.Typer(help="Manage the tokens with which programs sign in.", no_args_is_help=True, rich_markup_mode=None)

_URL = "http://127.0.0.1:8700"

NameArgument = Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service; default: where the one of the home, or --server, is."),
]
OwnerOption = Annotated[str | None, typer.Option("--user", help="Whose; default: one's own.")]
RoleOption = Annotated[Role | None, typer.Option("--role", help="What the user may do; new ones are `user`.")]
CodeOption = Annotated[
    bool | None, typer.Option("--run-code/--no-run-code", help="Whether the user may have code of their own run.")
]
WeightOption = Annotated[float | None, typer.Option("--weight", help="Share of what there is; new ones have 1.")]
QuotaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--quota",
        metavar="NAME=AMOUNT",
        help=f"A limit: {', '.join(Quota.model_fields)}; sizes as in disk_bytes=20G. All are set again; `none`: no "
        "limits.",
    ),
]
DaysOption = Annotated[
    float | None, typer.Option("--days", min=0.001, max=36500, help="For how long it is good; default: for ever.")
]


@users.command("list")
def list_users(
    home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None, json: JsonOption = False
) -> None:
    """List the users."""
    with existing(home, database, server, "write") as service:
        found = list(every(lambda cursor: service.users(cursor=cursor, limit=MOST)))
    if json:
        print_json({"users": [user.to_json() for user in found]})
        return
    table = Table("user", "role", "may run code", "weight", "limits", "", box=None, pad_edge=False)
    for user in found:
        code = "yes" if user.run_code else "no"
        shut_out = "disabled" if user.disabled_at is not None else ""
        table.add_row(user.name, user.role, code, f"{user.weight:g}", _limits(user), shut_out)
    terminal().print(table)


@users.command("add")
def add(
    user: NameArgument,
    role: RoleOption = None,
    run_code: CodeOption = None,
    weight: WeightOption = None,
    quota: QuotaOption = None,
    url: UrlOption = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Add a user, and print the link with which they sign in first.

    A user who may run code is trusted with all that the service itself can read.
    """
    with existing(home, database, server, "write") as service:
        service.add_user(user, _facts(role, run_code, weight, quota))
        link = service.sign_in_link(user)
        _print_link(url, service, link)


@users.command("link")
def link_(
    user: NameArgument,
    url: UrlOption = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Print a link that signs a user in, once, within a day."""
    with existing(home, database, server, "write") as service:
        link = service.sign_in_link(user)
        _print_link(url, service, link)


@users.command("set")
def set_(
    user: NameArgument,
    role: RoleOption = None,
    run_code: CodeOption = None,
    weight: WeightOption = None,
    quota: QuotaOption = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Change what a user may do and has."""
    facts = _facts(role, run_code, weight, quota)
    if not facts:
        raise ArgumentError("role", "nothing is to be changed", "Name what to change")
    with existing(home, database, server, "write") as service:
        changed = service.change_user(user, facts)
    for note in changed.notes:
        terminal(stderr=True, soft_wrap=True).print(note)


@users.command("disable")
def disable(
    user: NameArgument, home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None
) -> None:
    """Shut a user out, and revoke their tokens and sessions."""
    with existing(home, database, server, "write") as service:
        service.change_user(user, {"disabled": True})


@users.command("enable")
def enable(
    user: NameArgument, home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None
) -> None:
    """Let a user in again, with a new link or token."""
    with existing(home, database, server, "write") as service:
        service.change_user(user, {"disabled": False})


@users.command("audit")
def audit(
    user: Annotated[str | None, typer.Option("--user", help="Only what this user did; '': nobody known.")] = None,
    verb: Annotated[str | None, typer.Option("--verb", help="Only this, such as create.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="List so many entries.")] = 50,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """List who has changed what, and what was refused."""
    with existing(home, database, server) as service:
        found = service.audit(caller=user, verb=verb, limit=limit).items
    if json:
        print_json({"audit": [entry.to_json() for entry in found]})
        return
    table = Table("when", "who", "from", "what", "about", "outcome", box=None, pad_edge=False)
    for entry in found:
        facts = (entry.caller or "nobody known", entry.address, in_words(entry.verb), entry.about, entry.outcome)
        table.add_row(_day(entry.time), *map(Text, facts))
    terminal().print(table)


@tokens.command("list")
def list_tokens(
    owner: OwnerOption = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> None:
    """List the tokens, sessions and links of a user."""
    with existing(home, database, server, "write") as service:
        found = list(every(lambda cursor: service.tokens(owner=owner, cursor=cursor, limit=MOST)))
    if json:
        print_json({"tokens": [token.to_json() for token in found]})
        return
    table = Table("id", "kind", "label", "made", "expires", "last used", box=None, pad_edge=False)
    for token in found:
        moments = map(_day, (token.created_at, token.expires_at, token.used_at))
        table.add_row(str(token.id), token.kind, token.label, *moments)
    terminal().print(table)


@tokens.command("add")
def add_token(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What it is for.")],
    owner: OwnerOption = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.001, max=36500, help="For how long; default: for good.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Write it there (mode 0600), and print nothing.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Print a new token, or write it into a file; it is shown only once."""
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with existing(home, database, server, "write") as service:
        made = service.create_token(label, until, owner=owner)
        if token_file is None:
            print(made.secret)
            return
        try:
            write_secret(token_file, made.secret)
        except OSError as error:
            service.revoke_token(made.token.id)
            problem = f"{token_file} can't be written ({error.strerror})"
            raise ArgumentError("token_file", problem, "Name a file in a folder of your own", str(token_file)) from None


@tokens.command("revoke")
def revoke(
    id: Annotated[int, typer.Argument(metavar="ID", help="As `tunewell tokens list` shows it.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Revoke a token, session or link."""
    with existing(home, database, server, "write") as service:
        service.revoke_token(id)


def _facts(
    role: Role | None, run_code: bool | None, weight: float | None, quota: list[str] | None
) -> dict[str, object]:
    given = {"role": role, "run_code": run_code, "weight": weight, "quota": _quota(quota)}
    return {name: value for name, value in given.items() if value is not None}


def _quota(given: list[str] | None) -> dict[str, float | str] | None:
    if given in (None, [], ["none"]):
        return {} if given == ["none"] else None
    found: dict[str, float | str] = {}
    for text in given or ():
        name, _, most = text.partition("=")
        if not most:
            raise ArgumentError("quota", f"'{text}' is no limit", "Write NAME=AMOUNT, such as gpus=2", text)
        try:
            found[name] = float(most)
        except ValueError:
            found[name] = most
    return found


def _limits(user: User) -> str:
    return ", ".join(f"{name} {amount(name, most)}" for name, most in user.quota.items())


def _day(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment is not None else "never"


def _print_link(url: str | None, service: Place, link: SignInLink) -> None:
    known = url or (service.address if isinstance(service, Service) else service.server)
    print(f"{(known or _URL).rstrip('/')}/sign-in?link={link.secret}")
    console = terminal(stderr=True, soft_wrap=True)
    console.print(f"Good once, until {_day(link.expires_at)}.")
    if not known:
        console.print("No service of this home runs here now; say with --url where it is going to be found.")
