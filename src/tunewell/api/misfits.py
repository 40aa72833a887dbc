"""What is wrong with a parameter or field of a request, in the words of the product instead of pydantic's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunewell.spec.errors import ArgumentError, listed, nearest, shown
from tunewell.spec.validation import model_at

#: pydantic's error type → what is wrong, and the remedy; facts of the error stand in braces.
_SAID = {
    "missing": ("it is missing", ""),
    "string_type": ("it is no text", "Give a text"),
    "string_too_short": ("it has fewer than {min_length} characters", "Give {min_length} or more"),
    "string_too_long": ("it is longer than {max_length} characters", "Shorten it"),
    "string_pattern_mismatch": ("it is not possible", "Give something of the form {pattern}"),
    "int_type": ("it is no whole number", "Give a whole number"),
    "int_parsing": ("it is no whole number", "Give a whole number"),
    "int_from_float": ("it is no whole number", "Give a whole number"),
    "float_type": ("it is no number", "Give a number"),
    "float_parsing": ("it is no number", "Give a number"),
    "finite_number": ("it is no finite number", "Give a number"),
    "bool_type": ("it is neither true nor false", "Give true or false"),
    "bool_parsing": ("it is neither true nor false", "Give true or false"),
    "list_type": ("it is no list", "Give a list"),
    "tuple_type": ("it is no list", "Give a list"),
    "dict_type": ("it is no object", "Give an object of names and values"),
    "model_type": ("it is no object", "Give an object of names and values"),
    "model_attributes_type": ("it is no object", "Give an object of names and values"),
    "greater_than": ("it is not above {gt}", "Give more than {gt}"),
    "greater_than_equal": ("it is below {ge}", "Give {ge} or more"),
    "less_than": ("it is not below {lt}", "Give less than {lt}"),
    "less_than_equal": ("it is above {le}", "Give {le} or less"),
    "too_short": ("it has too few items", "Give {min_length} or more"),
    "too_long": ("it has too many items", "Give {max_length} at most"),
}
#: Types of errors of what is one of a few words, which are no secrets.
_OF_WORDS = ("literal_error", "enum")


def argument_error(found: Mapping[str, Any], body: Any) -> ArgumentError:
    """Return what is wrong with one parameter or field; `body` is the model of the request's body.

    A value from there may be a secret, and is not told, unless it should be one of a few words.
    """
    source, *place = found["loc"]
    field = ".".join(map(str, place)) if place else str(source)
    kind, facts = found["type"], found.get("ctx", {})
    value = {} if source == "body" or kind == "missing" else {"value": found["input"]}
    if kind == "extra_forbidden":
        what, remedy = "there is no such field", nearest(str(place[-1]), model_at(body, place[:-1]).model_fields)
    elif kind == "value_error" and len(facts["error"].args) == 2:  # one of our own validators
        what, remedy = facts["error"].args
    elif kind in _OF_WORDS:
        known = re.findall(r"'([^']*)'", facts["expected"])
        what, remedy = f"{shown(found['input'])} is not possible", f"Give {listed(known)}"
        value = {"value": found["input"]}
    elif kind in _SAID:
        what, remedy = (text.format(**facts) for text in _SAID[kind])
    else:
        what, remedy = str(found["msg"]), ""
    return ArgumentError(field, what, remedy, **value)
