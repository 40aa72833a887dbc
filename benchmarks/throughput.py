"""Training steps a second of the built-in tasks against a bare PyTorch loop, in the same run.

    ./dev bench throughput --networks small-cnn,efficientnet-lite0 --image-size 64 --batch-size 32

The bare loop has the same network, batch, optimiser and precision, and its pictures ready in memory as normalised
tensors: forward, loss, backward, step, and nothing else. Tunewell's learner takes them from the memory-mapped cache of
decoded pictures, normalises and augments them, clips gradients, schedules the rate and watches the loss. Both take
turns; the ratio is of medians (1: as fast as the bare loop). Detection networks get random pictures with ten objects
each. With a GPU, its use while Tunewell trains is told, too, as `nvidia-smi` sees it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks.image_classification import networks as classification
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import ClassificationLearner, Pictures
from tunewell.tasks.image_classification.model import ModelConfig, build_module, normalize
from tunewell.tasks.object_detection import networks as detection
from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.finding import to_input
from tunewell.tasks.object_detection.frames import Frame
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters as DetectionHyperparameters
from tunewell.tasks.object_detection.learner import DetectionLearner
from tunewell.tasks.object_detection.model import ModelConfig as DetectionConfig
from tunewell.tasks.object_detection.model import module_for, task_of
from tunewell.tasks.object_detection.samples import fill_up
from tunewell.tasks.vision.device import best_device, configure_torch, mixed_precision, on_device
from tunewell.tasks.vision.optimization import create_optimizer

CLASSES = tuple("abcdefghij")
OBJECTS = 10


@dataclass(frozen=True)
class Contest:
    """The same training twice."""

    #: Train for one epoch.
    own: Callable[[], object]
    #: One step of the bare loop.
    bare: Callable[[], object]
    #: Steps in an epoch.
    steps: int


def classification_contest(network: str, arguments: argparse.Namespace, device: torch.device) -> Contest:
    """Return the contest of a network that classifies."""
    size, batch, steps = arguments.image_size, arguments.batch_size, arguments.steps
    design = classification.architecture(network)
    hyperparameters = Hyperparameters.from_configuration(
        {**defaults(design.network.space), "image_size": size, "batch_size": batch, "epochs": 1000}
    )
    if arguments.plain:
        hyperparameters = replace(hyperparameters, augmentation=0.0, horizontal_flip=False, mixup=0.0)
    labels = np.arange(batch * steps) % len(CLASSES)
    config = ModelConfig(network=network, classes=CLASSES, image_size=size, mean=design.mean, std=design.std)
    learner = ClassificationLearner(build_module(network, len(CLASSES)), config, hyperparameters, 0, device)
    module = on_device(build_module(network, len(CLASSES)), device).train()
    optimizer = create_optimizer(module, hyperparameters)
    pixels = random_pixels(batch * steps, size)
    images = normalize(torch.from_numpy(pixels[:batch]).to(device), config)
    targets = torch.from_numpy(labels[:batch]).to(device)

    def bare() -> None:
        with mixed_precision(device):
            outputs = module(images)
        loss = functional.cross_entropy(outputs.float(), targets, label_smoothing=hyperparameters.label_smoothing)
        step(optimizer, loss)

    everything = np.arange(batch * steps)
    return Contest(lambda: learner.train_epoch(Pictures(pixels, labels), everything), bare, steps)


def detection_contest(network: str, arguments: argparse.Namespace, device: torch.device) -> Contest:
    """Return the contest of a network that finds objects, with masks if it wants them."""
    size, batch, steps = arguments.image_size, arguments.batch_size, arguments.steps
    hyperparameters = DetectionHyperparameters.from_configuration(
        {
            **defaults(detection.architecture(network).network.space),
            "image_size": size,
            "batch_size": batch,
            "epochs": 1000,
        }
    )
    if arguments.plain:
        hyperparameters = replace(
            hyperparameters, horizontal_flip=False, color_jitter=0.0, scale_jitter=0.0, mosaic=0.0
        )
    config = DetectionConfig(network=network, classes=CLASSES, frame=Frame.square(size), task=task_of(network))
    with_masks = config.task == "instance-segmentation"
    pictures = DecodedPictures(random_pixels(batch * steps, size), random_objects(batch * steps, size, with_masks))
    learner = DetectionLearner(module_for(config), config, hyperparameters, 0, device, pretrained=False)
    module = on_device(module_for(config), device).train()
    optimizer = create_optimizer(module, hyperparameters)
    shape = (config.frame.height, config.frame.width)
    samples = [fill_up(pictures.sample(position), shape) for position in range(batch)]
    images = [to_input(sample.pixels, device) for sample in samples]
    targets = [learner._target(sample) for sample in samples]

    def bare() -> None:
        step(optimizer, torch.stack(list(module(images, targets).values())).sum())

    return Contest(lambda: learner.train_epoch(pictures, np.arange(batch * steps)), bare, steps)


def defaults(space: SearchSpace) -> Configuration:
    """Return the default configuration of a network."""
    default = space.default()
    assert default is not None
    return default


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Move all weights once."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def random_pixels(count: int, size: int) -> np.ndarray:
    """Return pictures in a memory map, uint8 (count, size, size, 3), as the cache gives them."""
    shape = (count, size, size, 3)
    with tempfile.TemporaryFile() as file:
        pixels: np.ndarray = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
    pixels[:] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return pixels


def random_objects(count: int, size: int, with_masks: bool) -> AnnotatedPictures:
    """Return pictures with objects of an eighth to a half of their side."""
    generator = np.random.default_rng(0)
    objects = []
    for _ in range(count):
        extent = generator.uniform(size / 8, size / 2, (OBJECTS, 2))
        corner = generator.uniform(0, size - extent)
        boxes = np.concatenate([corner, corner + extent], axis=1)
        masks = tuple([[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in boxes.tolist()) if with_masks else None
        objects.append(Objects(boxes, np.arange(OBJECTS) % len(CLASSES), np.zeros(OBJECTS, dtype=bool), masks))
    return AnnotatedPictures(
        folder=Path(),
        paths=tuple(map(str, range(count))),
        splits={"train": tuple(range(count))},
        classes=CLASSES,
        sizes=((size, size),) * count,
        objects=tuple(objects),
    )


class GpuUse:
    """Percent of the time in which the GPU computes, asked for every half second while the block runs."""

    def __enter__(self) -> GpuUse:
        """Begin to ask."""
        self.percents: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop asking."""
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        program = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._over.wait(0.5):
            self.percents.append(float(subprocess.check_output(program, text=True).split()[0]))


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Return how long it takes until the device is done with it."""
    started = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Print a row a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="small-cnn,resnet18,efficientnet-lite0", help="separated by commas")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="steps of an epoch")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each")
    parser.add_argument("--plain", action="store_true", help="without augmentation")
    arguments = parser.parse_args()
    configure_torch()
    device = best_device()
    print(f"{'network':24}{'steps/s':>9}{'bare':>9}{'ratio':>8}{'GPU busy':>10}")
    for network in arguments.networks.split(","):
        contest_of = classification_contest if network in classification.ARCHITECTURES else detection_contest
        contest = contest_of(network, arguments, device)

        def bare_epoch(contest: Contest = contest) -> None:
            for _ in range(contest.steps):
                contest.bare()

        own, bare = [], []
        for _ in range(arguments.rounds + 1):
            own.append(seconds(contest.own, device))
            bare.append(seconds(bare_epoch, device))
        # The first round warms up.
        rates = [contest.steps / statistics.median(times[1:]) for times in (own, bare)]
        busy = "–"
        if device.type == "cuda":
            with GpuUse() as use:
                until = time.monotonic() + 10
                while time.monotonic() < until:
                    contest.own()
            busy = f"{statistics.median(use.percents):.0f} %"
        print(f"{network:24}{rates[0]:9.2f}{rates[1]:9.2f}{rates[0] / rates[1]:8.2f}{busy:>10}", flush=True)


if __name__ == "__main__":
    main()
