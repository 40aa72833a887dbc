"""A detector in training: epochs over memory-mapped pictures, and detections.

Symbols: N pictures in a data set, B in a batch, n objects in a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from tunewell.tasks.object_detection.building import batch_norms, freeze
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.finding import find_all, to_input
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.model import ModelConfig
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.samples import Changes, Sample, change, fill_up, mixup, mosaic
from tunewell.tasks.object_detection.tiling import decoded_side
from tunewell.tasks.vision.device import on_device
from tunewell.tasks.vision.learner import Learner

_MOSAIC_PICTURES = 4
#: Shares of blended pictures follow Beta(this, this): Zhang et al. 2019, arXiv:1902.04103, section 3.1.
_MIXUP_ALPHA = 1.5


class DetectionLearner(Learner[DecodedPictures, Sequence[Sample]]):
    """Trains a detector."""

    # Detectors start with large gradients.
    max_gradient_norm: ClassVar[float] = 10.0

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
        design = architecture(config.network)
        self._fixed: Sequence[nn.Module] = batch_norms(module) if pretrained else ()
        if pretrained:
            freeze(module, design.stages(module)[: hyperparameters.frozen_stages])
        super().__init__(on_device(module, device), hyperparameters, seed, device)
        self.config = config
        self.hyperparameters = hyperparameters
        self._first_label = int(design.has_background)
        self._shape = (config.frame.height, config.frame.width)

    @property
    def image_size(self) -> int:
        """Return the side of the pictures that tiles are cut from, in pixels."""
        return decoded_side(self.hyperparameters.image_size, self.hyperparameters.tiles)

    def train_epoch(
        self, pictures: DecodedPictures, positions: np.ndarray, on_step: Callable[[], None] = lambda: None
    ) -> float:
        """Train on each picture, or on what its tiles show, once; see `Learner` and `dataset`."""
        tiled = replace(pictures, tiles=self.hyperparameters.tiles)
        generator = np.random.default_rng((self.seed, self.epoch, 1))
        return super().train_epoch(tiled, tiled.items(positions, generator), on_step)

    def detect(self, pictures: DecodedPictures, positions: np.ndarray) -> dict[int, Detections]:
        """Return what the network finds in the pictures at these positions, as they are."""
        return find_all(self.result.eval(), self.config, pictures, positions.tolist(), self.device)

    def _start_training(self) -> None:
        self.module.train()
        for part in self._fixed:
            part.eval()

    def _batches(
        self, pictures: DecodedPictures, chosen: np.ndarray, positions: np.ndarray, generator: np.random.Generator
    ) -> Iterator[Sequence[Sample]]:
        batches = (list(self._samples(pictures, part, positions, generator)) for part in chosen)
        # A GPU needs not wait for its pictures; without one there is no core to spare.
        return batches if self.device.type == "cpu" else ahead(batches)

    def _largest_batch(self, pictures: DecodedPictures, positions: np.ndarray) -> Sequence[Sample]:
        tiled = replace(pictures, tiles=self.hyperparameters.tiles)
        crowded = _most_crowded(pictures, positions, self.hyperparameters.batch_size).tolist()
        return [fill_up(tiled.sample(tiled.fullest_item(position)), self._shape) for position in crowded]

    def _predict_largest(self, pictures: DecodedPictures, positions: np.ndarray) -> None:
        self.detect(pictures, _most_crowded(pictures, positions, 1))

    def _samples(
        self, pictures: DecodedPictures, chosen: np.ndarray, positions: np.ndarray, generator: np.random.Generator
    ) -> Iterator[Sample]:
        """Yield changed samples in their frames, each a picture or a mosaic of several, or two such things blended."""
        for position in chosen.tolist():
            sample = self._sample(pictures, position, positions, generator)
            if self.hyperparameters.mixup > 0 and generator.uniform() < self.hyperparameters.mixup:
                other = self._sample(pictures, int(generator.choice(positions)), positions, generator)
                sample = mixup(sample, other, generator.beta(_MIXUP_ALPHA, _MIXUP_ALPHA))
            yield fill_up(sample, self._shape)

    def _sample(
        self, pictures: DecodedPictures, position: int, positions: np.ndarray, generator: np.random.Generator
    ) -> Sample:
        """Return a changed picture, or mosaic of it with three others."""
        own = self.hyperparameters
        changes = Changes(own.horizontal_flip, own.color_jitter, own.scale_jitter)
        if own.mosaic > 0 and generator.uniform() < own.mosaic:
            others = generator.choice(positions, _MOSAIC_PICTURES - 1).tolist()
            four = [pictures.sample(one) for one in (position, *others)]
            sample = mosaic([four[place] for place in generator.permutation(len(four))], self._shape)
        else:
            sample = pictures.sample(position)
        return change(sample, changes, self._shape, generator)

    def _loss(self, batch: Sequence[Sample]) -> torch.Tensor:
        images = [to_input(sample.pixels, self.device) for sample in batch]
        targets = [self._target(sample) for sample in batch]
        losses = self.module(images, targets)
        return torch.stack(list(losses.values())).sum()

    def _target(self, sample: Sample) -> dict[str, torch.Tensor]:
        target = {
            "boxes": torch.from_numpy(sample.boxes).to(self.device),
            "labels": torch.from_numpy(sample.labels + self._first_label).to(self.device),
        }
        if sample.masks is not None:
            target["masks"] = torch.from_numpy(np.ascontiguousarray(sample.masks)).to(self.device)
        return target


def _most_crowded(pictures: DecodedPictures, positions: np.ndarray, number: int) -> np.ndarray:
    """Return the positions of so many pictures, those with the most objects."""
    counts = [len(pictures.annotated.objects[position]) for position in positions.tolist()]
    crowded: np.ndarray = positions[np.argsort(counts)[::-1][:number]]
    return crowded


def ahead(batches: Iterator[list[Sample]]) -> Iterator[list[Sample]]:
    """Yield the same batches, each one made in another thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
