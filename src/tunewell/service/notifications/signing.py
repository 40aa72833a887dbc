"""Signatures of webhooks, as "Standard Webhooks" has them (https://www.standardwebhooks.com, symmetric, `v1`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a new secret, as its receiver keeps it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed(secret: str, message: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers that say what is sent, when, and that it is from us.

    Args:
        secret: as `new_secret` gives it.
        message: what the receiver knows it by; the same for every attempt.
        seconds: of this attempt, since the epoch.
        body: the bytes that are sent.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = hmac.digest(key, f"{message}.{seconds}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
