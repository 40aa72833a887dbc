"""Errors in the words of the command line, and how they are printed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tunewell.cli.app import run
from tunewell.cli.wording import in_json, print_error, worded
from tunewell.service.databases import copy_database
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, SpecError, SpecErrors, UserError

SEVERAL = SpecErrors(
    [
        SpecError(f"field_{number}", "it has a problem that takes several words", "Write it again")
        for number in range(30)
    ]
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


Ask = Callable[..., str]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Ask:
    """What runs the program in this process, in an empty folder, and returns what it complains of."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tunewell", *arguments])
        assert run() == 2
        return capsys.readouterr().err

    return call


def test_copying_has_arguments_of_its_own(ask: Ask, tmp_path: Path) -> None:
    """What is wrong with one of the two databases is told by its own name, with remedies that `copy` heeds."""
    with Service(tmp_path / "home"):
        pass
    assert ask("database", "copy", "mysql://h/d", "home").startswith("error: FROM: 'mysql' is no kind of database")
    told = ask("database", "copy", "home", "postgresql://me:open-sesame@host:five/db")
    assert "Give the password in PGPASSWORD instead, or the password in ~/.pgpass." in told
    assert "error: TO: it is no database URL." in told
    copy_database("home", "one.db")
    told = ask("database", "copy", "home", "two.db")
    moved = f"{tmp_path}/home/tunewell.db: this database was moved to {tmp_path}/one.db"
    assert told == f"error: {moved}. Give that one as FROM.\n"
    told = ask("list", "--home", "home")
    assert f"Name that one with --database sqlite:///{tmp_path}/one.db, or in TUNEWELL_DATABASE" in told
    assert ask("database", "copy", "home") == "error: Missing argument 'TO'. See: tunewell database copy --help.\n"


def test_what_comes_from_a_variable_is_called_so(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gave no option is told of the variable that the value came from."""
    monkeypatch.setenv("TUNEWELL_DATABASE", "mysql://h/d")
    assert ask("list").startswith("error: TUNEWELL_DATABASE: 'mysql' is no kind of database")
    assert ask("list", "--database=oracle://h/d").startswith("error: --database: 'oracle' is no kind of database")
    assert ask("database", "copy", "oracle://h/d", "home").startswith("error: FROM: 'oracle' is no kind of database")


@pytest.mark.parametrize(
    ("command", "field", "called"),
    [
        (["compare", "a"], "names", "EXPERIMENT"),
        (["notify", "add", "https://a.org", "--event", "x"], "events.0", "--event"),
        (["notify", "add", "https://a.org", "--event", "x"], "events", "--event"),
        (["set", "e", "--max-trials", "0"], "max_trials", "--max-trials"),
    ],
)
def test_arguments_are_called_as_they_are_given(
    monkeypatch: pytest.MonkeyPatch, command: list[str], field: str, called: str
) -> None:
    """By the option, or by the word of the usage where they have a place instead, whoever has found them wrong."""
    monkeypatch.setattr(sys, "argv", ["tunewell", *command])
    assert in_json(ArgumentError(field, "it is not possible"))["field"] == called


def test_arguments_are_named_as_they_are_given(ask: Ask) -> None:
    """Options of `evaluate` have two dashes, and its argument none."""
    assert ask("evaluate", "e", "--trial", "1").startswith("error: --trial: it is for a model that is measured on DATA")
    assert ask("evaluate", "e", "data", "-o", "page.txt").startswith("error: --output: 'page.txt' is no page")
    assert ask("evaluate", "model:e").startswith("error: DATA: a model by itself has none")
