"""The command that writes a first spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import terminal
from tunewell.spec.errors import ArgumentError


def init(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder of pictures, a table of labels, or a program.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: named like PATH, `.yaml`.")
    ] = None,
) -> None:
    """Write a first spec, for pictures or a program.

    It names the built-in task that can read the pictures, or searches around the defaults of the options that a Python
    program declares with argparse. It never overwrites a file.
    """
    from tunewell.cli.starter import starter_for

    file = output or Path(f"{path.resolve().stem or 'search'}.yaml")
    starter = starter_for(path, file.parent)
    try:
        _write(file, starter.text)
    except FileExistsError:
        raise ArgumentError("output", "there is such a file", "Name another one with --output", str(file)) from None
    except OSError as error:
        problem = f"it can't be written ({error.strerror})"
        raise ArgumentError("output", problem, "Name another file", str(file)) from None
    console = terminal()
    console.print(f"{file}: a search over {starter.about}", soft_wrap=True, markup=False, highlight=False)
    console.print(starter.text, soft_wrap=True, markup=False, highlight=False)
    console.print(f"Next: tunewell check {file}", soft_wrap=True, markup=False, highlight=False)


def _write(file: Path, text: str) -> None:
    """Write a new file; on a full disk no half of one stays, which could not be written again."""
    with file.open("x", encoding="utf-8") as new:
        try:
            new.write(text)
            new.flush()
        except OSError:
            file.unlink()
            raise
