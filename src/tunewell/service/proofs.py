"""What users prove themselves by: random secrets, of which a checksum alone is kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, Literal

#: For programs; of a browser; what begins a session of a browser, once.
Kind = Literal["token", "session", "link"]

#: What a secret begins with, so that people and scanners of files know it; `spec.secrets.hide_tokens` does.
PREFIXES: Final[dict[Kind, str]] = {"token": "tw_", "session": "tws_", "link": "twl_"}
#: How long sessions and links last.
SESSION_SECONDS, LINK_SECONDS = 14 * 24 * 3600.0, 24 * 3600.0
_BYTES = 32


def new_secret(kind: Kind) -> str:
    """Return a new secret of 32 random bytes."""
    return PREFIXES[kind] + secrets.token_urlsafe(_BYTES)


def checksum(secret: str) -> str:
    """Return what is kept of a secret; of that many random bits, it needs neither salt nor many rounds."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
