"""A trained detector on disk.

::

    model/weights.safetensors    all tensors of the network
    model/model.json             a `ModelConfig`: what is needed to use them
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from tunewell.tasks.object_detection.building import build_module
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.object_sizes import USUAL_DETECTIONS
from tunewell.tasks.object_detection.tiling import decoded_side
from tunewell.tasks.vision.depths import ValueRanges
from tunewell.tasks.vision.model_files import model_in, write_model
from tunewell.tasks.vision.resize_rules import LETTERBOX

TASKS = ("object-detection", "instance-segmentation")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a saved model is and how it wants its pictures."""

    network: str
    #: Class names in the order of the labels.
    classes: tuple[str, ...]
    #: Its input.
    frame: Frame
    #: Factor of the anchors' sizes, and ratio of the sides of those that are no squares.
    anchor_scale: float = 1.0
    anchor_ratio: float = 2.0
    #: Pictures are seen in this many by this many tiles; see `tiling`.
    tiles: int = 1
    #: Most detections of a picture.
    detections: int = USUAL_DETECTIONS
    #: Detections below it are left out of predictions: the score with the best F1 on the validation data.
    score_threshold: float = 0.5
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
    #: Which values are black and white in pictures with more than 8 bits of them; see `depths`.
    value_ranges: ValueRanges = field(default_factory=dict)
    #: `object-detection` or `instance-segmentation`.
    task: str = TASKS[0]
    #: How pictures are resized; see `pictures`.
    resize: str = LETTERBOX
    #: Versions of the libraries that trained it.
    versions: dict[str, str] = field(
        default_factory=lambda: {name: version(name) for name in ("torch", "torchvision", "timm")}
    )

    @property
    def decoded_side(self) -> int:
        """Return the longer side that the pictures of the data set are decoded at for it."""
        return decoded_side(self.frame.longest, self.tiles)


def save_model(folder: Path, module: nn.Module, config: ModelConfig) -> None:
    """Write a model into `folder`, which is made if needed."""
    write_model(folder, module, asdict(config))


def load_model(folder: Path) -> tuple[nn.Module, ModelConfig]:
    """Return a saved model, in evaluation mode on the CPU, and its configuration.

    Raises:
        DataError: there is no (complete) model of these tasks in `folder`.
    """
    with model_in(folder) as (fields, tensors):
        config = _to_config(fields)
        module = module_for(config)
        module.load_state_dict(tensors())
    return module.eval(), config


def read_config(folder: Path) -> ModelConfig:
    """Return the configuration of a saved model; raise `DataError` if there is none."""
    with model_in(folder) as (fields, _):
        return _to_config(fields)


def module_for(config: ModelConfig) -> nn.Module:
    """Return the network that a model is of, with random weights."""
    return build_module(
        config.network, len(config.classes), config.anchor_scale, config.anchor_ratio, config.detections
    )


def task_of(network: str) -> str:
    """Return the task that a network is of."""
    return TASKS[architecture(network).has_masks]


def _to_config(fields: dict[str, Any]) -> ModelConfig:
    if fields["task"] not in TASKS or fields["resize"] != LETTERBOX:
        raise ValueError(f"it is made for {fields['task']} with the resize rule {fields['resize']}")
    ranges = {kind: tuple(ends) for kind, ends in fields["value_ranges"].items()}
    made = {"classes": tuple(fields["classes"]), "frame": Frame(**fields["frame"]), "value_ranges": ranges}
    return ModelConfig(**{**fields, **made})
