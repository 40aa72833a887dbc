"""A small experiment on generated pictures, for the tests of trials and of what comes after a search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.supervised import run

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection.train import train

SPLITS = {"train": 8, "val": 4, "test": 3}
NETWORKS = {"object-detection": "faster-rcnn-lite0", "instance-segmentation": "mask-rcnn-lite0"}
PARAMETERS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 4,
    "optimizer": "adamw",
    "weight_decay": 1e-4,
    "schedule": "one-cycle",
    "horizontal_flip": True,
    "color_jitter": 0.1,
    "scale_jitter": 0.1,
    "mosaic": 0.2,
    "mixup": 0.2,
    "anchor_scale": 0.8,
    "anchor_ratio": 1.5,
    "image_size": 64,
    "epochs": 2,
}


@dataclass(frozen=True)
class Trained:
    """An experiment with one trial that has ended."""

    data: Path
    #: The experiment's folder.
    folder: Path

    @property
    def task_file(self) -> Path:
        """What `prepare` left."""
        return self.folder / "task.json"

    @property
    def attempt(self) -> Path:
        """Folder of the trial's only attempt."""
        return self.folder / "trials" / "1" / "1"

    @property
    def model(self) -> Path:
        """The trial's model."""
        return self.attempt / "artifacts" / "model"


def prepare(home: Path, task: str = "object-detection", data: Path | None = None, **fields: Any) -> Trained:
    """Write small pictures and prepare an experiment on them in the folder `home`."""
    data = data or write_coco(prepared(home).data, make_scenes(SPLITS))
    raw = {"name": "e", "task": task, "data": str(data), "weights": "none", "parameters": {"image_size": [64, 48]}}
    spec = parse_spec(task_for(raw).complete({**raw, **fields}))
    task_for(raw).prepare(
        spec, task_for(raw).space(spec, Capacity(())), home / "e", home / "cache", lambda what, done, total: None
    )
    return Trained(data, prepared(home).folder)


def prepared(home: Path) -> Trained:
    """Return the experiment that `prepare` has made in the folder `home`, on pictures of its own."""
    return Trained(home / "data", home / "e")


def lenient(model: Path, folder: Path, threshold: float = 0.1) -> Path:
    """Return a copy of a model in `folder`, with a threshold that the little it learned is enough for."""
    shutil.copytree(model, folder)
    config = folder / "model.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "score_threshold": threshold}))
    return folder


def run_trial(
    trained: Trained, folder: Path, changes: Mapping[str, Any] | None = None, **environment: str
) -> list[Any]:
    """Run a trial in this process; return its reports as (step, metrics)."""
    run(train, folder, {**PARAMETERS, **(changes or {})}, TUNEWELL_TASK_FILE=str(trained.task_file), **environment)
    lines = map(json.loads, (folder / "reports.jsonl").read_text().splitlines())
    return [(line["step"], line["metrics"]) for line in lines]
