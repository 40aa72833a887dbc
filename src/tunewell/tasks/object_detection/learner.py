"""A detector in training: epochs over memory-mapped pictures, and detections.

Symbols: N pictures in a data set, B in a batch, S longest side in pixels, n objects in a picture. All randomness of
epoch e derives from (seed, e), so that a training that goes on from a checkpoint ends where an uninterrupted one does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewell.tasks.object_detection.building import batch_norms, freeze
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.finding import BATCH_SIZE, find_all, to_input
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.model import ModelConfig
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.samples import Changes, Sample, change, mixup, mosaic
from tunewell.tasks.vision.averaging import WeightAverage
from tunewell.tasks.vision.optimization import create_optimizer, memory_of, rate_factor, restore_memory, set_rate
from tunewell.tasks.vision.training import NonFiniteLoss

#: Gradients are scaled down to this norm: detectors start with large ones.
_MAX_GRADIENT_NORM = 10.0
#: Steps between two looks at the loss on a GPU, each of which waits for it.
_STEPS_PER_LOOK = 20
_MOSAIC_PICTURES = 4
#: Shares of blended pictures follow Beta(this, this): Zhang et al. 2019, arXiv:1902.04103, section 3.1.
_MIXUP_ALPHA = 1.5


class Learner:
    """Trains a network, epoch by epoch. `epoch` counts those that are done."""

    def __init__(
        self,
        module: nn.Module,
        config: ModelConfig,
        hyperparameters: Hyperparameters,
        seed: int,
        device: torch.device,
        pretrained: bool,
    ) -> None:
        """Take the module (which will be changed) to the device.

        A pretrained one keeps its batch normalisations, and as many of its stages as the hyperparameters say.
        """
        self.module = module.to(device)
        self.config = config
        self.hyperparameters = hyperparameters
        self.seed = seed
        self.device = device
        self.epoch = 0
        self._fixed: Sequence[nn.Module] = batch_norms(module) if pretrained else ()
        if pretrained:
            freeze(module, hyperparameters.frozen_stages)
        self._first_label = int(architecture(config.network).has_background)
        self.optimizer = create_optimizer(self.module, hyperparameters)
        self._average = WeightAverage(self.module, hyperparameters.ema) if hyperparameters.ema > 0 else None

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: the one in training, or the average of its weights."""
        return self.module if self._average is None else self._average.module

    def probe(self, pictures: DecodedPictures, positions: np.ndarray) -> None:
        """Compute, and throw away, what takes the most memory: a step on the pictures with the most objects.

        Changes nothing.

        Raises:
            torch.cuda.OutOfMemoryError: the batch is too large for the device.
        """
        kept = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        counts = [len(pictures.annotated.objects[position]) for position in positions.tolist()]
        crowded = positions[np.argsort(counts)[::-1][: self.hyperparameters.batch_size]].tolist()
        self._start_training()
        self._loss([pictures.sample(position) for position in crowded]).backward()  # type: ignore[no-untyped-call]
        memory = [
            torch.empty_like(tensor)
            for tensor in self.module.parameters()
            if tensor.grad is not None
            for _ in range(2 if self.hyperparameters.optimizer == "adamw" else 1)
        ]
        del memory
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, buffer in self.module.named_buffers():
                buffer.copy_(kept[name])
        self.detect(pictures, np.asarray(crowded[:BATCH_SIZE]))

    def train_epoch(
        self, pictures: DecodedPictures, positions: np.ndarray, on_step: Callable[[], None] = lambda: None
    ) -> float:
        """Train on each picture once (but for those that fill no batch); return the mean loss.

        `on_step` is called before each step.

        Raises:
            NonFiniteLoss: the loss became infinite or NaN.
            torch.cuda.OutOfMemoryError: as a rule in one of the first steps, since all batches are about equally large.
        """
        torch.manual_seed(self._seed_of_epoch())
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(positions)
        size = min(self.hyperparameters.batch_size, len(order))
        steps = len(order) // size
        self._start_training()
        total = torch.zeros((), device=self.device)
        batches = (
            list(self._samples(pictures, order[step * size : (step + 1) * size], positions, generator))
            for step in range(steps)
        )
        # A GPU needs not wait for its pictures; without one there is no core to spare.
        for step, samples in enumerate(batches if self.device.type == "cpu" else ahead(batches)):
            on_step()
            self._set_rate((self.epoch + (step + 0.5) / steps) / self.hyperparameters.epochs)
            total += self._step(samples)
            if self._average is not None:
                self._average.update(self.module)
            if self.device.type == "cpu" or (step + 1) % _STEPS_PER_LOOK == 0 or step + 1 == steps:
                self._check_loss(total, step)
        self.epoch += 1
        return float(total) / steps

    def detect(self, pictures: DecodedPictures, positions: np.ndarray) -> dict[int, Detections]:
        """Return what the network finds in the pictures at these positions, as they are."""
        return find_all(self.result.eval(), self.config, pictures, positions.tolist(), self.device)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs to go on from here: tensors and plain values only."""
        return {
            "epoch": self.epoch,
            "module": self.module.state_dict(),
            "optimizer": self.hyperparameters.optimizer,
            "optimizer_memory": memory_of(self.optimizer, self.module),
            "average": self._average.state() if self._average is not None else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, which a learner with other hyperparameters may have left.

        The memory of the same optimiser is taken over, for the tensors that both train.
        """
        self.epoch = state["epoch"]
        self.module.load_state_dict(state["module"])
        if state["optimizer"] == self.hyperparameters.optimizer:
            restore_memory(self.optimizer, self.module, state["optimizer_memory"])
        if self._average is not None:
            # Where nothing was averaged before, the average begins here.
            self._average.load_state(state["average"] or {"module": state["module"], "steps": 0})

    def _start_training(self) -> None:
        self.module.train()
        for part in self._fixed:
            part.eval()

    def _samples(
        self, pictures: DecodedPictures, chosen: np.ndarray, positions: np.ndarray, generator: np.random.Generator
    ) -> Iterator[Sample]:
        """Yield changed samples, each a picture or a mosaic of several, or two such things blended."""
        for position in chosen.tolist():
            sample = self._sample(pictures, position, positions, generator)
            if self.hyperparameters.mixup > 0 and generator.uniform() < self.hyperparameters.mixup:
                other = self._sample(pictures, int(generator.choice(positions)), positions, generator)
                sample = mixup(sample, other, generator.beta(_MIXUP_ALPHA, _MIXUP_ALPHA))
            yield sample

    def _sample(
        self, pictures: DecodedPictures, position: int, positions: np.ndarray, generator: np.random.Generator
    ) -> Sample:
        """Return a changed picture, or mosaic of it with three others."""
        own = self.hyperparameters
        changes = Changes(own.horizontal_flip, own.color_jitter, own.scale_jitter)
        if own.mosaic > 0 and generator.uniform() < own.mosaic:
            others = generator.choice(positions, _MOSAIC_PICTURES - 1).tolist()
            four = [pictures.sample(one) for one in (position, *others)]
            sample = mosaic([four[place] for place in generator.permutation(len(four))], pictures.size)
        else:
            sample = pictures.sample(position)
        return change(sample, changes, pictures.size, generator)

    def _loss(self, samples: Sequence[Sample]) -> torch.Tensor:
        images = [to_input(sample.pixels, self.device) for sample in samples]
        targets = [self._target(sample) for sample in samples]
        losses = self.module(images, targets)
        return torch.stack(list(losses.values())).sum()

    def _step(self, samples: Sequence[Sample]) -> torch.Tensor:
        loss = self._loss(samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), _MAX_GRADIENT_NORM)
        self.optimizer.step()
        return loss.detach()

    def _target(self, sample: Sample) -> dict[str, torch.Tensor]:
        target = {
            "boxes": torch.from_numpy(sample.boxes).to(self.device),
            "labels": torch.from_numpy(sample.labels + self._first_label).to(self.device),
        }
        if sample.masks is not None:
            target["masks"] = torch.from_numpy(np.ascontiguousarray(sample.masks)).to(self.device)
        return target

    def _set_rate(self, progress: float) -> None:
        factor = rate_factor(self.hyperparameters.schedule, min(progress, 1.0))
        set_rate(self.optimizer, factor * self.hyperparameters.learning_rate)

    def _check_loss(self, total: torch.Tensor, step: int) -> None:
        if not math.isfinite(float(total)):
            raise NonFiniteLoss(f"the loss is {float(total)} in step {step + 1} of epoch {self.epoch + 1}")

    def _seed_of_epoch(self) -> int:
        return int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0])


def ahead(batches: Iterator[list[Sample]]) -> Iterator[list[Sample]]:
    """Yield the same batches, each one made in another thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
