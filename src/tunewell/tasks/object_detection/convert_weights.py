"""From foreign weights to the file that trials load: `python -m … KIND NETWORK SOURCE TARGET`.

KIND and SOURCE: `package` and its name, `timm` and the backbone's name, `torchvision` and the detector's name, `file`
and a path, of a whole detector or of its backbone. TARGET becomes a safetensors file with the tensors that the
network has from there; those that depend on the number of classes are left out. Ends with code 1 and one line on
stderr if the weights don't fit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torchvision.models import get_model_weights

from tunewell.tasks.object_detection.building import build_module
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.vision.foreign_weights import (
    Misfit,
    file_in_package,
    fitting,
    pair_by_position,
    read_tensors,
    run,
    write_tensors,
)
from tunewell.tasks.vision.weights import OFFLINE_VARIABLE

#: Where a light network keeps its backbone.
_BODY = "backbone.body."


def convert(kind: str, network: str, source: str, target: Path) -> None:
    """Write `target`, whole or not at all."""
    wanted = lasting_tensors(network)
    body = {name: tensor for name, tensor in wanted.items() if name.startswith(_BODY)}
    found: Mapping[str, torch.Tensor]
    if kind == "package":
        import timm

        download = architecture(network).pretrained.download
        assert download is not None, "a package brings weights of a model of timm"
        classifier = timm.create_model(download.name)
        found = _as_body(pair_by_position(read_tensors(file_in_package(source)), classifier))
    elif kind == "timm":
        import timm

        found = _as_body(timm.create_model(source, pretrained=True).state_dict())
    elif kind == "torchvision":
        found = _of_torchvision(source)
    else:
        found = read_tensors(Path(source))
        if not any(name.startswith("backbone.") for name in found):
            found = _as_body(found)
    whole = any(not name.startswith(_BODY) and name in wanted for name in found)
    write_tensors(fitting(found, wanted if whole else body), target)


def lasting_tensors(network: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a network that do not depend on the number of classes, by name."""
    one, other = (build_module(network, classes).state_dict() for classes in (1, 2))
    return {name: tensor for name, tensor in one.items() if tensor.shape == other[name].shape}


def _as_body(found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {_BODY + name: tensor for name, tensor in found.items()}


def _of_torchvision(name: str) -> Mapping[str, torch.Tensor]:
    weights = get_model_weights(name).DEFAULT
    file = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if os.environ.get(OFFLINE_VARIABLE) and not file.exists():
        raise Misfit(f"{file} is not there, and there is no connection")
    found: Mapping[str, torch.Tensor] = weights.get_state_dict(check_hash=True)
    # Frozen batch normalisations have no such counter.
    counters = {
        key.removesuffix("running_mean") + "num_batches_tracked": torch.zeros((), dtype=torch.int64)
        for key in found
        if key.endswith("running_mean")
    }
    return {**counters, **found}


if __name__ == "__main__":
    run(convert)
