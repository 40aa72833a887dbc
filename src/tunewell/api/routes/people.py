"""Who may use the service, what they prove themselves by, and the log of who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tunewell.api.answers import whole
from tunewell.api.asked import AsCaller, Cursor, Key, Limit, Text, TheCaller
from tunewell.service.people import check_user_name
from tunewell.service.types import AuditEntry, Me, NewToken, Page, SignInLink, Token, User, UserUsage
from tunewell.service.verbs import PAGE
from tunewell.spec.errors import UserError
from tunewell.spec.names import Role
from tunewell.spec.quota import Quota

router = APIRouter(tags=["people"])

_UserName = Annotated[str, Path(description="Name of a user.", max_length=100, examples=["ada"])]
_Owner = Annotated[str | None, Query(description="Whose; default: one's own.", max_length=100, pattern=r"^[^\x00]*$")]
_Who = Annotated[
    str | None, Query(description="Only what this user did; empty: what nobody known tried.", pattern=r"^[^\x00]*$")
]


def _user_name(name: str) -> str:
    try:
        check_user_name(name)
    except UserError as error:
        raise ValueError(error.what, error.remedy) from None
    return name


class UserChanges(BaseModel):
    """What can be set of a user."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Role = "user"
    #: Whether the user may have code of their own run.
    run_code: bool = False
    #: The user's share of what there is, in proportion to those of others.
    weight: float = Field(1.0, gt=0)
    #: What is limited → how much of it the user may have.
    quota: Quota = Field(Quota(), examples=[{"gpus": 2, "disk_bytes": "20G"}])
    #: Whether the user is shut out.
    disabled: bool = False


class NewUser(BaseModel):
    """A user to be added."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, AfterValidator(_user_name)] = Field(max_length=50, examples=["ada"])
    role: Role = "user"
    #: Whether the user may have code of their own run.
    run_code: bool = False
    #: The user's share of what there is, in proportion to those of others.
    weight: float = Field(1.0, gt=0)
    #: What is limited → how much of it the user may have.
    quota: Quota = Field(Quota(), examples=[{"gpus": 2, "disk_bytes": "20G"}])


class TokenAsked(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    #: What its user calls it.
    label: str = Field(max_length=100, examples=["laptop"])
    #: Null: it is good until it is revoked.
    expires_at: datetime | None = None
    #: Whose it will be, which administrators may say; null: the caller's.
    owner: str | None = Field(None, max_length=100)


@router.get("/me", summary="Read who I am")
def me(verbs: AsCaller) -> Me:
    """Return the caller as a user: role, rights and quota."""
    return verbs.me()


@router.get("/usage", summary="Read what users have used in a month")
def usage(
    verbs: AsCaller,
    month: Annotated[Text | None, Query(description="`2026-03`, UTC; default: the present one.")] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[UserUsage]:
    """Return what users have used, and may have, by name: administrators see everybody, others themselves."""
    return verbs.usage(month=month, cursor=cursor, limit=limit)


# Users ----------------------------------------------------------------------------------------------------


@router.get("/users", summary="List the users")
def users(verbs: AsCaller, cursor: Cursor = None, limit: Limit = PAGE) -> Page[User]:
    """Return the users by name. For administrators, like all about users."""
    return verbs.users(cursor=cursor, limit=limit)


@router.post("/users", status_code=201, summary="Add a user")
def add_user(request: Request, verbs: AsCaller, new: Annotated[NewUser, Body()], key: Key = None) -> User:
    """Add a user, who can sign in with a link."""
    request.state.about = new.name
    return verbs.add_user(new.name, new.model_dump(exclude_unset=True, exclude={"name"}), key=key)


@router.get("/users/{name}", summary="Read a user")
def user(verbs: AsCaller, name: _UserName) -> User:
    """Return a user."""
    return verbs.user(name)


@router.patch("/users/{name}", summary="Change a user")
def change_user(
    request: Request, verbs: AsCaller, name: _UserName, changes: Annotated[UserChanges, Body()], key: Key = None
) -> User:
    """Change the fields that are named. Who is disabled is signed out everywhere, and all their tokens are revoked."""
    given = changes.model_dump(exclude_unset=True)
    request.state.fields = sorted(given)
    return verbs.change_user(name, given, key=key)


@router.post("/users/{name}/link", status_code=201, summary="Make a sign-in link")
def sign_in_link(verbs: AsCaller, name: _UserName, key: Key = None) -> SignInLink:
    """Make what signs a user in, once, within a day: `/sign-in?link=SECRET`; earlier links sign in no more.

    The secret is shown only once: asked again under its key, none is made, and the answer is 409 (`told-once`).
    """
    return verbs.sign_in_link(name, key=key)


# Tokens ---------------------------------------------------------------------------------------------------


@router.get("/tokens", summary="List tokens, sessions and links")
def tokens(verbs: AsCaller, owner: _Owner = None, cursor: Cursor = None, limit: Limit = PAGE) -> Page[Token]:
    """Return what one proves oneself by, the latest first; that of others is for administrators."""
    return verbs.tokens(owner=owner, cursor=cursor, limit=limit)


@router.post("/tokens", status_code=201, summary="Make a token")
def create_token(
    request: Request, verbs: AsCaller, caller: TheCaller, asked: Annotated[TokenAsked, Body()], key: Key = None
) -> NewToken:
    """Make a token for programs.

    The secret is shown only once: asked again under its key, none is made, and the answer is 409 (`told-once`).
    """
    request.state.about = asked.owner or caller.name
    return verbs.create_token(asked.label, asked.expires_at, owner=asked.owner, key=key)


@router.delete("/tokens/{id}", status_code=204, summary="Revoke a token, session or link")
def revoke_token(
    verbs: AsCaller, id: Annotated[int, Path(description="Its id.", ge=1, le=2**31 - 1)], key: Key = None
) -> Response:
    """Have it prove nothing more: here at once, in other processes of the service within two seconds."""
    verbs.revoke_token(id, key=key)
    return Response(status_code=204)


# The log --------------------------------------------------------------------------------------------------


@router.get("/audit", summary="Read who has changed what")
def audit(
    verbs: AsCaller,
    caller: _Who = None,
    verb: Annotated[Text | None, Query(description="Only this verb.", examples=["create"])] = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[AuditEntry]:
    """Return the log of changes, done and refused, the latest first; for administrators."""
    return verbs.audit(caller=caller, verb=verb, cursor=cursor, limit=limit)


@router.get("/audit/verbs", summary="List the verbs that the log has")
def audited_verbs(verbs: AsCaller) -> Page[str]:
    """Return what was ever done or refused, as the log calls it; for administrators."""
    return whole(verbs.audited_verbs())
