"""Who has changed what, and what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tunewell.api.asked import AsCaller, Cursor, Text, TheCaller
from tunewell.console.pages.settings.frame import section
from tunewell.display.deeds import in_words
from tunewell.service.paging import every
from tunewell.service.verbs import MOST

router = APIRouter()

#: Entries on a page.
ROWS = 50
#: In place of a name: whoever has proven nothing.
NOBODY = "-"


@router.get("/settings/audit")
def audit(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    person: Text = "",
    verb: Annotated[str, Query(max_length=50)] = "",
    cursor: Cursor = None,
) -> Response:
    """Return the log, the latest first."""
    whose = "" if person == NOBODY else person or None
    found = verbs.audit(caller=whose, verb=verb or None, cursor=cursor, limit=ROWS)
    chosen = {"person": person, "verb": verb}

    def link(**changes: str) -> str:
        """Return the address of the log with other choices."""
        return "?" + urlencode({name: value for name, value in {**chosen, **changes}.items() if value})

    context = {
        "found": found,
        "chosen": chosen,
        "people": [one.name for one in every(lambda cursor: verbs.users(cursor=cursor, limit=MOST))],
        "nobody": NOBODY,
        "verbs": _choices({*verbs.audited_verbs(), *([verb] if verb else [])}),
        "is_first": cursor is None,
        "in_words": in_words,
        "link": link,
    }
    return section(request, caller, "audit", "audit", context, parts=("settings-audit",))


def _choices(known: Iterable[str]) -> list[tuple[str, str]]:
    """Return verbs with what they are called to be chosen by, in the order of that; alike ones are told apart."""
    words = Counter(map(in_words, known))
    called = ((verb, in_words(verb)) for verb in known)
    return sorted(
        ((verb, told if words[told] == 1 else f"{told} ({verb})") for verb, told in called), key=lambda pair: pair[1]
    )
