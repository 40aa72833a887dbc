"""Who may see what of a search: its environment nobody, its files their owner."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Run

SECRET = "open-sesame-42"
#: Prints its metric, and fails in every second trial with a message that tells the secret.
TELLTALE = 'echo "score={x}"; test {trial} = 1 || { echo "401 for $TOKEN" >&2; exit 1; }'


def mode(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_values_of_the_environment_are_shown_nowhere(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """No command, report or export tells them, not even where the program's own last words do; names are told."""
    spec = write(command=["sh", "-c", TELLTALE], max_trials=2, environment={"TOKEN": SECRET}, max_failed_trials=2)
    told = [run("check", spec), run("search", spec), run("show", "quick"), run("show", "quick", 2)]
    told += [run("show", "quick", "--json"), run("show", "quick", 2, "--json"), run("list", "--json")]
    told += [run("export", "quick"), run("export", "quick", "--format", "json"), run("report", "quick", "-o", "r.html")]
    assert told[-2].json["spec"]["environment"] == "TOKEN (values are not shown)"
    assert "401 for [not shown]" in told[3].out
    write(command=["sh", "-c", TELLTALE], max_trials=2, environment={"TOKEN": f"{SECRET}!"}, max_failed_trials=2)
    told.append(run("search", spec))
    assert told[-1].code == 2
    assert "environment.TOKEN: another one" in told[-1].err
    assert all(SECRET not in answer.out + answer.err for answer in told)
    report = (tmp_path / "r.html").read_text()
    assert "environment: TOKEN (values are not shown)" in report
    assert SECRET not in report


def test_the_files_of_a_home_are_their_owners(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """Home, database and reports are closed to others, wherever they lie, and whatever the umask says."""
    home, database = tmp_path / "home", tmp_path / "elsewhere" / "t.db"
    before = os.umask(0)
    try:
        spec = write(environment={"TOKEN": SECRET}, max_trials=1)
        elsewhere = ("--home", home, "--database", f"sqlite:///{database}")
        assert run("search", spec, "--home", home).code == 0
        assert run("search", spec, "--home", tmp_path / "other", *elsewhere[2:]).code == 0
        assert run("report", "quick", "--home", home, "-o", tmp_path / "r.html").code == 0
    finally:
        os.umask(before)
    assert [mode(folder) for folder in (home, home / "experiments", database.parent)] == [0o700] * 3
    files = [home / "tunewell.db", home / "experiments/quick/report.html", tmp_path / "r.html", database]
    assert [mode(file) for file in files] == [0o600] * 4


def test_what_was_opened_by_hand_stays_open(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """Modes are set when files and folders are made, and never afterwards; a folder that was there keeps its own."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    assert run("search", write(max_trials=1), "--home", home).code == 0
    assert (mode(home), mode(home / "experiments")) == (0o755, 0o700)
    report = home / "experiments/quick/report.html"
    for path, opened in ((home, 0o750), (home / "experiments", 0o750), (home / "tunewell.db", 0o640), (report, 0o644)):
        path.chmod(opened)
    assert run("search", write(max_trials=2), "--home", home).code == 0
    opened_again = [mode(path) for path in (home, home / "experiments", home / "tunewell.db", report)]
    assert opened_again == [0o750, 0o750, 0o640, 0o644]
    assert json.loads(run("show", "quick", "--home", home, "--json").out)["trials"]["succeeded"] == 2
