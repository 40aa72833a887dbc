"""Where pretrained weights come from, and the one safetensors file that all trials load.

`weights: auto` takes the installed package that brings them, else what timm downloads (or has downloaded), else
none. PyTorch is not imported here: reading foreign files is the work of `convert_weights`, in a process of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.networks import Architecture

Kind = Literal["package", "timm", "file"]

_CONVERTER = "tunewell.tasks.image_classification.convert_weights"
#: Longest wait for the weights' host to answer at all, and for a whole download.
_PROBE_SECONDS = 4.0
_DOWNLOAD_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Weights:
    """What an experiment starts its networks from."""

    #: Safetensors file with the network's tensors but those of the last layer; None: random weights.
    path: Path | None
    #: A sentence for people.
    origin: str


def obtain_weights(choice: str, design: Architecture, cache: Path) -> Weights:
    """Return the weights that the spec's `weights` (`auto`, `none` or a file) means, converted into `cache` if new.

    Raises:
        DataError: the file named can't be read or belongs to another network.
    """
    name = design.network.name
    if choice == "none":
        return Weights(None, "Weights: none, trained from scratch as asked for.")
    if choice != "auto":
        return Weights(_from_file(Path(choice), name, cache), f"Weights: {choice}.")
    if design.timm_name is None:
        return Weights(None, f"Weights: none, {name} is trained from scratch.")
    if design.package and importlib.util.find_spec(design.package):
        path = _convert("package", name, design.package, cache / "weights" / f"{name}-package.safetensors")
        return Weights(path, f"Weights: ImageNet, from the installed package {design.package}.")
    downloaded = _from_timm(name, design.timm_name, cache / "weights" / f"{name}-timm.safetensors")
    if downloaded is not None:
        return Weights(downloaded, f"Weights: ImageNet, {design.timm_name} of timm.")
    remedy = f"Install {design.package}, or give" if design.package else "Give"
    return Weights(
        None,
        f"Weights: none could be had (no connection to {_endpoint()}), so {name} is trained from scratch, all layers. "
        f"{remedy} a file in `weights`; from scratch, the network small-cnn often learns faster.",
    )


def check_weights_file(choice: str) -> None:
    """Raise `DataError` unless `choice` is `auto`, `none` or a file that exists."""
    if choice not in ("auto", "none") and not Path(choice).is_file():
        raise DataError(f"weights: there is no file {choice}. Name one, or write auto or none.")


def _from_file(file: Path, network: str, cache: Path) -> Path:
    check_weights_file(str(file))
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return _convert("file", network, str(file), cache / "weights" / f"{network}-{digest}.safetensors")


def _from_timm(network: str, timm_name: str, target: Path) -> Path | None:
    """Return None if there is nothing in timm's own cache and no connection."""
    offline = "0" if target.exists() or _reachable(_endpoint()) else "1"
    try:
        return _convert("timm", network, timm_name, target, {"HF_HUB_OFFLINE": offline})
    except DataError:
        return None


def _convert(kind: Kind, network: str, source: str, target: Path, environment: dict[str, str] | None = None) -> Path:
    if not target.exists():
        problem = _run_converter([kind, network, source, str(target)], environment or {})
        if problem:
            raise DataError(f"{source}: its weights can't be used for {network} ({problem}).")
    return target


def _run_converter(arguments: list[str], environment: dict[str, str]) -> str:
    """Return what went wrong in one line, nothing if all is well."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", _CONVERTER, *arguments],
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


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _reachable(url: str) -> bool:
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
