"""A database that is not the one which the folders beside it were filled for: nothing of another life is taken over."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers.bench import has_ended, wait_until
from tests.system import ledger
from tunewell.service.runs import Situation
from tunewell.service.service import Service
from tunewell.spec.states import ExperimentState


class Life:
    """A search whose program multiplies by the number in a file, in a home that is opened with any database."""

    def __init__(self, folder: Path) -> None:
        """Work in `folder`."""
        self.folder = folder
        self.home = folder / "home"

    def spec(self, max_trials: int = 3) -> dict[str, Any]:
        """Return the spec of the search."""
        return {
            "name": "e",
            "command": ["sh", "-c", "echo score=$(( {x} * $(cat factor) )); echo {trial} > {output_dir}/trial"],
            "working_directory": str(self.folder),
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"low": 1, "high": 1000}},
            "algorithm": "random",
            "max_trials": max_trials,
        }

    def search(self, factor: int, max_trials: int = 3, database: Path | None = None) -> None:
        """Run the search to its end with a program that multiplies by `factor`."""
        (self.folder / "factor").write_text(str(factor))
        with self.open(database) as service:
            service.submit(self.spec(max_trials))
            assert service.run("e")
            assert service.experiment("e").state is ExperimentState.COMPLETED

    def open(self, database: Path | None = None) -> Service:
        """Open the home with its own or another database."""
        return Service(self.home, f"sqlite:///{database}" if database else None)

    def factors(self, database: Path | None = None) -> list[float]:
        """Return what each trial's parameter was multiplied by."""
        with self.open(database) as service:
            return [trial.value / trial.parameters["x"] for trial in service.store.trials("e") if trial.value]

    def values(self, numbers: tuple[int, ...]) -> list[float | None]:
        """Return the values of trials."""
        with self.open() as service:
            return [service.trial("e", number).value for number in numbers]

    def notes(self, database: Path | None = None) -> str:
        """Return the notes of the search."""
        with self.open(database) as service:
            return " ".join(service.experiment("e").notes)

    def log(self, number: int, database: Path | None = None) -> str:
        """Return what a trial has printed, as the service finds it."""
        with self.open(database) as service:
            return service.log("e", number).data.decode()

    def move_database(self, source: Path, target: Path) -> None:
        """Move the home's database from one folder to another."""
        target.mkdir(exist_ok=True)
        for file in source.glob("tunewell.db*"):
            shutil.move(file, target / file.name)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """A search in an empty home."""
    yield Life(tmp_path)


def test_a_database_that_was_moved_away(life: Life) -> None:
    """A new search of the same name begins from nothing, and says where the folder of the old one is."""
    life.search(3)
    report = life.home / "experiments" / "e" / "report.html"
    report.write_text("old")
    life.move_database(life.home, life.folder / "away")
    with life.open() as service:
        service.submit(life.spec())
        assert not (service.home.experiment("e") / "report.html").exists()
    life.search(1000)
    assert life.factors() == [1000] * 3
    assert report.read_text() != "old"
    (old,) = (life.home / "set-aside").glob("*/experiments/e/report.html")
    assert str(old.parent) in life.notes()


def test_an_older_copy_that_was_put_back(life: Life) -> None:
    """Trials that the older copy knows nothing of run again; both copies find the folders of their own attempts."""
    life.search(3, max_trials=2)
    older = life.folder / "older"
    older.mkdir()
    shutil.copy(life.home / "tunewell.db", older)
    life.search(3, max_trials=5)
    newer = life.folder / "newer"
    life.move_database(life.home, newer)
    life.move_database(older, life.home)
    life.search(1000, max_trials=5)
    assert life.factors() == [3, 3, 1000, 1000, 1000]
    assert "set-aside" in life.notes()
    assert [float(life.log(number).split("=")[1]) for number in (2, 3)] == life.values((2, 3))
    life.move_database(life.home, older)
    life.move_database(newer, life.home)
    assert life.factors() == [3] * 5
    assert [float(life.log(number).split("=")[1]) for number in (2, 3)] == life.values((2, 3))


def test_two_databases_beside_one_home(life: Life) -> None:
    """Searches of one name in two databases take nothing from one another, in whatever order they go on."""
    first, second = life.folder / "a.db", life.folder / "b.db"
    life.search(3, database=first)
    life.search(1000, database=second)
    life.search(3, max_trials=4, database=first)
    life.search(1000, max_trials=5, database=second)
    assert life.factors(first) == [3] * 4
    assert life.factors(second) == [1000] * 5
    assert "a.db" in life.notes(second) and "b.db" in life.notes(first)


@pytest.mark.slow
def test_a_home_that_is_copied_while_it_runs(life: Life) -> None:
    """In the copy the running trial is run again; the original's goes on, and none of its processes is harmed."""
    spec = {**life.spec(1), "command": ["sh", "-c", "while ! [ -e go ]; do sleep 0.02; done; echo score={x}"]}
    (life.folder / "spec.yaml").write_text(json.dumps(spec))
    search = ledger.command(life.folder / "spec.yaml", life.home)
    with subprocess.Popen(search, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as original:
        record = life.home / "experiments/e/trials/1/1/supervisor.json"
        wait_until(record.exists)
        trial = json.loads(record.read_text())["trial"]["pid"]
        copy = life.folder / "copy"
        shutil.copytree(life.home, copy)
        with Service(copy) as service:

            def interrupt(situation: Situation) -> None:
                if service.trial("e", 1).attempts == 2 and not situation.interrupted:
                    signal.raise_signal(signal.SIGINT)

            assert not service.run("e", on_step=interrupt)
            assert f"copy of {life.home}" in " ".join(service.experiment("e").notes)
        assert not has_ended(trial)
        (life.folder / "go").touch()
        assert original.wait(60) == 0
        for home in (life.home, copy):
            with Service(home) as service:
                service.run("e")
                found = service.trial("e", 1)
                assert found.value == found.parameters["x"]
    with life.open() as service:
        assert service.trial("e", 1).attempts == 1
