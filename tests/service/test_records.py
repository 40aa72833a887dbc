"""Files about an experiment that are damaged: what can be had again is, the rest is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewell.controller.home import Home
from tunewell.service.evaluations import read_evaluations
from tunewell.service.finalists import Finalist, read_finalists, write_finalists
from tunewell.spec.errors import DataError
from tunewell.store import Store

DAMAGED = ["", '{"1": {"val"', "\0" * 40]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the experiment `e`."""
    with Store(f"sqlite:///{tmp_path / 'tunewell.db'}") as store:
        store.create_experiment("e", {}, {}, {})
        yield store


def write(home: Path, name: str, content: str) -> Home:
    """Write a file of the experiment `e`."""
    folder = Home(home).experiment("e")
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    return Home(home)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_evaluations_are_none(store: Store, tmp_path: Path, content: str) -> None:
    """Evaluations that can't be read are made again, like those that never were."""
    assert read_evaluations(store, write(tmp_path, "evaluation.json", content), "e") == {}


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_finalists_are_refused(store: Store, tmp_path: Path, content: str) -> None:
    """Without its finalists a search would name another trial as the best: they are missed, with a remedy."""
    home = write(tmp_path, "finalists.json", content)
    with pytest.raises(DataError, match=r"finalists\.json: this record .* is damaged\. Remove it"):
        read_finalists(store, home, "e")


def test_finalists_move_with_their_home(store: Store, tmp_path: Path) -> None:
    """Where the trainings on all data lie goes by the experiment's folder, which may be moved."""
    with store.transaction() as tx:
        tx.add_trial("e", 3, {}, "random", 1.0, None, 0.0)
        tx.start_attempt("e", 3, 1, 0.0, "its identity")
    experiment = Home(tmp_path / "old").experiment("e")
    (experiment / "jobs" / "1-finalist").mkdir(parents=True)
    write_finalists(experiment, [Finalist(3, "its identity", 0.5, 0.6, experiment / "jobs" / "1-finalist")])
    home = Home((tmp_path / "old").rename(tmp_path / "new"))
    (found,) = read_finalists(store, home, "e")
    assert found.folder.resolve() == home.experiment("e") / "jobs" / "1-finalist"
