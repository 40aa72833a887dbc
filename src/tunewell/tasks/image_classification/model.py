"""A trained model on disk, and the way from pictures to its input.

::

    model/weights.safetensors    all tensors of the network
    model/model.json             a `ModelConfig`: what is needed to use them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import nn

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.kinds import KINDS, Kind
from tunewell.tasks.image_classification.networks import architecture
from tunewell.tasks.vision.depths import ValueRanges
from tunewell.tasks.vision.model_files import model_in, write_model
from tunewell.tasks.vision.pictures import PictureError, bombs_refused, load_pixels
from tunewell.tasks.vision.resize_rules import SQUASH


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a saved model is and how it wants its pictures."""

    network: str
    #: Class names in the order of the outputs.
    classes: tuple[str, ...]
    #: Side of the square input in pixels.
    image_size: int
    #: Mean and standard deviation per channel (RGB, pixels from 0 to 1) that the input is normalised with.
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    #: Hyperparameters that the model was trained with.
    parameters: dict[str, Any] = field(default_factory=dict)
    #: Epoch that its weights are of; of a trial's own model, the best on the validation data. 0: not known.
    epoch: int = 0
    #: Metrics of these weights.
    metrics: dict[str, float] = field(default_factory=dict)
    #: What it was trained and measured on, for people.
    note: str = ""
    #: Trial whose parameters it was trained again with; None: it is a trial's own model.
    trial: int | None = None
    #: Probability from which on a label is given, for each class; empty where a picture has one label, the likeliest.
    thresholds: tuple[float, ...] = ()
    task: str = "image-classification"
    #: How pictures become squares; see `pictures`.
    resize: str = SQUASH
    #: Which values are black and white in pictures with more than 8 bits of them; see `depths`.
    value_ranges: ValueRanges = field(default_factory=dict)
    #: Versions of the libraries that trained it.
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in ("torch", "timm")})

    @property
    def kind(self) -> Kind:
        """How its outputs are to be read."""
        return KINDS[self.task]


def save_model(folder: Path, module: nn.Module, config: ModelConfig) -> None:
    """Write a model into `folder`, which is made if needed."""
    write_model(folder, module, asdict(config))


def load_model(folder: Path) -> tuple[nn.Module, ModelConfig]:
    """Return a saved model, in evaluation mode on the CPU, and its configuration.

    Raises:
        DataError: there is no (complete) model of this task in `folder`.
    """
    with model_in(folder) as (fields, tensors):
        config = _to_config(fields)
        module = build_module(config.network, len(config.classes))
        module.load_state_dict(tensors())
    return module.eval(), config


def read_config(folder: Path) -> ModelConfig:
    """Return the configuration of a saved model alone; see `load_model`."""
    with model_in(folder) as (fields, _):
        return _to_config(fields)


def build_module(network: str, num_classes: int) -> nn.Module:
    """Return a network with random weights; it has timm's `forward_features`, `forward_head`, `get_classifier`."""
    return architecture(network).build(num_classes)


def last_layer(module: nn.Module) -> nn.Module:
    """Return the layer of a network that gives the logits."""
    layer: nn.Module = module.get_classifier()  # type: ignore[operator]
    return layer


def normalize(pixels: torch.Tensor, config: ModelConfig) -> torch.Tensor:
    """Return the network's input for pixels: (N, S, S, 3) uint8 → (N, 3, S, S) float, channels last in memory."""
    mean = torch.tensor(config.mean, device=pixels.device)
    std = torch.tensor(config.std, device=pixels.device)
    return pixels.permute(0, 3, 1, 2).float().sub_(255 * mean[:, None, None]).div_(255 * std[:, None, None])


@torch.inference_mode()
def outputs(module: nn.Module, config: ModelConfig, pixels: Sequence[np.ndarray]) -> torch.Tensor:
    """Return what a network in evaluation mode gives for a batch of pictures: uint8 (S, S, 3) each → (N, C)."""
    device = next(module.parameters()).device
    result: torch.Tensor = module(normalize(torch.from_numpy(np.stack(pixels)).to(device), config))
    return result


def preprocess(pictures: Sequence[Path | str | PIL.Image.Image], config: ModelConfig) -> torch.Tensor:
    """Return the network's input (N, 3, S, S) for pictures, equal to what the same files gave in training.

    Raises:
        DataError: a picture can't be read; the message names it.
    """
    arrays = []
    with bombs_refused():
        for picture in pictures:
            try:
                arrays.append(load_pixels(picture, config.image_size, SQUASH, config.value_ranges))
            except PictureError as error:
                raise DataError(f"it can't be read as a picture ({error})", field=str(picture)) from None
    return normalize(torch.from_numpy(np.stack(arrays)), config)


def _to_config(fields: dict[str, Any]) -> ModelConfig:
    if fields["task"] not in KINDS or fields["resize"] != SQUASH:
        raise ValueError(f"it is made for {fields['task']} with the resize rule {fields['resize']}")
    for name in ("classes", "mean", "std", "thresholds"):
        fields[name] = tuple(fields[name])
    fields["value_ranges"] = {kind: tuple(ends) for kind, ends in fields["value_ranges"].items()}
    return ModelConfig(**fields)
