"""Epoch by epoch: it learns, it can be interrupted, and it notices when it goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import Learner, Pictures
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import ModelConfig, build_module
from tunewell.tasks.vision.training import NonFiniteLoss

TRAIN, VAL = np.arange(300), np.arange(300, 400)
USUAL: dict[str, Any] = {
    "learning_rate": 0.01,
    "batch_size": 32,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "epochs": 4,
    "image_size": 16,
}
CHANGING = {"augmentation": 0.3, "horizontal_flip": True, "mixup": 0.2, "label_smoothing": 0.1}


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Digits, 16 pixels a side."""
    torch.set_num_threads(1)
    digits = load_digits()
    pixels = (digits.images[:400] * 15).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    return Pictures(pixels[..., None].repeat(3, axis=3), digits.target[:400].astype(np.int64))


def learner(seed: int = 0, **values: Any) -> Learner:
    """Return a new learner."""
    torch.manual_seed(0)
    config = ModelConfig("small-cnn", tuple("0123456789"), 16, (0.5,) * 3, (0.5,) * 3)
    chosen = Hyperparameters(**{**USUAL, **values})
    return Learner(build_module("small-cnn", 10), config, chosen, seed, torch.device("cpu"))


def accuracy(trained: Learner, pictures: Pictures) -> float:
    """Return the accuracy on pictures it has not seen."""
    return measure(trained.logits(pictures, VAL), pictures.labels[VAL])["accuracy"]


@pytest.mark.parametrize("values", [{}, {"optimizer": "sgd", "schedule": "cosine", **CHANGING}])
def test_it_learns(pictures: Pictures, values: dict[str, Any]) -> None:
    """A few epochs on digits bring a high accuracy and a falling loss, with and without random changes."""
    trained = learner(**values, epochs=6)
    losses = [trained.train_epoch(pictures, TRAIN) for _ in range(6)]
    assert losses[-1] < 0.6 * losses[0]
    assert accuracy(trained, pictures) > 0.8


def test_same_seed_same_network(pictures: Pictures) -> None:
    """Training is repeatable to the last bit; another seed gives another network."""
    outputs = []
    for seed in (1, 1, 2):
        trained = learner(seed, **CHANGING)
        trained.train_epoch(pictures, TRAIN)
        outputs.append(trained.logits(pictures, VAL))
    assert (outputs[0] == outputs[1]).all()
    assert (outputs[0] != outputs[2]).any()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_going_on_from_a_state_changes_nothing(pictures: Pictures, optimizer: str) -> None:
    """Two epochs, a state, two more in a new learner end exactly where four in one do."""
    whole, first, second = (learner(optimizer=optimizer, **CHANGING) for _ in range(3))
    for _ in range(4):
        whole.train_epoch(pictures, TRAIN)
    for _ in range(2):
        first.train_epoch(pictures, TRAIN)
    second.load_state(first.state())
    assert second.epoch == 2
    for _ in range(2):
        second.train_epoch(pictures, TRAIN)
    assert (second.logits(pictures, VAL) == whole.logits(pictures, VAL)).all()


def test_going_on_with_other_hyperparameters(pictures: Pictures) -> None:
    """A state can be continued with another optimiser and other rates: the network is taken over."""
    first = learner()
    first.train_epoch(pictures, TRAIN)
    for values in ({"optimizer": "sgd"}, {"learning_rate": 1e-4, "weight_decay": 0.1}):
        second = learner(**values)
        second.load_state(first.state())
        assert (second.logits(pictures, VAL) == first.logits(pictures, VAL)).all()
        second.train_epoch(pictures, TRAIN)
        assert second.optimizer.param_groups[0]["lr"] <= second.hyperparameters.learning_rate
        assert second.optimizer.param_groups[0]["weight_decay"] == second.hyperparameters.weight_decay


@pytest.mark.parametrize("changes", [{}, CHANGING], ids=["fixed", "changing"])
def test_a_frozen_backbone_stays(pictures: Pictures, changes: dict[str, Any]) -> None:
    """Only the last layer changes when the backbone is frozen, not even running statistics do otherwise."""
    trained = learner(backbone="frozen", **changes)
    before = {name: tensor.clone() for name, tensor in trained.module.state_dict().items()}
    trained.train_epoch(pictures, TRAIN)
    changed = {name for name, tensor in trained.module.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_fixed_features_are_the_networks(pictures: Pictures) -> None:
    """Features computed once give the outputs that the whole network gives."""
    trained = learner(backbone="frozen")
    trained.train_epoch(pictures, TRAIN)
    inputs = torch.from_numpy(pictures.pixels[VAL]).permute(0, 3, 1, 2) / 255 * 2 - 1
    with torch.inference_mode():
        expected = trained.module.eval()(inputs).numpy()
    np.testing.assert_allclose(trained.logits(pictures, VAL), expected, atol=1e-4)


def test_fewer_pictures_than_a_batch(pictures: Pictures) -> None:
    """A set smaller than a batch is one batch; a rest that fills no batch is left out of an epoch."""
    steps: list[int] = []
    learner(batch_size=64).train_epoch(pictures, TRAIN[:10], lambda: steps.append(1))
    assert len(steps) == 1
    learner(batch_size=4).train_epoch(pictures, TRAIN[:10], lambda: steps.append(1))
    assert len(steps) == 3


def test_a_loss_that_is_no_number(pictures: Pictures) -> None:
    """A diverging training is noticed in the very step, which is named."""
    trained = learner(learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(NonFiniteLoss, match=r"the loss is (nan|inf) in step \d of epoch 1"):
        trained.train_epoch(pictures, TRAIN)


def test_the_rate_follows_the_schedule(pictures: Pictures) -> None:
    """The learning rate peaks where the schedule of all epochs says, and ends near zero."""
    trained = learner(schedule="one-cycle", epochs=4)
    rates: list[float] = []
    for _ in range(4):
        trained.train_epoch(pictures, TRAIN[:160], lambda: rates.append(trained.optimizer.param_groups[0]["lr"]))
    used = [*rates[1:], trained.optimizer.param_groups[0]["lr"]]  # each step's rate is set after it was noted
    assert len(used) == 20
    assert used[:5] == sorted(used[:5])
    assert used[5:] == sorted(used[5:], reverse=True)
    assert max(used) == pytest.approx(trained.hyperparameters.learning_rate, rel=0.05)
    assert used[-1] < 0.01 * trained.hyperparameters.learning_rate
