"""A home that may be read and not written: every command that reads reads it, every other one says why it can't."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import QUICK, Answer, Run
from tunewell.service.runs import Given
from tunewell.service.service import Service

#: prctl's operation, and the capabilities by which root gets past the permissions of files.
_DROP, _CAPABILITIES = 24, (0, 1, 2, 3)


def bind_root() -> None:
    """Let the permissions of files bind the program that starts next, even if root starts it."""
    if os.geteuid() == 0:
        for capability in _CAPABILITIES:
            ctypes.CDLL(None).prctl(_DROP, capability, 0, 0, 0)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Give a home in a folder, with one search, `quick`, that nobody may write."""
    if sys.platform != "linux" and os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    home = folder / "home"
    with Service(home) as service:
        service.create({**QUICK, "name": "quick"})
        assert service.run("quick", Given())
    shutil.rmtree(home / "cache", ignore_errors=True)
    every = [home, *home.rglob("*")]
    for path in every:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in every:
        path.chmod(0o755)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that nobody may write."""
    with read_only(tmp_path_factory.mktemp("read_only")) as home:
        yield home


def asking(home: Path, folder: Path) -> Run:
    """Return a function that runs `tunewell` on a home, in a folder."""

    def call(*arguments: object, **variables: str) -> Answer:
        command: list[Any] = [sys.executable, "-m", "tunewell", *map(str, arguments), "--home", str(home)]
        environment = {**os.environ, "COLUMNS": "160", **variables}
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            preexec_fn=bind_root,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def ask(home: Path, write: Callable[..., Path], tmp_path: Path) -> Run:
    """Return a function that runs `tunewell` on that home, beside the search's spec."""
    write()
    return asking(home, tmp_path)


def contents(home: Path) -> dict[str, int]:
    """Return each file of a home with the time of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in home.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list",), "quick"),
        (("show", "quick"), "4 succeeded"),
        (("show", "quick", 1), "Trial 1 of quick"),
        (("show", "quick", "--json"), '"succeeded": 4'),
        (("queue",), "Nothing waits."),
        (("logs", "quick", 1), "score="),
        (("logs", "quick", 1, "--follow"), "score="),
        (("export", "quick"), "parameter:x"),
        (("report", "quick", "--output", "elsewhere.html"), "elsewhere.html"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_reading(arguments: tuple[object, ...], expected: str, ask: Run, home: Path) -> None:
    """What only reads works, and leaves no trace in the home."""
    before = contents(home)
    answer = ask(*arguments)
    assert answer.code == 0, answer.err
    assert expected in answer.out
    assert contents(home) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "quick.yaml"),
        ("search", "quick.yaml", "--new"),
        ("stop", "quick"),
        ("retry", "quick"),
        ("retrain", "quick"),
        ("evaluate", "quick"),
        ("predict", "quick", "quick.yaml"),
        ("export-model", "quick"),
        ("report", "quick"),
        ("demo",),
    ],
    ids=" ".join,
)
def test_writing(arguments: tuple[object, ...], ask: Run, home: Path) -> None:
    """What writes says in one sentence which file or folder it can't write, and changes nothing."""
    before = contents(home)
    answer = ask(*arguments)
    assert answer.code == 2, answer.out + answer.err
    assert answer.err.startswith(f"error: {home}")
    assert "can't be written" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert contents(home) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
def test_somebody_else_who_may_read(tmp_path: Path) -> None:
    """Who may read somebody else's home reads it; who may not is told so, without a traceback."""
    with read_only(tmp_path) as home:
        ask = asking(home, tmp_path)
        for path in [home, *home.rglob("*")]:
            os.chown(path, 65534, 65534)
        assert "4 succeeded" in ask("show", "quick").out
        assert "can't be written" in ask("retry", "quick").err
        (home / "tunewell.db").chmod(0o400)
        assert "database can't be opened" in ask("show", "quick").err
        home.chmod(0o700)
        answer = ask("list")
        assert answer.code == 2
        assert "--home" in answer.err
        assert "is not readable" in answer.err
