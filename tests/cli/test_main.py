"""The way into the program."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

import pytest

from tunewell import cli


class Interrupted(ModuleType):
    """A module that Control-C hits while it is being loaded."""

    def __getattr__(self, name: str) -> NoReturn:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "module"),
    [(["list"], "tunewell.cli.app"), (["report", "accuracy=0.9"], "tunewell.trial.command")],
)
def test_interrupted_while_loading(arguments: list[str], module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C while modules are being loaded ends the program as interrupted, without a traceback."""
    monkeypatch.setattr(sys, "argv", ["tunewell", *arguments])
    monkeypatch.setitem(sys.modules, module, Interrupted(module))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
