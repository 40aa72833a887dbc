"""Which server is meant, and what proves there who asks: given, in the environment, or kept since the last login."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tunewell.spec.errors import ArgumentError, DataError
from tunewell.trial.files import beside

#: Environment variables.
SERVER, TOKEN = "TUNEWELL_SERVER", "TUNEWELL_TOKEN"
#: What the server of the last login can be called instead of its address.
LAST = "last"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept between two commands."""

    #: Address of the server of the last login; None: there was none.
    last: str | None = None
    #: Address → token.
    tokens: Mapping[str, str] = field(default_factory=dict)


def server_and_token(server: str | None = None, token: str | None = None) -> tuple[str, str | None]:
    """Return the address of the server that is meant, and the token for it, if there is one.

    Without an address, that of the environment is meant, or else that of the last login, which is also called `last`.
    A token of the environment is for the server there, where it names one: no other gets it.

    Raises:
        ArgumentError: no server is named anywhere.
    """
    kept, around = _read(), os.environ.get(SERVER)
    address = server or around or LAST
    if address == LAST:
        address = kept.last or ""
    if not address:
        raise ArgumentError("server", "none is named", f"Give its address, set {SERVER}, or log in", kind="no-server")
    address = address.rstrip("/")
    if not token and (not around or around.rstrip("/") in (address, LAST)):
        token = os.environ.get(TOKEN)
    return address, token or kept.tokens.get(address)


def keep(server: str, token: str) -> Path:
    """Keep the token of a login, in a file that its owner alone may read; return the file.

    Raises:
        DataError: it can't be written.
    """
    address = server.rstrip("/")
    return _write(_Kept(address, {**_read().tokens, address: token}))


def forget(server: str) -> bool:
    """Forget the token of a login; say whether there was one."""
    known, address = _read(), server.rstrip("/")
    if address not in known.tokens:
        return False
    left = {one: token for one, token in known.tokens.items() if one != address}
    _write(_Kept(None if known.last == address else known.last, left))
    return True


def _path() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tunewell" / "servers.json"


def _read() -> _Kept:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
        return _Kept(known["last"], dict(known["tokens"]))
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or somebody has damaged it
        return _Kept()


def _write(kept: _Kept) -> Path:
    path = _path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = beside(path)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(kept), file, indent=2)
        new.replace(path)
    except OSError as error:
        raise DataError(f"it can't be written ({error.strerror})", field=str(path)) from None
    return path
