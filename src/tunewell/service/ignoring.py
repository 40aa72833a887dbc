"""Which files of a folder are not sent: `.tunewellignore`, whose lines mean what they mean in a `.gitignore`.

A pattern with `/` at its end is for folders alone; one with `/` elsewhere goes by the path from the file's own folder,
any other by the name. `*` and `?` stand for anything but `/`, `**` for folders; `!` takes what an earlier line has left
out; the last line that fits counts. What lies in a folder that is left out is left out, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: The file with patterns.
IGNORE_FILE = ".tunewellignore"
#: What is left out of every folder, unless the file takes it.
DEFAULTS = (".git", ".hg", ".svn", "__pycache__/", "*.pyc", ".venv/", ".tunewell/", ".mypy_cache/", ".pytest_cache/")


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    takes: bool
    only_folders: bool


class Ignored:
    """What is left out of one folder."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Take the lines of the file."""
        self._rules: Sequence[_Rule] = [rule for line in (*DEFAULTS, *lines) if (rule := _rule(line)) is not None]

    def __contains__(self, path: str) -> bool:
        """Whether a path is left out, relative to the folder; that of a folder ends in `/`."""
        is_folder = path.endswith("/")
        for rule in reversed(self._rules):
            if (is_folder or not rule.only_folders) and rule.pattern.fullmatch(path.removesuffix("/")):
                return not rule.takes
        return False


def _rule(line: str) -> _Rule | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    takes = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    only_folders, text = text.endswith("/"), text.rstrip("/")
    anchored = "/" in text
    return _Rule(re.compile(("" if anchored else "(?:.*/)?") + _regular(text.lstrip("/"))), takes, only_folders)


def _regular(text: str) -> str:
    """Return a pattern as a regular expression."""
    found = ""
    for part in re.split(r"(\*\*/|/\*\*$|\*+|\?)", text):
        if part == "**/":
            found += "(?:.*/)?"
        elif part == "/**":
            found += "/.*"
        elif part.startswith("*"):
            found += "[^/]*"
        else:
            found += "[^/]" if part == "?" else re.escape(part)
    return found
