"""Models asked in this process's own time: each call starts the model's process, and ends it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tunewell.serving.contract import Answer, Item, Limits, Published
from tunewell.tasks.contract import AS_TRAINED, Answering


class Once:
    """Asks models where no service keeps them warm; see `Asks`."""

    def __init__(self, models: Path, limits: Limits | None = None) -> None:
        """Take the folder of all models."""
        self._models, self._limits = models, limits or Limits()

    def ask(self, model: Published, items: Sequence[Item], answering: Answering = AS_TRAINED) -> Answer:
        """Return what a model says of items; see `Asks.ask`."""
        from tunewell.serving.process import ModelProcess  # for this alone

        with ModelProcess(self._models, model, self._limits) as process:
            return process.ask(items, answering, time.monotonic() + self._limits.request_seconds)
