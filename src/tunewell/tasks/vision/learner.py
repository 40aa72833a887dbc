"""A network in training: what all picture tasks share.

All randomness of epoch e derives from (seed, e), so that a training that goes on from a checkpoint ends where an
uninterrupted one does.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from tunewell.tasks.vision.averaging import WeightAverage
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters
from tunewell.tasks.vision.optimization import create_optimizer, memory_of, rate_factor, restore_memory, set_rate

#: Steps between two looks at the loss on a GPU, each of which waits for it.
_STEPS_PER_LOOK = 20

#: The decoded pictures of a data set, with what is to be learned of them.
Decoded = TypeVar("Decoded")
#: What one step learns from.
Batch = TypeVar("Batch")


class NonFiniteLoss(Exception):
    """The training loss became infinite or NaN."""


class Learner(ABC, Generic[Decoded, Batch]):
    """Trains a network, epoch by epoch; a task says what a batch is, and the loss of one."""

    #: Gradients are scaled down to this norm.
    max_gradient_norm: ClassVar[float]

    def __init__(
        self,
        module: nn.Module,
        hyperparameters: TrainingHyperparameters,
        seed: int,
        device: torch.device,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        """Take over a module, which is on the device and will be changed; `scales`: see `create_optimizer`."""
        self.module = module
        self.seed = seed
        self.device = device
        #: Epochs that are done.
        self.epoch = 0
        self.optimizer = create_optimizer(module, hyperparameters, scales)
        self._training = hyperparameters
        self._average = WeightAverage(module, hyperparameters.ema) if hyperparameters.ema > 0 else None

    @property
    def epochs(self) -> int:
        """Return how many epochs a full training has."""
        return self._training.epochs

    @property
    def keeps_rate(self) -> bool:
        """Whether the learning rate stays constant to the end of the training."""
        return self._training.schedule == "constant"

    @property
    def image_size(self) -> int:
        """Return the side of the pictures that it learns from, in pixels; see `TrainingHyperparameters`."""
        return self._training.image_size

    @property
    def looks_once(self) -> bool:
        """Whether pictures pass most of the network in the first epoch only, and what comes out is kept."""
        return False

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: the one in training, or the average of its weights."""
        return self.module if self._average is None else self._average.module

    def probe(self, pictures: Decoded, positions: np.ndarray) -> None:
        """Compute, and throw away, what takes the most memory: gradients, the optimiser's memory, and predictions.

        Changes nothing. An epoch's first step would do, but for what the optimiser allocates after it, and for all
        that comes before it in a large set.

        Raises:
            torch.cuda.OutOfMemoryError: the batch is too large for the device.
        """
        kept = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        self._start_training()
        self._loss(self._largest_batch(pictures, positions)).backward()  # type: ignore[no-untyped-call]
        memory = [
            torch.empty_like(tensor)
            for tensor in self.module.parameters()
            if tensor.grad is not None
            for _ in range(2 if self._training.optimizer == "adamw" else 1)
        ]
        del memory
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, buffer in self.module.named_buffers():
                buffer.copy_(kept[name])
        self._predict_largest(pictures, positions)

    def train_epoch(
        self, pictures: Decoded, positions: np.ndarray, on_step: Callable[[], None] = lambda: None
    ) -> float:
        """Train on each picture once (but for those that fill no batch); return the mean loss.

        `on_step` is called before each step.

        Raises:
            NonFiniteLoss: the loss became infinite or NaN.
            torch.cuda.OutOfMemoryError: as a rule in one of the first steps, since all batches are about equally large.
        """
        torch.manual_seed(int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0]))
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(positions)
        size = min(self._training.batch_size, len(order))
        steps = len(order) // size
        self._start_training()
        total = torch.zeros((), device=self.device)
        chosen = order[: steps * size].reshape(steps, size)
        for step, batch in enumerate(self._batches(pictures, chosen, positions, generator)):
            on_step()
            self._set_rate((self.epoch + (step + 0.5) / steps) / self.epochs)
            total += self._step(batch)
            if self.device.type == "cpu" or (step + 1) % _STEPS_PER_LOOK == 0 or step + 1 == steps:
                self._check_loss(total, step)
        self.epoch += 1
        return float(total) / steps

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs to go on from here: tensors and plain values only."""
        return {
            "epoch": self.epoch,
            "module": self.module.state_dict(),
            "optimizer": self._training.optimizer,
            "optimizer_memory": memory_of(self.optimizer, self.module),
            "average": None if self._average is None else self._average.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, which a learner with other hyperparameters may have left.

        The memory of the same optimiser is taken over, for the tensors that both train.
        """
        self.epoch = state["epoch"]
        self.module.load_state_dict(state["module"])
        if state["optimizer"] == self._training.optimizer:
            restore_memory(self.optimizer, self.module, state["optimizer_memory"])
        if self._average is not None:
            # Where nothing was averaged before, the average begins here.
            self._average.load_state(state["average"] or {"module": state["module"], "steps": 0})

    @abstractmethod
    def _start_training(self) -> None:
        """Put the module, or what is trained of it, into training mode."""

    @abstractmethod
    def _batches(
        self, pictures: Decoded, chosen: np.ndarray, positions: np.ndarray, generator: np.random.Generator
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch, changed at random.

        `chosen` (steps, B) are the positions of their pictures, `positions` those of all training pictures.
        """

    @abstractmethod
    def _loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch, a scalar."""

    @abstractmethod
    def _largest_batch(self, pictures: Decoded, positions: np.ndarray) -> Batch:
        """Return the batch of pictures at these positions that takes the most memory."""

    @abstractmethod
    def _predict_largest(self, pictures: Decoded, positions: np.ndarray) -> None:
        """Predict as many pictures at a time as validation does."""

    def _step(self, batch: Batch) -> torch.Tensor:
        loss = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), self.max_gradient_norm)
        self.optimizer.step()
        if self._average is not None:
            self._average.update(self.module)
        return loss.detach()

    def _set_rate(self, progress: float) -> None:
        factor = rate_factor(self._training.schedule, min(progress, 1.0))
        set_rate(self.optimizer, factor * self._training.learning_rate)

    def _check_loss(self, total: torch.Tensor, step: int) -> None:
        if not math.isfinite(float(total)):
            raise NonFiniteLoss(f"the loss is {float(total)} in step {step + 1} of epoch {self.epoch + 1}")
