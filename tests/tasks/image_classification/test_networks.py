"""Every network on offer keeps what its declaration promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tunewell.spec.errors import SpecError
from tunewell.tasks.image_classification import augment
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import ClassificationLearner, Pictures
from tunewell.tasks.image_classification.model import ModelConfig, build_module
from tunewell.tasks.image_classification.networks import ARCHITECTURES, architecture
from tunewell.tasks.vision.domains import check_domains

NAMES = [
    "small-cnn",
    "efficientnet-lite0",
    "mobilenetv3-small",
    "mobilenetv3-large",
    "resnet18",
    "resnet50",
    "efficientnetv2-s",
    "convnext-tiny",
    "deit-small",
]


def test_the_list_is_complete() -> None:
    """Each network on offer is tested here, under its own name."""
    assert sorted(ARCHITECTURES) == sorted(NAMES)
    assert all(name == item.network.name for name, item in ARCHITECTURES.items())


@pytest.mark.parametrize("name", NAMES)
def test_declarations(name: str) -> None:
    """Defaults are complete and in range, and each default and range has a source."""
    design = architecture(name)
    space = design.network.space
    default = space.default()
    assert default is not None
    assert space.check(default) == default
    assert set(design.network.sources) == set(space.names)
    check_domains(space, Hyperparameters)
    for seed in range(20):
        Hyperparameters.from_configuration(space.sample(np.random.default_rng(seed)))
    assert ("backbone" in space) == (design.pretrained.download is not None) == bool(design.network.weights)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_for_users(name: str) -> None:
    """What is said of a parameter refers to no code, and gives the reach of augmentation as it is."""
    sources = architecture(name).network.sources
    assert not any("`" in text for text in sources.values())
    for reach in (
        f"shifted by up to {augment._SHIFT:.0%}",
        f"shrunk up to {math.exp(augment._LOG_SCALE):.3g} times",
        f"rotated by up to {math.degrees(augment._ROTATION):.3g} degrees",
        f"contrast by up to {augment._CONTRAST:.0%}",
        f"brightness by up to {augment._BRIGHTNESS:g} ",
    ):
        assert reach in sources["augmentation"]


@pytest.mark.parametrize("name", NAMES)
def test_modules(name: str) -> None:
    """Each network gives a logit a class at any size, is differentiable, and ends in the layer it says."""
    torch.set_num_threads(1)
    module = build_module(name, 3).eval()
    for size in (32, 70):
        images = torch.rand(2, 3, size, size)
        logits = module(images)
        assert logits.shape == (2, 3)
        features = module.forward_head(module.forward_features(images), pre_logits=True)
        torch.testing.assert_close(module.get_classifier()(features), logits)
    logits.sum().backward()
    assert all(tensor.grad is not None for tensor in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_step_with_everything_on(name: str) -> None:
    """Each network takes a step with its default parameters, an average of weights and class weights, and changes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    design = architecture(name)
    default = design.network.space.default()
    assert default is not None
    chosen = Hyperparameters.from_configuration({**default, "ema": 0.9, "class_weights": "balanced", "mixup": 0.2})
    config = ModelConfig(name, tuple("abc"), 32, design.mean, design.std)
    learner = ClassificationLearner(build_module(name, 3), config, chosen, 0, torch.device("cpu"))
    before = learner.module.get_classifier().weight.detach().clone()
    pictures = Pictures(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8), np.arange(6) % 3)
    assert math.isfinite(learner.train_epoch(pictures, np.arange(6)))
    assert not torch.equal(learner.module.get_classifier().weight, before)
    assert learner.logits(pictures, np.arange(6)).shape == (6, 3)


def test_unknown_network() -> None:
    """A wrong name is answered with the nearest right one."""
    with pytest.raises(SpecError, match=r"network: there is no network 'resnet-18'\. Did you mean 'resnet18'"):
        architecture("resnet-18")
