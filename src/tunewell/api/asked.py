"""What routes take: who asks, and parameters that many of them have.

What is no work is a coroutine: all else waits for a thread, which takes longer than the work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, cast

from fastapi import Body, Depends, Header, Path, Query, Request, params
from fastapi.dependencies.utils import get_dependant, get_flat_params
from pydantic import AfterValidator, StringConstraints

from tunewell.service.abroad import abroad
from tunewell.service.service import Service
from tunewell.service.types import Caller, NoFlag, TrialFilter
from tunewell.service.types.selection import WITHIN
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import ArgumentError, SpecErrors, nearest
from tunewell.spec.names import Split, from_address
from tunewell.spec.states import Cause, TrialState

#: Largest number that is asked for: every program reads it exactly.
LARGEST = 2**53
#: What databases can't look for is not in any text.
_TEXT = r"^[^\x00]*$"
Text = Annotated[str, Query(max_length=200, pattern=_TEXT)]


async def caller(request: Request) -> Caller:
    """Return who asks, as whatever stands before the routes has found out."""
    return cast(Caller, request.state.caller)


async def verbs(request: Request) -> Verbs:
    """Return the verbs of whoever asks."""
    return verbs_of(request, request.state.caller)


def verbs_of(request: Request, caller: Caller) -> Verbs:
    """Return the verbs of a caller, as they are told to whoever is not on this machine."""
    service = cast(Service, request.app.state.service)
    its = service.as_caller(caller)
    return abroad(its, service.home, its.dataset_of_content)


async def check_parameters(request: Request) -> None:
    """Raise `ArgumentError` for parameters of the address that its route knows nothing of, `SpecErrors` for several."""
    known, begins = _parameters(request.scope["endpoint"])
    wrong = [
        ArgumentError(name, "there is no such parameter here", nearest(name, known))
        for name in dict.fromkeys(request.query_params)
        if name not in known and not name.startswith(begins)
    ]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else SpecErrors(wrong, "The request")


@cache
def _parameters(endpoint: Callable[..., object]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the parameters that a route takes, and what those begin with of which it takes any."""
    dependant = get_dependant(path="", call=endpoint)
    selects = any(one.call is _wanted for one in dependant.dependencies)
    names = (one.alias for one in get_flat_params(dependant) if isinstance(one.field_info, params.Query))
    return frozenset(names), (WITHIN,) if selects else ()


#: What a name is in an address.
_ADDRESS = r"^([a-z0-9][a-z0-9_.\-]{0,49}~)?[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
_WHOSE = "`NAME` for one's own, `OWNER~NAME` for anybody's."


async def _name(
    name: Annotated[str, Path(description=_WHOSE, pattern=_ADDRESS, examples=["ada~signs"])],
) -> str:
    return from_address(name)


#: Names of experiments in the query of an address.
AskedNames = list[Annotated[str, StringConstraints(pattern=_ADDRESS), AfterValidator(from_address)]]


async def _wanted(
    request: Request,
    state: Annotated[list[TrialState] | None, Query(description="Only those in one of these states.")] = None,
    cause: Annotated[list[Cause] | None, Query(description="Only those that failed for one of these causes.")] = None,
    origin: Annotated[
        list[Text] | None,
        Query(description="Only those proposed for one of these reasons.", examples=[["model", "child"]]),
    ] = None,
) -> TrialFilter:
    del state, cause, origin  # named for the document, and checked; what parameters are called, no route knows
    return TrialFilter.from_query(request.query_params.multi_items())


AsCaller = Annotated[Verbs, Depends(verbs)]
TheCaller = Annotated[Caller, Depends(caller)]
#: Name of an experiment, or of a data set, as verbs take it.
Name = Annotated[str, Depends(_name)]
Number = Annotated[int, Path(description="Number of a trial.", ge=1, le=2**31 - 1)]
JobId = Annotated[int, Path(description="Number of a job.", ge=1, le=2**31 - 1)]
UploadId = Annotated[str, Path(description="Id of an upload.", pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]
Sha256 = Annotated[str, Path(description="SHA-256 in hexadecimal.", pattern=r"^[0-9a-f]{64}$", examples=["0" * 64])]
FilePath = Annotated[str, Path(description="One of the paths in the list of files.", max_length=4000)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Of the caller's choice: sent again, nothing more is done, and the answer is the same.",
        pattern=r"^[\x21-\x7e]{1,200}$",
    ),
]
#: Which trials.
Wanted = Annotated[TrialFilter, Depends(_wanted)]
Sort = Annotated[
    str,
    Query(
        description="A parameter, `number`, `value`, `start`, `end`, `duration`; with a `-`, the largest first.",
        max_length=200,
        pattern=_TEXT,
        examples=["-value", "learning_rate"],
    ),
]
Limit = Annotated[int, Query(description="Most items of the page.", ge=1, le=MOST)]
Cursor = Annotated[str | None, Query(description="`next` of the page before.", max_length=200, pattern=_TEXT)]
After = Annotated[int, Query(description="Only what is behind this number.", ge=0, le=LARGEST)]
Attempt = Annotated[int | None, Query(description="Default: the latest.", ge=1, le=2**31 - 1)]
Offset = Annotated[int, Query(description="Where it begins, in bytes.", ge=0, le=LARGEST)]
LogLimit = Annotated[int, Query(description="Most bytes of a part as JSON.", ge=1, le=1 << 20)]
Follow = Annotated[
    bool,
    Query(description="Whether to wait for what is still being printed, to its end, but for ten minutes at most."),
]
LastEvent = Annotated[
    int | None,
    Header(alias="Last-Event-ID", description="`id` of the last event that was received.", ge=0, le=LARGEST),
]
_OF_THRESHOLD = "From which score or probability on objects or labels are given; default: the model's own."
_OF_PROBABILITIES = "Whether the probability of every class is given."
#: How a model is to answer: in the body of what begins a job, or in the address of what is answered at once.
Threshold = Annotated[Annotated[float, NoFlag] | None, Body(description=_OF_THRESHOLD, examples=[0.3])]
Probabilities = Annotated[bool, Body(description=_OF_PROBABILITIES)]
AskedThreshold = Annotated[float | None, Query(description=_OF_THRESHOLD, examples=[0.3])]
AskedProbabilities = Annotated[bool, Query(description=_OF_PROBABILITIES)]
#: Whose model is used, and the data that it is measured on.
OfTrial = Annotated[
    Annotated[int, NoFlag] | None,
    Body(
        embed=True, description="Whose model it is; default: the retrained one, or else the best.", ge=1, le=2**31 - 1
    ),
]
ToMeasure = Annotated[
    str, Body(description="`dataset:NAME`, with its owner or without.", max_length=200, examples=["dataset:autumn"])
]
OfSplit = Annotated[
    Split | None, Body(description="Of the data; default: `test`, and where there is none, all of them together.")
]


def prefers_json(request: Request) -> bool:
    """Whether JSON was asked for by name, where an answer has another form, too."""
    return "application/json" in request.headers.get("accept", "")
