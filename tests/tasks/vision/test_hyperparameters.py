"""What hyperparameters may be, for all tasks over pictures."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tunewell.tasks.image_classification.hyperparameters import Hyperparameters as Classification
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters as Detection
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters


@pytest.mark.parametrize("kind", [Classification, Detection])
def test_each_has_a_domain(kind: type[TrainingHyperparameters]) -> None:
    """Each hyperparameter has either bounds or a list of values, and whole numbers have bounds."""
    assert sorted([*kind.bounds, *kind.values]) == sorted(field.name for field in fields(kind))
    assert {"batch_size", "epochs", "image_size"} <= kind.whole() <= kind.bounds.keys()
