"""What a model says of pictures, ready to be drawn: probabilities as bars, objects as boxes over the picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tunewell.console.results.masks import Outline, outline_of

#: Most pictures, guesses of a picture (with all probabilities: so many) and objects in one that are shown.
_PICTURES, _GUESSES, _ALL_GUESSES, _OBJECTS = 12, 8, 100, 60
#: Larger files are for programs, in bytes.
_LARGEST = 16 << 20
#: Colours of classes, which begin again after so many.
HUES = 8
#: Height of a name on a picture, as a share of its longer side.
_TEXT = 1 / 32


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its probability."""

    label: str
    probability: float
    #: Whether the model says it.
    is_said: bool


@dataclass(frozen=True, slots=True)
class Object:
    """An object that was found, in pixels of the picture."""

    label: str
    score: float
    x: float
    y: float
    width: float
    height: float
    #: Colour of its class, below `HUES`.
    hue: int
    mask: Outline | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one picture."""

    #: Its place among all.
    number: int
    file: str
    #: Why it could not be read; empty: it was.
    error: str
    guesses: Sequence[Guess]
    #: How many classes more have a probability.
    guesses_left_out: int
    objects: Sequence[Object]
    #: How many objects there are.
    found: int
    #: Width and height of the picture, where a small one was kept; None: none was.
    size: tuple[int, int] | None
    #: Whether objects were looked for.
    has_objects: bool

    @property
    def text_height(self) -> float:
        """How high names are written on it."""
        return max(self.size or (0, 0)) * _TEXT


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of the first pictures, and how many there are."""

    shown: Sequence[Prediction]
    count: int


def predictions_of(parts: Iterator[bytes], in_full: bool = False) -> Predictions:
    """Read the predictions that a job has left; none where they are lost, or too many to be looked at.

    `in_full`: with the probabilities of all classes.
    """
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > _LARGEST:
            return Predictions((), 0)
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(content)
        shown = [prediction_of(number, one, in_full) for number, one in enumerate(found[:_PICTURES])]
        return Predictions(shown, len(found))
    return Predictions((), 0)


def prediction_of(number: int, one: Mapping[str, Any], in_full: bool = False) -> Prediction:
    """Return a prediction as the task says it, at a place among others, ready to be drawn; see `predictions_of`."""
    objects, size = one.get("objects", ()), one.get("size")
    hues: dict[str, int] = {}
    for item in sorted({str(item["label"]) for item in objects}):
        hues[item] = len(hues) % HUES
    guesses, left_out = _guesses(one, in_full)
    return Prediction(
        number=number,
        file=str(one["file"]),
        error=str(one["error"] or ""),
        guesses=guesses,
        guesses_left_out=left_out,
        objects=[_object(item, hues) for item in objects[:_OBJECTS]],
        found=len(objects),
        size=(int(size[0]), int(size[1])) if one.get("preview") and size else None,
        has_objects="objects" in one,
    )


def _guesses(one: Mapping[str, Any], in_full: bool) -> tuple[list[Guess], int]:
    """Return the guesses that are shown, and how many others there are."""
    if "top" in one and not in_full:
        top = [(str(guess["label"]), float(guess["probability"])) for guess in one["top"]]
        return [Guess(*guess, place == 0) for place, guess in enumerate(top)], 0
    said = {one["label"]} if "top" in one else set(one.get("labels", ()))
    known = [Guess(label, float(share), label in said) for label, share in one.get("probabilities", {}).items()]
    known.sort(key=lambda guess: (not guess.is_said, -guess.probability))
    most = max(_ALL_GUESSES if in_full else _GUESSES, len(said))
    return known[:most], max(0, len(known) - most)


def _object(item: Mapping[str, Any], hues: Mapping[str, int]) -> Object:
    x0, y0, x1, y1 = map(float, item["box"])
    label = str(item["label"])
    mask = outline_of(item["mask"]) if item.get("mask") else None
    return Object(label, float(item["score"]), x0, y0, max(x1 - x0, 0.0), max(y1 - y0, 0.0), hues[label], mask)
