"""Reading and writing spec files."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import stat
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.parser import ParserError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scanner import ScannerError

from tunewell.spec.errors import DataError, SpecError, shortened, shown
from tunewell.spec.names import is_dataset
from tunewell.spec.rules import WORKERS
from tunewell.spec.text import DEEPEST, MOST_VALUES, TOO_DEEP, TOO_MANY, check_extent, check_plain, check_text

_LONGEST_EXPERIMENT = 100
#: Longest name of a file and, about, longest path, in bytes.
_LONGEST_NAME, _LONGEST_PATH = 255, 3800
#: Largest spec file, in bytes: reading one takes two seconds.
LARGEST_FILE = 1_000_000
_TOO_LONG = ("there is a number with thousands of digits", "Shorten it")
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_spec_file(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML (1.2) or JSON file, its paths made absolute, its name filled in.

    Raises:
        DataError: the file can't be read.
        SpecError: it is no valid YAML or JSON, or no mapping.
    """
    return complete_paths(read_mapping(path), path.resolve().parent, experiment_name(path.stem))


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML (1.2) or JSON file as it is; raises as `read_spec_file` does."""
    return parse_spec(_read(path), "json" if path.suffix.lower() == ".json" else "yaml", str(path))


def parse_spec(text: str, form: Literal["json", "yaml"], place: str) -> dict[str, Any]:
    """Return the mapping in a text; `place` is what people call the text.

    Raises:
        SpecError: it is no valid YAML (1.2) or JSON, or no mapping.
    """
    data = _parse_json(place, text) if form == "json" else _parse_yaml(place, text)
    if not isinstance(data, dict):
        raise SpecError(place, "it holds no mapping", "Write `field: value` lines")
    check_plain("", data)
    return data


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError("it is no file", field=str(path), remedy="Give the path of a spec file")
        if status.st_size > LARGEST_FILE:
            raise DataError("it is larger than a megabyte", field=str(path), remedy="Give the path of a spec file")
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except FileNotFoundError:
        raise DataError("there is no such file", field=str(path), remedy="Give the path of a spec file") from None
    except OSError as error:
        raise DataError(
            f"it can't be read ({error.strerror})", field=str(path), remedy="Give the path of a spec file"
        ) from None
    except UnicodeDecodeError:
        raise DataError("it is no text in UTF-8", field=str(path), remedy="Give the path of a spec file") from None


def to_yaml(spec: Mapping[str, Any], is_compact: bool = False) -> str:
    """Return a spec as a file that would start the same search; fields without a value are left out.

    With `is_compact`, lists and mappings of single values stand in a line.
    """
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.default_flow_style = None if is_compact else False
    yaml.width = 1000
    text = io.StringIO()
    yaml.dump(_given(spec), text)
    return text.getvalue()


class _Representer(RoundTripRepresenter):
    """Escapes what is a line break to readers of YAML, and would come back as another one."""

    def represent_str(self, data: str) -> Any:
        style = '"' if _OTHER_BREAKS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Representer.add_representer(str, _Representer.represent_str)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, those of nested mappings too; in parameters, null is a value."""
    found = {
        name: _given(value) if isinstance(value, Mapping) and name != "parameters" else value
        for name, value in fields.items()
    }
    return {name: value for name, value in found.items() if value not in (None, (), [], {})}


def experiment_name(text: str) -> str:
    """Return a name for an experiment made of any text: `my search (2)` gives `my-search-2`, `Übung` gives `Ubung`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", plain).strip("-_.")
    return words[:_LONGEST_EXPERIMENT].rstrip("-_.") or "search"


def complete_paths(data: dict[str, Any], base: Path, name: str) -> dict[str, Any]:
    """Return `data` with relative paths made absolute against `base`, and with defaults for name and folder."""
    data = {"name": name, **data}
    weights = data.get("weights")
    if isinstance(data.get("data"), str) and not is_dataset(data["data"]):
        data["data"] = _absolute("data", base, data["data"])
    if isinstance(weights, str) and weights not in ("", "auto", "none"):
        data["weights"] = _absolute("weights", base, weights)
    runs_here = data.get("command") and not data.get("code") and data.get("scheduler") != WORKERS
    if runs_here and isinstance(data.get("working_directory", "."), str):
        data["working_directory"] = _absolute("working_directory", base, data.get("working_directory", "."))
    return data


def _absolute(field: str, base: Path, path: str) -> str:
    check_text(field, path)
    parts = [len(os.fsencode(part)) for part in Path(path).parts]
    if max(parts, default=0) > _LONGEST_NAME or sum(parts) > _LONGEST_PATH:
        raise SpecError(field, f"{shown(path)} is longer than a path can be", "Shorten it")
    try:
        return str((base / Path(path).expanduser()).resolve())
    except (OSError, RuntimeError) as error:  # links in a circle; a user who has no folder
        raise SpecError(field, f"{shown(path)} leads nowhere ({error})", "Give another path") from None


def _parse_json(place: str, text: str) -> Any:
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _without_doubles(place, pairs))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError(place, f"{where}: {error.msg}", "Fix the JSON there") from None
    except RecursionError:
        raise SpecError(place, *TOO_DEEP) from None
    except ValueError:
        raise SpecError(place, *_TOO_LONG) from None
    check_extent(place, data)
    return data


def _without_doubles(place: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise SpecError(place, f"{shown(name)} is there twice", "Keep one of them")
        found[name] = value
    return found


class _Refused(MarkedYAMLError):
    """What is valid YAML, but too much of it."""

    def __init__(self, problem: str, remedy: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.remedy = remedy


class _Composer(Composer):
    """Refuses what refers to itself, and what would take long: values behind `*name` count each time."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self._count = self._level = 0
        self._counts: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        before = self._count
        self._count += 1
        self._level += 1
        if self._level > DEEPEST:
            raise _Refused(*TOO_DEEP, event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(event, AliasEvent):
            if id(node) not in self._counts:
                raise _Refused(f"*{event.anchor} stands for what it is a part of", "Drop it", event.start_mark)
            self._count = before + self._counts[id(node)]
        if self._count > MOST_VALUES:
            raise _Refused(*TOO_MANY, event.start_mark)
        self._counts[id(node)] = self._count - before
        self._level -= 1
        return node


def _parse_yaml(place: str, text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        return yaml.load(text)
    except _Refused as error:
        raise SpecError(place, f"{_place(error)}{error.problem}", error.remedy) from None
    except DuplicateKeyError as error:
        name = str(error.problem).split('"')[1]
        raise SpecError(place, f"{_place(error)}{shown(name)} is there twice", "Keep one of them") from None
    except MarkedYAMLError as error:
        raise SpecError(place, *_explain(error)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(place, f"line {line}: there is a character that no text may hold", "Delete it") from None
    except Exception as error:  # whatever comes of a date, a number or a tagged text that is none
        if "digits" in str(error):
            raise SpecError(place, *_TOO_LONG) from None
        raise SpecError(place, f"it is not valid YAML ({shortened(str(error), 100)})", "Fix it") from None


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
