"""Settings for all tests, and the databases that they run on."""

import gc
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import Server, running_server
from tests.schedulers.ray_cluster import RayCluster, running_cluster, scheduler_of
from tunewell.schedulers.apart import SchedulerApart
from tunewell.store import Store

# The same commit gets the same verdict: examples are drawn again only by those who look for new ones, with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

#: The kinds of databases that everything runs on.
DATABASES = ("sqlite", "postgresql")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, over HTTP, what only holds on the machine itself (`in_process`), and the second kind of database.

    Without HTTP that kind is left out where it makes no difference (`one_database`).
    """
    kept, left_out = [], []
    for item in items:
        (kept if _is_wanted(item) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what is here now: ten thousand tests, which it would look at each time."""
    gc.collect()
    gc.freeze()


def _is_wanted(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "over HTTP" not in (params.get("bench"), params.get("verbs"), params.get("each")):
        return params.get("new_database") != "postgresql" or item.get_closest_marker("one_database") is None
    return params.get("new_database") != "postgresql" and item.get_closest_marker("in_process") is None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests of this process, with a database `tables` that has the tables."""
    with running_server() as server:
        server.execute("CREATE DATABASE tables TEMPLATE template0")
        Store(server.url("tables").render_as_string(hide_password=False)).close()
        yield server


@pytest.fixture(params=DATABASES)
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What makes new databases of each kind, without any rows, and gives their URLs."""
    if request.param == "sqlite":
        numbers = itertools.count(1)
        yield lambda: f"sqlite:///{tmp_path / f'database-{next(numbers)}.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(server.new_database("tables"))


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """URL of a new database of each kind, without any rows."""
    return new_database()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """A Ray cluster of one node, for all tests of this process."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ray_home(
    ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, SchedulerApart]]:
    """A home, and a scheduler for attempts that lie in it: joining a cluster takes seconds."""
    folder = tmp_path_factory.mktemp("ray")
    with closing(scheduler_of(ray_cluster, folder / "home", folder / "node")) as scheduler:
        yield folder / "home", scheduler
