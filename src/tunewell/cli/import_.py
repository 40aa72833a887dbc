"""The command that takes trials from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli.options import HOME, DatabaseOption, HomeOption, JsonOption, ServerOption, made, print_json, terminal
from tunewell.cli.spec_file import read_spec
from tunewell.cli.summary import print_summary
from tunewell.spec.errors import ArgumentError, DataError, UserError


def import_(
    spec_file: Annotated[
        Path, typer.Argument(metavar="SPEC.yaml", help="A spec that names space and objective of the trials.")
    ],
    table: Annotated[
        Path | None, typer.Argument(metavar="[TRIALS.csv]", help="Trials, a row each, a column for each parameter.")
    ] = None,
    optuna: Annotated[
        str | None, typer.Option("--optuna", help="Storage of an Optuna study instead, such as sqlite:///study.db.")
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="Its name, if there are several studies.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Record trials made elsewhere as a finished experiment.

    It serves `show`, `report`, `export` and `warm_start`.
    """
    raw = read_spec(spec_file)
    if (table is None) == (optuna is None):
        raise UserError("it takes either a CSV file or --optuna", field="import", remedy="Give one of them")
    if study is not None and optuna is None:
        raise ArgumentError("study", "it belongs to --optuna", "Give the storage with --optuna, too")
    with made(home, database, server) as service:
        if table is not None:
            submission = service.import_table(raw, _content(table), str(table))
        else:
            assert optuna is not None
            submission = service.import_study(raw, optuna, study)
        result = service.result(submission.name)
        if json_:
            print_json(result.to_json())
            return
        print_summary(service, result, terminal())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
        raise DataError(problem, field=str(path), remedy="Give the path of a CSV file") from None
