"""What may be changed of an experiment beside its spec: facts for people, whose it is to see, and its share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unicodedata import category

from tunewell.service.types import JsonObject
from tunewell.spec.errors import SpecError, shown
from tunewell.spec.space import is_number
from tunewell.spec.text import check_text

#: Characters of a description, of the name of a project, of a tag; tags of an experiment.
LONGEST_DESCRIPTION, LONGEST_PROJECT, LONGEST_TAG, MOST_TAGS = 10_000, 100, 50, 20


def check_facts(facts: Mapping[str, Any]) -> JsonObject:
    """Return facts as they are recorded.

    Raises:
        SpecError: the value of one is wrong.
    """
    return {field: FACTS[field](field, value) for field, value in facts.items()}


def _description(field: str, value: Any) -> str:
    return _text(field, value, LONGEST_DESCRIPTION, spaces="\n\t").rstrip()


def _project(field: str, value: Any) -> str:
    return _text(field, value, LONGEST_PROJECT).strip()


def _tags(field: str, value: Any) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SpecError(field, f"{shown(value)} is no list of texts", "Write it like ['baseline', 'small']", value)
    if len(value) > MOST_TAGS:
        raise SpecError(field, f"{len(value)} are too many", f"Give {MOST_TAGS} at most")
    tags = [_text(field, tag, LONGEST_TAG).strip() for tag in value]
    if "" in tags:
        raise SpecError(field, "a tag is empty", "Drop it")
    return list(dict.fromkeys(tags))


def _weight(field: str, value: Any) -> float:
    if not is_number(value) or not math.isfinite(value) or value <= 0:
        raise SpecError(field, f"{shown(value)} is not possible", "Give a number above 0, such as 2", value)
    return float(value)


def _visibility(field: str, value: Any) -> str:
    if value not in ("team", "private"):
        raise SpecError(field, f"{shown(value)} is not possible", "Say team or private", value)
    return str(value)


def _text(field: str, value: Any, longest: int, spaces: str = "") -> str:
    """Return a text that can be recorded and shown anywhere; of control characters it may have `spaces`."""
    if not isinstance(value, str):
        raise SpecError(field, f"{shown(value)} is not a text", "Write a text", value)
    if len(value) > longest:
        raise SpecError(field, f"it has {len(value)} characters", f"Give {longest} at most")
    check_text(field, value)
    if any(category(character) == "Cc" and character not in spaces for character in value):
        raise SpecError(field, f"{shown(value)} has a control character", "Remove it", value)
    return value


#: Fact → what checks its value.
FACTS: Mapping[str, Callable[[str, Any], Any]] = {
    "description": _description,
    "project": _project,
    "tags": _tags,
    "visibility": _visibility,
    "weight": _weight,
}
