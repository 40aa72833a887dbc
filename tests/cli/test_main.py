"""The way into the program."""

from __future__ import annotations

import atexit
import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from tunewell import cli
from tunewell.cli import app as cli_app
from tunewell.cli.app import app


class Interrupted(ModuleType):
    """A module that Control-C hits while it is being loaded."""

    def __getattr__(self, name: str) -> NoReturn:
        raise KeyboardInterrupt


@pytest.fixture
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the program sets for its whole process is set back."""
    monkeypatch.setattr(atexit, "register", lambda *arguments: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("arguments", [[], ["datasets"]])
def test_a_group_alone_shows_its_help(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who calls the program, or a group of commands, without a command gets its help, and no error."""
    monkeypatch.setattr(sys, "argv", ["tunewell", *arguments])
    assert cli_app.run() == 2
    answer = capsys.readouterr()
    assert answer.err.startswith(f"Usage: {' '.join(['tunewell', *arguments])} [OPTIONS] COMMAND") and not answer.out


@pytest.mark.usefixtures("own_handlers")
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


#: A program in which the interpreter's own callback is hit, and which would go on as if nothing had happened.
LOST = """
import signal, sys, weakref
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
import tunewell.cli as cli

class Thing: pass

def lost(reference):
    signal.raise_signal(signal.SIGINT)

def run():
    thing = Thing()
    reference = weakref.ref(thing, lost)
    del thing
    print("it went on")
    return 0

cli._command = lambda: run
cli.main()
"""
#: One that is hit while modules are being loaded, where `raise` would be caught.
LOADING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
import tunewell.cli as cli

def command():
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        pass
    return lambda: print("it went on")

cli._command = command
cli.main()
"""


@pytest.mark.parametrize("program", [LOST, LOADING], ids=["in a callback", "while loading"])
def test_no_interruption_gets_lost(program: str) -> None:
    """Control-C ends the program with 130 and without a word, even where Python can't raise an exception."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_what_a_disk_refuses_is_an_error_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that can't be read or written, wherever that comes up, is told in a sentence with its path."""

    def refuse() -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/file")

    monkeypatch.setattr(cli_app, "app", lambda standalone_mode: refuse())
    assert cli_app.run() == 2
    assert "error: /somewhere/file: it can't be read or written (Permission denied)." in capsys.readouterr().err


def test_every_command_is_described_in_a_line() -> None:
    """On a usual terminal no description of a command in a list of them is cut off."""
    everything = len(cli_app.COMMANDS)
    groups = (["database"], 3), (["datasets"], 7), (["models"], 9), (["notify"], 9), (["users"], 7), (["tokens"], 3)
    for arguments, amount in (([], everything), *groups):
        shown = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "80"}, catch_exceptions=False).output
        _, commands = shown.split("Commands:\n")
        assert len(commands.splitlines()) == amount
        assert all(line.endswith(".") and not line.endswith("...") for line in commands.splitlines())
