"""From foreign weights to the file that trials load: `python -m … KIND NETWORK SOURCE TARGET`.

KIND and SOURCE: `package` and its name, `timm` and the model's name, `file` and a path. TARGET becomes a
safetensors file with the network's tensors, those of its last layer left out. Ends with code 1 and one line on
stderr if the weights don't fit. Files are never unpickled into anything but tensors.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tunewell.tasks.image_classification.model import build_module, last_layer

_WRAPPERS = ("state_dict", "model_state_dict", "model")
#: Any number of classes will do: the last layer is dropped.
_CLASSES = 2


class Misfit(Exception):
    """The weights are not those of the network."""


def convert(kind: str, network: str, source: str, target: Path) -> None:
    """Write `target`, whole or not at all."""
    module = build_module(network, _CLASSES)
    if kind == "package":
        found = _pair_by_position(_read(_file_in_package(source)), module)
    elif kind == "timm":
        import timm

        found = timm.create_model(source, pretrained=True).state_dict()
    else:
        found = _read(Path(source))
    tensors = _fitting(found, module)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    save_file(tensors, beside)
    beside.replace(target)


def _file_in_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Misfit(f"the package {name} is not installed")
    files = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if len(files) != 1:
        raise Misfit(f"{len(files)} files in it end in .pth instead of one")
    return files[0]


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise Misfit("it holds no mapping from names to tensors (a state dict)")
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}


def _pair_by_position(found: Mapping[str, torch.Tensor], module: nn.Module) -> Mapping[str, torch.Tensor]:
    """Name tensors after the module's, in the same order: other names, same architecture."""
    names = list(module.state_dict())
    if len(names) != len(found):
        raise Misfit(f"{len(found)} tensors instead of {len(names)}")
    return dict(zip(names, found.values(), strict=True))


def _fitting(found: Mapping[str, torch.Tensor], module: nn.Module) -> dict[str, torch.Tensor]:
    last = last_layer(module)
    classifier = next(name for name, part in module.named_modules() if part is last)
    wanted = {name: t for name, t in module.state_dict().items() if not name.startswith(f"{classifier}.")}
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        raise Misfit(f"{len(missing)} of {len(wanted)} tensors are missing, such as {missing[0]}")
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            raise Misfit(f"{name} has the shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}")
    return {name: found[name].detach().to(tensor.dtype).contiguous() for name, tensor in wanted.items()}


def main() -> None:
    """Convert as the command line says."""
    kind, network, source, target = sys.argv[1:]
    try:
        convert(kind, network, source, Path(target))
    except (Misfit, OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        # Unsafe pickles give many lines of advice: the first says what happened.
        sys.exit(str(error).splitlines()[0] if str(error) else type(error).__name__)


if __name__ == "__main__":
    main()
