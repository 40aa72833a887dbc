"""Whether a command's program, and the script that it interprets, are there. Nothing is started."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.launch import with_own_programs

# Interpreter → options with which it runs no script file, and options that take a value of their own.
_INTERPRETERS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "python": (frozenset({"-c", "-m"}), frozenset({"-W", "-X"})),
    "bash": (frozenset({"-c", "-s"}), frozenset({"-o", "-O", "+o", "+O", "--rcfile", "--init-file"})),
    "sh": (frozenset({"-c", "-s"}), frozenset({"-o", "+o"})),
    "node": (frozenset({"-e", "-p", "--eval", "--print"}), frozenset({"-r", "-C", "--require", "--import"})),
    "Rscript": (frozenset({"-e"}), frozenset()),
    "julia": (frozenset({"-e", "-E", "--eval", "--print"}), frozenset({"-t", "-p", "-J", "--threads", "--procs"})),
    "perl": (frozenset({"-e", "-E"}), frozenset({"-I"})),
    "ruby": (frozenset({"-e"}), frozenset({"-I", "-r"})),
}
_PLACEHOLDER_LIKE = re.compile(r"\{[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs, as far as it may be looked at."""

    #: The working directory; None: the command names none, as none can be named from elsewhere.
    folder: Path | None
    #: Whether it is code that was sent: what lies outside of it is nothing that its sender is told about.
    is_sent: bool
    #: Additions to this process's environment.
    environment: Mapping[str, str]

    @property
    def is_open(self) -> bool:
        """Whether the whole machine may be looked at."""
        return self.folder is not None and not self.is_sent

    def path_of(self, name: str) -> Path | None:
        """Return where a file is to be looked for; None: nowhere.

        Raises:
            SpecError: there is no folder that it could lie in.
        """
        if self.folder is None:
            if Path(name).is_absolute():
                return None
            what = f"{shown(name)} needs a folder to lie in"
            raise SpecError("command", what, "Send the folder as `code`, or name the `working_directory`")
        inside = Path(os.path.normpath(self.folder / name)).is_relative_to(self.folder)
        return self.folder / name if inside or self.is_open else None


def check_program(command: Sequence[str], place: Place) -> str:
    """Return a line that says which program will run; `command`: program and arguments, placeholders not filled in.

    Raises:
        SpecError: the working directory, the program or the script is not there, or can't be run.
    """
    if place.folder is not None and not os.path.isdir(place.folder):  # noqa: PTH112
        raise SpecError("working_directory", f"there is no folder '{place.folder}'", "Name one that exists")
    if _PLACEHOLDER_LIKE.search(command[0]):
        return f"Program: {command[0]}"
    program = _find_program(command[0], place)
    script = script_of(command)
    if script is None:
        return f"Program: {program}"
    path = place.path_of(script)
    if path is not None and not _is_file(path):
        raise SpecError("command", f"there is no file {shown(script)} in {place.folder}", _nearest_file(path))
    return f"Program: {program} {script}"


def _is_file(path: Path) -> bool:
    """Whether it is a file; one with a name that is longer than names can be is none."""
    return os.path.isfile(path)  # noqa: PTH113 - it raises nothing


def _search_path(environment: Mapping[str, str]) -> str:
    """Return the PATH that a trial will have."""
    return environment["PATH"] if "PATH" in environment else with_own_programs(os.environ.get("PATH", os.defpath))


def script_of(command: Sequence[str]) -> str | None:
    """Return the script that an interpreter is to run; None if the program is none, or runs no script file."""
    name = re.sub(r"[\d.]+$", "", Path(command[0]).name)
    if name not in _INTERPRETERS:
        return None
    without_script, with_value = _INTERPRETERS[name]
    arguments = iter(command[1:])
    for argument in arguments:
        options = _options_in(argument)
        if argument == "-" or not without_script.isdisjoint(options):
            return None
        if options[-1] in with_value:
            next(arguments, None)
        elif not argument.startswith(("-", "+")):
            return None if _PLACEHOLDER_LIKE.search(argument) else argument
    return None


def _options_in(argument: str) -> list[str]:
    """Return the options that an argument stands for: `-lc` is `-l` and `-c`."""
    if argument.startswith("-") and not argument.startswith("--"):
        return [f"-{letter}" for letter in argument[1:]]
    return [argument]


def _find_program(name: str, place: Place) -> str:
    """Return a program as people are told of it: its path, or else its name where that would tell too much."""
    if "/" in name:
        path = place.path_of(name)
        if path is None:
            return name
        if not _is_file(path):
            raise SpecError("command", f"there is no program {shown(name)} in {place.folder}", _nearest_file(path))
        if not os.access(path, os.X_OK):
            raise SpecError(
                "command", f"{shown(name)} is not executable", f"Run `chmod +x {path}`, or name its interpreter first"
            )
        return str(path)
    if not place.is_open and "PATH" in place.environment:
        return name
    search_path = _search_path(place.environment)
    found = shutil.which(name, path=search_path)
    if found:
        return found if place.is_open else name
    if place.folder is not None and _is_file(place.folder / name):
        remedy = f"Write ./{name} for the file in {place.folder}"
    elif name == "python" and shutil.which("python3", path=search_path):
        remedy = "Write python3"
    else:
        remedy = "Install it, or give its path"
    raise SpecError("command", f"there is no program {shown(name)} on the PATH", remedy)


def _nearest_file(path: Path) -> str:
    """Return which file beside one that is not there may be meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    hint = nearest(path.name, [name for name in names if Path(name).suffix == path.suffix])
    return hint if hint.startswith("Did") else "Give its path, relative to the working directory"
