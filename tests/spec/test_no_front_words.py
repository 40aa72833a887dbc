"""What errors say below the fronts: nothing that only one front knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunewell
from tunewell.cli import wording
from tunewell.python_api.wording import REMEDIES
from tunewell.spec import errors

SOURCE = Path(tunewell.__file__).parent
#: The fronts, and what makes commands for people to copy.
FRONTS = ("cli", "console", "python_api")
#: An option such as `--home`, or a command such as `tunewell show`.
FRONT_WORD = re.compile(r"(?<![\w-])--[a-z]|\btunewell (?:search|check|show|list|stop|retry|logs|export|retrain)\b")
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
#: All that is below the fronts, but for a table of other programs' options.
MODULES = [
    path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.relative_to(SOURCE).parts[0] not in (*FRONTS, "schedulers", "trial") and path.name != "program_check.py"
]


def texts(node: ast.AST) -> Iterator[str]:
    """Yield every text in a tree, without docstrings."""
    docs = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Expr)}
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in docs:
            yield part.value


def errors_made(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call that makes an error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
            yield node


def functions_with_errors(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what may hold a text of an error: functions that make one, constants of the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(errors_made(node)):
            yield node
    yield from (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_error_names_an_option_or_a_command(path: Path) -> None:
    """No text of an error below the fronts names an option or a command of the command line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [text for node in functions_with_errors(tree) for text in texts(node) if FRONT_WORD.search(text)]
    assert not found


def test_the_search_for_front_words_finds_them() -> None:
    """Options and commands are found in remedies, also those that stand in a constant; other texts are not."""
    tree = ast.parse(
        '_HINT = "Use --home"\n'
        "def f():\n"
        '    "Doc of --this."\n'
        '    raise DataError(f"{x}: a-b", remedy="See tunewell show")\n'
    )
    found = [text for node in functions_with_errors(tree) for text in texts(node) if FRONT_WORD.search(text)]
    assert found == ["See tunewell show", "Use --home"]
    assert not FRONT_WORD.search("a value--not an option, nor is tunewell.search, - or --")


def test_every_front_words_errors_that_there_are() -> None:
    """Each kind of error that a front has a remedy for is one that is raised somewhere."""
    below = {text for path in MODULES for text in texts(ast.parse(path.read_text(encoding="utf-8")))}
    assert wording.REMEDIES.keys() <= below
    assert REMEDIES.keys() <= wording.REMEDIES.keys()
