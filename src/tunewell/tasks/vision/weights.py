"""Pretrained weights of any picture task: files that users name, hosts that may not answer, and converters.

PyTorch is not imported here: reading foreign files is the work of a task's converter, in a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewell.spec.errors import DataError

#: Longest wait for the weights' host to answer at all, and for a whole download.
_PROBE_SECONDS = 4.0
_DOWNLOAD_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Weights:
    """What an experiment starts its networks from."""

    #: Safetensors file with the network's tensors but those that depend on the classes; None: random weights.
    path: Path | None
    #: A sentence for people.
    origin: str


def check_weights_file(choice: str) -> None:
    """Raise `DataError` unless `choice` is `auto`, `none` or a file that exists."""
    if choice not in ("auto", "none") and not Path(choice).is_file():
        raise DataError(f"weights: there is no file {choice}. Name one, or write auto or none.")


def file_digest(file: Path) -> str:
    """Return a digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def run_converter(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run `python -m MODULE ARGUMENTS` with additions to the environment.

    Returns:
        What went wrong in one line, nothing if all is well.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took over {_DOWNLOAD_SECONDS / 60:.0f} minutes"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def is_reachable(url: str) -> bool:
    """Whether a server answers, in a few seconds even where name resolution hangs."""
    answers: list[bool] = []

    def probe() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
                answers.append(True)
        except urllib.error.HTTPError as error:
            answers.append(error.code < 500)
        except (OSError, ValueError):
            answers.append(False)

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return any(answers)


def huggingface_url() -> str:
    """Return the host that timm downloads from."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")
