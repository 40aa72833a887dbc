"""What the tasks declare, check and prepare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.object_detection.trained import NETWORKS, Trained, prepare

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import ConflictError, SpecError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection.task import InstanceSegmentation, ObjectDetection
from tunewell.tasks.vision.task_file import Prepared

TASKS = {"object-detection": ObjectDetection, "instance-segmentation": InstanceSegmentation}


def spec(data: Path | str = "data", task: str = "object-detection", **fields: Any) -> ExperimentSpec:
    """Return a complete spec."""
    raw = {"name": "e", "task": task, "data": str(data), **fields}
    return parse_spec(task_for(raw).complete(raw))


@pytest.mark.parametrize("task", TASKS)
def test_defaults(task: str) -> None:
    """The default objective is COCO's mean average precision, the default network a light one."""
    completed = spec(task=task)
    assert (completed.objective.metric, completed.objective.goal) == ("map", "maximize")
    assert completed.network == NETWORKS[task]
    defaults = TASKS[task]().space(completed, Capacity(())).default()
    assert defaults is not None and defaults["epochs"] == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "mask-rcnn-lite0"}, "It is one of the task instance-segmentation."),
        ({"objective": "accuracy"}, "objective.metric: this task does not report 'accuracy'."),
        ({"parameters": {"image_size": [16]}}, "parameters.image_size: 16 is outside 32"),
        ({"parameters": {"frozen_stages": {"low": 0, "high": 6}}}, "parameters.frozen_stages: 6 is outside 0 … 5"),
        ({"parameters": {"frozen_stages": 1}, "weights": "none"}, "there is nothing to keep. Drop one of the two."),
        ({"network": "fcos-lite0", "parameters": {"anchor_scale": 1}}, "there is no such parameter here"),
    ],
)
def test_bad_specs(fields: dict[str, Any], message: str) -> None:
    """What training can't follow is refused, with the field."""
    with pytest.raises(SpecError) as caught:
        given = spec(**fields)
        ObjectDetection().space(given, Capacity(()))
    assert message in str(caught.value)


def test_masks_have_metrics_of_their_own() -> None:
    """Segmentation may be searched by the boxes too."""
    assert spec(task="instance-segmentation", objective="box_map").objective.goal == "maximize"


def test_listing_needs_no_libraries() -> None:
    """Importing the task imports neither PyTorch nor Pillow: a base install can list and refuse it."""
    code = (
        "import sys, tunewell.tasks.object_detection.task; "
        "names = ('torch', 'torchvision', 'timm', 'PIL', 'safetensors', 'faster_coco_eval'); "
        "sys.exit(any(name in sys.modules for name in names))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_check_describes_the_data(tmp_path: Path) -> None:
    """Pictures, objects and classes are counted without decoding anything."""
    lines = ObjectDetection().check(spec(write_coco(tmp_path, make_scenes())))
    assert lines[0].startswith("Pictures: 6 train, 3 val, 2 test;")
    assert lines[1].startswith("Objects: ") and lines[1].endswith("in 2 classes.")
    assert lines[2].startswith("By class (train + val + test): ")
    assert "Network: faster-rcnn-lite0." in lines


def test_preparing_twice_is_quick_and_a_changed_set_is_refused(tmp_path: Path) -> None:
    """A second call changes nothing; another data set under a running experiment is a conflict."""
    prepared = prepare(tmp_path)
    written = prepared.task_file.stat().st_mtime_ns
    prepare(tmp_path, data=prepared.data)
    assert prepared.task_file.stat().st_mtime_ns == written
    found = Prepared.load(prepared.task_file)
    assert set(found.pixels) == {48, 64}
    assert json.loads(Path(found.manifest).read_text())["classes"] == ["disc", "square"]
    (prepared.data / "images" / "train0.png").write_bytes((prepared.data / "images" / "train1.png").read_bytes())
    with pytest.raises(ConflictError, match="the data set has changed since experiment 'e' began"):
        prepare(tmp_path, data=prepared.data)


def test_annotations_count_as_data(boxes: Trained, tmp_path: Path) -> None:
    """Changed annotations under a running experiment are a conflict too."""
    prepared = prepare(tmp_path)
    path = prepared.data / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] += 2
    path.write_text(json.dumps(content))
    with pytest.raises(ConflictError):
        prepare(tmp_path, data=prepared.data)
