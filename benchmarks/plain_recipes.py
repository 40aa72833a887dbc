"""The default configuration against the usual recipes: same network, weights, epochs, batch and image size, pictures.

    ./dev bench plain_recipes --folder FOLDER --sets sign_digits,bccd --seeds 3

For classifiers the recipes are that of timm's training script (crops of pictures, optimiser and schedule at their
defaults), and the same with AdamW at a rate of 1e-3. For detectors it is torchvision's reference script: SGD at 0.02
for 16 pictures, a warm-up in the first epoch, steps at 8/13 and 11/13 of the epochs, pictures mirrored at random.

Needs the data sets, and keeps what it finds in FOLDER, as `data_sets.py` does, whose default trainings it shares:
ended in the middle, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch import nn

from data_sets import DEFAULT, SETS, Bench
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.train import create_learner as create_classifier
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.finding import find_all, to_input
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.samples import Changes, change, fill_up
from tunewell.tasks.object_detection.train import create_learner as create_detector
from tunewell.tasks.vision.task_file import Prepared

_CPU = torch.device("cpu")


def train_classifier(prepared: Prepared, parameters: dict[str, Any], seed: int, optimizer: str) -> dict[str, float]:
    """Return what timm's recipe reaches on each split, by the metrics of the task."""
    manifest = load_manifest(Path(prepared.manifest))
    learner = create_classifier(prepared, manifest, {**parameters, "backbone": "fine-tuned"})
    module, config, side = learner.module, learner.config, learner.image_size
    looks: dict[str, Any] = {"input_size": side, "mean": config.mean, "std": config.std}
    change_at_random, as_is = create_transform(**looks, is_training=True), create_transform(**looks, crop_pct=1.0)
    labels, size, epochs = manifest.targets(), int(parameters["batch_size"]), int(parameters["epochs"])
    positions = np.asarray(manifest.splits["train"])
    steps = len(positions) // size
    rate = 0.1 * size / 256 if optimizer == "sgd" else 1e-3
    update = create_optimizer_v2(module, opt=optimizer, lr=rate, weight_decay=2e-5, momentum=0.9)
    warm_up = min(5, epochs // 2)
    schedule = CosineLRScheduler(update, t_initial=epochs, warmup_t=warm_up, warmup_lr_init=1e-5)
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    for epoch in range(epochs):
        module.train()
        schedule.step(epoch)
        order = generator.permutation(positions)
        for part in order[: steps * size].reshape(steps, size):
            images = torch.stack([change_at_random(_opened(manifest, position)) for position in part.tolist()])
            loss = learner.config.kind.loss(module(images), torch.from_numpy(labels[part]), 0.1, None)
            update.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            update.step()
    module.eval()
    kind, found, thresholds = config.kind, {}, None
    for split in ("val", "test"):
        chosen = np.asarray(manifest.splits[split])
        with torch.inference_mode():
            outputs = [module(as_is(_opened(manifest, position))[None])[0].numpy() for position in chosen.tolist()]
        thresholds = kind.thresholds(np.stack(outputs), labels[chosen]) if thresholds is None else thresholds
        found[split] = kind.measure(np.stack(outputs), labels[chosen], thresholds)
    return found


def _opened(manifest: LabelledPictures, position: int) -> Image.Image:
    with Image.open(manifest.path(position)) as image:
        return image.convert("RGB")


def train_detector(prepared: Prepared, parameters: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return what torchvision's recipe reaches on each split, by the metrics of the task."""
    annotated = AnnotatedPictures.load(Path(prepared.manifest))
    learner = create_detector(prepared, annotated, parameters)
    module, config = learner.module, learner.config
    pictures = shared_pictures(prepared, annotated, learner.image_size)
    shape = (config.frame.height, config.frame.width)
    size, epochs = int(parameters["batch_size"]), int(parameters["epochs"])
    positions = np.asarray(annotated.splits["train"])
    trained = [tensor for tensor in module.parameters() if tensor.requires_grad]
    rate = 0.02 * size / 16
    update = torch.optim.SGD(trained, lr=rate, momentum=0.9, weight_decay=1e-4)
    steps = math.ceil(len(positions) / size)
    warm_up = min(1000, steps - 1)
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    for epoch in range(epochs):
        learner._start_training()  # frozen batch normalisations stay so, as in torchvision
        decay = 0.1 ** sum(epoch >= share * epochs for share in (8 / 13, 11 / 13))
        order = generator.permutation(positions)
        for step in range(steps):
            rising = min(1.0, 1e-3 + (1 - 1e-3) * step / warm_up) if epoch == 0 and warm_up else 1.0
            for group in update.param_groups:
                group["lr"] = rate * decay * rising
            part = order[step * size : (step + 1) * size].tolist()
            samples = [_flipped(pictures, position, shape, generator) for position in part]
            images = [to_input(sample.pixels, _CPU) for sample in samples]
            losses = module(images, [learner._target(sample) for sample in samples])
            update.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            update.step()
    module.eval()
    return {split: _measured(module, config, pictures, annotated, split) for split in ("val", "test")}


def _flipped(pictures: DecodedPictures, position: int, shape: tuple[int, int], generator: np.random.Generator) -> Any:
    return fill_up(change(pictures.sample(position), Changes(True, 0.0, 0.0), shape, generator), shape)


def _measured(
    module: nn.Module, config: Any, pictures: DecodedPictures, annotated: AnnotatedPictures, split: str
) -> dict[str, float]:
    return measure(find_all(module, config, pictures, annotated.splits[split], _CPU), annotated)


def recipes(task: str) -> dict[str, Callable[[Prepared, dict[str, Any], int], dict[str, Any]]]:
    """Return the recipes for a task by name."""
    if task.endswith("classification"):
        return {
            "timm": lambda prepared, parameters, seed: train_classifier(prepared, parameters, seed, "sgd"),
            "timm, AdamW": lambda prepared, parameters, seed: train_classifier(prepared, parameters, seed, "adamw"),
        }
    return {"torchvision": train_detector}


def main() -> None:
    """Print what the default reaches, and each recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--sets", default=",".join(SETS), help="which, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("TUNEWELL_SHARED", root.parent / "shared")).resolve() / "datasets"
    if not data.is_dir():
        sys.exit(f"{data}: the data sets are not there; set TUNEWELL_SHARED to the folder that holds datasets")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    bench = Bench(arguments.folder, data)
    for name in arguments.sets.split(","):
        tests: dict[str, list[float]] = {}
        for seed in range(arguments.seeds):
            for way, (value, test) in compare(bench, name, seed).items():
                tests.setdefault(way, []).append(test)
                print(f"{name:26}{way:14}seed {seed}: validation {value:.3f}, test {test:.3f}", flush=True)
        for way, found in tests.items():
            print(f"{name:26}{way:14}mean test {statistics.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")


def compare(bench: Bench, name: str, seed: int) -> dict[str, tuple[float, float]]:
    """Return way → objective on validation and test pictures of the default configuration and of the recipes."""
    default = bench.found(name, DEFAULT, seed)
    experiment = f"{name}-{DEFAULT}-{seed}"
    prepared = Prepared.load(bench.folder / "experiments" / experiment / "task.json")
    objective = default.objective
    ways = {DEFAULT: (default.value, default.test)}
    kept = bench.folder / f"{name}-recipes-{seed}.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    for recipe, train in recipes(SETS[name].task).items():
        if recipe not in known:
            found = train(prepared, default.parameters, seed)
            known[recipe] = [found["val"][objective], found["test"][objective]]
            kept.write_text(json.dumps(known))
        ways[recipe] = tuple(known[recipe])
    return ways


if __name__ == "__main__":
    main()
