"""What a command has imported at its end: what it did not need would have been waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunewell import uniform
from tunewell.service import __all__ as late
from tunewell.service.service import Service

HEAVY = (
    "alembic",
    "fastapi",
    "jinja2",
    "numpy",
    "psutil",
    "ray",
    "ruamel.yaml",
    "scipy",
    "sklearn",
    "torch",
    "uvicorn",
)
OF_A_HOME = ("sqlalchemy",)
ENGINES = ("tunewell.controller", "tunewell.reports", "tunewell.tuners")
PROGRAM = f"""
import sys
from tunewell.cli import main
try:
    main()
finally:
    print("imported", *(name for name in {(*HEAVY, *OF_A_HOME, *ENGINES)!r} if name in sys.modules), file=sys.stderr)
"""


def square(x: float) -> float:
    """What the search is over."""
    return x * x


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a search that nobody runs."""
    folder = tmp_path_factory.mktemp("start_up") / "home"
    spec = {"name": "waiting", "parameters": {"x": uniform(0.0, 1.0)}, "max_trials": 1}
    with Service(folder) as service:
        service.submit({**spec, "objective": {"metric": "y", "goal": "minimize"}}, square)
    return folder


def imported(*arguments: str, home: Path) -> tuple[int, set[str]]:
    """Return the exit code of a command, and what it has imported."""
    environment = {**os.environ, "TUNEWELL_HOME": str(home)}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return done.returncode, set(done.stderr.splitlines()[-1].split()[1:])


def test_what_needs_no_home_imports_no_library(home: Path) -> None:
    """The version is told without any of them."""
    assert imported("--version", home=home) == (0, set())


@pytest.mark.parametrize("arguments", [["list"], ["list", "--bin"], ["stop", "waiting"]])
def test_looking_and_stopping_import_the_store_alone(arguments: list[str], home: Path) -> None:
    """A list, and a request to a search, need neither the algorithms nor what computes."""
    assert imported(*arguments, home=home) == (0, set(OF_A_HOME))


def test_every_late_module_is_there() -> None:
    """Each module that the service imports when it is first used can be imported."""
    from tunewell import service

    for package in (service, service.storage, service.models, service.notifications, service.upkeep):
        for name in package.__all__:
            assert getattr(package, name).__name__ == f"{package.__name__}.{name}"
    assert "running" in late
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = service.nothing
