"""All published models, and versions of them side by side."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.api.asked import Text as AskedText
from tunewell.console.page import Page, show
from tunewell.display.model_differences import compare, headline
from tunewell.service.types import ModelVersion
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError
from tunewell.spec.names import in_address, parse_model

router = APIRouter()

#: Models on a page, and versions side by side.
ROWS, _BESIDE = 25, 6


@router.get("/models")
def models(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    search: AskedText = "",
    owner: AskedText = "",
    bin: AskedText = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the models that match, the newest first."""
    found = verbs.models(search=search, owner=owner or None, deleted=bool(bin), cursor=cursor, limit=ROWS)
    chosen = {"search": search, "owner": owner, "bin": "yes" if bin else ""}

    def link(**changes: str) -> str:
        """Return the address of the list with other choices."""
        return "?" + urlencode({name: value for name, value in {**chosen, **changes}.items() if value})

    context = {
        "found": found,
        "headline": headline,
        "in_bin": not found.items and not bin and bool(verbs.models(deleted=True, limit=1).items),
        "chosen": chosen,
        "link": link,
        "is_first": cursor is None,
        "is_narrowed": any(chosen.values()),
        "may_publish": caller.role != "viewer",
    }
    return show(request, Page("models.html.j2", "Models", ("models",), context, follows=("models",)))


@router.get("/models/compare")
def compare_models(
    request: Request,
    verbs: AsCaller,
    m: Annotated[list[AskedText] | None, Query()] = None,
) -> Response:
    """Return versions side by side, each named as `NAME@VERSION`."""
    wanted = list(dict.fromkeys(filter(None, m or ())))
    if len(wanted) > _BESIDE:
        raise ArgumentError(
            "m", f"these are {len(wanted)} versions, and {_BESIDE} stand side by side", "Leave some out"
        )
    versions = [_version(verbs, one) for one in wanted]
    context = {
        "chosen": [f"{in_address(one.model)}@{one.number}" for one in versions],
        "comparison": compare(versions) if len(versions) > 1 else None,
        "known": [one.name for one in verbs.models(limit=200).items],
        "is_full": len(versions) >= _BESIDE,
    }
    follows = tuple(f"model:{one.model}" for one in versions)
    return show(
        request, Page("models-compare.html.j2", "Compare models", ("models-compare",), context, follows=follows)
    )


def _version(verbs: Verbs, text: str) -> ModelVersion:
    name, number = parse_model(text)
    return verbs.model_version(name, number) if number is not None else verbs.model(name).current
