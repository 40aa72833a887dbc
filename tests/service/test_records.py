"""Files about an experiment that are damaged, or about trials of another life of its database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewell.home.home import Home
from tunewell.service.evaluations import read_evaluations, write_evaluations
from tunewell.service.finalists import Finalist, read_finalists, write_finalists
from tunewell.service.models import retrained_model
from tunewell.spec.errors import DataError
from tunewell.spec.launch import AttemptKey
from tunewell.store import Store

DAMAGED = ["", '{"1": {"val"', "\0" * 40, '{"1": {"val": {}}, "one": 2}']
#: Identities of the attempt on record, and of one that another life of the database has made.
OWN, OTHER = "1" * 32, "2" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the experiment `e`."""
    with Store(f"sqlite:///{tmp_path / 'tunewell.db'}") as store:
        store.create_experiment("e", {}, {}, {})
        with store.transaction() as tx:
            tx.add_trial("e", 1, {}, "random", 1.0, None)
            tx.start_attempt(AttemptKey("e", 1, 1), OWN)
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
    experiment = Home(tmp_path / "old").experiment("e")
    (experiment / "jobs" / "1-finalist").mkdir(parents=True)
    write_finalists(experiment, [Finalist(1, OWN, 0.5, 0.6, experiment / "jobs" / "1-finalist")])
    home = Home((tmp_path / "old").rename(tmp_path / "new"))
    (found,) = read_finalists(store, home, "e")
    assert found.folder.resolve() == home.experiment("e") / "jobs" / "1-finalist"


@pytest.mark.parametrize(("attempt", "known"), [(OWN, True), (OTHER, False), (None, False)])
def test_only_what_is_about_attempts_on_record_counts(
    store: Store, tmp_path: Path, attempt: str | None, known: bool
) -> None:
    """Evaluations, finalists and models of attempts that this database did not make are as if they were not there."""
    home = Home(tmp_path)
    folder = home.experiment("e")
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.json").write_text("{}")
    finalist = Finalist(1, attempt, 0.5, 0.6, folder)
    about = {
        "evaluation.json": {
            "1": {"attempt": attempt, "evaluation": {"val": {}}},
            "7": {"attempt": OWN, "evaluation": {}},
        },
        "finalists.json": [finalist.to_json()],
        "retrained.json": {"trial": 1, "attempt": attempt},
    }
    for name, content in about.items():
        (folder / name).write_text(json.dumps(content))
    assert read_evaluations(store, home, "e") == ({1: {"val": {}}} if known else {})
    assert read_finalists(store, home, "e") == ([finalist] if known else [])
    assert (retrained_model(store, home, "e") is not None) == known


def test_written_evaluations_are_read(store: Store, tmp_path: Path) -> None:
    """What was written is found again."""
    home = Home(tmp_path)
    home.experiment("e").mkdir(parents=True)
    write_evaluations(store, home, "e", {1: {"test": {"accuracy": 0.5}}})
    assert read_evaluations(store, home, "e") == {1: {"test": {"accuracy": 0.5}}}
