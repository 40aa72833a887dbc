"""From foreign weights to the file that trials load: `python -m … KIND NETWORK SOURCE TARGET`.

KIND and SOURCE: `package` and its name, `timm` and the model's name, `file` and a path. TARGET becomes a
safetensors file with the network's tensors, those of its last layer left out. Ends with code 1 and one line on
stderr if the weights don't fit. Files are never unpickled into anything but tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from tunewell.tasks.image_classification.model import build_module, last_layer
from tunewell.tasks.vision.foreign_weights import (
    file_in_package,
    fitting,
    pair_by_position,
    read_tensors,
    run,
    write_tensors,
)

#: Any number of classes will do: the last layer is dropped.
_CLASSES = 2


def convert(kind: str, network: str, source: str, target: Path) -> None:
    """Write `target`, whole or not at all."""
    module = build_module(network, _CLASSES)
    if kind == "package":
        found = pair_by_position(read_tensors(file_in_package(source)), module)
    elif kind == "timm":
        import timm

        found = timm.create_model(source, pretrained=True).state_dict()
    else:
        found = read_tensors(Path(source))
    tensors = _fitting(found, module)
    write_tensors(tensors, target)


def _fitting(found: Mapping[str, torch.Tensor], module: nn.Module) -> dict[str, torch.Tensor]:
    last = last_layer(module)
    classifier = next(name for name, part in module.named_modules() if part is last)
    wanted = {name: t for name, t in module.state_dict().items() if not name.startswith(f"{classifier}.")}
    return fitting(found, wanted)


if __name__ == "__main__":
    run(convert)
