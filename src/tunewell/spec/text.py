"""Texts of users and programs: which ones, and how many values, a spec may hold, and how foreign ones are shown."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unicodedata import category

from tunewell.spec.errors import SpecError, shown, shown_of

#: Characters of a foreign text that are shown to people.
LONGEST_QUOTE = 120
_TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)?)")

#: Most values in a spec, mappings and lists counted, and how deep they may be nested.
MOST_VALUES, DEEPEST = 50_000, 20
TOO_MANY = (f"there are more than {MOST_VALUES} values", "Write ranges instead of single values, or give fewer")
TOO_DEEP = (f"values are nested deeper than {DEEPEST} levels", "Write it flatter")


def check_extent(field: str, value: Any) -> None:
    """Raise `SpecError` if `value` holds too many values, or values too deeply nested (itself, perhaps)."""
    waiting, count = [(value, 1)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise SpecError(field, *TOO_DEEP)
        if isinstance(value, Mapping | list | tuple):
            if count + len(waiting) + len(value) > MOST_VALUES:
                raise SpecError(field, *TOO_MANY)
            parts = value.values() if isinstance(value, Mapping) else value
            waiting += [(part, depth + 1) for part in parts]


def check_plain(field: str, value: Any) -> None:
    """Raise `SpecError` if there are bytes, or a set, anywhere in `value`, as YAML knows them and JSON doesn't.

    Fields that hold texts would take bytes for one, past those who look at texts alone.
    """
    if isinstance(value, Mapping):
        for name, part in value.items():
            check_plain(field, name)
            check_plain(f"{field}.{name}" if field else str(name), part)
    elif isinstance(value, list | tuple):
        for part in value:
            check_plain(field, part)
    elif isinstance(value, bytes | bytearray | set | frozenset):
        remedy = "Put it in quotes" if isinstance(value, bytes | bytearray) else "Write it as a list"
        raise SpecError(field, f"{shown(str(value))} is not a text, number or list", remedy)


def is_text(text: str) -> bool:
    """Whether a text is Unicode, and not made of bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(field: str, value: Any) -> None:
    """Raise `SpecError` if a text anywhere in `value` has a NUL character or is not Unicode, or a number is too long.

    No program can be given a NUL character, in an argument or in its environment; what is not Unicode (lone surrogates)
    comes from names of files that are not UTF-8 and can be written nowhere.
    """
    if isinstance(value, Mapping):
        for name, part in value.items():
            _check(field, "the name ", name)
            check_text(f"{field}.{name}", part)
    elif isinstance(value, list | tuple):
        for part in value:
            check_text(field, part)
    else:
        _check(field, "", value)


def _check(field: str, what: str, text: Any) -> None:
    if isinstance(text, int) and text.bit_length() > sys.float_info.max_exp:
        raise SpecError(field, f"{what or shown_of(field, text)} is too long", "Shorten it")
    if not isinstance(text, str | Path):
        return
    told = f"{what}{shown(str(text))}" if what else shown_of(field, str(text))
    if "\0" in str(text):
        raise SpecError(field, f"{told} has a NUL character", "Remove it")
    if not is_text(str(text)):
        raise SpecError(field, f"{told} is not valid Unicode", "Write it, or rename the file, in UTF-8")


#: Characters that turn the text behind them round.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """Replace what can't be written, stored or shown in a text: lone surrogates, control characters, turns."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if category(c) in ("Cc", "Cs") or c in _TURNS else c for c in text)


def without_colours(text: str) -> str:
    """Return a text without the codes that terminals understand."""
    return _TERMINAL_CODE.sub("", text)


def quoted(text: str) -> str:
    """Return a foreign text in quotes, as one line that is not too long."""
    line = clean(" ".join(without_colours(text).split()))
    return f"'{line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + '…'}'"
