"""What all sections of the settings have in common: the way between them, and forms that come back with errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import Request, Response

from tunewell.api.problems import status_of
from tunewell.console.page import Page, show
from tunewell.service.types import Caller
from tunewell.spec.errors import UserError, sentence


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the settings."""

    #: Its address below `/settings`; empty: that itself.
    place: str
    title: str
    for_administrators: bool = False


#: In the order in which they are shown.
SECTIONS = (
    Section("", "You"),
    Section("tokens", "Tokens"),
    Section("notifications", "Notifications"),
    Section("people", "People", for_administrators=True),
    Section("folders", "Data folders", for_administrators=True),
    Section("disk", "Disk and backups", for_administrators=True),
    Section("audit", "Audit log", for_administrators=True),
    Section("about", "About"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it is shown: what stands in it, and what is wrong with that."""

    #: Field → what somebody has typed; none: nothing was sent yet.
    typed: Mapping[str, str] = field(default_factory=dict)
    #: Field → what is wrong; an empty name: what is wrong with none of them.
    errors: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    @classmethod
    def refused(cls, typed: Mapping[str, str], error: UserError) -> Form:
        """Return a form that comes back: what was typed stays, and each error stands at its field."""
        errors: dict[str, str] = {}
        for part in error.parts:
            place = part.field if part.field in typed else ""
            told = _QUOTED.sub(r"“\1”", sentence("" if place else part.field, part.what, part.remedy))
            errors[place] = f"{errors[place]} {told}" if place in errors else told[0].upper() + told[1:]
        return cls(typed, errors, status_of(error))


#: What is quoted for whoever writes a spec.
_QUOTED = re.compile(r"`([^`]+)`")
EMPTY = Form()


def new_key() -> str:
    """Return what a form has, so that what it asks for is done once, however often it is sent."""
    return uuid4().hex


def for_script(request: Request) -> bool:
    """Whether a script has sent a form: it shows errors itself."""
    return "application/json" in request.headers.get("accept", "")


def section(
    request: Request,
    caller: Caller,
    template: str,
    place: str,
    context: Mapping[str, Any],
    *,
    parts: tuple[str, ...] = (),
    follows: tuple[str, ...] = (),
    title: str = "",
    status: int = 200,
) -> Response:
    """Return a page of a section of the settings."""
    shown = [one for one in SECTIONS if not one.for_administrators or caller.role == "administrator"]
    title = title or next(one.title for one in SECTIONS if one.place == place)
    given = {**context, "sections": shown, "place": place}
    return show(request, Page(f"settings/{template}.html.j2", title, parts, given, follows, status))
