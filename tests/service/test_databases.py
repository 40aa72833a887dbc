"""Moving a home to another database and back, and upgrading one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.postgres import Server
from tests.schedulers.bench import wait_until
from tunewell.service import databases
from tunewell.service.databases import copy_database, set_home, upgrade_database, url_of
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, NotFoundError
from tunewell.spec.states import ExperimentState
from tunewell.store.copying import Database, move

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 1,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a search that has run one trial."""
    run(tmp_path / "home", None, 1)
    return tmp_path / "home"


@pytest.fixture
def server_database(postgres: Server) -> Iterator[str]:
    """URL of an empty database on a server."""
    with postgres.new_database() as url:
        yield url


def run(home: Path, database: str | None, trials: int) -> list[float | None]:
    """Run the search until it has so many trials; return their values."""
    with Service(home, database) as service:
        service.submit({**SPEC, "max_trials": trials})
        assert service.run("e", Given(follow_up=False))
        assert service.experiment("e").state is ExperimentState.COMPLETED
        return [trial.value for trial in service.trials("e").items]


def test_a_search_goes_on_wherever_it_is_moved(home: Path, server_database: str) -> None:
    """From the home's own database to a server and back, the search goes on where it was, in the same folder."""
    there = copy_database(str(home), server_database)
    assert (there.is_default, there.source) == (False, str(home / "tunewell.db"))
    assert "***" in there.target
    first = run(home, server_database, 2)
    with pytest.raises(DataError, match="was moved to postgresql://"):
        Service(home)
    back = copy_database(server_database, str(home))
    assert back.is_default and back.rows > there.rows
    second = run(home, None, 3)
    copy_database(str(home / "tunewell.db"), server_database)
    third = run(home, server_database, 4)
    assert third[:3] == second and second[:2] == first
    assert len(set(third)) == 4
    with Service(home, server_database) as service:
        assert b"accuracy" in service.log("e", 1).data
        assert not service.experiment("e").notes


@pytest.mark.parametrize("what", ["controller", "search", "job"])
def test_a_home_at_work_is_refused(home: Path, server_database: str, what: str) -> None:
    """While a controller, a search or a job is at work, nothing is copied."""
    with Service(home) as service:
        job = service.evaluate("e")
        locks = {
            "controller": service.home.serve(),
            "search": service.home.lock("e"),
            "job": service.home.lock_job(job.id),
        }
        told = {
            "controller": "a controller runs what is recorded in it",
            "search": "experiment 'e' is being run",
            "job": f"job '{job.id}' is being run",
        }
        with locks[what], pytest.raises(ConflictError, match=f"it is in use: {told[what]}. End that first"):
            copy_database(str(home), server_database)
        service.experiments()
    with pytest.raises(NotFoundError, match="nothing of Tunewell in this database"):
        Service(home, server_database, "read")


def test_what_begins_meanwhile_is_refused(home: Path, server_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that begins between the first look and the writer's lock is found, and nothing is copied."""
    with Service(home) as service, ExitStack() as stack:

        def late(*given: Any) -> int:
            stack.enter_context(service.home.lock("e"))
            return move(*given)

        monkeypatch.setattr(databases, "move", late)
        with pytest.raises(ConflictError, match="it is in use: experiment 'e' is being run"):
            copy_database(str(home), server_database)
        assert service.experiments().items


def test_a_controller_ends_where_its_database_was_moved(new_database: Callable[[], str], tmp_path: Path) -> None:
    """A controller that finds at a write that all is elsewhere ends, and says where; it does not try for ever."""
    one, two = new_database(), new_database()
    with Service(tmp_path / "home", one) as service, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(service.run_all, threading.Event())
        wait_until(lambda: service.home.is_served)
        with closing(Database(one, create=False)) as old, closing(Database(two, create=True)) as new:
            service.create(SPEC)
            move(old, new, lambda line: None)
        with pytest.raises(DataError, match="this database was moved to"):
            serving.result(60)


def test_who_cannot_write_does_not_serve(postgres: Server, server_database: str, tmp_path: Path) -> None:
    """Who may only read is no controller of the home, and says so at once."""
    with Service(tmp_path / "home", server_database) as service, ExitStack() as stack:
        service.create(SPEC)
        name = make_url(server_database).database
        postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        reader = stack.enter_context(Service(tmp_path / "home", server_database))
        with pytest.raises(DataError, match="it is a standby, or read-only"):
            reader.run_all(threading.Event())
        assert not service.home.is_served


def test_an_upgrade_of_what_was_moved_away(home: Path, server_database: str) -> None:
    """Nobody is told that a database is up to date that is no longer used."""
    copy_database(str(home), server_database)
    with pytest.raises(DataError, match="this database was moved to"):
        upgrade_database(str(home))


def test_names_of_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database is named by its URL, its file, or its home folder."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert url_of("postgresql://host/db") == "postgresql://host/db"
    assert url_of("home") == f"sqlite:///{tmp_path}/home/tunewell.db"
    assert url_of("home/my.db") == f"sqlite:///{tmp_path}/home/my.db"
    assert url_of("file") == f"sqlite:///{tmp_path}/file"


def test_an_upgrade_of_what_is_up_to_date(home: Path, tmp_path: Path) -> None:
    """Nothing is done where nothing is to be done; where there is no database, none is made."""
    done = upgrade_database(str(home))
    assert done.before == done.after
    with pytest.raises(NotFoundError, match="there is no such database"):
        upgrade_database(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_another_home_records_nothing(home: Path, tmp_path: Path, database: str) -> None:
    """Who comes with another home is refused before anything is made or recorded; looking goes, as far as it goes."""
    run(home, database, 1)
    with Service(home, database) as service:
        job, other = service.probe("e").id, tmp_path / "other"
    for access in ("write", "make"):
        with pytest.raises(ConflictError, match=f"this database belongs to the home {home}"):
            Service(other, database, access)  # type: ignore[arg-type]
    assert not other.exists()
    with Service(other, database, "read") as service:
        assert service.experiment("e").best is not None
        assert service.trial("e", 1).log is None
        assert [one.id for one in service.jobs().items] == [job]
        looks = (
            lambda: service.log("e", 1),
            lambda: service.artifacts("e", 1),
            lambda: service.job_log(job),
            lambda: service.job_artifacts(job),
        )
        for look in looks:
            with pytest.raises(ConflictError, match=f"this database belongs to the home {home}"):
                look()
    assert not other.exists()


def test_a_refused_copy_makes_nothing(home: Path, tmp_path: Path, server_database: str) -> None:
    """What would be refused anyway leaves no folder and no database behind."""
    copy_database(str(home), server_database)
    with pytest.raises(DataError, match=r"was moved to postgresql://") as caught:
        copy_database(str(home), str(tmp_path / "third"))
    assert caught.value.kind == "database-moved"
    for source, target, field in (
        (str(home), "postgresql://me@host:five/db", "target"),
        ("mysql://host/db", str(tmp_path / "third"), "source"),
    ):
        with pytest.raises(ArgumentError) as wrong:
            copy_database(source, target)
        assert wrong.value.field == field
    assert not (tmp_path / "third").exists()


def test_a_home_that_is_still_there_is_not_given_up_by_mistake(home: Path, tmp_path: Path, database: str) -> None:
    """A database gets another home only if its own can't be found, or somebody says that it is to be given up."""
    values = run(home, database, 1)
    other = tmp_path / "other"
    with pytest.raises(ConflictError, match=f"its home {home} is still there; the logs, checkpoints and models in it"):
        set_home(database, other)
    assert not other.exists()
    set_home(database, home)
    set_home(database, other, force=True)
    assert run(other, database, 1) == values
    with pytest.raises(ConflictError, match=f"belongs to the home {other}"):
        Service(home, database, "write")
