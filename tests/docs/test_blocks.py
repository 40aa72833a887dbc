"""The documentation's commands are run, page by page and in order, as somebody would who follows it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

import tunewell
from tests.docs.pages import Block, Terminal, all_blocks, blocks, follow, page
from tests.postgres import Server, free_port
from tests.server.serving import wait_until
from tests.service.notifications.receiving import receiving, taking_mail
from tests.tasks.object_detection.dots import write_dots
from tunewell.service.notifications.signing import new_secret, signed

#: A search over pictures that takes seconds.
SIGNS = (
    "{name: signs, task: image-classification, data: signs, network: small-cnn, algorithm: random, max_trials: 2, "
    "parameters: {epochs: 1, image_size: 32, batch_size: 8}}"
)
#: A search whose trials wait for a file, all but the seventh.
WAITING = {
    "command": ["sh", "-c", "[ {trial} = 7 ] || until [ -e go ]; do sleep 0.1; done; echo accuracy=0.{trial}"],
    "objective": {"metric": "accuracy"},
    "parameters": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}, "batch_size": [16, 32]},
    "algorithm": "random",
    "max_trials": 20,
    "max_concurrency": 8,
    "resources": {"cpus": 0.1},
}


@pytest.fixture
def terminal(tmp_path: Path, postgres: Server) -> Iterator[Terminal]:
    """A terminal in a new folder, with a database that is meant where a page names one."""
    port = free_port()
    with postgres.new_database() as database:
        one = Terminal(
            tmp_path,
            {
                "postgresql://tunewell@db.example.org/tunewell": database,
                "http://127.0.0.1:8700": f"http://127.0.0.1:{port}",
                "https://tunewell.example.org": f"http://127.0.0.1:{port}",
                "/data": f"{tmp_path}/data",
            },
            port,
        )
        try:
            yield one
            one.end()
        finally:
            if one.service is not None:
                children = psutil.Process(one.service.pid).children()
                one.service.kill()
                one.service.wait()
                psutil.wait_procs(children, timeout=30)


def write_signs(folder: Path, **splits: int) -> None:
    """Write pictures of two classes, so many of each in each split."""
    for split, number in splits.items():
        for kind in ("one", "two"):
            (folder / split / kind).mkdir(parents=True)
            for count in range(number):
                picture = Image.new("RGB", (32, 32), (20 * count, 200 * (kind == "two"), 0))
                picture.save(folder / split / kind / f"{count}.png")


@pytest.mark.timeout(400)
def test_the_service(terminal: Terminal) -> None:
    """Who follows `service.md` comes from nothing to a service that two users share."""
    found = blocks("service.md")
    assert len(found) > 10
    for language, text in found:
        terminal.run(language, text)


@pytest.mark.timeout(200)
def test_data_sets(terminal: Terminal, tmp_path: Path) -> None:
    """The commands of `datasets.md` work on folders and archives of pictures."""
    for folder in ("signs", "data/birds", "pets"):
        for kind in ("one", "two"):
            (tmp_path / folder / kind).mkdir(parents=True)
            for number in range(4):
                place = tmp_path / folder / kind / f"{number}.png"
                Image.new("RGB", (8, 8), (20 * number, 100 * (kind == "two"), 0)).save(place)
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "pets.zip", "pets"], cwd=tmp_path, check=True, capture_output=True
    )
    for language, text in blocks("datasets.md"):
        terminal.run(language, text)


@pytest.mark.timeout(200)
def test_workers(terminal: Terminal) -> None:
    """Who follows `workers.md` has two searches trained, by the ready-made worker and by a program."""
    for language, text in blocks("workers.md"):
        terminal.run(language, text)


@pytest.mark.timeout(200)
def test_functions(tmp_path: Path) -> None:
    """The programs of `functions.md` run one after the other, the later ones on what the earlier ones have left."""
    found = blocks("functions.md")
    assert len(found) > 5
    for language, text in found:
        Terminal(tmp_path, {}, 0).run(language, text)
    assert (tmp_path / "history.svg").exists() and (tmp_path / "report.html").exists()


@pytest.mark.timeout(200)
def test_the_readme(tmp_path: Path) -> None:
    """The functions in the README run, its specs are accepted, and its first screen has the two commands."""
    one, found = Terminal(tmp_path, {}, 0), all_blocks("README.md")
    assert [text for language, text in blocks("index.md") if language == "python"] == [found[1].text]  # run below
    for block in found:
        if block.language == "python":
            one.run("python", block.text)
    assert (tmp_path / "history.svg").exists()
    (tmp_path / "train.py").touch()
    write_signs(tmp_path / "signs", train=6)
    specs = [block for block in found if block.language == "yaml"]
    assert [spec.file for spec in specs] == ["signs.yaml", "mine.yaml"]
    for spec in specs:
        (tmp_path / str(spec.file)).write_text(spec.text)
        one.run("sh", f"tunewell check {spec.file} --no-estimate")
    first_screen = "\n".join(page("README.md").splitlines()[:42])
    assert "./dev demo " in first_screen and "./dev test " in first_screen


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pictures_of_the_readme(tmp_path: Path) -> None:
    """The README's commands lead from a folder of pictures to a model that is handed over."""
    write_signs(tmp_path / "signs", train=12, val=4, test=4)
    write_signs(tmp_path / "labelled_pictures", test=4)
    shutil.copytree(tmp_path / "signs/test/one", tmp_path / "new_pictures")
    (tmp_path / "signs.yaml").write_text(SIGNS)
    for language, text in blocks("README.md"):
        if language == "sh":
            Terminal(tmp_path, {}, 0).run(language, text)
    assert (tmp_path / "signs-model/model.onnx").exists()


@pytest.mark.timeout(300)
def test_searches(terminal: Terminal) -> None:
    """A search of `searches.md` is looked at, paused, steered and deleted while it runs, and others are imported."""
    folder = terminal.folder
    (folder / "signs.yaml").write_text(json.dumps(WAITING))
    for name in ("old", "other"):
        spec = {"command": ["true"], "objective": {"metric": "accuracy"}, "parameters": {"x": {"low": 0.0, "high": 1}}}
        (folder / f"{name}.yaml").write_text(json.dumps(spec))
    (folder / "trials.csv").write_text("x,accuracy\n0.5,0.9\n0.1,0.8\n")
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(study_name="one", storage=f"sqlite:///{folder}/study.db", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    until = "until tunewell show signs{} --json | grep -q {}; do sleep 0.2; done"
    going_on = """'"state": "running"'"""  # counts of trials have the word in any case
    one = replace(
        terminal,
        instead={
            "tunewell list  ": f"tunewell search signs.yaml & {until.format(' 7', 'succeeded')}; tunewell list  ",
            "tunewell stop signs 7": "tunewell stop signs 8",
            "tunewell pause signs": "tunewell pause signs; touch go; wait; rm go",
            "tunewell resume signs": f"tunewell resume signs & {until.format('', going_on)}; true",
            "tunewell stop signs  ": "tunewell stop signs; wait; touch go #",
            "tunewell delete signs   ": "tunewell search signs.yaml; tunewell delete signs   ",
            "--max-trials 60": "--max-trials 24",
            "old.yaml --optuna": "other.yaml --optuna",
        },
    )
    try:
        for language, text in blocks("searches.md"):
            one.run(language, text)
    finally:
        terminal.service = one.service
    assert [len(tunewell.load(name, home=folder / ".tunewell").trials()) for name in ("old", "other")] == [2, 2]
    assert not (folder / ".tunewell/experiments/signs").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo(tmp_path: Path) -> None:
    """The first search of `index.md` runs, here with two trials."""
    one = Terminal(tmp_path, {"tunewell demo": "tunewell demo --max-trials 2"}, 0)
    one.run("sh", next(text for _, text in blocks("index.md")))
    assert (tmp_path / ".tunewell/experiments/demo/report.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_objects(tmp_path: Path) -> None:
    """The commands of `objects.md` lead from boxes to a detector that draws what it finds."""
    write_dots(tmp_path / "cells", {"train": 4, "val": 2}, (64, 64), 10, 3)
    shutil.copytree(tmp_path / "cells/images", tmp_path / "new_pictures")
    short = {"max_trials": 1, "weights": "none", "algorithm": "random"}
    spec = {"task": "object-detection", "data": "cells", **short, "parameters": {"epochs": 1, "image_size": 64}}
    (tmp_path / "cells.yaml").write_text(json.dumps(spec))
    for language, text in blocks("objects.md"):
        Terminal(tmp_path, {}, 0).run(language, text)
    assert (tmp_path / "cells-model").is_dir() and any((tmp_path / "drawn").iterdir())


@pytest.mark.timeout(200)
def test_the_console(terminal: Terminal) -> None:
    """The service that `console.md` starts says where it is."""
    for language, text in blocks("console.md"):
        terminal.run(language, text)


@pytest.mark.timeout(300)
def test_postgresql(terminal: Terminal, postgres: Server, tmp_path: Path) -> None:
    """What `postgresql.md` says of roles, backups, upgrades, moves and several machines holds."""
    spec = {"command": ["echo", "accuracy={x}"], "objective": {"metric": "accuracy"}, "max_trials": 2}
    (tmp_path / "signs.yaml").write_text(json.dumps({**spec, "parameters": {"x": [0.1, 0.2]}}))
    programs = f"export PATH={postgres.programs}:$PATH"
    one = replace(
        terminal, instead={**terminal.instead, "/shared/tunewell": ".tunewell", "pg_dump": f"{programs}; pg_dump"}
    )
    try:
        for block in all_blocks("postgresql.md"):
            if block.text.startswith("tunewell database copy"):
                _move(block, postgres, tmp_path)
            elif block.language == "sql":
                _execute(postgres, block.text)
            else:
                one.run(block.language, block.script)
    finally:
        terminal.service = one.service
        for statement in ("DROP DATABASE IF EXISTS shop", "DROP ROLE IF EXISTS shop", "DROP ROLE IF EXISTS reader"):
            postgres.execute(statement)
    assert (tmp_path / "tunewell.dump").stat().st_size > 0


def _execute(postgres: Server, text: str) -> None:
    """Execute the statements of a block, a line each, for another role than the one that is there already."""
    database = "postgres"
    for line in text.replace("tunewell", "shop").splitlines():
        if line.startswith("\\c "):
            database = line.split()[1]
        else:
            postgres.execute(line, database)


def _move(block: Block, postgres: Server, folder: Path) -> None:
    """Move a home that is in a file."""
    home = folder / "second"
    home.mkdir()
    with postgres.new_database() as database:
        one = Terminal(home, {"postgresql://tunewell@db.example.org/tunewell": database}, 0)
        one.run("sh", f"tunewell search {folder}/signs.yaml")
        one.run("sh", block.text)
        one.run("sh", f"tunewell show signs --database {database}")


@pytest.mark.timeout(200)
def test_commands(tmp_path: Path) -> None:
    """Who writes the programs and specs of `commands.md` into files has each of them searched."""
    assert follow(Terminal(tmp_path, {}, 0), "commands.md") == 5
    for name, number in (("mine", 12), ("shell", 10), ("resumable", 5), ("labelled", 5)):
        assert len(list((tmp_path / ".tunewell/experiments" / name / "trials").iterdir())) == number


@pytest.mark.timeout(200)
def test_coming_from(tmp_path: Path) -> None:
    """What `coming_from.md` shows of Optuna runs, and so does what it shows beside; files of others are taken over."""
    pytest.importorskip("optuna")
    (tmp_path / "train.py").touch()
    assert follow(Terminal(tmp_path, {}, 0), "coming_from.md") == 5
    for name, number in (("old", 20), ("new", 20), ("digits", 5), ("signs", 5)):
        assert len(tunewell.load(name, home=tmp_path / ".tunewell").trials()) == number


@pytest.mark.timeout(200)
def test_notifications(terminal: Terminal) -> None:
    """Who follows `notifications.md` is sent test messages, and a code by mail."""
    with receiving() as receiver, taking_mail() as box:
        instead = {
            "allow hooks.example.org": f"allow 127.0.0.1:{receiver.port} --plain-http --private",
            "https://hooks.example.org": f"http://127.0.0.1:{receiver.port}",
            "smtp://tunewell@mail.example.org:587": f"smtp://127.0.0.1:{box.port}",
        }
        one = replace(terminal, instead={**terminal.instead, **instead})
        try:
            for language, text in blocks("notifications.md"):
                one.run(language, text)
            wait_until(lambda: box.mails)
        finally:
            terminal.service = one.service
    assert len(receiver.at("/tunewell")) == 1 and box.recipients == ["ada@example.org"]


def test_the_snippet_for_receivers() -> None:
    """What `notifications.md` gives to check signatures with takes ours, and nothing else."""
    (snippet,) = (text for language, text in blocks("notifications.md") if language == "python")
    found: dict[str, Any] = {}
    exec(snippet, found)  # it is ours
    check, secret, now = found["is_from_tunewell"], new_secret(), int(time.time())
    headers = signed(secret, "msg_1", now, b"{}")
    assert check(secret, headers, b"{}")
    assert not check(secret, headers, b"{} ") and not check(new_secret(), headers, b"{}")
    assert not check(secret, signed(secret, "msg_1", now - 600, b"{}"), b"{}")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_models(terminal: Terminal, tmp_path: Path) -> None:
    """The commands of `models.md` lead from a search to a model that is asked, rolled back and deleted."""
    write_signs(tmp_path / "signs", train=12, val=4, test=4)
    (tmp_path / "signs.yaml").write_text(SIGNS)
    for language, text in blocks("models.md"):
        terminal.run(language, text)


@pytest.mark.timeout(200)
def test_operations(terminal: Terminal) -> None:
    """The commands of `operations.md` work on a home with a search in it."""
    spec = {"name": "e", "command": ["echo", "accuracy={x}"], "parameters": {"x": [0.1, 0.2]}, "max_trials": 2}
    (terminal.folder / "e.yaml").write_text(json.dumps({**spec, "objective": {"metric": "accuracy"}}))
    terminal.run("sh", "tunewell search e.yaml")
    for language, text in blocks("operations.md"):
        terminal.run(language, text)
