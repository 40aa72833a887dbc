"""A few steps tell how long a training of detectors takes, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.supervised import run_job

from tunewell.spec.experiment import parse_spec
from tunewell.tasks.object_detection.task import ObjectDetection
from tunewell.tasks.vision.timing import measure


@pytest.mark.timeout(240)
def test_a_detector_is_measured(tmp_path: Path) -> None:
    """With as many epochs and steps as a trial has; the data set is left as it was, and nothing is reported."""
    data = write_coco(tmp_path / "scenes", make_scenes({"train": 8, "val": 3}))
    before = sorted(data.rglob("*"))
    raw: dict[str, Any] = {
        "name": "scenes",
        "task": "object-detection",
        "network": "faster-rcnn-lite0",
        "data": str(data),
        "sampling": 0.75,
        "weights": "none",
    }
    spec = parse_spec(ObjectDetection().complete(raw))
    configuration = {"epochs": 4, "image_size": 64, "batch_size": 3, "learning_rate": 1e-3, **OTHERS}
    folder = tmp_path / "job"
    reports = run_job(measure, folder, spec=spec.model_dump(mode="json"), seconds=1.0, parameters=configuration)
    found = json.loads((folder / "result.json").read_text())
    assert (found["epochs"], found["steps"]) == (4, 2)
    assert found["step_seconds"] > 0 and found["validation_seconds"] > 0
    assert reports == [] and sorted(data.rglob("*")) == before


#: What else a configuration has.
OTHERS: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "one-cycle"}
