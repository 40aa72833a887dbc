"""The program: its commands, and how errors leave it."""

from __future__ import annotations

import errno
import sys
from importlib import metadata
from typing import Any

import typer
from pydantic import ValidationError

from tunewell.cli import INTERRUPTED, after, database, demo, import_, inspect, search
from tunewell.cli.options import print_json, terminal
from tunewell.cli.wording import in_json, print_error
from tunewell.service.following import JobFailed
from tunewell.spec.errors import DataError, UserError
from tunewell.spec.secrets import passwords
from tunewell.spec.states import Cause

#: Exit codes.
DONE, NO_RESULT, WRONG_INPUT = 0, 1, 2

#: What a disk or a folder refuses, wherever that comes up.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}

app = typer.Typer(
    name="tunewell",
    help="Finds good hyperparameters by itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("search")(search.search)
app.command("check")(search.check)
app.command("import")(import_.import_)
app.command("list")(inspect.list_)
app.command("show")(inspect.show)
app.command("logs")(inspect.logs)
app.command("stop")(inspect.stop)
app.command("pause")(inspect.pause)
app.command("resume")(search.resume)
app.command("retry")(search.retry)
app.command("jobs")(inspect.jobs)
app.command("controller")(search.controller)
app.command("export")(inspect.export)
app.command("report")(inspect.report)
app.command("tasks")(inspect.tasks)
app.command("evaluate")(after.evaluate)
app.command("retrain")(after.retrain)
app.command("predict")(after.predict)
app.command("export-model")(after.export_model)
app.add_typer(database.app, name="database")


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and end.", is_eager=True),
) -> None:
    if version:
        print(f"tunewell {metadata.version('tunewell')}")
        raise typer.Exit


def run() -> int:
    """Run the program on the process's arguments; return its exit code. Never a traceback for a user's mistake."""
    _warn_of_passwords(sys.argv[1:])
    try:
        result = app(standalone_mode=False)
    except UserError as error:
        return _complain(error, WRONG_INPUT)
    except JobFailed as error:
        code = WRONG_INPUT if error.cause is Cause.DATA_ERROR else NO_RESULT
        return _complain(UserError(str(error), kind="job-failed"), code)
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return NO_RESULT
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        problem, place = f"it can't be read or written ({error.strerror})", str(error.filename or "")
        return _complain(DataError(problem, field=place), WRONG_INPUT)
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong option or argument, found by the parser
            return _complain(UserError(_with_value(error), kind="usage"), WRONG_INPUT)
        raise
    return result if isinstance(result, int) else DONE


def _warn_of_passwords(arguments: list[str]) -> None:
    """Say that a password in the arguments is no secret."""
    if any(passwords(argument.removeprefix("--database=")) for argument in arguments):
        terminal(stderr=True).print(
            "note: Others on this machine can see the password in the URL, in the list of processes. "
            "Give the URL in TUNEWELL_DATABASE instead, or the password in ~/.pgpass.",
            style="yellow",
            soft_wrap=True,
        )


def _with_value(error: Any) -> str:
    """Return what the parser says, and the value that it was said of, which it leaves out where it asked Pydantic."""
    cause = error.__cause__
    given = f". Given: {cause.errors()[0]['input']!r}." if isinstance(cause, ValidationError) else ""
    return f"{error.format_message()}{given}"


def _complain(error: UserError, code: int) -> int:
    print_error(terminal(stderr=True), error)
    if "--json" in sys.argv[1:]:
        print_json({"error": in_json(error)})
    return code
