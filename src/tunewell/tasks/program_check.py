"""Whether a command's program, and the script that it interprets, are there. Nothing is started."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
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


def check_program(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Return a line that says which program will run.

    Args:
        command: program and arguments, placeholders not filled in.
        folder: the working directory.
        environment: additions to this process's environment.

    Raises:
        SpecError: the working directory, the program or the script is not there, or can't be run.
    """
    if not folder.is_dir():
        raise SpecError("working_directory", f"there is no folder '{folder}'", "Name one that exists")
    if _PLACEHOLDER_LIKE.search(command[0]):
        return f"Program: {command[0]}"
    program = _find_program(command[0], folder, _search_path(environment))
    script = script_of(command)
    if script is None:
        return f"Program: {program}"
    path = folder / script
    if not path.is_file():
        raise SpecError("command", f"there is no file {shown(script)} in {folder}", _nearest_file(path))
    return f"Program: {program} {script}"


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


def _find_program(name: str, folder: Path, search_path: str) -> str:
    if "/" in name:
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
        if path.is_file():
            raise SpecError(
                "command", f"{shown(name)} is not executable", f"Run `chmod +x {path}`, or name its interpreter first"
            )
        raise SpecError("command", f"there is no program {shown(name)} in {folder}", _nearest_file(path))
    found = shutil.which(name, path=search_path)
    if found:
        return found
    if (folder / name).is_file():
        remedy = f"Write ./{name} for the file in {folder}"
    elif name == "python" and shutil.which("python3", path=search_path):
        remedy = "Write python3"
    else:
        remedy = "Install it, or give its path"
    raise SpecError("command", f"there is no program {shown(name)} on the PATH", remedy)


def _nearest_file(path: Path) -> str:
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, [name for name in names if Path(name).suffix == path.suffix])
    return hint if hint.startswith("Did") else "Give its path, relative to the working directory"
