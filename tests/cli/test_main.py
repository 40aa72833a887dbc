"""The way into the program."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from tunewell import cli
from tunewell.cli.app import app


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


def test_every_command_is_described_in_a_line() -> None:
    """On a usual terminal no description of a command in the list of all is cut off."""
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}, catch_exceptions=False).output
    _, commands = shown.split("Commands:\n")
    assert len(commands.splitlines()) == len(app.registered_commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in commands.splitlines())
