"""A few steps tell how long a training takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from tests.tasks.image_classification.trained import write_pictures
from tests.tasks.object_detection.dots import write_dots
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.supervised import run_job

from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.object_detection import train
from tunewell.tasks.object_detection.frames import frame_for
from tunewell.tasks.object_detection.learner import DetectionLearner
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.task import ObjectDetection
from tunewell.tasks.vision import timing
from tunewell.tasks.vision.best_epoch import Validated
from tunewell.tasks.vision.learner import NonFiniteLoss
from tunewell.tasks.vision.timing import Parts, measure, time_parts
from tunewell.tasks.vision.training import Training


@pytest.mark.timeout(240)
def test_a_detector_is_measured(tmp_path: Path) -> None:
    """With as many epochs and steps as a trial has; the data set is left as it was, and nothing is reported."""
    data = write_coco(tmp_path / "scenes", make_scenes({"train": 8, "val": 3}))
    before = sorted(data.rglob("*"))
    found, reports = measured(tmp_path / "job", data, {"epochs": 4, "batch_size": 3}, sampling=0.75)
    assert (found["epochs"], found["steps"]) == (4, 2)
    assert found["step_seconds"] > 0 and found["validation_seconds"] > 0
    assert found["pass_seconds"] > 0
    assert reports == [] and sorted(data.rglob("*")) == before


@pytest.mark.timeout(240)
def test_the_network_that_is_measured_is_that_of_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frame, its detections and the steps of an epoch are those of the whole set, though a part is decoded."""
    data = write_dots(tmp_path / "dots", {"train": 6, "val": 1}, (200, 60), 4, 90)
    write_dots(data, {"test": 1}, (60, 200), 4, 20)
    full = _leave_one_full(data / "annotations" / "instances_train.json")
    begun: list[Training] = []
    begin = train.begin

    def noted(*given: Any) -> Training:
        begun.append(begin(*given))
        return begun[-1]

    monkeypatch.setattr(train, "begin", noted)
    found, _ = measured(tmp_path / "job", data, {"epochs": 1, "batch_size": 2, "tiles": 2})
    config = cast(DetectionLearner, begun[0].learner).config
    annotated = ObjectDetection().read(data, 0)
    assert full in annotated.paths and full not in begun[0].pictures.annotated.paths
    assert len(begun[0].positions) == 2
    assert config.frame == frame_for(architecture("faster-rcnn-lite0"), annotated.sizes, 64)
    assert config.detections == 150
    assert found["steps"] == ObjectDetection().items(annotated, {"image_size": 64, "tiles": 2}) // 2 > 6


@pytest.mark.timeout(240)
def test_decoding_is_measured_by_a_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass through all pictures takes as much longer as there are more of them than were decoded, at each size."""
    clock = Clock()
    decoding: list[int] = []

    def decode_set(pictures: Any, sizes: Sequence[int], *rest: Any) -> Any:
        decoding.append(len(pictures.paths))
        clock.work(3.0 * len(sizes))
        return real(pictures, sizes, *rest)

    real = timing.decode_set
    monkeypatch.setattr(timing, "decode_set", decode_set)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=clock.now))
    data = write_pictures(tmp_path / "digits", {"train": 300, "val": 20})
    found, _ = measured(
        tmp_path / "job",
        data,
        {"batch_size": 16, "epochs": 1, "image_size": 32},
        task="image-classification",
        network="small-cnn",
    )
    assert decoding == [16 + 20]
    assert found["pass_seconds"] == pytest.approx(3.0 * 320 / 36)


@pytest.mark.parametrize("backbone", ["frozen", "fine-tuned"])
def test_features_that_are_kept_are_computed_once(tmp_path: Path, backbone: str) -> None:
    """Of a frozen backbone whose pictures never change, the time of the first look at all of them is told apart."""
    data = write_pictures(tmp_path / "digits", {"train": 60, "val": 20})
    unchanged = {"augmentation": 0.0, "horizontal_flip": False, "batch_size": 16, "epochs": 5}
    chosen = {**unchanged, "image_size": 32, "backbone": backbone}
    found, _ = measured(tmp_path / "job", data, chosen, task="image-classification", network="efficientnet-lite0")
    assert (found["once_seconds"] > 0) == (backbone == "frozen")
    assert found["step_seconds"] > 0 and found["steps"] == 3


def _leave_one_full(file: Path) -> str:
    """Leave of the objects of a COCO file all in one picture, and a few in each other; return its path."""
    content = json.loads(file.read_text())
    full = content["images"][-1]
    content["annotations"] = [
        one for number, one in enumerate(content["annotations"]) if one["image_id"] == full["id"] or number % 10 == 0
    ]
    file.write_text(json.dumps(content))
    return f"images/{full['file_name']}"


def measured(
    folder: Path, data: Path, parameters: Mapping[str, Any], **fields: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the job finds of a detector, unless another one is named, on these data, and its reports."""
    usual_fields = {"task": "object-detection", "network": "faster-rcnn-lite0"}
    raw: dict[str, Any] = {"name": "e", "data": str(data), **usual_fields, **fields}
    spec = parse_spec(task_for(raw).complete(raw)).model_dump(mode="json")
    usual = {"image_size": 64, "learning_rate": 1e-3, "optimizer": "adamw", "weight_decay": 0.01}
    reports = run_job(measure, folder, spec=spec, seconds=1.0, parameters={**usual, "schedule": "cosine", **parameters})
    return json.loads((folder / "result.json").read_text()), reports


class Clock:
    """A time that passes when somebody works."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def work(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


class Worker:
    """A learner and its validation, whose first times take longer than others."""

    epoch = 0
    looks_once = False

    def __init__(self, clock: Clock, steps: int, step: float, validation: float, saving: float) -> None:
        self.clock, self.steps, self.step, self.validation, self.saving = clock, steps, step, validation, saving
        self.started = self.validated = 0

    def train_epoch(self, pictures: Any, positions: Any, on_step: Callable[[], None]) -> float:
        """Do the steps of an epoch; the last one has no finite loss."""
        del pictures, positions
        for _ in range(self.steps):
            on_step()
            self.started += 1
            self.clock.work(10 * self.step if self.started == 1 else self.step)
        raise NonFiniteLoss

    def validate(self) -> Validated:
        """Measure."""
        self.validated += 1
        self.clock.work(5 * self.validation if self.validated == 1 else self.validation)
        return Validated({}, lambda epoch, note: self.clock.work(self.saving))


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_what_is_slow_at_first_does_not_count(steps: int) -> None:
    """Steps are told apart, however many an epoch of a few pictures has; writing is told apart from measuring."""
    clock = Clock()
    worker = Worker(clock, steps, 0.25, 1.0, 7.0)
    training = Training(cast(Any, worker), None, np.zeros(1), worker.validate)
    assert time_parts(training, 8.0, clock.now) == Parts(step=0.25, validation=1.0, saving=7.0, first_look=4.0)
    assert worker.started == 6


def test_slow_ones_are_done_once() -> None:
    """After the time is up, a step and a validation are what there is."""
    clock = Clock()
    worker = Worker(clock, 40, 3.0, 2.0, 0.5)
    training = Training(cast(Any, worker), None, np.zeros(1), worker.validate)
    assert time_parts(training, 8.0, clock.now) == Parts(step=30.0, validation=10.0, saving=0.5, first_look=0.0)
    assert (worker.started, worker.validated) == (1, 1)
