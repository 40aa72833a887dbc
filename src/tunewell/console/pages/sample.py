"""The sample search: a first one on real pictures, with one click."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller
from tunewell.api.lanes import takes_long
from tunewell.console.pages.actions import done
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import NotFoundError, UserError
from tunewell.spec.names import DATASET, in_address

router = APIRouter()

#: Name of the data set, which is that of the sample, too.
DIGITS = "digits"
#: What it is read as.
TASK = "image-classification"


@router.post("/sample")
@takes_long
def start_sample(request: Request, verbs: AsCaller) -> Response:
    """Search on scans of handwritten digits."""
    spec = {
        "name": "sample",
        "task": TASK,
        "network": "small-cnn",
        "data": DATASET + _digits(verbs),
        "max_trials": 12,
        "parameters": {"epochs": 5},
    }
    made = verbs.create(spec, new="if-ended")
    request.state.about = made.name
    # After the search, so that its first trials need not wait for it.
    _check(verbs)
    place = f"/experiments/{in_address(verbs.experiment(made.name).name)}"
    return done(request, "The sample search begins.", place, leads=True)


def _check(verbs: Verbs) -> None:
    """Have the data set checked, as one that is added is, unless it was; the search goes on whatever comes of that."""
    with suppress(UserError):
        if verbs.dataset(DIGITS).job is None:
            verbs.check_dataset(DIGITS, TASK)


def _digits(verbs: Verbs) -> str:
    """Return the name of the caller's data set with the digits, which is made if there is none."""
    try:
        return verbs.dataset(DIGITS).name
    except NotFoundError:
        return verbs.add_dataset(DIGITS, sample=DIGITS).name
