"""Whose the folders in a home are, where several databases have stood beside it."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tunewell.home.home import Home
from tunewell.schedulers import records
from tunewell.spec.errors import ConflictError
from tunewell.spec.launch import AttemptKey
from tunewell.store import Store

KEY = AttemptKey("e", 1, 1)


@pytest.fixture
def homes(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[tuple[Home, Home]]:
    """One home as two databases see it, each with an experiment `e`."""
    with ExitStack() as stack:
        stores = [stack.enter_context(Store(new_database())) for _ in range(2)]
        for store in stores:
            store.create_experiment("e", {}, {}, {})
        first, second = (Home(tmp_path / "home", store) for store in stores)
        yield first, second


def database_of(home: Home) -> str:
    """Return what people call its database."""
    assert home._store is not None
    return home._store.place


def notes(home: Home) -> str:
    """Return the notes of experiment `e`."""
    assert home._store is not None
    return " ".join(home._store.experiment("e").notes)


def leave(home: Home, text: str) -> Path:
    """Leave a file in the folder of experiment `e`, as a run does; return it."""
    with home.lock("e"):
        file = home.experiment("e") / "left.txt"
        file.write_text(text)
    return file


def test_nothing_of_another_experiment_is_read(homes: tuple[Home, Home]) -> None:
    """The folder of an experiment that has the same name in another database is none of this one's."""
    first, second = homes
    file = leave(first, "first")
    assert first.experiment("e") == file.parent
    assert second.experiment("e") != file.parent
    assert not second.experiment("e").exists()
    assert file.exists(), "looking moves nothing"


def test_each_database_gets_its_own_folder_back(homes: tuple[Home, Home]) -> None:
    """What lies in the way is set aside with a note that names its database, and comes back when it is needed."""
    first, second = homes
    place = leave(first, "first").parent
    leave(second, "second")
    assert (place / "left.txt").read_text() == "second"
    assert (first.experiment("e") / "left.txt").read_text() == "first"
    assert str(first.experiment("e")) in notes(second) and database_of(first) in notes(second)
    assert notes(first) == ""
    first.claim("e")
    assert (place / "left.txt").read_text() == "first"
    assert (second.experiment("e") / "left.txt").read_text() == "second"
    assert database_of(second) in notes(first)


def test_two_databases_never_run_in_one_folder(homes: tuple[Home, Home]) -> None:
    """While one experiment runs, another of its name waits for it, and is told whose it is."""
    first, second = homes
    with first.lock("e"):
        told = re.escape(f"runs another experiment 'e' (database: {database_of(first)})")
        with pytest.raises(ConflictError, match=told), second.lock("e"):
            pass
        with pytest.raises(ConflictError, match="Experiment 'e' is being run by process"), first.lock("e"):
            pass
        assert first.is_running("e")
        assert not second.is_running("e")
        for home, runs in ((first, {"e"}), (second, set())):
            assert home._store is not None
            assert home.running({"e": home._store.experiment_id("e")}) == runs


def test_a_place_is_claimed_while_its_run_begins(homes: tuple[Home, Home], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is to write there just when a controller makes the folder the experiment's own is not turned away."""
    home, _ = homes
    look = home._is_own
    looks = itertools.count()
    with home.lock("e"):
        monkeypatch.setattr(home, "_is_own", lambda name: next(looks) > 0 and look(name))  # as it was a moment before
        home.claim("e")
    assert next(looks) > 1


def test_a_folder_with_living_processes_is_not_moved(homes: tuple[Home, Home]) -> None:
    """The trials of a killed controller live on in their folders, which stay where they are until they have ended."""
    first, second = homes
    leave(first, "first")
    records.make_folder(first.place(KEY), "1" * 32)
    busy = pytest.raises(ConflictError, match=r"processes that it started still run .*trials/1/1")
    with records.locked(first.place(KEY), wait=False), busy, second.lock("e"):
        pass
    with second.lock("e"):
        assert not second.place(KEY).exists()


def test_an_attempt_is_found_by_its_identity(tmp_path: Path) -> None:
    """The folder of an attempt is the one that has its identity, set aside or not, and no other one."""
    home = Home(tmp_path)
    records.make_folder(home.place(KEY), "1" * 32)
    assert home.attempt(KEY, "1" * 32) == home.place(KEY)
    assert not home.attempt(KEY, "2" * 32).exists()
    aside = home.set_aside(home.place(KEY))
    records.make_folder(home.place(KEY), "2" * 32)
    assert home.attempt(KEY, "1" * 32) == aside
    assert home.attempt(KEY, "2" * 32) == home.place(KEY)
    assert home.set_aside(home.place(KEY)) != aside


def test_a_folder_without_identity_is_nobodys(homes: tuple[Home, Home]) -> None:
    """A folder in which somebody has left something without an identity is set aside as well, an empty one is taken."""
    first, _ = homes
    place = first.folder / "experiments" / "e"
    place.mkdir(parents=True)
    first.claim("e")
    assert notes(first) == ""
    (place / records.IDENTITY).unlink()
    (place / "task.json").write_text("{}")
    first.claim("e")
    assert not (place / "task.json").exists()
    assert "set aside" in notes(first)


def test_a_database_belongs_to_one_home(tmp_path: Path, database: str) -> None:
    """A database elsewhere is not used beside a second home, unless the first is gone.

    Where others may have it on another machine, it must be said that it is gone.
    """
    with Store(database) as store:
        Home(tmp_path / "one", store).settle()
        told = re.escape(f"{store.place}: this database belongs to the home {tmp_path / 'one'}. Name that one")
        with pytest.raises(ConflictError, match=told):
            Home(tmp_path / "two", store).settle()
        (tmp_path / "one").rename(tmp_path / "moved")
        Home(tmp_path / "moved", store).settle()
        shutil.rmtree(tmp_path / "moved")
        if store.session is not None:
            with pytest.raises(ConflictError, match="this database belongs to the home"):
                Home(tmp_path / "two", store).settle()
            Home(tmp_path / "two", store).adopt()
        Home(tmp_path / "two", store).settle()


def test_a_moved_home_is_the_same_and_a_copied_one_another(tmp_path: Path) -> None:
    """A home keeps its identity where it is moved; a copy beside its original gets another, and a note."""

    def settled(name: str) -> tuple[str | None, tuple[str, ...]]:
        with Store(Home(tmp_path / name).database_url) as store:
            if store.find_experiment("e") is None:
                store.create_experiment("e", {}, {}, {})
            Home(tmp_path / name, store).settle()
            known = store.home()
            assert known is not None
            assert (known.folder, known.identity) == (str(tmp_path / name), records.identity_of(tmp_path / name))
            return known.identity, store.experiment("e").notes

    first = settled("one")
    (tmp_path / "one").rename(tmp_path / "two")
    assert settled("two") == first
    shutil.copytree(tmp_path / "two", tmp_path / "three")
    identity, noted = settled("three")
    assert identity != first[0]
    assert f"This home is a copy of {tmp_path / 'two'}" in noted[0]
    assert settled("three") == (identity, noted)
    assert settled("two") == first
    shutil.copytree(tmp_path / "two", tmp_path / "four")
    shutil.rmtree(tmp_path / "two")
    assert settled("four") == first


def test_a_damaged_identity_is_replaced(homes: tuple[Home, Home], tmp_path: Path) -> None:
    """A home whose identity file holds something else gets a new one, and its experiments keep their folders."""
    first, _ = homes
    file = leave(first, "first")
    (first.folder / records.IDENTITY).write_text('{"identity": 7}')
    again = Home(first.folder, first._store)
    if first._store is not None and first._store.session is not None:
        with pytest.raises(ConflictError, match="this database belongs to the home"):
            again.settle()
        again.adopt()
    again.settle()
    assert again.experiment("e") == file.parent


def test_each_machine_counts_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a folder that several machines share, each has a file of its own for who holds what of it."""
    files = set()
    for host in ("here", "there"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        files.add(Home(tmp_path).claims)
    assert len(files) == 2
    assert {file.parent for file in files} == {tmp_path}
