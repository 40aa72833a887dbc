"""The checksum of a function's code."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tunewell.tasks.function_code import checksum, differ

SOURCE = '''
SCALE = 2

def helper(x):
    return x * 3

def train(x, rate=0.5, kinds=frozenset({"a", "b", "c"})):
    """Doc."""
    def inner(y):
        return y + 1
    # a comment
    return inner(helper(x)) if x in {"p", "q", "r"} else [x + rate for _ in range(2)]
'''


def train(source: str) -> Callable[..., Any]:
    """Return the function of a program."""
    found: dict[str, Any] = {"__name__": "program"}
    exec(source, found)
    return found["train"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("# a comment", "# another\n    # and more", False),
        ("Doc.", "Other words.", False),
        ("\nSCALE", "\n\n\nSCALE", False),
        ("rate=0.5", "rate=0.25", True),
        ("y + 1", "y + 2", True),
        ("x * 3", "x * 4", True),
        ('"q"', '"s"', True),
        ('"c"})', '"d"})', True),
        ("range(2)", "range(3)", True),
    ],
)
def test_what_counts(old: str, new: str, changes: bool) -> None:
    """What a function and the functions of its module do counts; comments, docstrings and lines don't."""
    assert old in SOURCE
    assert differ(checksum(train(SOURCE)), checksum(train(SOURCE.replace(old, new)))) is changes


def test_lambdas_and_callables() -> None:
    """A lambda's only constant counts; of a partial, a method and an object that is called, the function does."""

    class Called:
        def __call__(self, x: float) -> float:
            return x

        def method(self, x: float) -> float:
            return x + 1

    assert differ(checksum(lambda x: "a"), checksum(lambda x: "b"))
    assert not differ(checksum(lambda x: "a"), checksum(lambda x: "a"))
    assert checksum(functools.partial(train(SOURCE), rate=1)) == checksum(train(SOURCE))
    assert None not in (checksum(Called()), checksum(Called().method))
    assert differ(checksum(Called()), checksum(Called().method))
    assert checksum(max) is None and not differ(None, checksum(Called()))
    assert not differ("3.11-aa", "3.12-bb")


def test_it_is_the_same_in_every_process() -> None:
    """Hash seeds, on which the order of sets depends, change nothing."""
    code = "from tests.tasks.test_function_code import *; print(checksum(train(SOURCE)))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {checksum(train(SOURCE))}
