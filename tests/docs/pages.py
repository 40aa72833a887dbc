"""The blocks of the documentation, and a terminal in which they are run."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.server.serving import wait_until

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = "README.md"
#: Languages of the blocks that are run.
RUN = ("sh", "python")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The head of a block that is a file: a comment with its name, below the line that says what runs it.
_FILE = re.compile(r"(?:#!.*\n)?# ([\w.-]+\.(?:py|sh|yaml|yml))$", re.MULTILINE)
#: A command that goes on until it is ended, and what it says when it is ready.
_SERVE = re.compile(r"^tunewell (?:serve|controller)\b.*$", re.MULTILINE)
_READY = ("Tunewell serves", "Running what is recorded")

#: Blocks that are deliberately not run: page → how the block begins → why.
NOT_RUN: Mapping[str, Mapping[str, str]] = {
    "README.md": {
        "pip install .": "it installs; tests/cli/test_base_install.py looks at what is missing then",
        "./dev demo": "it is the demo, most of which searches.md runs, and this very test suite",
    },
    "CONTRIBUTING.md": {
        "./dev setup": "it installs, and runs this very test suite",
        "./dev lock": "it asks the package index",
    },
    "cluster.md": {
        "pip install 'tunewell[ray]'": "it takes several machines; tests/schedulers has clusters of processes",
        "cd deploy": "it takes a container engine",
        "#!/bin/sh": "it takes Slurm",
    },
    "notifications.md": {
        "tunewell notify add https://hooks.slack.com": "Slack is told",
        "tunewell notify confirm 2 12345678": "the code comes by mail; tests/service/notifications confirms one",
    },
    "service.md": {
        "tunewell login https://tunewell.example.org": "it asks for a token; tests/cli/test_server.py logs in",
        "useradd --system --home-dir /var/lib/tunewell": "it takes root, and a machine to set up",
        "useradd --system --create-home": "it takes root, and a machine to set up",
        'curl --fail --header "Authorization: Bearer $TUNEWELL_REPORT_TOKEN"': "for trials; tests/api has one do so",
        "scrape_configs": "it is for Prometheus",
    },
}
#: Lines that are deliberately left out of blocks that are run: page → how the line begins → why.
LINES_NOT_RUN: Mapping[str, Mapping[str, str]] = {
    "README.md": {"tunewell pause signs": "from another terminal, while the search runs; searches.md has it, too"},
    "postgresql.md": {"pip install 'tunewell[postgresql]'": "it installs"},
}


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    page: str
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        found = _FILE.match(self.text)
        return None if found is None else found[1]

    @property
    def why_not(self) -> str | None:
        """Why it is deliberately not run; None: it is."""
        found = NOT_RUN.get(self.page, {}).items()
        return next((reason for head, reason in found if self.text.startswith(head)), None)

    @property
    def script(self) -> str:
        """The text without the lines that are deliberately not run."""
        left_out = tuple(LINES_NOT_RUN.get(self.page, {}))
        return "".join(line for line in self.text.splitlines(keepends=True) if not line.startswith(left_out))


def page(name: str) -> str:
    """Return the text of a page."""
    return ((DOCS if (DOCS / name).exists() else ROOT) / name).read_text()


def all_blocks(name: str) -> list[Block]:
    """Return all blocks of a page."""
    return [Block(name, language, text) for language, text in _BLOCK.findall(page(name))]


def blocks(name: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page that is run."""
    found = [block for block in all_blocks(name) if block.language in RUN and block.why_not is None]
    return [(block.language, block.script) for block in found]


def follow(terminal: Terminal, name: str) -> int:
    """Write the files that a page shows and run its other blocks, all in order; return how many were run."""
    count = 0
    for block in all_blocks(name):
        if block.file is not None:
            (terminal.folder / block.file).write_text(block.text)
        elif block.language in RUN and block.why_not is None:
            terminal.run(block.language, block.script)
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
        port = f" --port {self.port}" if command.startswith("tunewell serve") else ""
        lines = f"touch {kept}; source {kept}; cd {self.folder}\nexec {command.split(' #')[0]}{port}"
        said = self.folder / ".said"
        with said.open("w") as out:
            self.service = subprocess.Popen(["bash", "-c", lines], stdout=out, env=self.environment)

        def is_ready() -> bool:
            assert self.service is not None and self.service.poll() is None, command
            return any(ready in said.read_text() for ready in _READY)

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
