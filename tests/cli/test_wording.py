"""Errors in the words of the command line, and how they are printed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tunewell.cli.wording import in_json, print_error, worded
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, SpecError, SpecErrors, UserError

SEVERAL = SpecErrors(
    [SpecError(f"field_{number}", "it has a problem that takes several words", "Write it anew") for number in range(30)]
)


def printed(error: UserError, width: int, terminal: bool = True) -> list[str]:
    """Return the lines that an error is printed in, without styles."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, no_color=True, highlight=False, markup=False)
    print_error(console, error)
    return [line.rstrip() for line in file.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()]


def test_remedies_are_those_of_the_command_line() -> None:
    """A kind that the command line knows gets its own remedy, with the facts in it; others keep theirs."""
    error = ConflictError("'e' is run by process 7", remedy="Watch it", kind="experiment-running", experiment="e")
    assert worded(error).endswith("Watch it with `tunewell show e`, or stop it with `tunewell stop e`.")
    assert worded(DataError("it is damaged", field="a.csv", remedy="Fix it")) == "a.csv: it is damaged. Fix it."


def test_arguments_are_options() -> None:
    """An argument has its option's name; a field of a spec of the same name has none."""
    assert worded(ArgumentError("output", "it is a folder", "Name a file")) == "--output: it is a folder. Name a file."
    assert worded(SpecError("output", "there is no such field")) == "output: there is no such field."


def test_errors_as_json_are_in_the_same_words() -> None:
    """The JSON form has field and remedy as they are printed, for each of several errors, too."""
    error = SpecErrors([ArgumentError("new_name", "x", "y"), DataError("z", kind="disk-full")])
    first, second = in_json(error)["errors"]
    assert (first["field"], first["remedy"], first["kind"]) == ("--new-name", "y", "invalid-argument")
    assert "--home" in second["remedy"]
    assert in_json(error.errors[0])["errors"] == []


@pytest.mark.parametrize("width", [80, 120])
def test_several_errors_are_a_list_on_a_terminal(width: int) -> None:
    """Every error begins a line of its own; longer ones go on below their text, broken between words; 20 are shown."""
    lines = printed(SEVERAL, width)
    assert lines[0] == "error: The spec has 30 errors:"
    assert [line for line in lines if line.startswith("- field_")][-1].startswith("- field_19: ")
    assert lines[-1] == "- and 10 more"
    assert all(len(line) <= width for line in lines)
    long = SpecError("field", "word " * 40 + "end")
    several = printed(SpecErrors([long, long]), width)
    assert len(several) > 3
    assert all(line.startswith(("- field: word", "  word", "  end")) for line in several[1:])


def test_lines_are_not_broken_where_no_terminal_is() -> None:
    """In a file or a pipe, each error is a line, however long."""
    long = SpecError("field", "word " * 40 + "end")
    head = "error: The spec has 2 errors:"
    assert printed(SpecErrors([long, long]), 80, terminal=False) == [head, f"- {long}", f"- {long}"]
    assert printed(long, 80, terminal=False) == [f"error: {long}"]
