"""How the program ends: exit codes, and errors in words. Never a traceback for a user's mistake."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

import typer

from tunewell.cli import INTERRUPTED
from tunewell.cli.options import print_json, terminal
from tunewell.cli.wording import in_json, name_of, print_error
from tunewell.spec.errors import NO_VALUE, DataError, JobFailed, ServiceFailed, UserError, ended, shown
from tunewell.spec.secrets import passwords
from tunewell.spec.states import Cause
from tunewell.spec.text import clean, is_text

#: Exit codes.
DONE, NO_RESULT, WRONG_INPUT = 0, 1, 2

#: What a disk or a folder refuses, wherever that comes up.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}

#: What Pydantic calls a text that is no number, and what people call the number.
_KINDS_OF_NUMBERS = {"int_parsing": "whole number", "float_parsing": "number"}


def run(app: typer.Typer) -> int:
    """Run commands on the process's arguments; return the exit code."""
    code = _run(app)
    problem = _problem_of(sys.stdout)
    if isinstance(problem, BrokenPipeError):
        code = code or NO_RESULT
    elif problem is not None:
        told = f"nothing more can be written to it ({problem.strerror})"
        _tell(DataError(told, field="standard output"))
        code = code or WRONG_INPUT
    for stream in (sys.stdout, sys.stderr):
        if _problem_of(stream) is not None:  # the interpreter tries again at its end, and would complain
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _problem_of(stream: TextIO | None) -> OSError | None:
    """Return what keeps a stream from being rid of what was written to it; None: nothing does, or it was closed."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        return error
    return None


def _run(app: typer.Typer) -> int:
    _warn_of_passwords(sys.argv[1:])
    try:
        _check_encoding(sys.argv[1:])
        result = app(standalone_mode=False)
    except UserError as error:
        return complain(error, WRONG_INPUT)
    except ServiceFailed as error:
        return complain(UserError(str(error), kind="service-failed"), NO_RESULT)
    except JobFailed as error:
        code = WRONG_INPUT if error.cause is Cause.DATA_ERROR else NO_RESULT
        return complain(UserError(str(error), kind="job-failed"), code)
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return NO_RESULT
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        if error.filename is None and _problem_of(sys.stdout) is not None:
            return WRONG_INPUT  # told by the caller
        place = str(error.filename or "")
        what = "it" if place else "a file, or the output,"
        problem = f"{what} can't be read or written ({error.strerror})"
        return complain(DataError(problem, field=place), WRONG_INPUT)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the name of a group alone: help, and no complaint
            print(error, file=sys.stderr)
            return WRONG_INPUT
        if hasattr(error, "format_message"):  # a wrong option or argument, found by the parser
            (field, what, value), context = _worded(error), getattr(error, "ctx", None)
            remedy = f"See: {context.command_path} --help" if context is not None and "\n" not in what else ""
            return complain(UserError(what, field=field, value=value, kind="usage", remedy=remedy), WRONG_INPUT)
        raise
    return result if isinstance(result, int) else DONE


def _check_encoding(arguments: list[str]) -> None:
    """Refuse bytes that are no text: nothing of the kind can be recorded, or shown."""
    variables = {name: os.environ.get(name, "") for name in ("TUNEWELL_HOME", "TUNEWELL_DATABASE")}
    for field, given in [*((clean(one), one) for one in arguments), *variables.items()]:
        if not is_text(given):
            raise UserError("it is not UTF-8", field=field, remedy="Give another name or path")


def _warn_of_passwords(arguments: list[str]) -> None:
    """Say that a password in the arguments is no secret."""
    if any(passwords(argument.removeprefix("--database=")) for argument in arguments):
        is_copy = arguments[:2] == ["database", "copy"]  # which is given two databases
        remedy = "password in PGPASSWORD" if is_copy else "URL in TUNEWELL_DATABASE"
        terminal(stderr=True).print(
            "note: Others on this machine can see the password in the URL, in the list of processes. "
            f"Give the {remedy} instead, or the password in ~/.pgpass.",
            style="yellow",
            soft_wrap=True,
        )


def _worded(error: Any) -> tuple[str, str, object]:
    """Return field, problem and value of what the parser says; Pydantic, which it asks, does not name the value."""
    found: list[Any] = getattr(error.__cause__, "errors", list)()  # of Pydantic's ValidationError
    parameter = getattr(error, "param", None)
    if not found or parameter is None:
        return "", ended(error.format_message()), NO_VALUE
    kind, value = found[0]["type"], found[0]["input"]
    if kind in _KINDS_OF_NUMBERS:
        problem = f"{shown(value)} is no {_KINDS_OF_NUMBERS[kind]}"
    elif kind == "value_error":
        problem = str(found[0]["ctx"]["error"])
    else:
        problem = f"{found[0]['msg']}; given: {shown(value)}"
    return name_of(parameter), ended(problem), value


def _tell(error: UserError) -> None:
    with suppress(OSError):  # such as that of a full disk, which may be what the error is about
        print_error(terminal(stderr=True), error)


def complain(error: UserError, code: int) -> int:
    """Print an error, also as JSON where the output is to be that; return the code."""
    _tell(error)
    if "--json" in sys.argv[1:]:
        with suppress(OSError):
            print_json({"error": in_json(error)})
    return code
