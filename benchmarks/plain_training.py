"""The straightforward way to train what `wall_time.py` searches: one process a trial, pictures read again each epoch.

    python benchmarks/plain_training.py DATA --epochs 8 --learning_rate 0.003 …

Same network, input, augmentation, optimiser and schedule as the built-in task. Prints `accuracy=…` after each epoch.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from tunewell.tasks.image_classification.augment import augment, mixup
from tunewell.tasks.image_classification.small_cnn import SmallCnn


def main() -> None:
    """Train one configuration."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    for name in ("epochs", "batch_size", "image_size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("learning_rate", "weight_decay", "label_smoothing", "mixup", "augmentation"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--optimizer", required=True)
    parser.add_argument("--schedule", required=True)
    parser.add_argument("--horizontal_flip", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    import numpy as np

    generator = np.random.default_rng(0)
    size = arguments.image_size
    prepare = transforms.Compose(
        [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    )
    train, val = (datasets.ImageFolder(f"{arguments.data}/{split}", prepare) for split in ("train", "val"))
    loader = DataLoader(train, arguments.batch_size, shuffle=True, drop_last=True)
    module = SmallCnn(len(train.classes))
    rate, decay = arguments.learning_rate, arguments.weight_decay
    if arguments.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            module.parameters(), rate, momentum=arguments.momentum, weight_decay=decay, nesterov=True
        )
    else:
        optimizer = torch.optim.AdamW(module.parameters(), rate, weight_decay=decay)
    steps = arguments.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(arguments.schedule, step / steps))
    for _ in range(arguments.epochs):
        module.train()
        for raw, labels in loader:
            images = augment(raw, arguments.augmentation, arguments.horizontal_flip == "True", generator)
            partners, weight = labels, 1.0
            if arguments.mixup > 0:
                images, order, weight = mixup(images, arguments.mixup, generator)
                partners = labels[order]
            outputs = module(images)
            smooth = arguments.label_smoothing
            loss = weight * functional.cross_entropy(outputs, labels, label_smoothing=smooth)
            loss = loss + (1 - weight) * functional.cross_entropy(outputs, partners, label_smoothing=smooth)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        module.eval()
        with torch.inference_mode():
            hits = sum(int((module(images).argmax(1) == labels).sum()) for images, labels in DataLoader(val, 64))
        print(f"accuracy={hits / len(val)}", flush=True)


def factor(schedule: str, progress: float) -> float:
    """Return the share of the peak learning rate; see `tunewell.tasks.vision.optimization.rate_factor`."""
    if schedule == "one-cycle":
        if progress < 0.25:
            return 1 - 0.96 * 0.5 * (1 + math.cos(math.pi * progress / 0.25))
        return 0.5 * (1 + math.cos(math.pi * (progress - 0.25) / 0.75))
    if progress < 0.05:
        return progress / 0.05
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))


if __name__ == "__main__":
    main()
