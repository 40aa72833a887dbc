"""Which domains the task's parameters may have."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.space import SearchSpace
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.networks import ARCHITECTURES
from tunewell.tasks.vision.domains import check_domains, image_sizes

BASE = ARCHITECTURES["efficientnet-lite0"].network.space


@pytest.mark.parametrize(
    ("declarations", "message"),
    [
        ({"optimizer": ["adamw", "sgdd"]}, "parameters.optimizer: 'sgdd' is not known. Did you mean 'sgd'"),
        ({"horizontal_flip": ["yes"]}, "parameters.horizontal_flip: 'yes' is of another kind than false | true"),
        ({"schedule": {"low": 0, "high": 1}}, "parameters.schedule: 0 is of another kind than one-cycle | cosine"),
        ({"momentum": {"low": 0.9, "high": 1.0}}, "parameters.momentum: 1 is outside 0 … 0.999"),
        ({"learning_rate": [0.1, -0.1]}, "parameters.learning_rate: -0.1 is outside"),
        ({"learning_rate": ["fast"]}, "parameters.learning_rate: 'fast' is of another kind than 0.0001 … 0.1 (log)"),
        ({"batch_size": {"low": 0, "high": 8}}, "parameters.batch_size: 0 is outside 1 … 65536"),
        ({"batch_size": [16, 24.5]}, "parameters.batch_size: it must be whole"),
        ({"epochs": {"low": 1.5, "high": 3}}, "parameters.epochs: it must be whole"),
        ({"augmentation": 2}, "parameters.augmentation: 2 is outside 0 … 1"),
        ({"image_size": {"low": 32, "high": 224}}, "parameters.image_size: more than 8 sizes"),
        ({"image_size": 8}, "parameters.image_size: 8 is outside 16 … 1024"),
    ],
)
def test_domains_that_training_cannot_follow(declarations: dict[str, Any], message: str) -> None:
    """A domain that reaches too far is refused with field, value and rule."""
    base = SearchSpace(tuple(parameter for parameter in BASE if parameter.name != "momentum"))
    with pytest.raises(SpecError) as caught:
        check_domains(parse_space(declarations, BASE if "momentum" in declarations else base), Hyperparameters)
    assert str(caught.value).startswith(message)


def test_image_sizes() -> None:
    """All sizes of the space are returned in ascending order, also those of a range in steps."""
    assert image_sizes(BASE) == [96, 128, 160, 224]
    assert image_sizes(parse_space({"image_size": {"low": 32, "high": 96, "step": 32}}, BASE)) == [32, 64, 96]
    assert image_sizes(parse_space({"image_size": 48}, BASE)) == [48]


def test_inactive_parameters_are_neutral() -> None:
    """What a configuration leaves out switches nothing on, and whole numbers become integers."""
    chosen = Hyperparameters.from_configuration(
        {
            "learning_rate": 0.1,
            "batch_size": 32.0,
            "optimizer": "adamw",
            "weight_decay": 0,
            "schedule": "cosine",
            "epochs": 3.0,
            "image_size": 32,
        }
    )
    assert (chosen.label_smoothing, chosen.mixup, chosen.augmentation, chosen.horizontal_flip) == (0, 0, 0, False)
    assert chosen.backbone == "fine-tuned"
    assert isinstance(chosen.batch_size, int)
    assert isinstance(chosen.epochs, int)
