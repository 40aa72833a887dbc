"""Reading weights that others have written. Files are never unpickled into anything but tensors."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tunewell.spec.errors import DataError
from tunewell.trial.files import beside

_WRAPPERS = ("state_dict", "model_state_dict", "model")


class Misfit(Exception):
    """The weights are not those of the network."""


def file_in_package(name: str) -> Path:
    """Return the one file with weights that an installed package brings."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Misfit(f"the package {name} is not installed")
    files = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if len(files) != 1:
        raise Misfit(f"{len(files)} files in it end in .pth instead of one")
    return files[0]


def read_tensors(path: Path) -> Mapping[str, torch.Tensor]:
    """Return the tensors in a file of safetensors or PyTorch by their names."""
    if path.suffix == ".safetensors":
        return load_file(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise Misfit("it holds no mapping from names to tensors (a state dict)")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def pair_by_position(found: Mapping[str, torch.Tensor], module: nn.Module) -> Mapping[str, torch.Tensor]:
    """Name tensors after the module's, in the same order: other names, same architecture."""
    names = list(module.state_dict())
    if len(names) != len(found):
        raise Misfit(f"{len(found)} tensors instead of {len(names)}")
    return dict(zip(names, found.values(), strict=True))


def fitting(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors that are wanted, in their types; raise `Misfit` if one is missing or of another shape."""
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        raise Misfit(f"{len(missing)} of {len(wanted)} tensors are missing, such as {missing[0]}")
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            raise Misfit(f"{name} has the shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}")
    return {name: found[name].detach().to(tensor.dtype).contiguous() for name, tensor in wanted.items()}


def write_tensors(tensors: dict[str, torch.Tensor], target: Path) -> None:
    """Write `target`, and its folder; whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = beside(target)
    save_file(tensors, new)
    new.replace(target)


def load_into(module: nn.Module, file: str) -> None:
    """Give a module the tensors that `write_tensors` wrote; its others stay as they are.

    Raises:
        DataError: the file is gone or damaged.
    """
    try:
        module.load_state_dict(load_file(file), strict=False)
    except (OSError, SafetensorError):
        raise DataError(
            "these weights, from which the trials start, are gone or damaged",
            field=str(file),
            remedy=(
                "Restore them, or go on with the search (with a larger `max_trials` if it has ended), which gets "
                "them again"
            ),
        ) from None


def run(convert: Callable[[str, str, str, Path], None]) -> None:
    """Convert as the command line says (KIND NETWORK SOURCE TARGET); end with one line if the weights don't fit."""
    kind, network, source, target = sys.argv[1:]
    try:
        convert(kind, network, source, Path(target))
    except (Misfit, OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        # Unsafe pickles give many lines of advice: the first says what happened.
        sys.exit(str(error).splitlines()[0] if str(error) else type(error).__name__)
