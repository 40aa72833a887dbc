"""Which texts a spec may hold: those that every file, database and program can take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewell.spec.errors import SpecError, shown
from tunewell.spec.secrets import shown_of


def check_text(field: str, value: Any) -> None:
    """Raise `SpecError` if a text anywhere in `value` has a NUL character or is not Unicode (lone surrogates).

    No program can be given the former, in an argument or in its environment; the latter come from names of files
    that are not UTF-8 and can be written nowhere.
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
    if not isinstance(text, str | Path):
        return
    told = f"{what}{shown(str(text))}" if what else shown_of(field, str(text))
    if "\0" in str(text):
        raise SpecError(field, f"{told} has a NUL character", "Remove it")
    try:
        str(text).encode()
    except UnicodeEncodeError:
        raise SpecError(field, f"{told} is not valid Unicode", "Write it, or rename the file, in UTF-8") from None
