"""Where things of the home lie on a node: at the same place below a folder of its own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunewell.spec.launch import Launch

#: In a command: the Python that has Tunewell, wherever that is.
_PYTHON = "tunewell://python"


def portable_launch(launch: Launch) -> Launch:
    """Return a launch for another machine, where the Python of this process need not lie at the same place."""
    if launch.command is None or sys.executable not in launch.command:
        return launch
    return replace(launch, command=tuple(_PYTHON if part == sys.executable else part for part in launch.command))


def moved_launch(launch: Launch, homes: Sequence[str], now: Path) -> Launch:
    """Return a launch for this machine, where what lies in the home lies below `now`.

    Args:
        launch: a portable one. It names files and folders in the home by their paths, in arguments and variables, too.
        homes: the names that the home has, absolute.
        now: the folder on this machine, absolute.
    """
    move = _mover(homes, str(now))
    own = [sys.executable if part == _PYTHON else part for part in launch.command or ()]
    return replace(
        launch,
        folder=Path(move(str(launch.folder))),
        working_directory=_working_directory(launch, homes, move),
        command=None if launch.command is None else tuple(map(move, own)),
        environment=_moved(launch.environment, move),
        private_environment=_moved(launch.private_environment, move),
        inputs=(),
    )


def _working_directory(launch: Launch, homes: Sequence[str], move: Callable[[str], str]) -> Path:
    """Return where it runs: in a folder of the home, or in one that this machine has, too; else in the attempt's own.

    A command that needs files of a folder has this in the home, or on all machines.
    """
    directory = launch.working_directory
    if place_of(directory, homes) is None and not directory.is_dir():
        return Path(move(str(launch.folder)))
    return Path(move(str(directory)))


def place_of(path: Path, homes: Sequence[str]) -> str | None:
    """Return the place of a path relative to the home; None if it lies elsewhere."""
    for home in homes:
        if path.is_relative_to(home):
            return os.path.relpath(path, home)
    return None


def places_of(paths: Sequence[Path], homes: Sequence[str]) -> list[str]:
    """Return the places of those paths that lie in the home; what lies elsewhere is a matter of the node."""
    return [place for path in paths if (place := place_of(path, homes)) is not None]


def _mover(homes: Sequence[str], now: str) -> Callable[[str], str]:
    # Longest first: one name of the home may begin with another. What follows ends the name of a folder.
    names = "|".join(re.escape(home) for home in sorted(homes, key=len, reverse=True))
    pattern = re.compile(rf"(?:{names})(?=/|$|[^\w.\-])")
    return lambda text: pattern.sub(lambda _: now, text)


def _moved(environment: Mapping[str, str], move: Callable[[str], str]) -> dict[str, str]:
    return {name: move(value) for name, value in environment.items()}
