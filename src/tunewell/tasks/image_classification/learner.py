"""A classifier in training: epochs over memory-mapped pictures, and predictions.

Symbols: N pictures in a data set, B in a batch, S side in pixels, C classes, D features before the last layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from tunewell.tasks.image_classification.augment import augment, mixup
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.layer_rates import layer_scales
from tunewell.tasks.image_classification.manifest import LabelledPictures
from tunewell.tasks.image_classification.model import ModelConfig, last_layer, normalize
from tunewell.tasks.vision.device import mixed_precision, on_device
from tunewell.tasks.vision.learner import Learner
from tunewell.tasks.vision.shared_pixels import shared_pixels
from tunewell.tasks.vision.task_file import Prepared

#: Pictures that go through a network at a time when it is not trained.
PREDICTION_BATCH = 64


@dataclass(frozen=True, slots=True)
class Pictures:
    """Decoded pictures with what is to be learned of them."""

    #: uint8 (N, S, S, 3); a memory map, usually.
    pixels: np.ndarray
    #: Labels, integers (N,); or their presence, float32 (N, C).
    labels: np.ndarray

    def batch(self, positions: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixels (B, S, S, 3) uint8 and labels (B,) or (B, C) on the device."""
        pixels, labels = torch.from_numpy(self.pixels[positions]), torch.from_numpy(self.labels[positions])
        if device.type == "cuda":
            pixels, labels = pixels.pin_memory(), labels.pin_memory()
        return pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def labelled_pictures(prepared: Prepared, manifest: LabelledPictures, image_size: int) -> Pictures:
    """Return the decoded pictures of the whole data set at a size that `prepare` decoded; see `shared_pixels`."""
    return Pictures(shared_pixels(prepared, manifest, image_size), manifest.targets())


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from."""

    #: Images (B, 3, S, S), or features (B, D) where those are fixed.
    inputs: torch.Tensor
    #: (B,) or (B, C).
    labels: torch.Tensor
    #: Labels of what is blended into each picture; the same where nothing is.
    partners: torch.Tensor
    #: Share of the picture itself; 1 where nothing is blended in.
    share: float
    #: Weights (C,) of the classes; None: all count alike.
    class_weights: torch.Tensor | None


class ClassificationLearner(Learner[Pictures, Batch]):
    """Trains a classifier."""

    # Against rare spikes, not against ordinary steps.
    max_gradient_norm: ClassVar[float] = 5.0

    def __init__(
        self,
        module: nn.Module,
        config: ModelConfig,
        hyperparameters: Hyperparameters,
        seed: int,
        device: torch.device,
    ) -> None:
        """Take the module (which will be changed) to the device.

        `hyperparameters.backbone` says whether all of it or only its last layer (`get_classifier`) is trained.
        """
        module = on_device(module, device)
        self.frozen = hyperparameters.backbone == "frozen"
        if self.frozen:
            module.requires_grad_(False)
            last_layer(module).requires_grad_(True)
        super().__init__(module, hyperparameters, seed, device, layer_scales(module, hyperparameters.layer_decay))
        self.config = config
        self.hyperparameters = hyperparameters
        # Without random changes, the features of a frozen backbone are the same in every epoch.
        self._fixed_features = self.frozen and not (
            hyperparameters.augmentation > 0 or hyperparameters.horizontal_flip or hyperparameters.mixup > 0
        )
        self._features: dict[int, torch.Tensor] = {}

    @property
    def looks_once(self) -> bool:
        """Whether the features of a frozen backbone are kept."""
        return self._fixed_features

    @torch.inference_mode()
    def logits(self, pictures: Pictures, positions: np.ndarray) -> np.ndarray:
        """Return the network's outputs (len(positions), C) float32 for pictures as they are."""
        self.result.eval()
        parts = []
        for start in range(0, len(positions), PREDICTION_BATCH):
            inputs, _ = self._inputs(pictures, positions[start : start + PREDICTION_BATCH])
            parts.append(self._forward(inputs, self.result).float().cpu().numpy())
        return np.concatenate(parts)

    def _start_training(self) -> None:
        self.module.train(not self.frozen)

    def _batches(
        self, pictures: Pictures, chosen: np.ndarray, positions: np.ndarray, generator: np.random.Generator
    ) -> Iterator[Batch]:
        own = self.hyperparameters
        weights = self._class_weights(pictures.labels[positions])
        for part in chosen:
            inputs, labels = self._inputs(pictures, part)
            if not self._fixed_features:
                inputs = augment(inputs, own.augmentation, own.horizontal_flip, generator)
            partners, share = labels, 1.0
            if own.mixup > 0:
                inputs, order, share = mixup(inputs, own.mixup, generator)
                partners = labels[order]
            yield Batch(inputs, labels, partners, share, weights)

    def _loss(self, batch: Batch) -> torch.Tensor:
        outputs = self._forward(batch.inputs).float()
        smoothing, kind = self.hyperparameters.label_smoothing, self.config.kind
        loss = batch.share * kind.loss(outputs, batch.labels, smoothing, batch.class_weights)
        if batch.share < 1:
            loss = loss + (1 - batch.share) * kind.loss(outputs, batch.partners, smoothing, batch.class_weights)
        return loss

    def _largest_batch(self, pictures: Pictures, positions: np.ndarray) -> Batch:
        inputs, labels = self._inputs(pictures, positions[: self.hyperparameters.batch_size])
        return Batch(inputs, labels, labels, 1.0, None)

    def _predict_largest(self, pictures: Pictures, positions: np.ndarray) -> None:
        self.logits(pictures, positions[:PREDICTION_BATCH])

    def _class_weights(self, labels: np.ndarray) -> torch.Tensor | None:
        """Return the weights (C,) of the classes of training pictures with these labels, None if all count alike."""
        if self.hyperparameters.class_weights == "none":
            return None
        weights = self.config.kind.balance(labels, len(self.config.classes))
        return torch.from_numpy(weights).float().to(self.device)

    def _inputs(self, pictures: Pictures, positions: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what `_forward` takes, images (B, 3, S, S) or features (B, D), and labels."""
        if not self._fixed_features:
            pixels, labels = pictures.batch(positions, self.device)
            return normalize(pixels, self.config), labels
        unknown = [position for position in positions.tolist() if position not in self._features]
        for start in range(0, len(unknown), PREDICTION_BATCH):
            part = unknown[start : start + PREDICTION_BATCH]
            pixels, _ = pictures.batch(np.asarray(part), self.device)
            self._features.update(zip(part, self._backbone(normalize(pixels, self.config)), strict=True))
        labels = torch.from_numpy(pictures.labels[positions]).to(self.device)
        return torch.stack([self._features[position] for position in positions.tolist()]), labels

    def _forward(self, inputs: torch.Tensor, module: nn.Module | None = None) -> torch.Tensor:
        """Images (B, 3, S, S), or features (B, D) if they are fixed → logits (B, C)."""
        module = module or self.module
        with mixed_precision(self.device):
            if self.frozen:
                features = inputs if self._fixed_features else self._backbone(inputs)
                outputs: torch.Tensor = last_layer(module)(features)
            else:
                outputs = module(inputs)
        return outputs

    @torch.no_grad()
    def _backbone(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) → features (B, D)."""
        module: Any = self.module  # timm's, which says nothing of these methods' types
        with mixed_precision(self.device):
            maps = module.forward_features(images)
            features: torch.Tensor = module.forward_head(maps, pre_logits=True)
            return features
