"""Experiments: submitting, listing, reading, changing them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request, Response

from tunewell.api.answers import located
from tunewell.api.asked import AsCaller, AskedNames, Cursor, Key, Limit, Name, Text
from tunewell.api.bodies import CHANGES_BODY, SPEC_BODY, Spec
from tunewell.api.document import CREATED, TAGGED
from tunewell.api.lanes import takes_long
from tunewell.api.looking import put_down
from tunewell.api.problems import Refusal
from tunewell.api.sizes import takes
from tunewell.service.types import (
    Checked,
    Clone,
    Experiment,
    ExperimentComparison,
    ExperimentSummary,
    Page,
    Submission,
)
from tunewell.service.verbs import PAGE, Fresh
from tunewell.spec.files import LARGEST_FILE
from tunewell.spec.names import ExperimentOrder, in_address
from tunewell.spec.states import ExperimentState
from tunewell.spec.text import check_extent

router = APIRouter(tags=["experiments"])

Order = Annotated[
    ExperimentOrder, Query(description="When it was created, or its name; with a `-` the newest, or last, first.")
]


@router.post(
    "/experiments",
    status_code=201,
    response_model=Submission,
    summary="Create or continue an experiment",
    responses={
        200: {"description": "It exists already, or was only checked.", "model": Submission | Checked},
        **CREATED,
    },
    openapi_extra=SPEC_BODY,
)
@takes(LARGEST_FILE)
@partial(takes_long, measures=lambda arguments: arguments["dry_run"] and arguments["measure"])
def create(
    request: Request,
    response: Response,
    verbs: AsCaller,
    spec: Spec,
    new: Annotated[Fresh, Query(description="When to take a numbered name where the name is taken.")] = "never",
    dry_run: Annotated[bool, Query(description="Check only: nothing is started or recorded.")] = False,
    line: Annotated[
        str | None,
        Query(description="With `dry_run`: a line of the program's output, to be searched.", max_length=10_000),
    ] = None,
    measure: Annotated[
        bool,
        Query(
            description="With `dry_run`: measure a few steps of a trial where no earlier search tells how long it "
            "takes, for a minute at most."
        ),
    ] = False,
    key: Key = None,
) -> Response | Submission:
    """Create the experiment that a spec describes, or continue the one that has its name."""
    if dry_run:
        put_down(request, wanted=False)
        checked = verbs.check(spec, line=line, measure=measure)
        return Response(checked.model_dump_json(), media_type="application/json")
    submission = verbs.create(spec, new=new, key=key)
    response.status_code = 201 if submission.kind == "new" else 200
    located(request, response, f"/experiments/{in_address(submission.name)}")
    return submission


@router.get("/experiments", summary="List experiments")
def experiments(
    verbs: AsCaller,
    state: Annotated[list[ExperimentState] | None, Query(description="Only those in one of these states.")] = None,
    search: Annotated[Text, Query(description="Only those with this in their names.")] = "",
    owner: Annotated[Text | None, Query(description="Only those of this user.")] = None,
    project: Annotated[Text | None, Query(description="Only those of this project.")] = None,
    tag: Annotated[list[Text] | None, Query(description="Only those with this tag; several: with them all.")] = None,
    sort: Order = "-created",
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[ExperimentSummary]:
    """Return the experiments that the caller sees."""
    return verbs.experiments(
        states=state, search=search, owner=owner, project=project, tags=tag or (), sort=sort, cursor=cursor, limit=limit
    )


@router.get("/compare", summary="Read experiments side by side")
@takes_long
def compare(
    verbs: AsCaller,
    e: Annotated[
        AskedNames,
        Query(
            description="Two to five: `NAME` for one's own, `OWNER~NAME` for anybody's.",
            max_length=100,
            examples=[["ada~signs", "ada~signs-2"]],
        ),
    ],
) -> ExperimentComparison:
    """Return what differs in experiments, what came of each, and what of that can be compared."""
    return verbs.compare(e)


@router.get("/bin", summary="List the experiments in the bin")
def experiments_in_bin(
    verbs: AsCaller,
    search: Annotated[Text, Query(description="Only those with this in their names.")] = "",
    owner: Annotated[Text | None, Query(description="Only those of this user.")] = None,
    project: Annotated[Text | None, Query(description="Only those of this project.")] = None,
    tag: Annotated[list[Text] | None, Query(description="Only those with this tag; several: with them all.")] = None,
    sort: Order = "-created",
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[ExperimentSummary]:
    """Return the experiments in the bin that the caller sees."""
    return verbs.experiments(
        search=search, owner=owner, project=project, tags=tag or (), deleted=True, sort=sort, cursor=cursor, limit=limit
    )


@router.delete("/bin/{name}", status_code=204, summary="Remove an experiment for good")
@takes_long
def purge(verbs: AsCaller, name: Name, key: Key = None) -> None:
    """Remove an experiment that is in the bin, with all that it has left."""
    verbs.purge(name, key=key)


@router.delete("/experiments/{name}", status_code=204, summary="Put an experiment into the bin")
def delete(verbs: AsCaller, name: Name, key: Key = None) -> None:
    """Put an experiment that has ended into the bin, where it stays until somebody removes it for good."""
    verbs.delete(name, key=key)


@router.post("/experiments/{name}/restore", summary="Take an experiment out of the bin")
def restore(verbs: AsCaller, name: Name, key: Key = None) -> Experiment:
    """Have an experiment back, as it was."""
    return verbs.restore(name, key=key)


@router.post("/experiments/{name}/clone", summary="Make a spec that searches again")
def clone(
    verbs: AsCaller,
    name: Name,
    changes: Annotated[
        dict[str, Any],
        Body(embed=True, description="Field → value that is to be another one; a dotted name for a part of one."),
    ] = {},  # noqa: B006 - only read
) -> Clone:
    """Return the spec of an experiment, with changes, under a name that is free. Nothing is recorded."""
    check_extent("changes", changes)
    return verbs.clone(name, changes)


@router.get("/experiments/{name}", summary="Read an experiment", responses=TAGGED)
def experiment(response: Response, verbs: AsCaller, name: Name) -> Experiment:
    """Return an experiment; its `ETag` is what a change must name."""
    return _tagged(response, verbs.experiment(name))


@router.patch(
    "/experiments/{name}",
    summary="Change an experiment",
    responses={**TAGGED, 412: {}, 428: {}},
    openapi_extra=CHANGES_BODY,
)
@takes(LARGEST_FILE)
@takes_long
def update(
    response: Response,
    verbs: AsCaller,
    name: Name,
    changes: Spec,
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="`ETag` of the experiment as it was read; `*`: any.")
    ] = None,
    key: Key = None,
) -> Experiment:
    """Change how far a search goes, and what people say of it, unless somebody else has done so meanwhile."""
    if if_match is None:
        raise Refusal(
            428,
            "it is missing",
            kind="precondition-required",
            field="If-Match",
            remedy="Send the ETag of the experiment as you have read it",
        )
    return _tagged(response, verbs.update(name, changes, revision=_revision(if_match), key=key))


def _revision(tag: str) -> int | None:
    """Return the revision that an `ETag` stands for; None: any. One that is none is nobody's."""
    text = tag.strip().removeprefix("W/").strip('"')
    if text == "*":
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1


def _tagged(response: Response, experiment: Experiment) -> Experiment:
    response.headers["ETag"] = f'"{experiment.revision}"'
    return experiment
