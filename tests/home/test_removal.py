"""Removing the files of an experiment for good, whatever comes between the steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewell.home.home import Home
from tunewell.home.removal import REMOVED, Removal, finish_removals
from tunewell.store import Store


@pytest.fixture
def home(tmp_path: Path, database: str) -> Iterator[Home]:
    """A home with an experiment `e` in the bin, which has left a file."""
    with Store(database) as store:
        store.create_experiment("e", {}, {}, {})
        home = Home(tmp_path / "home", store)
        with home.lock("e"):
            (home.experiment("e") / "left.txt").write_text("left")
        with store.transaction() as tx:
            tx.set_facts("e", {"deleted_at": 1.0})
        yield home


def store_of(home: Home) -> Store:
    """Return its store."""
    assert home._store is not None
    return home._store


def forget(home: Home) -> None:
    """Remove what is on record."""
    with store_of(home).transaction() as tx:
        tx.remove_experiment("e")


def test_a_removal_that_was_cut_off_is_finished_later(home: Home) -> None:
    """Until the rows are gone nothing is removed; then whoever comes next removes the files."""
    folder = home.experiment("e")
    Removal.prepared(home, store_of(home), "e", [])
    finish_removals(home, store_of(home))
    assert (folder / "left.txt").exists()
    forget(home)
    finish_removals(home, store_of(home))
    assert not folder.exists()
    assert list((home.folder / REMOVED).iterdir()) == []


def test_a_new_experiment_of_the_name_keeps_its_files(home: Home) -> None:
    """What is removed late is what has the old identity, wherever it is by then."""
    Removal.prepared(home, store_of(home), "e", [])
    forget(home)
    store_of(home).create_experiment("e", {}, {}, {})
    with home.lock("e"):
        (home.experiment("e") / "new.txt").write_text("new")
    finish_removals(home, store_of(home))
    assert (home.experiment("e") / "new.txt").exists()


def test_nothing_outside_of_the_home_is_removed(home: Home, tmp_path: Path) -> None:
    """A folder that was moved elsewhere, and is linked to, stays."""
    folder, elsewhere = home.experiment("e"), tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    removal = Removal.prepared(home, store_of(home), "e", [])
    forget(home)
    removal.finish()
    assert (elsewhere / "left.txt").exists()


def test_notes_of_other_databases_mean_nothing(home: Home, tmp_path: Path) -> None:
    """Two databases may have stood beside a home: what one doesn't know may be on record in the other."""
    Removal.prepared(home, store_of(home), "e", [])
    with Store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        finish_removals(home, other)
    assert (home.experiment("e") / "left.txt").exists()
