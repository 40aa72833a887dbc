"""How a model is to answer, as a form asks for it; see `Verbs.predict`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form

from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, shown

#: From which score or probability on something is given, as a form sends it; empty: the model's own.
Threshold = Annotated[str, Form(max_length=40)]
#: Whether the probability of every class is given, as a form sends it.
Probabilities = Annotated[bool, Form()]


def threshold_of(text: str) -> float | None:
    """Return the threshold that a form sends; raise `ArgumentError` if it is no number."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise ArgumentError("threshold", f"{shown(text)} is no number", "Give one above 0, and 1 at most") from None


def answering_of(verbs: Verbs, task: str | None) -> tuple[str, ...]:
    """Return what models of a task can be asked for besides: `threshold`, `probabilities`."""
    return next((one.answering for one in verbs.tasks() if one.name == task), ())
