"""A whole trial: what it reports, what it leaves, how it goes on and how it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.object_detection.trained import PARAMETERS, Trained, run_trial
from tests.tasks.supervised import failure

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import shared_pictures
from tunewell.tasks.object_detection.detections import load_detections
from tunewell.tasks.object_detection.learner import DetectionLearner, ahead
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.object_detection.train import create_learner, training_positions
from tunewell.tasks.vision.task_file import Prepared
from tunewell.trial import Failed


def test_a_trial_reports_each_epoch_and_leaves_its_model(trained: Trained) -> None:
    """Each epoch is a report; model and detections are those of the best one."""
    lines = (trained.attempt / "reports.jsonl").read_text().splitlines()
    reports = [json.loads(line) for line in lines]
    annotated = AnnotatedPictures.load(trained.folder / "manifest.json")
    boxes = {"box_map", "box_map50"} if annotated.has_masks else set()
    assert [report["step"] for report in reports] == [1, 2]
    assert all(set(r["metrics"]) == {"map", "map50", "map75", "train_loss", "best_epoch"} | boxes for r in reports)
    assert reports[1]["metrics"]["train_loss"] < reports[0]["metrics"]["train_loss"]
    _, config = load_model(trained.model)
    assert config.parameters == PARAMETERS
    assert config.task == ("instance-segmentation" if annotated.has_masks else "object-detection")
    found = load_detections(trained.attempt / "artifacts" / "detections.json")
    assert tuple(found) == annotated.splits["val"]
    metrics = {n: value for n, value in reports[-1]["metrics"].items() if n not in ("train_loss", "best_epoch")}
    assert config.epoch == 2
    assert config.metrics == metrics
    assert measure(found, annotated) == metrics
    assert 0 <= config.score_threshold <= 1


def test_model_and_value_are_those_of_the_best_epoch(boxes: Trained, tmp_path: Path) -> None:
    """The last report is of the best epoch, and so are the model and the detections that are left."""
    goal = {"TUNEWELL_METRIC": "map50", "TUNEWELL_GOAL": "minimize"}
    reports = run_trial(boxes, tmp_path, **goal)
    own = [metrics["epoch_map50"] for _, metrics in reports]
    metrics = reports[-1][1]
    assert metrics["map50"] == min(own)
    assert metrics["best_epoch"] == (1 if own[0] < own[1] else 2)
    _, config = load_model(tmp_path / "artifacts" / "model")
    assert config.metrics == {name: metrics[name] for name in config.metrics}
    annotated = AnnotatedPictures.load(boxes.folder / "manifest.json")
    assert measure(load_detections(tmp_path / "artifacts" / "detections.json"), annotated) == config.metrics


def test_a_target_ends_the_trial(boxes: Trained, tmp_path: Path) -> None:
    """A trial ends with the report that reaches the target."""
    environment = {"TUNEWELL_METRIC": "map", "TUNEWELL_GOAL": "maximize", "TUNEWELL_TARGET": "0"}
    assert len(run_trial(boxes, tmp_path, **environment)) == 1


def test_going_on_is_as_good_as_never_stopping(boxes: Trained, tmp_path: Path) -> None:
    """Half a training, gone on with from its checkpoint, ends where a whole one does."""
    whole = run_trial(boxes, tmp_path / "whole")
    half = run_trial(boxes, tmp_path / "half", TUNEWELL_FIDELITY="0.5")
    assert half == whole[:1]
    (tmp_path / "rest").mkdir()
    (tmp_path / "half" / "checkpoint").rename(tmp_path / "rest" / "checkpoint")
    assert run_trial(boxes, tmp_path / "rest")[1:] == whole[1:]


def test_other_hyperparameters_go_on_from_a_checkpoint(boxes: Trained, tmp_path: Path) -> None:
    """A child of an evolutionary search may have another learning rate, batch and picture size than its parent."""
    run_trial(boxes, tmp_path / "parent", TUNEWELL_FIDELITY="0.5")
    (tmp_path / "child").mkdir()
    (tmp_path / "parent" / "checkpoint").rename(tmp_path / "child" / "checkpoint")
    changes = {"learning_rate": 3e-4, "batch_size": 2, "image_size": 48, "mosaic": 0.0, "ema": 0.9}
    assert [step for step, _ in run_trial(boxes, tmp_path / "child", changes)] == [2]


@pytest.mark.parametrize("name", ["mosaic", "mixup"])
def test_pictures_are_put_together(name: str, boxes: Trained, tmp_path: Path) -> None:
    """With probability 1 other pictures are learned from than with probability 0."""
    plain = {"mosaic": 0.0, "mixup": 0.0, "epochs": 1, "image_size": 48}
    losses = [
        run_trial(boxes, tmp_path / str(probability), {**plain, name: probability})[0][1]["train_loss"]
        for probability in (0.0, 1.0)
    ]
    assert losses[0] != losses[1]


def test_divergence_has_its_cause(boxes: Trained, tmp_path: Path) -> None:
    """A loss that is no number ends the trial with `non_finite`."""
    with pytest.raises(Failed):
        run_trial(boxes, tmp_path, {"learning_rate": 1e30, "optimizer": "sgd", "momentum": 0.9, "batch_size": 2})
    assert failure(tmp_path)["cause"] == "non_finite"


def test_too_little_memory_has_its_cause(boxes: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without enough memory ends the trial with `gpu_oom`."""

    def train_epoch(*arguments: Any) -> float:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")

    monkeypatch.setattr(DetectionLearner, "train_epoch", train_epoch)
    with pytest.raises(Failed):
        run_trial(boxes, tmp_path)
    assert failure(tmp_path) == {"cause": "gpu_oom", "detail": "CUDA out of memory. Tried to allocate 2 GiB."}


def test_batches_made_ahead_are_the_same() -> None:
    """All batches come, in order; what goes wrong in making one is raised."""
    batches: list[Any] = [[1], [2], [3]]
    assert list(ahead(iter(batches))) == batches
    assert list(ahead(iter([]))) == []

    def broken() -> Iterator[Any]:
        yield [1]
        raise ValueError("no second")

    taken = ahead(broken())
    assert next(taken) == [1]
    with pytest.raises(ValueError, match="no second"):
        next(taken)


@pytest.mark.parametrize("changes", [{}, {"image_size": 36, "tiles": 2}])
def test_a_probe_changes_nothing(changes: dict[str, int], boxes: Trained) -> None:
    """Trying the largest step leaves weights and statistics as they were."""
    prepared = Prepared.load(boxes.task_file)
    annotated = AnnotatedPictures.load(Path(prepared.manifest))
    learner = create_learner(prepared, annotated, {**PARAMETERS, **changes})
    assert learner.image_size == 64
    before = {name: tensor.clone() for name, tensor in learner.module.state_dict().items()}
    learner.probe(shared_pictures(prepared, annotated, 64), np.asarray(annotated.splits["train"]))
    torch.testing.assert_close(dict(learner.module.state_dict()), before, rtol=0, atol=0)
    assert learner.epoch == 0


def test_sampling_takes_some_of_each_class(boxes: Trained) -> None:
    """Half of the data is about half of the pictures, the same for the same seed; all of it is all."""
    annotated = AnnotatedPictures.load(boxes.folder / "manifest.json")
    half = training_positions(annotated, 0.5, 0)
    assert len(half) == 4
    np.testing.assert_array_equal(half, training_positions(annotated, 0.5, 0))
    chosen = np.isin(annotated.splits["train"], half)
    assert annotated.presence("train")[chosen].any(axis=0).all()
    assert training_positions(annotated, 1.0, 0).tolist() == list(annotated.splits["train"])
