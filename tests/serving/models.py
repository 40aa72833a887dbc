"""Models that do what they are told, for the tests of the processes around them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.home.manifest import content_of, files_in
from tunewell.serving.contract import Item, Published
from tunewell.tasks.contract import Answering

ENTRY = f"{__name__}:load"


@dataclass(frozen=True)
class Obedient:
    """Does what the items say."""

    name: str
    batch_size: int = 2

    def predict(self, items: Sequence[bytes], answering: Answering) -> list[dict[str, Any]]:
        """Carry out `say`, `bad`, `die`, and `wait PATH`: until there is a file."""
        return [self._obey(item.decode(), answering) for item in items]

    def _obey(self, order: str, answering: Answering) -> dict[str, Any]:
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order.startswith("wait "):
            Path(order.removeprefix("wait ") + ".begun").touch()
            while not Path(order.removeprefix("wait ")).exists():
                time.sleep(0.005)
        told = {"model": self.name, "process": os.getpid(), "threshold": answering.threshold}
        return {**told, "error": "it is bad" if order == "bad" else None}


def load(folder: Path) -> Obedient:
    """Return the model in a folder."""
    return Obedient((folder / "name").read_text())


def write(models: Path, name: str) -> Published:
    """Write a model among others."""
    coming = models / name
    coming.mkdir(parents=True)
    (coming / "name").write_text(name)
    sha256 = content_of(files_in(coming)).sha256
    coming.rename(models / sha256)
    return Published(sha256, ENTRY)


def orders(*texts: str) -> list[Item]:
    """Return what a model is told to do."""
    return [Item(f"{number}.png", text.encode()) for number, text in enumerate(texts)]
