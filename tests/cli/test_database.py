"""The program on a database that is not in the home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL, create_engine, inspect, make_url
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

import tunewell
from tests.cli.conftest import Run
from tests.postgres import PASSWORD, Server
from tunewell.cli.app import app

#: Prints its metric, and whether it finds a way into the database.
NOSY = 'echo "score={x}"; echo "found: ${TUNEWELL_DATABASE:-}${PGPASSWORD:-}."'


@pytest.fixture
def url(postgres: Server) -> Iterator[URL]:
    """A database on a server."""
    with postgres.new_database("tables") as url:
        yield make_url(url)


def given(url: URL, form: str) -> dict[str, str]:
    """Return the variables of the environment that name a database and its password."""
    bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database)
    if form == "in PGPASSWORD":
        return {"TUNEWELL_DATABASE": bare.render_as_string(), "PGPASSWORD": PASSWORD}
    full = url if form == "in its place" else bare.set(query={"password": PASSWORD})
    return {"TUNEWELL_DATABASE": full.render_as_string(hide_password=False)}


@contextmanager
def watched_arguments() -> Iterator[set[str]]:
    """Collect the arguments of all processes that this one's descendants are, while the block runs."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                try:
                    seen.add("\0".join(process.cmdline()))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def holds(text: str | bytes, url: URL) -> bool:
    """Whether the password can be read in a text, as it is or as it is written in a URL."""
    escaped = url.render_as_string(hide_password=False).split("@")[0].partition("://")[2].partition(":")[2]
    found = text.encode() if isinstance(text, str) else text
    return any(form.encode() in found for form in (PASSWORD, escaped))


@pytest.mark.parametrize("form", ["in its place", "as an option", "in PGPASSWORD"])
def test_the_password_is_nowhere(run: Run, write: Callable[..., Path], tmp_path: Path, url: URL, form: str) -> None:
    """A search with its report, a retraining and a check leave the password in no file, output, row or argument."""
    variables = given(url, form)
    spec = write(command=["sh", "-c", NOSY], max_trials=2)
    with watched_arguments() as arguments:
        told = [
            run("search", spec, "--json", **variables),
            run("retrain", "quick", **variables),
            run("check", spec, **variables),
            run("logs", "quick", 1, **variables),
        ]
        assert [answer.code for answer in told] == [0] * len(told), told
        elsewhere = variables["TUNEWELL_DATABASE"].replace(f":{url.port}", ":1")
        told.append(run("show", "quick", "--json", **{**variables, "TUNEWELL_DATABASE": elsewhere}))
        assert told[-1].code == 2
    assert (tmp_path / ".tunewell/experiments/quick/report.html").exists(), "the report's job has opened the database"
    assert "found: .\n" in told[3].out
    assert any("fork_server" in line for line in arguments)
    assert [line for line in arguments if holds(line, url)] == []
    assert [answer for answer in told if holds(answer.out + answer.err, url)] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if holds(path.read_bytes(), url)] == []
    assert not any(holds(row, url) for row in everything_in(url))


def everything_in(url: URL) -> Iterator[str]:
    """Give every row of every table as text."""
    engine = create_engine(url.set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            yield from (str(row[0]) for row in connection.exec_driver_sql(f'SELECT t::text FROM "{table}" t'))
    engine.dispose()


def test_a_password_in_the_arguments_is_noted(run: Run, write: Callable[..., Path], url: URL) -> None:
    """Who gives the password on the command line is told who else sees it, and where it belongs."""
    told = run("list", "--database", url.render_as_string(hide_password=False))
    assert told.code == 0
    assert "note: Others on this machine can see the password in the URL" in told.err
    assert "TUNEWELL_DATABASE" in told.err and "~/.pgpass" in told.err
    assert not holds(told.err, url)
    assert "note:" not in run("list", "--database", f"sqlite:///{write()}.db").err


def test_every_command_takes_a_database() -> None:
    """Whatever opens a home can be told which database belongs to it."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    commands = {}
    for name in group.list_commands(Context(group)):
        command = group.get_command(Context(group), name)
        parts = command.commands.items() if isinstance(command, TyperGroup) else []
        commands |= {f"{name} {part}": below for part, below in parts} or {name: command}
    options = {name: {option for one in command.params for option in one.opts} for name, command in commands.items()}
    assert {name for name, found in options.items() if ("--home" in found) != ("--database" in found)} == set()
    assert {name for name, found in options.items() if "--home" not in found} == {
        "init", "tasks", "database copy", "login", "logout", "worker",
    }  # fmt: skip


def test_moving_a_home(run: Run, write: Callable[..., Path], url: URL) -> None:
    """A home is moved with one command, which says what to name from then on; the old one says where all is now."""
    spec, database = write(max_trials=1), url.render_as_string(hide_password=False)
    assert run("search", spec, "--no-details").code == 0
    told = run("database", "copy", ".tunewell", database)
    assert told.code == 0, told.err
    assert "rows copied from" in told.out and "name it with --database or TUNEWELL_DATABASE: postgresql://" in told.out
    refused = run("list")
    assert refused.code == 2
    assert "this database was moved to postgresql://tunewell:***@" in refused.err and "--database" in refused.err
    assert run("list", TUNEWELL_DATABASE=database).code == 0
    assert "at 0001 already" in run("database", "upgrade", TUNEWELL_DATABASE=database).out
    back = run("database", "copy", database, ".tunewell")
    assert "from now on, do without --database" in back.out
    assert run("list").code == 0
    assert run("list", TUNEWELL_DATABASE=database).code == 2
    assert not any(holds(answer.out + answer.err, url) for answer in (told, refused, back))


def test_python_takes_a_database(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search over a function is recorded where `database` or TUNEWELL_DATABASE says, and read from there."""
    space = {"x": tunewell.uniform(0, 1)}
    database = new_database()
    for number, place in enumerate(({"database": database}, {})):
        if not place:
            monkeypatch.setenv("TUNEWELL_DATABASE", new_database())
        home = tmp_path / f"home-{number}"
        found = tunewell.search(
            _score,
            space,
            goal="maximize",
            max_trials=2,
            name="e",
            home=home,
            progress=False,
            **place,  # type: ignore[arg-type]
        )
        assert len(found.trials()) == 2
        assert found.best == tunewell.load("e", home, **place).best
        assert not (home / "tunewell.db").exists()


def _score(x: float) -> float:
    return x


def test_an_error_leaves_nothing(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """A database that can't be reached is one clear error with exit code 2, and no home is made for it."""
    told = run("search", write(), TUNEWELL_DATABASE="postgresql://me:open-sesame@127.0.0.1:1/db")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: postgresql://me:***@127.0.0.1:1/db: the database can't be reached (Connection")
    assert not (tmp_path / ".tunewell").exists()


def test_a_home_that_is_gone(run: Run, write: Callable[..., Path], tmp_path: Path, url: URL) -> None:
    """A database keeps to its home until somebody says that it is gone; then its searches go on in another one."""
    variables = {"TUNEWELL_DATABASE": url.render_as_string(hide_password=False)}
    assert run("search", write(max_trials=2), "--no-details", "--home", "old", **variables).code == 0
    more = write(max_trials=3)
    refused = run("search", more, "--no-details", "--home", "new", **variables)
    assert refused.code == 2
    assert f"this database belongs to the home {tmp_path / 'old'}. Name that one with --home, or" in refused.err
    assert "tunewell database set-home" in refused.err
    (tmp_path / "old").rename(tmp_path / "gone")
    given = run("database", "set-home", "--home", "new", **variables)
    assert (given.code, f"its home is {tmp_path / 'new'} now." in given.out) == (0, True), given
    done = run("search", more, "--no-details", "--home", "new", "--json", **variables)
    assert (done.code, done.json["trials"]["succeeded"]) == (0, 3), done
    unnamed = run("database", "set-home")
    assert (unnamed.code, unnamed.out) == (2, "")
    assert "--database: it must be named" in unnamed.err
