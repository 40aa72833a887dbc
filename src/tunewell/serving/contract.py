"""What is asked of a model, what it answers, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunewell.tasks.contract import AS_TRAINED, Answering

_MEGA, _GIGA = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Published:
    """A model that lies in a folder under the checksum of its content."""

    sha256: str
    #: Entry (`module:function`) of its task that loads it; see `tunewell.tasks.contract.Task.predictor`.
    predictor: str


@dataclass(frozen=True, slots=True)
class Item:
    """Something that a model is asked about, such as a picture."""

    #: What people call it.
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says."""

    #: Of each item, in their order: JSON types.
    predictions: Sequence[Mapping[str, Any]]
    #: How long the model itself took.
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is loaded and asked at once."""

    #: Most models that are loaded.
    models: int = 4
    #: Memory of all of them together, in bytes; one alone that takes more is not served.
    memory_bytes: int = 4 * _GIGA
    #: How long a model that nobody asks stays loaded.
    idle_seconds: float = 300.0
    #: Most requests to a model that wait or are being answered.
    queue: int = 16
    #: How long a request may wait, and as long may its answer take; and how long a model may take to be loaded.
    request_seconds: float = 30.0
    load_seconds: float = 120.0
    #: Threads that a model computes with.
    threads: int = 1


class Asks(Protocol):
    """Whoever has models asked: in this process, or through the server of a service."""

    def ask(self, model: Published, items: Sequence[Item], answering: Answering = AS_TRAINED) -> Answer:
        """Return what a model says of items, answered so.

        Raises:
            DataError: items can't be read; it names them. Or the model is not what was published.
            BusyError: others ask too much.
            ModelError: its process died over it, or took too long.
        """


def folder_of(models: Path, model: Published) -> Path:
    """Return where a model lies, in the folder of all of them."""
    return models / model.sha256
