"""Commands that keep, and forget, what proves to a server who asks."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import terminal
from tunewell.spec.errors import ArgumentError, DataError

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Address of the server.")]


def login(
    url: UrlArgument,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File with the token; default: it is asked for, or read."),
    ] = None,
) -> None:
    """Keep the token for a server.

    An administrator makes it, or `tunewell tokens add`. Commands go on working with the home here, unless --server or
    TUNEWELL_SERVER names the server. Without a terminal, the token is read from standard input.
    """
    from tunewell.client import servers
    from tunewell.client.client import Client
    from tunewell.client.connection import Connection

    connection = Connection(url, _token(token_file))
    with Client.over(connection) as client:
        me = client.me()
    place = servers.keep(connection.url, connection.token or "")
    console = terminal(soft_wrap=True)
    console.print(f"{connection.url} knows you as {me.name} ({me.role}). The token is kept in {place}.")
    console.print("Name the server with --server or TUNEWELL_SERVER: its address, or `last`.", style="dim")


def logout(
    url: Annotated[str, typer.Argument(metavar="[URL]", help="Address of the server; default: the last login.")] = "",
) -> None:
    """Forget the token for a server. It stays good until it is revoked."""
    from tunewell.client import servers

    address, _ = servers.server_and_token(url or servers.LAST)
    if not servers.forget(address):
        raise ArgumentError("url", f"there was no login at '{address}'", value=address)
    print(f"The token for {address} is forgotten. To revoke it: tunewell tokens revoke ID")


def _token(file: Path | None) -> str:
    """Return a token from a file, or else from whoever sits at the terminal, or else from standard input."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"it can't be read ({getattr(error, 'strerror', 'no text')})", field=str(file)) from None
    else:
        text = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise ArgumentError("token_file", "there is no token in it" if file else "no token was given")
    return text.strip()
