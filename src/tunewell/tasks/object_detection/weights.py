"""Where pretrained weights come from, and the one safetensors file that all trials load.

`weights: auto` takes, for the light networks, ImageNet weights of the backbone: from the installed package that brings
them, else what timm downloads (or has downloaded). For the others it takes the COCO weights of torchvision. Where
nothing is to be had, networks start from random weights. Reading foreign files is the work of `convert_weights`, in a
process of its own.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.networks import Architecture
from tunewell.tasks.vision.weights import (
    Weights,
    check_weights_file,
    file_digest,
    huggingface_url,
    is_reachable,
    run_converter,
)

Kind = Literal["package", "timm", "torchvision", "file"]

#: Environment variable of the converter: set if it is not to wait for a download.
OFFLINE_VARIABLE = "TUNEWELL_OFFLINE"
_CONVERTER = "tunewell.tasks.object_detection.convert_weights"
_TORCHVISION_URL = "https://download.pytorch.org"


def obtain_weights(choice: str, design: Architecture, cache: Path) -> Weights:
    """Return the weights that the spec's `weights` (`auto`, `none` or a file) means, converted into `cache` if new.

    Raises:
        DataError: the file named can't be read or belongs to another network.
    """
    name = design.network.name
    if choice == "none":
        return Weights(None, "Weights: none, trained from scratch as asked for.")
    if choice != "auto":
        check_weights_file(choice)
        target = cache / "weights" / f"{name}-{file_digest(Path(choice))}.safetensors"
        return Weights(_convert("file", name, choice, target), f"Weights: {choice}.")
    if design.package and importlib.util.find_spec(design.package):
        path = _convert("package", name, design.package, cache / "weights" / f"{name}-package.safetensors")
        return Weights(path, f"Weights: ImageNet for the backbone, from the installed package {design.package}.")
    host = huggingface_url() if design.timm_name else _TORCHVISION_URL
    downloaded = _download(design, host, cache / "weights" / f"{name}-download.safetensors")
    if downloaded is not None and design.timm_name:
        return Weights(downloaded, f"Weights: ImageNet for the backbone, {design.timm_name} of timm.")
    if downloaded is not None:
        return Weights(downloaded, f"Weights: COCO, {design.torchvision_name} of torchvision.")
    remedy = f"Install {design.package}, or give" if design.package else "Give"
    return Weights(
        None,
        f"Weights: none could be had (no connection to {host}), so {name} is trained from scratch, all layers, which "
        f"takes many times as long. {remedy} a file in `weights`.",
    )


def _download(design: Architecture, host: str, target: Path) -> Path | None:
    """Return None if there is nothing in the libraries' own caches and no connection."""
    offline = not target.exists() and not is_reachable(host)
    environment = {"HF_HUB_OFFLINE": "1", OFFLINE_VARIABLE: "1"} if offline else {}
    try:
        if design.timm_name:
            return _convert("timm", design.network.name, design.timm_name, target, environment)
        assert design.torchvision_name is not None
        return _convert("torchvision", design.network.name, design.torchvision_name, target, environment)
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
    return run_converter(_CONVERTER, arguments, environment)
