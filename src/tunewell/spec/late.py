"""Modules that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def late_modules(package: str) -> Callable[[str], ModuleType]:
    """Return the `__getattr__` of a package: it imports the module that is asked for as `package.MODULE`.

    So a command needs not wait for what others need. Who imports from such a module by name has it at once, as ever.
    """

    def imported(name: str) -> ModuleType:
        try:
            return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
            raise AttributeError(f"module '{package}' has no attribute '{name}'") from None

    return imported
