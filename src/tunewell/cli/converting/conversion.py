"""From a file of another tool to the text of a spec."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.cli.converting.katib import from_katib, is_katib
from tunewell.cli.converting.nni import from_nni, is_nni
from tunewell.cli.converting.source import Notes, in_a_line
from tunewell.service.findings import check_form
from tunewell.spec.errors import ArgumentError
from tunewell.spec.files import experiment_name, parse_spec, read_mapping, to_yaml

#: Endings of files that may be another tool's.
SUFFIXES = (".yaml", ".yml", ".json")
_Converter = Callable[[Mapping[str, Any], Path, Notes], tuple[str, dict[str, Any]]]
_TOOLS: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], _Converter]] = {
    "Katib": (is_katib, from_katib),
    "NNI": (is_nni, from_nni),
}
_ORDER = ("command", "working_directory", "environment", "objective", "metric_pattern", "parameters", "algorithm")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A spec made of a file of another tool."""

    tool: str
    #: A name for the search, such as the one in the file.
    name: str
    text: str
    #: What is not carried over, or in another way.
    notes: tuple[str, ...]


def convert(path: Path, folder: Path) -> Conversion:
    """Return the spec for a file of NNI or Katib, to lie in a folder.

    Raises:
        ArgumentError: it is the file of neither of them.
        DataError: it, or a file that it names, can't be read.
        SpecError, SpecErrors: it is wrong, or says something that a spec can't say.
    """
    data = read_mapping(path)
    for tool, (is_its, converter) in _TOOLS.items():
        if is_its(data):
            notes = Notes()
            name, fields = converter(data, path.resolve(), notes)
            text = _text(tool, path, fields, folder, notes)
            check_form({"name": "converted", **parse_spec(text, "yaml", "the spec")})
            return Conversion(tool, _free_name(name, path), text, tuple(notes.lines))
    if not {"command", "objective", "parameters", "task"}.isdisjoint(data):
        raise ArgumentError("path", "it looks like a spec itself", "Look at it with tunewell check", str(path))
    remedy = "Name a configuration or search space of NNI, or an Experiment of Katib"
    raise ArgumentError("path", "it is no file of a tool that is known", remedy, str(path))


def _free_name(name: str, path: Path) -> str:
    """Return a name whose spec is another file than the one that was read."""
    plain = experiment_name(name)
    return f"{plain}-search" if Path(f"{plain}.yaml").resolve() == path.resolve() else plain


def _text(tool: str, path: Path, fields: Mapping[str, Any], folder: Path, notes: Notes) -> str:
    ordered = {name: fields[name] for name in _ORDER if name in fields} | dict(fields)
    ordered["parameters"] = {name: _shortest(declaration) for name, declaration in fields["parameters"].items()}
    if place := fields.get("working_directory"):
        relative = os.path.relpath(place, folder.resolve())
        ordered["working_directory"] = None if relative == os.curdir else relative
    head = [
        f"# From {in_a_line(path.name)}, a file of {tool}. "
        "`tunewell check` says what follows from it, `tunewell search` runs it.",
        *(["# What is not carried over, or in another way:"] if notes.lines else []),
        *(f"# - {line}" for line in notes.lines),
    ]
    return "\n".join(head) + "\n" + to_yaml(ordered, is_compact=True)


def _shortest(declaration: dict[str, Any]) -> Any:
    return declaration["choices"] if set(declaration) == {"choices"} else declaration
