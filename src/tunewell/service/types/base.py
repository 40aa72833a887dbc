"""What all types are made of, and who asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from tunewell.spec.names import HOME_OWNER, Role

Item = TypeVar("Item")
JsonObject = dict[str, Any]


def rfc3339(moment: datetime) -> str:
    """Return a moment as JSON has it: `2026-03-01T14:05:00.000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


Moment = Annotated[datetime, PlainSerializer(rfc3339, when_used="json")]


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


#: Marks a number of a request: `true` is not taken for 1.
NoFlag = BeforeValidator(_no_flag)


class Wire(BaseModel):
    """Base of all types: frozen, and what a newer service adds is left out by an older reader."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        defer_build=True,  # a command needs few of them, and should not wait for all
    )

    def to_json(self) -> JsonObject:
        """Return it as JSON types."""
        return self.model_dump(mode="json")


class Page(Wire, Generic[Item]):
    """A part of a list."""

    items: tuple[Item, ...]
    #: What to ask for the part that follows; None: this is the last one.
    next: str | None = None


class Caller(Wire):
    """Who asks for something."""

    name: str
    role: Role
    #: Whether the caller may have code of their own run.
    run_code: bool = False
    #: Whether the caller is on this machine as the one whose home it is: what lies on it may then be named by its path.
    local: bool = False


#: On the command line and in a program without a server: the person whose home it is.
OWNER = Caller(name=HOME_OWNER, role="administrator", run_code=True, local=True)
