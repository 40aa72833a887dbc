"""What there is for trials, who uses it, who waits for it and why, and what was used in a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from tunewell.api.asked import AsCaller, Cursor, Text, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.console.page import Page, show
from tunewell.console.rights import may_change
from tunewell.display.machines import away_text, custom_texts, gpus_text, labels_of
from tunewell.service.types import Caller, Gpu, Node, Used, UserUsage
from tunewell.spec.errors import count
from tunewell.spec.format import number
from tunewell.spec.quota import WORDS, amount, used_amount

router = APIRouter()

#: Attempts that are listed of a machine, lines of the queue on a page, and users on a page.
RUNNING, WAITING, USERS = 100, 50, 50


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a bar."""

    #: Where it begins, and how long it is, as shares of the bar.
    start: float
    share: float
    #: Whose it is: the caller's, another's, or private to somebody else.
    whose: Literal["own", "other", "private"]
    told: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A GPU, and what uses it."""

    gpu: Gpu
    is_free: bool
    #: None: nothing does, or it is not known.
    used: Used | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as a picture."""

    node: Node
    cores: list[Stretch]
    #: The GPUs of a machine that knows what uses each; of a cluster's node, what is free of all, in words.
    slots: list[Slot]
    gpus: str
    #: What a node of a cluster offers beside, and how much of it is free; its labels.
    custom: Mapping[str, str]
    labels: Mapping[str, str]
    used_memory: int
    #: What runs, as far as it is listed, and how much more does.
    listed: Sequence[Used]
    more: int


@router.get("/resources")
@takes_long
def resources(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    month: Text = "",
    cursor: Cursor = None,
) -> Response:
    """Return what there is and who uses it, the queue, and what was used."""
    found, queue = verbs.resources(), verbs.queue()
    used = verbs.usage(month=month or None, cursor=cursor, limit=USERS)
    first = (page - 1) * WAITING
    shown = {"page": str(page) if page > 1 else "", "month": month}

    def link(**changes: str) -> str:
        """Return the address of this page with something else shown."""
        return "?" + urlencode({name: value for name, value in {**shown, **changes}.items() if value})

    context = {
        "cluster": found.cluster,
        "away": away_text(found.cluster) if found.cluster is not None else "",
        "machines": [_machine(node, caller) for node in found.nodes],
        "elsewhere": {host: (used[:RUNNING], max(0, len(used) - RUNNING)) for host, used in found.elsewhere.items()},
        "queue": queue,
        "entries": queue.entries[first : first + WAITING],
        "page": page,
        "pages": max(1, -(-len(queue.entries) // WAITING)),
        "commands": {one.owner for one in queue.entries if may_change(caller, one.owner)},
        "usage": used,
        "limits": [name for name in WORDS if any(name in one.used for one in used.items)],
        "titles": WORDS,
        "of_use": used_amount,
        "of_limit": amount,
        "is_over": _is_over,
        "months": _months(used.items),
        "is_this_month": any("running" in one.used for one in used.items),
        "link": link,
    }
    parts = ("resources-machines", "resources-queue", "resources-usage")
    return show(request, Page("resources.html.j2", "Resources", parts, context, follows=("*", "jobs")))


def _machine(node: Node, caller: Caller) -> Machine:
    with_cores = [one for one in node.used if one.cpus > 0]
    starts = accumulate((one.cpus / max(node.cpus, 1) for one in with_cores), initial=0.0)
    return Machine(
        node=node,
        cores=[
            Stretch(start, one.cpus / max(node.cpus, 1), _whose(one, caller), _told(one))
            for start, one in zip(starts, with_cores, strict=False)
        ],
        slots=[
            Slot(gpu, gpu.device in node.free_devices, _user_of(gpu, node))
            for gpu in (() if node.cluster else node.gpus)
        ],
        gpus=(gpus_text(node) if node.gpus else "none") if node.cluster else "",
        custom=custom_texts(node),
        labels=labels_of(node),
        used_memory=node.memory_bytes - max(0, node.free_memory_bytes),
        listed=node.used[:RUNNING],
        more=max(0, len(node.used) - RUNNING),
    )


def _user_of(gpu: Gpu, node: Node) -> Used | None:
    return next((one for one in node.used if gpu.device in one.devices), None)


def _whose(one: Used, caller: Caller) -> Literal["own", "other", "private"]:
    if one.owner is None:
        return "private"
    return "own" if one.owner == caller.name else "other"


def _told(one: Used) -> str:
    """Return what takes cores, in a sentence."""
    if one.owner is None:
        return f"another user's: {count(_rounded(one.cpus), 'core')}"
    what = one.experiment or ""
    if one.trial is not None:
        what = f"{what} trial {one.trial}"
    if one.job is not None:
        what = f"{what} job {one.job}".strip()
    return f"{what} of {one.owner}: {count(_rounded(one.cpus), 'core')}"


def _rounded(cores: float) -> float:
    return float(number(cores))


def _is_over(one: UserUsage, name: str) -> bool:
    return name in one.quota and one.used[name] > one.quota[name]


def _months(items: Sequence[UserUsage]) -> tuple[str, str, str]:
    """Return the month that is shown, the one before, and the one after."""
    year, month = map(int, items[0].month.split("-"))
    place = 12 * year + month - 1
    before, after = (f"{one // 12:04}-{one % 12 + 1:02}" for one in (place - 1, place + 1))
    return items[0].month, before, after
