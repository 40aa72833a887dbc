"""A file of another tool while it is read."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tunewell.spec.declaration import PARAMETER_NAME
from tunewell.spec.errors import SpecError, shown

T = TypeVar("T")

#: Placeholders of a command that stand for something else.
TAKEN = {
    "attempt",
    "checkpoint_dir",
    "experiment",
    "fidelity",
    "output_dir",
    "parameters_file",
    "sampling",
    "trial",
    "trial_folder",
}
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_BRACES = re.compile(rf"\{{\{{({PARAMETER_NAME.pattern})\}}\}}|\{{({PARAMETER_NAME.pattern})\}}")


@dataclass
class Notes:
    """What a spec does not carry over, or carries over in another way: a line each, with the field that it is about."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """Add a line about a field of the file; names in it may hold anything."""
        line = in_a_line(f"{where}: {text}")
        if line not in self.lines:
            self.lines.append(line)


def in_a_line(text: str) -> str:
    """Return a text that stays in the comment it is put into."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


class Source:
    """A mapping in the file. Names are told apart without regard to capitals and underscores, as NNI does."""

    def __init__(self, fields: Mapping[str, Any], notes: Notes, where: str = "") -> None:
        """Read `fields`; `where` is their place in the file as a dotted path, with a full stop at its end.

        Raises:
            SpecError: a field is there twice, written in two ways.
        """
        self._fields: dict[str, tuple[str, Any]] = {}
        self._where = where
        for name, value in fields.items():
            other = self._fields.setdefault(_folded(str(name)), (str(name), value))[0]
            if other != str(name):
                raise SpecError(f"{where}{name}", f"it is there as {shown(other)}, too", "Keep one of them")
        self._left = dict(self._fields)
        self._inner: dict[str, Source] = {}
        self.notes = notes

    def place(self, name: str) -> str:
        """Return the path of a field in the file, as its user has written it."""
        return self._where + self._fields.get(_folded(name), (name, None))[0]

    @property
    def is_empty(self) -> bool:
        """Whether there is no field at all."""
        return not self._fields

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return _folded(name) in self._fields

    def take(self, name: str, kind: type[T]) -> T | None:
        """Return a field's value, None if it is not there or null; raises `SpecError` if it is of another kind."""
        self._left.pop(_folded(name), None)
        value = self._fields.get(_folded(name), (name, None))[1]
        if value is None or (isinstance(value, kind) and (kind is not int or not isinstance(value, bool))):
            return value
        wanted = _KINDS.get(kind, "a value")
        raise SpecError(self.place(name), f"{shown(value)} is not {wanted}", f"Give {wanted}", value)

    def inside(self, name: str) -> Source:
        """Return what reads the mapping in a field; an empty one if it is not there."""
        if name not in self._inner:
            self._inner[name] = Source(self.take(name, dict) or {}, self.notes, f"{self.place(name)}.")
        return self._inner[name]

    def each(self, name: str) -> list[Source]:
        """Return what reads each mapping in the list of a field; it is for its caller to end them."""
        items = self.take(name, list) or []
        found = []
        for number, item in enumerate(items):
            place = f"{self.place(name)}[{number}]"
            if not isinstance(item, dict):
                raise SpecError(place, f"{shown(item)} is not a mapping", "Write `field: value` lines", item)
            found.append(Source(item, self.notes, f"{place}."))
        return found

    def note(self, name: str, text: str) -> None:
        """Add a note about a field."""
        self.notes.add(self.place(name), text)

    def ignore(self, *names: str) -> None:
        """Leave out fields that mean nothing for a search."""
        for name in names:
            self._left.pop(_folded(name), None)

    def end(self) -> None:
        """Note each field that nobody has asked for."""
        for name in self.unread():
            self.notes.add(name, "has no counterpart and is left out")

    def unread(self) -> Iterator[str]:
        """Yield the paths of the fields that nobody has asked for, and that have a value."""
        yield from (self._where + name for name, value in self._left.values() if value is not None)
        for inner in self._inner.values():
            yield from inner.unread()


_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    dict: "a mapping",
    list: "a list",
    bool: "true or false",
}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def plain_name(name: str) -> str:
    """Return a name with an underscore for whatever no name of a parameter may hold."""
    return _NO_NAME.sub("_", name)


def parameter_name(name: str, where: str, notes: Notes, prefix: str = "") -> str:
    """Return a name that a parameter may have, with a note if it is another one; `prefix`: what it begins with."""
    plain = plain_name(name)
    if not prefix:
        plain = plain.lstrip("-.")
        plain = plain if PARAMETER_NAME.fullmatch(plain) and plain not in TAKEN else f"_{plain}"
    if plain != name:
        notes.add(where, f"its name becomes {plain}, by which the program finds it")
    return prefix + plain


def check_distinct(where: str, name: str, known: Container[str]) -> None:
    """Raise `SpecError` if a parameter has the name of another one, whose place in a spec it would take."""
    if name in known:
        raise SpecError(where, f"another parameter is called {shown(name)}, too", "Rename one of them")


def as_text(text: str) -> str:
    """Return an argument that stands for a text, none of whose braces are a placeholder."""
    return _BRACES.sub(lambda match: f"{{{{{{{match[1]}}}}}}}" if match[1] else f"{{{{{match[2]}}}}}", text)
