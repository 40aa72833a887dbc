"""The documentation's commands are run, page by page and in order, as somebody would who follows it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.routing import APIRoute
from PIL import Image

import tunewell
from tests.postgres import Server, free_port
from tests.server.serving import wait_until
from tests.service.notifications.receiving import receiving, taking_mail
from tunewell.api.routes import ROUTERS
from tunewell.cli.app import COMMANDS
from tunewell.client import Client
from tunewell.service.model_verbs import ModelVerbs
from tunewell.service.notification_verbs import NotificationVerbs
from tunewell.service.notifications.signing import new_secret, signed
from tunewell.service.storage_verbs import StorageVerbs
from tunewell.service.upkeep_verbs import UpkeepVerbs
from tunewell.service.verbs import Verbs
from tunewell.service.worker_verbs import WorkerVerbs

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"
#: Verbs that have no request, as they name paths of the machine, or whose request another verb has.
NOT_OFFERED = {"import_study", "import_in_background", "version"}
#: Languages of the blocks that are run; all others are to be read.
RUN = ("sh", "python")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The head of a block that is a file: a comment with its name, below the line that says what runs it.
_FILE = re.compile(r"(?:#!.*\n)?# ([\w.-]+\.(?:py|sh|yaml|yml))$", re.MULTILINE)
_SERVE = re.compile(r"^tunewell serve\b.*$", re.MULTILINE)


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / name).read_text()


def blocks(name: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page that is run."""
    return [(language, text) for language, text in _BLOCK.findall(page(name)) if language in RUN]


def follow(terminal: Terminal, text: str) -> int:
    """Write the files that a text shows and run its other blocks, all in order; return how many were run."""
    count = 0
    for language, block in _BLOCK.findall(text):
        if (file := _FILE.match(block)) is not None:
            (terminal.folder / file[1]).write_text(block)
        elif language in RUN:
            terminal.run(language, block)
            count += 1
    return count


@dataclass
class Terminal:
    """A folder in which blocks are run; what one of them exports, the next ones have. A service runs beside it."""

    folder: Path
    #: What stands in the page → what is used here instead.
    instead: Mapping[str, str]
    port: int
    service: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def run(self, language: str, text: str) -> None:
        """Run a block."""
        for written, used in self.instead.items():
            text = text.replace(written, used)
        if language == "python":
            self.call(f"{shlex.quote(sys.executable)} -", text)
            return
        found = _SERVE.search(text)
        before, serve, after = (text, "", "") if found is None else text.partition(found[0])
        self.call(before)
        if serve:
            self.serve(serve)
        self.call(after)

    def call(self, script: str, given: str = "") -> None:
        """Run lines of a shell to their end; each must succeed."""
        if not script.strip():
            return
        kept = self.folder / ".exported"
        lines = f"touch {kept}; source {kept}; cd {self.folder}\nset -e -o pipefail\n{script}\nexport -p > {kept}"
        done = subprocess.run(
            ["bash", "-c", lines],
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            timeout=150,
        )
        assert done.returncode == 0, f"{given or script}\n{done.stdout.decode()}"

    def serve(self, command: str) -> None:
        """Start a service; the one before is ended by Ctrl-C first. Return when it says that it is ready."""
        self.end()
        kept = self.folder / ".exported"
        lines = f"touch {kept}; source {kept}; cd {self.folder}\nexec {command} --port {self.port}"
        said = self.folder / ".said"
        with said.open("w") as out:
            self.service = subprocess.Popen(["bash", "-c", lines], stdout=out, env=self.environment)

        def is_ready() -> bool:
            assert self.service is not None and self.service.poll() is None, command
            return "Tunewell serves" in said.read_text()

        wait_until(is_ready)

    def end(self) -> None:
        """End the service."""
        if self.service is not None:
            self.service.send_signal(signal.SIGINT)
            assert self.service.wait(100) == 0
            self.service = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment of somebody whose home directory is the folder."""
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8"}


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
    text = README.read_text()
    for language, block in _BLOCK.findall(text):
        if language == "python":
            Terminal(tmp_path, {}, 0).run(language, block)
    assert (tmp_path / "history.svg").exists()
    (tmp_path / "train.py").touch()
    for kind in ("one", "two"):
        for number in range(6):
            place = tmp_path / "signs/train" / kind / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (20 * number, 200 * (kind == "two"), 0)).save(place)
    specs = [block for language, block in _BLOCK.findall(text) if language == "yaml"]
    assert len(specs) == 2
    for spec in specs:
        (tmp_path / "spec.yaml").write_text(spec)
        Terminal(tmp_path, {}, 0).run("sh", "tunewell check spec.yaml --no-estimate")
    first_screen = "\n".join(text.splitlines()[:42])
    assert "./dev demo " in first_screen and "./dev test " in first_screen


@pytest.mark.timeout(200)
def test_commands(tmp_path: Path) -> None:
    """Who writes the programs and specs of `commands.md` into files has each of them searched."""
    assert follow(Terminal(tmp_path, {}, 0), page("commands.md")) == 4
    for name, number in (("mine", 12), ("shell", 10), ("resumable", 5)):
        assert len(list((tmp_path / ".tunewell/experiments" / name / "trials").iterdir())) == number


@pytest.mark.timeout(200)
def test_coming_from(tmp_path: Path) -> None:
    """What `coming_from.md` shows of Optuna runs, and so does what it shows beside; files of others are taken over."""
    pytest.importorskip("optuna")
    (tmp_path / "train.py").touch()
    assert follow(Terminal(tmp_path, {}, 0), page("coming_from.md")) == 5
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
    for split, number in (("train", 12), ("val", 4), ("test", 4)):
        for kind in ("one", "two"):
            (tmp_path / "signs" / split / kind).mkdir(parents=True)
            for count in range(number):
                place = tmp_path / "signs" / split / kind / f"{count}.png"
                Image.new("RGB", (32, 32), (20 * count, 200 * (kind == "two"), 0)).save(place)
    (tmp_path / "signs.yaml").write_text(
        "{name: signs, task: image-classification, data: signs, network: small-cnn, algorithm: random, max_trials: 2, "
        "parameters: {epochs: 1, image_size: 32, batch_size: 8}}"
    )
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


#: Protocols of verbs that have a page of their own → that page.
PAGES_OF_VERBS = {ModelVerbs: "models.md", NotificationVerbs: "notifications.md", WorkerVerbs: "workers.md"}


def verbs_of(*protocols: type) -> set[str]:
    """Return the names of the verbs of protocols."""
    return {name for one in protocols for name in dir(one) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("page_name", "verbs"),
    [
        ("service.md", verbs_of(Verbs) - verbs_of(StorageVerbs, UpkeepVerbs, *PAGES_OF_VERBS) - NOT_OFFERED),
        *((page_name, verbs_of(protocol)) for protocol, page_name in PAGES_OF_VERBS.items()),
    ],
)
def test_the_tables_of_verbs(page_name: str, verbs: set[str]) -> None:
    """Each method, request and command that the table of a page names is there, and no verb is missing."""
    found = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    routes = {(route.name, f"{min(route.methods)} {route.path.replace(':path', '')}") for route in found}
    commands = set(COMMANDS)
    row = r"^\| (`[^|]*`) \| (`(?:GET|POST|PATCH|DELETE)[^|]*) \| ([^|]*) \|$"
    told = set()
    for methods, requests, command in re.findall(row, page(page_name), re.MULTILINE):
        names, asked = re.findall(r"`(\w+)[`(]", methods), re.findall(r"`([^`?]+)[^`]*`", requests)
        told.update(names)
        for verb, request in zip_longest(names, asked, fillvalue=asked[0]):
            assert hasattr(Client, verb)
            route = {"check": "create", "watch": "events"}.get(verb, verb)
            assert (f"{route}_in_bin" if "deleted" in methods else route, request) in routes
        for one in re.findall(r"`tunewell ([\w-]+)", command):
            assert one in commands
    assert verbs <= told
