"""The spec that a command is given, told from what people give in its place."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tunewell.spec.errors import DataError, SpecError
from tunewell.spec.files import read_spec_file

#: Endings of specs; a file without one may be a spec, too.
_SUFFIXES = (".yaml", ".yml", ".json", "")


def read_spec(path: Path) -> dict[str, Any]:
    """Return the spec in a file.

    Raises:
        DataError: the file can't be read; or it is data or a program, of which `tunewell init` makes a spec.
        SpecError: it is no valid YAML or JSON, or no mapping.
    """
    if path.is_dir():
        raise DataError("it is a folder, and no spec", field=str(path), remedy=_make_one(path))
    if not path.exists() and (meant := path.with_name(f"{path.name}.yaml")).is_file():
        raise DataError("there is no such file", field=str(path), remedy=f"Did you mean '{meant}'")
    try:
        return read_spec_file(path)
    except SpecError:
        if path.suffix.lower() in _SUFFIXES:
            raise
        raise DataError("it is no spec", field=str(path), remedy=_make_one(path)) from None


def _make_one(path: Path) -> str:
    return f"If it is what you search over, make a spec of it first: tunewell init {shlex.quote(str(path))}"
