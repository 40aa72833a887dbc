"""A Python function that was sent to a service: a pickle in a folder of its own, and the program that calls it.

The pickle holds the user's own modules, too; what is installed must be installed where it runs.
"""

from __future__ import annotations

import os
import pickle
import signal
import site
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from tunewell.spec.errors import SpecError
from tunewell.tasks.contract import Program
from tunewell.tasks.pickling import pickled
from tunewell.trial.context import current
from tunewell.trial.function import call
from tunewell.trial.trial import ASKED_TO_END, Pruned, raise_pruned

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
#: A pickle with code in it is good for one version of Python only, which its name tells.
_FILE = f"function-{_VERSION}.pkl"


def write(function: Callable[..., Any], folder: Path) -> None:
    """Write a function into a folder; raise `SpecError` if it can't be pickled."""
    with _own_modules_by_value():
        (folder / _FILE).write_bytes(pickled(function))


def find(folder: Path) -> Path:
    """Return the file that a function was written to.

    Raises:
        SpecError: there is none, or one that this Python can't read.
    """
    if (folder / _FILE).is_file():
        return folder / _FILE
    others = [path.stem.removeprefix("function-") for path in folder.glob("function-*.pkl")]
    if others:
        problem = f"it was sent by Python {others[0]}, and the service has {_VERSION}"
        raise SpecError("function", problem, f"Call tunewell.search with Python {_VERSION}")
    raise SpecError("code", "there is no function in it", "Call tunewell.search in a program")


def program(folder: Path) -> Program:
    """Return the command that calls the function in `folder`."""
    return Program(
        command=(sys.executable, "-P", "-m", "tunewell.tasks.sent_function", str(folder / _FILE)),
        working_directory=folder,
    )


@contextmanager
def _own_modules_by_value() -> Iterator[None]:
    """Have pickles hold what comes from modules that are neither installed nor Python's own."""
    installed, known = _installed(), cloudpickle.list_registry_pickle_by_value()
    own = [one for name, one in list(sys.modules.items()) if name not in known and _is_own(name, one, installed)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _is_own(name: str, module: ModuleType, installed: Collection[Path]) -> bool:
    file = getattr(module, "__file__", None)
    if name != getattr(module, "__name__", "") or name == "__main__" or name.partition(".")[0] == "tunewell":
        return False
    if not isinstance(file, str) or not file.endswith(".py"):
        return False
    return not any(map(Path(file).resolve().is_relative_to, installed))


def _installed() -> list[Path]:
    """Return the folders of what is installed."""
    paths = sysconfig.get_paths()
    folders = [paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return [Path(folder).resolve() for folder in (*folders, *site.getsitepackages(), site.getusersitepackages())]


def main() -> int:
    """Call the function in the file that the first argument names, for the trial of this process."""
    signal.signal(signal.SIGTERM, raise_pruned)
    try:
        call(pickle.loads(Path(sys.argv[1]).read_bytes()), current(), os.environ["TUNEWELL_METRIC"])
    except Pruned:
        return ASKED_TO_END
    return 0


if __name__ == "__main__":
    sys.exit(main())
