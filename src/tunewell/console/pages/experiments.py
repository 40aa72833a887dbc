"""All experiments: what runs, what came of the others, and where the first one begins."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tunewell.api.asked import AsCaller, Text, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.console.page import Page, show
from tunewell.console.rights import may_change
from tunewell.service.types import ExperimentSummary
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import called_by
from tunewell.spec.states import FINAL_EXPERIMENT_STATES, ExperimentState

router = APIRouter()

#: Experiments on a page.
ROWS = 25
#: Tags of an experiment that a row shows.
TAGS = 6
#: What the list can be narrowed to → states.
GROUPS: dict[str, tuple[ExperimentState, ...] | None] = {
    "": None,
    "going on": tuple(state for state in ExperimentState if not state.final),
    "ended": tuple(state for state in FINAL_EXPERIMENT_STATES if state is not ExperimentState.FAILED),
    "failed": (ExperimentState.FAILED,),
}
#: In place of a group: what was deleted.
BIN = "in the bin"
#: What the list goes by → in words.
ORDERS = {"": "newest first", "created": "oldest first", "name": "by name"}


@router.get("/")
@takes_long
def experiments(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    search: Text = "",
    state: Text = "",
    owner: Text = "",
    project: Text = "",
    tag: Annotated[list[Text] | None, Query()] = None,
    sort: Literal["", "created", "name"] = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the experiments that match."""
    tags = [one for one in dict.fromkeys(tag or ()) if one]
    found = verbs.experiments(
        states=GROUPS.get(state),
        deleted=state == BIN,
        search=search,
        owner=owner or None,
        project=project or None,
        tags=tags,
        sort=sort or "-created",
        cursor=cursor,
        limit=ROWS,
    )
    chosen = {"search": search, "state": state, "owner": owner, "project": project, "tag": tags}

    def link(**changes: str | list[str]) -> str:
        """Return the address of the list with other choices."""
        asked = {name: value for name, value in {**chosen, "sort": sort, **changes}.items() if value}
        return "?" + urlencode(asked, doseq=True)

    context = {
        "found": found,
        "ribbons": {one.name: _looks(one) for one in found.items if any(one.trials.values()) and state != BIN},
        "left": {one.name: _left(verbs, called_by(caller.name, one.name)) for one in found.items if one.running},
        "is_bin": state == BIN,
        "commands": {one.name for one in found.items if may_change(caller, one.owner)},
        "chosen": chosen,
        "groups": (*GROUPS, BIN),
        "sort": sort,
        "orders": ORDERS,
        "link": link,
        "most_tags": TAGS,
        "is_first": cursor is None,
        "is_narrowed": any(chosen.values()),
    }
    parts = ("experiments-narrowed", "experiments")
    return show(request, Page("experiments.html.j2", "Experiments", parts, context, follows=("*",)))


def _left(verbs: Verbs, name: str) -> float | None:
    """Return for how many seconds a search still runs, as far as that is known; None, too, if it was just removed."""
    with suppress(NotFoundError):
        return verbs.overview(name, 1).remaining_seconds
    return None


def _looks(one: ExperimentSummary) -> str:
    """Return what differs whenever the strip of a search looks different."""
    best = one.best.number if one.best is not None else 0
    return "-".join(map(str, (best, one.max_trials, *one.trials.values())))
