"""Why something that could go on does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: `no_room`: others use what it needs, or have their turn first; `user_quota`, `monthly_quota`: its user has as much as
#: may be; `max_gpus`, `max_concurrency`: the search has; `after`: another job comes first; `paused`: until it is
#: resumed; `other_host`: what it has running is on a machine without a controller; `no_controller`: nothing runs it;
#: `disk`: there is no room on the disk, or its user's part is used up; `workers`: nobody has asked for its trials;
#: `no_cluster`: the Ray cluster that it is for can't be reached.
WaitCode = Literal[
    "no_room",
    "user_quota",
    "monthly_quota",
    "max_gpus",
    "max_concurrency",
    "after",
    "paused",
    "other_host",
    "no_controller",
    "disk",
    "workers",
    "no_cluster",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something waits."""

    code: WaitCode
    #: One sentence for people.
    detail: str
    #: What is used up: a limit of a quota (`gpus`); or the host or the job that it waits for; empty: nothing to name.
    what: str = ""

    def to_json(self, since: float) -> dict[str, Any]:
        """Return it as it is put on record, with when the wait began, in seconds since the epoch."""
        return {"code": self.code, "detail": self.detail, "what": self.what, "since": since}


def recorded_reason(data: Mapping[str, Any] | None) -> Reason | None:
    """Return the reason that is on record."""
    return None if data is None else Reason(data["code"], data["detail"], data["what"])


PAUSING = Reason("paused", "It is being paused: what runs comes to its end first.")
NO_WORKERS = Reason("workers", "It waits for workers: none has asked.")
NO_ROOM = Reason("no_room", "Others use what it needs, or have their turn first.")
