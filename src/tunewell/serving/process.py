"""One model's process, from the side of those who ask it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import psutil

from tunewell.serving import frames
from tunewell.serving.contract import Answer, Item, Limits, Published, folder_of
from tunewell.serving.errors import error_of
from tunewell.spec.errors import DataError, ModelError
from tunewell.tasks.contract import Answering

#: What says to libraries how many threads they may use.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: Has glibc keep the memory of one answer for the next: given back and taken anew, it costs a quarter of the time.
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}


class ModelProcess:
    """A model that is loaded, in a process of its own. One thread at a time asks it. Use it as a context manager."""

    def __init__(self, models: Path, model: Published, limits: Limits) -> None:
        """Start the process, and wait until the model is ready.

        Raises:
            DataError: the model is not what was published, or can't be read.
            ModelError: the process died over it, or took too long.
        """
        folder = folder_of(models, model)
        if not folder.is_dir():
            raise DataError(
                "the files of this model are gone", remedy="Have them restored from a backup", kind="model-damaged"
            )
        self._ours, theirs = socket.socketpair()
        # On the CPU: the GPUs are the searches'.
        few = dict.fromkeys(_THREADS, str(limits.threads))
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tunewell.serving.model_process", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **few, **_MEMORY, "CUDA_VISIBLE_DEVICES": ""},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    process_group=0,
                )
            except OSError as error:  # the machine has no room for another one
                self._ours.close()
                what = f"no process can be started for the model ({error.strerror})"
                raise ModelError(what, remedy="Try again later", kind="model-died") from None
        order = {"folder": str(folder), "sha256": model.sha256, "predictor": model.predictor}
        try:
            self._say(order, (), time.monotonic() + limits.load_seconds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._ours.close()
        self._process.kill()  # of one that has ended already, this does nothing
        self._process.wait()

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def memory_bytes(self) -> int:
        """How much memory it takes now."""
        with suppress(psutil.Error):
            return int(psutil.Process(self._process.pid).memory_info().rss)
        return 0

    def ask(self, items: Sequence[Item], answering: Answering, deadline: float) -> Answer:
        """Return what the model says of items, answered so, by a moment on the monotonic clock.

        Raises:
            DataError: items can't be read; it names them.
            ModelError: it died over them, or took too long; then it is of no use any more.
        """
        message = {"names": [item.name for item in items], "answering": asdict(answering)}
        answer = self._say(message, [item.content for item in items], deadline)
        return Answer(answer["predictions"], answer["seconds"])

    def _say(self, message: Mapping[str, Any], contents: Sequence[bytes], deadline: float) -> dict[str, Any]:
        try:
            frames.send(self._ours, message, contents, deadline)
            answer, _ = frames.receive(self._ours, deadline)
        except TimeoutError:
            self.close()
            raise ModelError(
                "the model took too long, and was ended", remedy="Send fewer or smaller pictures", kind="model-too-slow"
            ) from None
        except frames.Cut:
            self.close()
            raise ModelError(
                "the process of the model has ended over it", remedy="Try again", kind="model-died"
            ) from None
        if "error" in answer:
            raise error_of(answer["error"])
        return answer
