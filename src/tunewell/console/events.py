"""What has happened to a trial, in sentences."""

from __future__ import annotations

from tunewell.console.causes import in_words
from tunewell.service.types import Event
from tunewell.spec.errors import ended
from tunewell.spec.format import number


def told(event: Event) -> str:
    """Return what an event says, for people."""
    if event.kind == "suggested":
        return "Proposed."
    if event.kind == "started":
        return f"Attempt {event.attempt} started."
    if event.kind == "lost":
        return f"Attempt {event.attempt} was lost{_why(event)}"
    if event.kind == "retried":
        return "To be run again."
    if event.kind == "ended":
        return _end(event)
    return f"{event.kind.capitalize()}."


def _end(event: Event) -> str:
    state = event.data.get("state")
    if not event.attempt:
        return "Stopped before it had started."
    value = event.data.get("value")
    reached = f" with {number(value)}" if value is not None else ""
    return f"Attempt {event.attempt} {_ENDS.get(str(state), state)}{reached}{_why(event)}"


_ENDS = {"stopped": "was stopped", "pruned": "was pruned"}


def _why(event: Event) -> str:
    """Return cause and detail as the rest of a sentence, and another one."""
    cause, detail = event.data.get("cause"), event.data.get("detail")
    told = [ended(part) for part in (in_words(cause) if cause else "", str(detail or "")) if part]
    return f": {' '.join(told)}" if told else "."
