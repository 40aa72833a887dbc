"""Where pretrained weights come from, and the one safetensors file that all trials load.

`weights: auto` takes the installed package that brings them, else what a library downloads (or has downloaded), else
none. PyTorch is not imported here: reading foreign files is the work of a task's converter, in a process of its own.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewell.spec.errors import DataError
from tunewell.spec.secrets import without_private

#: Environment variable of converters: set if they are not to wait for a download.
OFFLINE_VARIABLE = "TUNEWELL_OFFLINE"
#: Longest wait for the weights' host to answer at all, and for a whole download.
_PROBE_SECONDS = 4.0
_DOWNLOAD_SECONDS = 1800.0
#: Hosts that timm (unless HF_ENDPOINT says otherwise) and torchvision download from.
_HUGGING_FACE, _PYTORCH = "https://huggingface.co", "https://download.pytorch.org"


@dataclass(frozen=True, slots=True)
class Weights:
    """What an experiment starts its networks from."""

    #: Safetensors file with the network's tensors but those that depend on the classes; None: random weights.
    path: Path | None
    #: A sentence for people.
    origin: str


@dataclass(frozen=True, slots=True)
class Download:
    """Weights that a library gets from the internet, once."""

    #: `timm` or `torchvision`; and its name for them.
    library: str
    name: str

    @property
    def host(self) -> str:
        """Where it gets them from."""
        return os.environ.get("HF_ENDPOINT", _HUGGING_FACE) if self.library == "timm" else _PYTORCH


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What there is for a network under `weights: auto`."""

    network: str
    #: Module that writes the file, run as `python -m CONVERTER KIND NETWORK SOURCE TARGET`. KIND and SOURCE: `package`
    #: and its name, a library and its name for the weights, `file` and a path.
    converter: str
    #: What they were trained on, and for which part of the network.
    content: str = ""
    #: Python package that brings them, if there is one: those of `download`, in the same order.
    package: str | None = None
    download: Download | None = None
    #: What it means to have none, and what else to do about it: ends of two sentences.
    without: str = ""
    alternative: str = ""


def obtain_weights(choice: str, pretrained: Pretrained, cache: Path) -> Weights:
    """Return the weights that the spec's `weights` (`auto`, `none` or a file) means, converted into `cache` if new.

    Raises:
        DataError: the file named can't be read or belongs to another network.
    """
    name, package, download = pretrained.network, pretrained.package, pretrained.download
    stem = str(cache / "weights" / name)
    if choice == "none":
        return Weights(None, "Weights: none, trained from scratch as asked for.")
    if choice != "auto":
        _check_file(choice)
        target = Path(f"{stem}-{_file_digest(Path(choice))}.safetensors")  # see `is_made_from`
        return Weights(_convert(pretrained, "file", choice, target), f"Weights: {choice}.")
    if package and importlib.util.find_spec(package):
        path = _convert(pretrained, "package", package, Path(f"{stem}-package.safetensors"))
        return Weights(path, f"Weights: {pretrained.content}, from the installed package {package}.")
    if download is None:
        return Weights(None, f"Weights: none, {name} is trained from scratch.")
    try:
        path = _download(pretrained, download, Path(f"{stem}-{download.library}.safetensors"))
        return Weights(path, f"Weights: {pretrained.content}, {download.name} of {download.library}.")
    except DataError as error:
        problem = str(error).rstrip(".")
    remedy = f"Install {package}, or give" if package else "Give"
    return Weights(
        None,
        f"Weights: none could be had ({problem}), so {name} is trained from scratch, all "
        f"layers{pretrained.without}. {remedy} a file in `weights`{pretrained.alternative}.",
    )


def foresee_weights(choice: str, pretrained: Pretrained) -> str:
    """Return a sentence on what `obtain_weights` will come to, without converting or downloading anything.

    Raises:
        DataError: the file named is not there.
    """
    name, package, download = pretrained.network, pretrained.package, pretrained.download
    if choice not in ("auto", "none"):
        _check_file(choice)
        return f"Weights: {choice}."
    none = f"Weights: none, {name} is trained from scratch."
    if choice == "none":
        return none
    if package and importlib.util.find_spec(package):
        return f"Weights: {pretrained.content}, from the installed package {package}."
    if download is None:
        return none
    if _is_reachable(download.host):
        return f"Weights: {pretrained.content}, {download.name} of {download.library}, fetched when the search begins."
    return (
        f"Weights: there is no connection to {download.host}. Unless {download.library} has {download.name} in its "
        f"cache, {name} is trained from scratch, all layers{pretrained.without}."
    )


def _check_file(choice: str) -> None:
    if not Path(choice).is_file():
        raise DataError(f"there is no file {choice}", field="weights", remedy="Name one, or write auto or none")


def is_made_from(converted: Path, choice: str) -> bool:
    """Whether weights in the cache were made from a file with the content of the file `choice`."""
    return converted.stem.endswith(f"-{_file_digest(Path(choice))}")


def is_whole(file: Path) -> bool:
    """Whether there is a safetensors file, of the length that its header says."""
    from safetensors import SafetensorError, safe_open  # no part of a base install, which can list the networks

    try:
        with safe_open(file, framework="numpy"):
            return True
    except (OSError, SafetensorError):
        return False


def _download(pretrained: Pretrained, download: Download, target: Path) -> Path:
    """Return the weights that the library has in its own cache, or downloads; raise `DataError` if it can't."""
    offline = not is_whole(target) and not _is_reachable(download.host)
    environment = {"HF_HUB_OFFLINE": "1", OFFLINE_VARIABLE: "1"} if offline else {}
    try:
        return _convert(pretrained, download.library, download.name, target, environment)
    except DataError:
        if offline:
            raise DataError(f"no connection to {download.host}") from None
        raise


def _convert(
    pretrained: Pretrained, kind: str, source: str, target: Path, environment: Mapping[str, str] | None = None
) -> Path:
    if not is_whole(target):
        arguments = [kind, pretrained.network, source, str(target)]
        problem = _run_converter(pretrained.converter, arguments, environment or {})
        if problem:
            raise DataError(f"its weights can't be used for {pretrained.network} ({problem})", field=str(source))
    return target


def _file_digest(file: Path) -> str:
    """Return a digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _run_converter(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run `python -m MODULE ARGUMENTS` with additions to the environment.

    Returns:
        What went wrong in one line, nothing if all is well.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            env={**without_private(os.environ), "OMP_NUM_THREADS": "1", **environment},
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


def _is_reachable(url: str) -> bool:
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
