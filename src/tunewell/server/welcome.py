"""What a service has ready for those who start it: a link that signs in, a token for programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tunewell.server.channel import Order
from tunewell.service.service import Service
from tunewell.trial.files import beside


def welcome(service: Service, order: Order) -> dict[str, Any]:
    """Write the token that was asked for; return what the announcement shows, on the first start of a process."""
    if not order.first:
        return {}
    if order.options.token_file is not None:
        write_secret(order.options.token_file, service.create_token("tunewell serve").secret)
    link = service.first_link()
    return {"link": f"/sign-in?link={link.secret}"} if link is not None else {}


def write_secret(file: Path, secret: str) -> None:
    """Write a secret into a file that its owner alone may read, whoever could read the one that was there."""
    fresh = beside(file)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as text:
        text.write(f"{secret}\n")
    fresh.replace(file)
