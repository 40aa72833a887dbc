"""Dots that are too small in the whole picture: tiles find them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tasks.object_detection.dots import write_dots
from tests.tasks.object_detection.trained import PARAMETERS, Trained, prepare, run_trial
from tests.tasks.supervised import run_job

from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.object_detection.retrain import retrain

SIDE = 96
#: With this a network learns what can be seen.
LEARNED = {
    "image_size": SIDE,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "frozen_stages": 2,
    "anchor_scale": 1.0,
    "anchor_ratio": 1.3,
    "color_jitter": 0.0,
    "scale_jitter": 0.0,
    "mosaic": 0.0,
    "mixup": 0.0,
}


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment on dots that are 3 pixels large at the image size, and 8 in 3 x 3 tiles. To be read only."""
    home = tmp_path_factory.mktemp("home")
    data = write_dots(home / "data", {"train": 8, "val": 3, "test": 2}, (384, 288), 12, 12)
    return prepare(home, data=data, weights="auto", parameters={"image_size": [SIDE], "tiles": [1, 3]})


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_tiles_find_dots_that_are_lost_without(dots: Trained, tmp_path: Path) -> None:
    """After as many steps, tiles show most dots that few are found of in whole pictures; trained again, too."""
    tiled = {**LEARNED, "tiles": 3, "epochs": 10}
    whole = run_trial(dots, tmp_path / "whole", {**LEARNED, "tiles": 1, "batch_size": 2, "epochs": 50})
    tiles = run_trial(dots, tmp_path / "tiles", tiled)
    assert tiles[-1][1]["map50"] > max(0.5, 2 * whole[-1][1]["map50"])
    model = tmp_path / "tiles" / "artifacts" / "model"
    assert load_model(model)[1].tiles == 3
    arguments = {"task_file": dots.task_file, "splits": ["train", "val"], "trial": 1}
    schedule = [{"fidelity": 1.0, "parameters": {**PARAMETERS, **tiled}}]
    reports = run_job(retrain, tmp_path / "retrain", model=model, schedule=schedule, **arguments)
    assert reports[-1]["test_map50"] > 0.4
    assert load_model(tmp_path / "retrain" / "artifacts" / "model")[1].tiles == 3
