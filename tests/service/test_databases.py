"""Moving a home to another database and back, and upgrading one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Server
from tunewell.service.databases import copy_database, upgrade_database, url_of
from tunewell.service.running import Given
from tunewell.service.service import Service
from tunewell.service.types import OWNER
from tunewell.spec.errors import ConflictError, DataError, NotFoundError
from tunewell.spec.states import ExperimentState

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
        job = service.evaluate("e", caller=OWNER)
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
