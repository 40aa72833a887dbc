"""Who may use the service, and who has changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from tunewell.service.types.base import JsonObject, Moment, Wire
from tunewell.spec.names import Role
from tunewell.spec.quota import Quota

#: Limits, or what is used of them, by their names in a quota.
Amounts = Annotated[
    Mapping[str, float],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                name: {"type": "number", "description": field.description} for name, field in Quota.model_fields.items()
            },
            "additionalProperties": False,
        }
    ),
]


class Account(Wire):
    """What is settled about a user."""

    name: str
    role: Role
    #: Whether the user may have code of their own run.
    run_code: bool
    #: The user's share of what there is, in proportion to those of others.
    weight: float
    #: What is limited → how much of it the user may have.
    quota: Amounts


class Me(Account):
    """The caller, as a user."""

    #: Everything that a quota can limit → how much of it the user has now, or has had in this month (UTC).
    used: Amounts


class UserUsage(Wire):
    """What a user has used in a month, and what the user may."""

    user: str
    #: The calendar month (UTC): `2026-03`.
    month: str
    #: Computing time in that month; of the present one everything that a quota can limit, as it is now.
    used: Amounts
    #: What is limited → how much of it the user may have.
    quota: Amounts


class User(Account):
    """Somebody who may use the service."""

    created_at: Moment
    #: None: the user is not shut out.
    disabled_at: Moment | None
    #: After a change: what people should know of it, such as that a limit is below what is used now.
    notes: tuple[str, ...] = ()


class Token(Wire):
    """What a user proves themselves by; the secret itself is in no answer but the first."""

    id: int
    #: Name of the user.
    owner: str
    #: `token`: for programs; `session`: of a browser; `link`: begins a session, once.
    kind: Literal["token", "session", "link"]
    #: What its user calls it.
    label: str
    created_at: Moment
    #: None: never.
    expires_at: Moment | None
    #: To the minute; None: never yet.
    used_at: Moment | None


class NewToken(Wire):
    """A token that was just made, and the secret, which is shown only once."""

    token: Token
    secret: str = Field(repr=False)


class SignInLink(Wire):
    """What begins a session of a user, once: `/sign-in?link=SECRET` below the address of the service."""

    user: str
    secret: str = Field(repr=False)
    expires_at: Moment


class AuditEntry(Wire):
    """Who has changed something, or was refused it."""

    id: int
    time: Moment
    #: Empty: nobody known.
    caller: str
    #: Network address that it came from; `local`: it was done on the machine of the service.
    address: str
    verb: str
    #: Name or number of what it was about.
    about: str
    #: `done`, or what became of it.
    outcome: str
    data: JsonObject
