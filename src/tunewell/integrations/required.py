"""Libraries of others, imported where somebody asks for what needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def required(module: str, package: str) -> Any:
    """Import a module that the package of that name on PyPI brings.

    Raises:
        ImportError: it is not installed; the message says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # it is there and can't be used: its own error says why
        raise ImportError(f"this needs {package}: pip install {package}", name=error.name) from None
