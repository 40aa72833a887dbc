"""What can be said of a channel: what it is told of, about which searches, and what its owner calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args

from tunewell.service.types import Caller
from tunewell.spec.errors import ForbiddenError, SpecError, listed, nearest, shown
from tunewell.spec.notifications import NotifiedEvent, NotifiedSearches
from tunewell.spec.problems import Problems

_LONGEST = 100
_EVENTS: Final[tuple[NotifiedEvent, ...]] = get_args(NotifiedEvent)
_SEARCHES: Final[tuple[NotifiedSearches, ...]] = get_args(NotifiedSearches)


def checked_facts(facts: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    """Return what is said of a channel (`events`, `searches`, `project` and `label`) as it is recorded.

    Raises:
        SpecError: some of it is not possible.
        ForbiddenError: the caller may not hear of one of the events.
    """
    problems = Problems()
    for name, value in facts.items():
        with problems.gathering():
            if name not in _RULES:
                raise SpecError(name, "it can't be set", nearest(name, [*_RULES, "active"]))
            _RULES[name](value)
    problems.raise_any("What is said of the channel")
    if "disk_low" in facts["events"] and caller.role != "administrator":
        raise ForbiddenError("`disk_low` is told to administrators alone", field="events", remedy="Leave it out")
    if (facts["searches"] == "project") != bool(facts["project"]):
        remedy = "Name one with `searches` project, and with that alone"
        raise SpecError("project", "it goes with `searches`", remedy, facts["project"])
    return {**facts, "events": tuple(event for event in _EVENTS if event in facts["events"])}


def check_one_of(field: str, value: object, known: Sequence[str]) -> None:
    """Raise `SpecError` for a value that is none of those known."""
    if value not in known:
        raise SpecError(field, f"{shown(value)} is not possible", f"Give {listed(known)}", value)


def _check_events(value: Any) -> None:
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("events", f"{shown(value)} is no list of events", f"Give some of {listed(_EVENTS)}", value)
    for event in value:
        check_one_of("events", event, _EVENTS)


def _check_line(field: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if not isinstance(value, str) or len(value) > _LONGEST or (value and not value.isprintable()):
            raise SpecError(field, f"{shown(value)} is not possible", f"Give at most {_LONGEST} characters", value)

    return check


#: What can be set of a channel → what checks it.
_RULES: Mapping[str, Callable[[Any], None]] = {
    "events": _check_events,
    "searches": lambda value: check_one_of("searches", value, _SEARCHES),
    "project": _check_line("project"),
    "label": _check_line("label"),
}
