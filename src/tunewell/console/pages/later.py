"""Pages that are still to come: each says what does the same until then."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunewell.console.page import Page, show

router = APIRouter()

#: Address → what it is called, what it will be, and what does the same now.
LATER = {
    "compare": ("Compare", "Searches side by side.", "tunewell export NAME --format csv"),
    "resources": ("Resources", "What there is for trials, and who uses it.", "tunewell queue"),
    "settings": ("Settings", "Tokens, users, rights and quotas.", "tunewell users --help"),
}


def _add(address: str) -> None:
    def later(request: Request) -> Response:
        name, what, command = LATER[address]
        context = {"what": what, "command": command}
        return show(request, Page("later.html.j2", name, context=context))

    later.__name__ = address
    router.add_api_route(f"/{address}", later)


for _address in LATER:
    _add(_address)
