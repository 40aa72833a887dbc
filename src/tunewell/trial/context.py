"""Which trial this code runs in, and the two kinds of trial that follow from the environment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING

from tunewell.trial import files
from tunewell.trial.trial import Trial, made

if TYPE_CHECKING:
    from pathlib import Path

_active: ContextVar[Trial | None] = ContextVar("tunewell_trial", default=None)
#: What `activated` has made current, the latest last, each with the thread that did so: threads that user code
#: starts inherit no `ContextVar`.
_activations: list[tuple[int, Trial]] = []
#: The trial of each folder that this process had in its environment (one, as a rule).
_known: dict[str, Trial] = {}


def current() -> Trial:
    """Return the trial that this code runs in: the activated one, that of the environment, or none at all."""
    trial = _active.get() or _activated_elsewhere()
    if trial is not None:
        return trial
    folder = os.environ.get("TUNEWELL_TRIAL_FOLDER", "")
    if folder not in _known:
        # Of several threads that come here at once, all get the trial of one.
        _known.setdefault(folder, FolderTrial(folder) if folder else StandaloneTrial())
    return _known[folder]


def _activated_elsewhere() -> Trial | None:
    """Return the innermost activated trial, None where several threads activated one: any might be the wrong one."""
    activations = tuple(_activations)
    threads = {thread for thread, _ in activations}
    return activations[-1][1] if len(threads) == 1 else None


@contextmanager
def activated(trial: Trial) -> Iterator[None]:
    """Make `trial` the current one of this thread, and of threads that have none of their own."""
    activation = (get_ident(), trial)
    token = _active.set(trial)
    _activations.append(activation)
    try:
        yield
    finally:
        _activations.remove(activation)
        _active.reset(token)


class FolderTrial(Trial):
    """The trial of a process that a supervisor started: reports go to a file in its folder."""

    def __init__(self, folder: str) -> None:
        """Read the parameters and the `TUNEWELL_*` environment; OSError if there are no parameters."""
        with open(os.environ.get("TUNEWELL_PARAMETERS") or f"{folder}/{files.PARAMETERS}", "rb") as file:  # noqa: PTH123
            parameters = json.load(file)
        super().__init__(
            number=int(os.environ.get("TUNEWELL_TRIAL", "0")),
            parameters=parameters,
            fidelity=float(os.environ.get("TUNEWELL_FIDELITY", "1")),
            sampling=float(os.environ.get("TUNEWELL_SAMPLING", "1")),
        )
        self.folder = folder
        self._step: int | None = None
        self._stop = f"{folder}/{files.STOP}"

    @property
    def should_stop(self) -> bool:
        """Whether the controller has asked this attempt to end."""
        return os.path.exists(self._stop)  # noqa: PTH110 (twenty times as fast, and asked at every report)

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of the checkpoint."""
        return made(os.environ.get("TUNEWELL_CHECKPOINT_DIR") or f"{self.folder}/{files.CHECKPOINT}")

    @property
    def output_dir(self) -> Path:
        """Folder for whatever is to be kept."""
        return made(os.environ.get("TUNEWELL_OUTPUT_DIR") or f"{self.folder}/{files.ARTIFACTS}")

    def _last_step(self) -> int:
        # Another process of the same trial may have reported before, such as `tunewell report` on a shell.
        return self._step if self._step is not None else _last_step_in(f"{self.folder}/{files.REPORTS}")

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        files.append_report(self.folder, step, metrics, time.time(), note)
        self._step = step

    def _note_failure(self, cause: str, message: str) -> None:
        from pathlib import Path

        files.write_json(Path(self.folder, files.FAILURE), {"cause": cause, "detail": message})


class StandaloneTrial(Trial):
    """No trial at all, for a script that runs by itself: metrics are printed."""

    def __init__(self) -> None:
        """Have no parameters and the full training."""
        super().__init__(number=0, parameters={})
        self._step = 0

    @property
    def checkpoint_dir(self) -> Path:
        """`checkpoint` in the working directory."""
        return made(files.CHECKPOINT)

    @property
    def output_dir(self) -> Path:
        """`artifacts` in the working directory."""
        return made(files.ARTIFACTS)

    def _last_step(self) -> int:
        return self._step

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        self._step = step
        print(f"step={step}", *(f"{name}={value:g}" for name, value in metrics.items()), flush=True)
        if note:
            print(note, flush=True)

    def _note_failure(self, cause: str, message: str) -> None:
        print(f"{cause}: {message}", flush=True)


def _last_step_in(path: str) -> int:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            report = json.loads(line)
            if "source" not in report:
                return int(report["step"])
        except (ValueError, TypeError, KeyError):
            continue
    return 0
