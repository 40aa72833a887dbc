"""A network in training: epochs over memory-mapped pictures, and predictions.

Symbols: N pictures in a data set, B in a batch, S side in pixels, C classes, D features before the last layer.
All randomness of epoch e derives from (seed, e), so that a training that goes on from a checkpoint ends where
an uninterrupted one does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewell.tasks.image_classification.augment import augment, mixup
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.layer_rates import layer_scales
from tunewell.tasks.image_classification.manifest import LabelledPictures
from tunewell.tasks.image_classification.model import ModelConfig, last_layer, normalize
from tunewell.tasks.vision.averaging import WeightAverage
from tunewell.tasks.vision.job import shared_pixels
from tunewell.tasks.vision.optimization import create_optimizer, memory_of, rate_factor, restore_memory, set_rate
from tunewell.tasks.vision.prepared import Prepared
from tunewell.tasks.vision.training import NonFiniteLoss

#: Gradients are scaled down to this norm: against rare spikes, not against ordinary steps.
_MAX_GRADIENT_NORM = 5.0
#: Pictures that go through a network at a time when it is not trained.
PREDICTION_BATCH = 64
#: Steps between two looks at the loss on a GPU, each of which waits for it.
_STEPS_PER_LOOK = 20


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
    """Return the decoded pictures of the whole data set at a size that `prepare` decoded; see `job.shared_pixels`."""
    return Pictures(shared_pixels(prepared, manifest, image_size), manifest.targets())


class Learner:
    """Trains a network, epoch by epoch. `epoch` counts those that are done."""

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
        self.module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.hyperparameters = hyperparameters
        self.seed = seed
        self.device = device
        self.epoch = 0
        self.frozen = hyperparameters.backbone == "frozen"
        if self.frozen:
            self.module.requires_grad_(False)
            last_layer(self.module).requires_grad_(True)
        self.optimizer = create_optimizer(
            self.module, hyperparameters, layer_scales(self.module, hyperparameters.layer_decay)
        )
        self._average = WeightAverage(self.module, hyperparameters.ema) if hyperparameters.ema > 0 else None
        # Without random changes, the features of a frozen backbone are the same in every epoch.
        self._fixed_features = self.frozen and not (
            hyperparameters.augmentation > 0 or hyperparameters.horizontal_flip or hyperparameters.mixup > 0
        )
        self._features: dict[int, torch.Tensor] = {}

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: the one in training, or the average of its weights."""
        return self.module if self._average is None else self._average.module

    def probe(self, pictures: Pictures, positions: np.ndarray) -> None:
        """Compute, and throw away, what takes the most memory: a step's gradients and the optimiser's memory.

        Changes nothing. An epoch's first step would do, but for what the optimiser allocates after it, and for all
        that comes before it in a large set.

        Raises:
            torch.cuda.OutOfMemoryError: the batch is too large for the device.
        """
        kept = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        size = min(self.hyperparameters.batch_size, len(positions))
        self.module.train(not self.frozen)
        inputs, labels = self._inputs(pictures, positions[:size])
        outputs = self._forward(inputs).float()
        self.config.kind.loss(outputs, labels, self.hyperparameters.label_smoothing, None).backward()  # type: ignore[no-untyped-call]
        memory = [
            torch.empty_like(tensor)
            for tensor in self.module.parameters()
            if tensor.grad is not None
            for _ in range(2 if self.hyperparameters.optimizer == "adamw" else 1)
        ]
        del inputs, labels, outputs, memory
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, buffer in self.module.named_buffers():
                buffer.copy_(kept[name])
        self.logits(pictures, positions[:PREDICTION_BATCH])

    def train_epoch(
        self, pictures: Pictures, positions: np.ndarray, on_step: Callable[[], None] = lambda: None
    ) -> float:
        """Train on each picture once (but for those that fill no batch); return the mean loss.

        `on_step` is called before each step.

        Raises:
            NonFiniteLoss: the loss became infinite or NaN.
            torch.cuda.OutOfMemoryError: as a rule in the very first step, since all batches are equally large.
        """
        torch.manual_seed(self._seed_of_epoch())
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(positions)
        size = min(self.hyperparameters.batch_size, len(order))
        steps = len(order) // size
        self.module.train(not self.frozen)
        weights = self._class_weights(pictures.labels[positions])
        total = torch.zeros((), device=self.device)
        for step in range(steps):
            on_step()
            self._set_rate((self.epoch + (step + 0.5) / steps) / self.hyperparameters.epochs)
            total += self._step(pictures, order[step * size : (step + 1) * size], generator, weights)
            if self.device.type == "cpu" or (step + 1) % _STEPS_PER_LOOK == 0 or step + 1 == steps:
                self._check_loss(total, step)
        self.epoch += 1
        return float(total) / steps

    @torch.inference_mode()
    def logits(self, pictures: Pictures, positions: np.ndarray) -> np.ndarray:
        """Return the network's outputs (len(positions), C) float32 for pictures as they are."""
        self.result.eval()
        parts = []
        for start in range(0, len(positions), PREDICTION_BATCH):
            inputs, _ = self._inputs(pictures, positions[start : start + PREDICTION_BATCH])
            parts.append(self._forward(inputs, self.result).float().cpu().numpy())
        return np.concatenate(parts)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs to go on from here: tensors and plain values only."""
        return {
            "epoch": self.epoch,
            "module": self.module.state_dict(),
            "optimizer": self.hyperparameters.optimizer,
            "optimizer_memory": memory_of(self.optimizer, self.module),
            "frozen": self.frozen,
            "average": None if self._average is None else self._average.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, which a learner with other hyperparameters may have left.

        The optimiser's memory is taken over where it fits: same optimiser, same trained tensors.
        """
        self.epoch = state["epoch"]
        self.module.load_state_dict(state["module"])
        if state["optimizer"] == self.hyperparameters.optimizer and state["frozen"] == self.frozen:
            restore_memory(self.optimizer, self.module, state["optimizer_memory"])
        if self._average is not None:
            if state["average"] is not None:
                self._average.load_state(state["average"])
            else:
                self._average = WeightAverage(self.module, self.hyperparameters.ema)

    def _step(
        self,
        pictures: Pictures,
        positions: np.ndarray,
        generator: np.random.Generator,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        inputs, labels = self._inputs(pictures, positions)
        chosen = self.hyperparameters
        if not self._fixed_features:
            inputs = augment(inputs, chosen.augmentation, chosen.horizontal_flip, generator)
        partners, weight = labels, 1.0
        if chosen.mixup > 0:
            inputs, order, weight = mixup(inputs, chosen.mixup, generator)
            partners = labels[order]
        outputs = self._forward(inputs).float()
        smoothing, kind = chosen.label_smoothing, self.config.kind
        loss = weight * kind.loss(outputs, labels, smoothing, weights)
        if weight < 1:
            loss = loss + (1 - weight) * kind.loss(outputs, partners, smoothing, weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), _MAX_GRADIENT_NORM)
        self.optimizer.step()
        if self._average is not None:
            self._average.update(self.module)
        return loss.detach()

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
        with self._precision():
            if self.frozen:
                features = inputs if self._fixed_features else self._backbone(inputs)
                outputs: torch.Tensor = last_layer(module)(features)
            else:
                outputs = module(inputs)
        return outputs

    @torch.no_grad()
    def _backbone(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) → features (B, D)."""
        with self._precision():
            maps = self.module.forward_features(images)
            features: torch.Tensor = self.module.forward_head(maps, pre_logits=True)
            return features

    def _precision(self) -> torch.autocast:
        """Mixed precision where the hardware computes with bfloat16, which needs no loss scaling."""
        fast = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=fast)

    def _set_rate(self, progress: float) -> None:
        factor = rate_factor(self.hyperparameters.schedule, min(progress, 1.0))
        set_rate(self.optimizer, factor * self.hyperparameters.learning_rate)

    def _check_loss(self, total: torch.Tensor, step: int) -> None:
        if not math.isfinite(float(total)):
            raise NonFiniteLoss(f"the loss is {float(total)} in step {step + 1} of epoch {self.epoch + 1}")

    def _seed_of_epoch(self) -> int:
        return int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0])
