"""The command that writes a first spec."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import terminal
from tunewell.spec.errors import ArgumentError


def init(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Pictures, a table of labels, a program, or a file of NNI or Katib.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; default: named like PATH, or as the file says, `.yaml`."
        ),
    ] = None,
) -> None:
    """Write a first spec, or make one of another tool's file.

    For pictures it names the built-in task that can read them; for a Python program it searches around the defaults of
    its argparse options, for the metric that it prints. A configuration of NNI, or an Experiment of Katib, becomes a
    spec for the same search, with a note on whatever is not carried over. It never overwrites a file.
    """
    from tunewell.cli.starter import starter_for

    starter = starter_for(path, output.parent if output else Path())
    file = output or Path(f"{starter.name}.yaml")
    try:
        _write(file, starter.text)
    except FileExistsError:
        problem, remedy = f"there is a file {file} already", "Name another one with --output, or move that one away"
        raise ArgumentError("output", problem, remedy, str(file)) from None
    except OSError as error:
        problem = f"it can't be written ({error.strerror})"
        raise ArgumentError("output", problem, "Name another file", str(file)) from None
    console = terminal()
    console.print(f"{file}: a search over {starter.about}", soft_wrap=True, markup=False, highlight=False)
    for line in [f"Note: {note}" for note in starter.notes] or [starter.text]:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    console.print(f"Next: tunewell check {shlex.quote(str(file))}", soft_wrap=True, markup=False, highlight=False)


def _write(file: Path, text: str) -> None:
    """Write a new file; on a full disk no half of one stays, which could not be written again."""
    with file.open("x", encoding="utf-8") as new:
        try:
            new.write(text)
            new.flush()
        except OSError:
            file.unlink()
            raise
