"""A model on disk: `weights.safetensors` with all of its tensors, and `model.json`, which says how to use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tunewell.spec.errors import DataError

#: Names of the files in a model folder.
WEIGHTS = "weights.safetensors"
CONFIG = "model.json"


def write_model(folder: Path, module: nn.Module, config: Mapping[str, Any]) -> None:
    """Write a model into `folder`, which is made if needed; no file is ever seen half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    _replace(folder / WEIGHTS, lambda path: save_file(tensors, path))
    _replace(folder / CONFIG, lambda path: path.write_text(json.dumps(config, indent=1)))


@contextmanager
def model_in(folder: Path) -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, torch.Tensor]]]]:
    """Yield the content of `model.json` and a function that reads the tensors.

    Raises:
        DataError: there is no complete model in `folder`, or the block can't make one of what is there.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(f"it holds no model ({name} is missing)", field=str(folder))
    try:
        yield json.loads((folder / CONFIG).read_text()), lambda: load_file(folder / WEIGHTS)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        # PyTorch spreads its messages over lines.
        raise DataError(f"its model can't be read ({' '.join(str(error).split())})", field=str(folder)) from None


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: nobody ever reads half a file."""
    beside = path.with_name(path.name + ".part")
    write(beside)
    beside.replace(path)
