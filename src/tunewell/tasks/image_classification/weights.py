"""Where pretrained weights come from, and the one safetensors file that all trials load.

`weights: auto` takes the installed package that brings them, else what timm downloads (or has downloaded), else
none. PyTorch is not imported here: reading foreign files is the work of `convert_weights`, in a process of its own.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.networks import Architecture
from tunewell.tasks.vision.weights import (
    Weights,
    check_weights_file,
    file_digest,
    huggingface_url,
    is_reachable,
    run_converter,
)

Kind = Literal["package", "timm", "file"]

_CONVERTER = "tunewell.tasks.image_classification.convert_weights"


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
        f"Weights: none could be had (no connection to {huggingface_url()}), so {name} is trained from scratch, all "
        f"layers. {remedy} a file in `weights`; from scratch, the network small-cnn often learns faster.",
    )


def _from_file(file: Path, network: str, cache: Path) -> Path:
    check_weights_file(str(file))
    return _convert("file", network, str(file), cache / "weights" / f"{network}-{file_digest(file)}.safetensors")


def _from_timm(network: str, timm_name: str, target: Path) -> Path | None:
    """Return None if there is nothing in timm's own cache and no connection."""
    offline = "0" if target.exists() or is_reachable(huggingface_url()) else "1"
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
    return run_converter(_CONVERTER, arguments, environment)
