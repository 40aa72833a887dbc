"""Experiments that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_once import made_once
from tests.tasks.object_detection.trained import Trained, prepare, prepared, run_trial


@pytest.fixture(scope="session", params=["object-detection", "instance-segmentation"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment of each task with a trial that has ended. To be read only."""

    def make(folder: Path) -> None:
        experiment = prepare(folder, request.param)
        run_trial(experiment, experiment.attempt)

    return prepared(made_once(tmp_path_factory, request.param, make))


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An experiment of object detection, prepared. To be read only."""
    return prepare(tmp_path_factory.mktemp("home"))
