"""Values of a spec as people type them into a field, and back: `0.1`, `true`, `sgd`, `"10"` for the text 10."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

_WORDS = {"true": True, "false": False, "null": None}
_WHOLE = re.compile(r"[-+]?[0-9]{1,1000}")
_REAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(,|$)', re.DOTALL)


def scalar(text: str) -> Any:
    """Return the value that a text means: a number, true, false, null, or a text; one in quotes is always a text."""
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            pass
    return text


def written(value: Any) -> str:
    """Return a value as `scalar` reads it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        is_plain = value and scalar(value) == value and not set(value) & set(',"\r\n') and value.strip() == value
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return repr(value)


def scalars(text: str) -> list[Any]:
    """Return the values of a list, which commas part: `16, 32, "a, b"`; a comma at the end parts nothing."""
    found, place = [], 0
    while place < len(text):
        match = _ITEM.match(text, place)
        assert match is not None
        found.append(scalar(match[1]))
        if match.end() == place or not match[2]:
            break
        place = match.end()
    return found if text.strip() else []


def listing(values: Sequence[Any]) -> str:
    """Return values as `scalars` reads them."""
    return ", ".join(map(written, values))
