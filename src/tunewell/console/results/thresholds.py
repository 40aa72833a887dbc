"""The threshold that a model is asked with: from which score or probability on something is given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form

from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, shown

#: As a form sends it; empty: the model's own.
Threshold = Annotated[str, Form(max_length=40)]


def threshold_of(text: str) -> float | None:
    """Return the threshold that a form sends; raise `ArgumentError` if it is no number."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise ArgumentError("threshold", f"{shown(text)} is no number", "Give one above 0, and 1 at most") from None


def takes_threshold(verbs: Verbs, task: str | None) -> bool:
    """Whether models of a task can be asked with a threshold."""
    return any(one.name == task and "threshold" in one.answering for one in verbs.tasks())
