"""Reading and writing spec files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.parser import ParserError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import ScannerError

from tunewell.spec.errors import DataError, SpecError, shown


def read_spec_file(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML (1.2) or JSON file, its paths made absolute, its name filled in.

    Raises:
        DataError: the file can't be read.
        SpecError: it is no valid YAML or JSON, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. Give the path of a spec file.") from None
    except OSError as error:
        raise DataError(f"{path}: it can't be read ({error.strerror}). Give the path of a spec file.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: it is no text in UTF-8. Give the path of a spec file.") from None
    data = _parse_json(path, text) if path.suffix.lower() == ".json" else _parse_yaml(path, text)
    if not isinstance(data, dict):
        raise SpecError(str(path), "it holds no mapping", "Write `field: value` lines")
    return complete_paths(data, path.resolve().parent, path.stem)


def to_yaml(spec: Mapping[str, Any]) -> str:
    """Return a spec as a file that would start the same search; fields without a value are left out."""
    yaml = YAML()
    yaml.width = 1000
    text = io.StringIO()
    yaml.dump(_given(spec), text)
    return text.getvalue()


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, those of nested mappings too."""
    found = {name: _given(value) if isinstance(value, Mapping) else value for name, value in fields.items()}
    return {name: value for name, value in found.items() if value not in (None, (), [], {})}


def complete_paths(data: dict[str, Any], base: Path, name: str) -> dict[str, Any]:
    """Return `data` with relative paths made absolute against `base`, and with defaults for name and folder."""
    data = {"name": name, **data}
    weights = data.get("weights")
    if isinstance(data.get("data"), str):
        data["data"] = _absolute(base, data["data"])
    if isinstance(weights, str) and weights not in ("", "auto", "none"):
        data["weights"] = _absolute(base, weights)
    if data.get("command") and isinstance(data.get("working_directory", "."), str):
        data["working_directory"] = _absolute(base, data.get("working_directory", "."))
    return data


def _absolute(base: Path, path: str) -> str:
    return str((base / Path(path).expanduser()).resolve())


def _parse_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_doubles(path, pairs))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise SpecError(str(path), f"{place}: {error.msg}", "Mend the JSON there") from None


def _without_doubles(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise SpecError(str(path), f"{shown(name)} is there twice", "Keep one of them")
        found[name] = value
    return found


def _parse_yaml(path: Path, text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        name = str(error.problem).split('"')[1]
        raise SpecError(str(path), f"{_place(error)}{shown(name)} is there twice", "Keep one of them") from None
    except MarkedYAMLError as error:
        raise SpecError(str(path), *_explain(error)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(str(path), f"line {line}: there is a character that no text may hold", "Delete it") from None
    except (YAMLError, ValueError, RecursionError) as error:  # a date that is none; nested without end
        raise SpecError(str(path), f"it is not valid YAML ({error})", "Mend it") from None


def _explain(error: MarkedYAMLError) -> tuple[str, str]:
    """Return what is wrong, with its place, and the remedy."""
    problem = str(error.problem or "it is not valid YAML")
    if "\\t" in problem:
        return f"{_place(error)}there is a tab", "Indent with spaces"
    if "end of stream" in problem or "stream end" in problem:
        return f"{_place(error, opening=True)}a quote or bracket opens and is never closed", "Close it"
    if "another document" in problem:
        return f"{_place(error)}a second document begins", "Keep one spec a file"
    if isinstance(error, ScannerError | ParserError):
        return (
            f"{_place(error)}{problem}",
            "Close all brackets and quotes; texts with any of { } [ ] , : # % @ in them need quotes",
        )
    return f"{_place(error)}{problem}", "Drop it"


def _place(error: MarkedYAMLError, opening: bool = False) -> str:
    mark = error.context_mark if opening and error.context_mark else error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
