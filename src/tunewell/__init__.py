"""Tunewell finds good hyperparameters by itself.

Inside a training script: `report`, `parameters`, `checkpoint_dir`, `output_dir`, `Pruned`.
In a notebook or program: `search`, `load`, `experiments` and the parameter constructors `uniform`, `loguniform`,
`integer`, `choice`, `ordinal`; `AskAndTell` for the algorithms alone; and `Client` or `AsyncClient` for the verbs of a
server.

Names are loaded on first use, so that `import tunewell` costs a training script next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewell.client import AsyncClient, Client
    from tunewell.python_api import Result, experiments, load, search
    from tunewell.spec.constructors import choice, integer, loguniform, ordinal, uniform
    from tunewell.trial import (
        Pruned,
        Trial,
        checkpoint_dir,
        fail,
        fidelity,
        output_dir,
        parameters,
        report,
        sampling,
    )
    from tunewell.tuners.ask_and_tell import AskAndTell

__version__: str

_HOME_OF = {
    "tunewell.client": ("AsyncClient", "Client"),
    "tunewell.python_api": ("Result", "experiments", "load", "search"),
    "tunewell.spec.constructors": ("choice", "integer", "loguniform", "ordinal", "uniform"),
    "tunewell.trial": (
        "Pruned",
        "Trial",
        "checkpoint_dir",
        "fail",
        "fidelity",
        "output_dir",
        "parameters",
        "report",
        "sampling",
    ),
    "tunewell.tuners.ask_and_tell": ("AskAndTell",),
}
_MODULE_OF = {name: module for module, names in _HOME_OF.items() for name in names}

__all__ = [
    "AskAndTell",
    "AsyncClient",
    "Client",
    "Pruned",
    "Result",
    "Trial",
    "checkpoint_dir",
    "choice",
    "experiments",
    "fail",
    "fidelity",
    "integer",
    "load",
    "loguniform",
    "ordinal",
    "output_dir",
    "parameters",
    "report",
    "sampling",
    "search",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("tunewell")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tunewell' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
