"""What may be changed of an experiment beside its spec: facts for people, whose it is to see, and its share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tunewell.service.types import JsonObject
from tunewell.spec.errors import SpecError, shown
from tunewell.spec.labels import description_text, project_name, tag_names
from tunewell.spec.space import is_number
from tunewell.spec.text import check_text


def check_facts(facts: Mapping[str, Any]) -> JsonObject:
    """Return facts as they are recorded.

    Raises:
        SpecError: the value of one is wrong.
    """
    return {field: FACTS[field](field, value) for field, value in facts.items()}


def _label(read: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """Return what checks a label as `read` does for specs."""

    def check(field: str, value: Any) -> Any:
        check_text(field, value)
        try:
            return read(value)
        except ValueError as error:
            what, remedy = error.args
            raise SpecError(field, what, remedy, value) from None

    return check


def _weight(field: str, value: Any) -> float:
    if not is_number(value) or not math.isfinite(value) or value <= 0:
        raise SpecError(field, f"{shown(value)} is not possible", "Give a number above 0, such as 2", value)
    return float(value)


def _visibility(field: str, value: Any) -> str:
    if value not in ("team", "private"):
        raise SpecError(field, f"{shown(value)} is not possible", "Say team or private", value)
    return str(value)


#: Fact → what checks its value.
FACTS: Mapping[str, Callable[[str, Any], Any]] = {
    "description": _label(description_text),
    "project": _label(project_name),
    "tags": _label(tag_names),
    "visibility": _visibility,
    "weight": _weight,
}
