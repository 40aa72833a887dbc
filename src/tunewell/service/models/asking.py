"""Asking a published model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunewell.service.models.answering import checked
from tunewell.service.on_record import model_version
from tunewell.service.storage.place import Place
from tunewell.service.types import Picture, Predictions
from tunewell.serving.contract import Asks, Item, Published
from tunewell.spec.errors import ArgumentError, UserError, shortened
from tunewell.spec.format import size
from tunewell.tasks.catalogue import task_for

#: Most pictures of a request, and bytes of one and of all of them.
MOST_PICTURES, LARGEST_PICTURE, LARGEST_REQUEST = 32, 16 << 20, 32 << 20
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a model; see `ModelVerbs.predict_now`."""

    name: str
    number: int | None
    pictures: Sequence[Picture]
    threshold: float | None
    probabilities: bool


def predict(place: Place, asks: Asks, asked: Asked) -> Predictions:
    """Return what a version says of pictures; see `ModelVerbs.predict_now`."""
    row = place.rights.used_model(asked.name)
    version = model_version(place.store, row, asked.number)
    items = _checked(asked.pictures)
    task = task_for({"task": version.facts["task"]})
    if task.predictor is None:
        raise UserError(f"a model of the task {version.facts['task']} can't be asked at once")
    answering = checked(task, asked.threshold, asked.probabilities)
    task.require()
    answer = asks.ask(Published(version.sha256, task.predictor), items, answering)
    return Predictions(
        model=row.name,
        version=version.number,
        predictions=tuple(dict(one) for one in answer.predictions),
        seconds=answer.seconds,
    )


def _checked(pictures: Sequence[Picture]) -> list[Item]:
    """Return pictures as they are asked about.

    Raises:
        ArgumentError: there are none, too many, or too large ones.
    """
    if not pictures:
        raise ArgumentError("pictures", "there is none", "Send one, or several")
    if len(pictures) > MOST_PICTURES:
        remedy = "Send fewer at a time, or have a job look at them"
        raise ArgumentError("pictures", f"these are {len(pictures)}, and {MOST_PICTURES} are taken", remedy)
    for one in pictures:
        if not one.content:
            raise ArgumentError(_called(one), "it is empty", "Send a picture")
        if len(one.content) > LARGEST_PICTURE:
            what = f"it has {size(len(one.content))}, and {size(LARGEST_PICTURE)} are taken"
            raise ArgumentError(_called(one), what, "Send a smaller one, or have a job look at it")
    total = sum(len(one.content) for one in pictures)
    if total > LARGEST_REQUEST:
        what = f"together they have {size(total)}, and {size(LARGEST_REQUEST)} are taken"
        raise ArgumentError("pictures", what, "Send fewer at a time")
    return [Item(_called(one), one.content) for one in pictures]


def _called(picture: Picture) -> str:
    """Return the name of a picture, as a file has one."""
    return shortened(picture.name.replace("\\", "/").rpartition("/")[2] or "picture", _LONGEST_NAME)
