"""Epoch by epoch: it learns, it can be interrupted, and it notices when it goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import ClassificationLearner, Pictures
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import ModelConfig, build_module
from tunewell.tasks.vision.learner import NonFiniteLoss

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


def learner(seed: int = 0, **values: Any) -> ClassificationLearner:
    """Return a new learner."""
    torch.manual_seed(0)
    config = ModelConfig("small-cnn", tuple("0123456789"), 16, (0.5,) * 3, (0.5,) * 3)
    chosen = Hyperparameters(**{**USUAL, **values})
    return ClassificationLearner(build_module("small-cnn", 10), config, chosen, seed, torch.device("cpu"))


def accuracy(trained: ClassificationLearner, pictures: Pictures) -> float:
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


def test_the_average_is_what_counts(pictures: Pictures) -> None:
    """With an average of the weights, outputs and the result are the average's, before and after an interruption."""
    whole, first, second = (learner(ema=0.9) for _ in range(3))
    for _ in range(2):
        whole.train_epoch(pictures, TRAIN)
    first.train_epoch(pictures, TRAIN)
    second.load_state(first.state())
    second.train_epoch(pictures, TRAIN)
    assert (second.logits(pictures, VAL) == whole.logits(pictures, VAL)).all()
    assert not torch.equal(whole.result.classifier.weight, whole.module.classifier.weight)
    assert accuracy(whole, pictures) > 0.3


def test_an_average_may_begin_or_end_with_a_state(pictures: Pictures) -> None:
    """A state without an average starts one, a state with one gives its weights to a learner without."""
    plain, averaging = learner(), learner(ema=0.9)
    plain.train_epoch(pictures, TRAIN)
    averaging.load_state(plain.state())
    assert (averaging.logits(pictures, VAL) == plain.logits(pictures, VAL)).all()
    averaging.train_epoch(pictures, TRAIN)
    plain.load_state(averaging.state())
    assert plain.result is plain.module
    assert torch.equal(plain.module.classifier.weight, averaging.module.classifier.weight)


def test_balanced_classes_find_the_rare_one(pictures: Pictures) -> None:
    """With weights, a class of few pictures is found more often than without."""
    rare = np.concatenate([TRAIN[pictures.labels[TRAIN] != 3], TRAIN[pictures.labels[TRAIN] == 3][:3]])
    found = {}
    for choice in ("none", "balanced"):
        trained = learner(class_weights=choice, epochs=3)
        for _ in range(3):
            trained.train_epoch(pictures, rare)
        found[choice] = int((trained.logits(pictures, VAL).argmax(axis=1) == 3).sum())
    assert found["balanced"] > found["none"]


@pytest.mark.parametrize("values", [{}, {"optimizer": "sgd", "ema": 0.9, **CHANGING}, {"backbone": "frozen"}])
def test_a_probe_changes_nothing(pictures: Pictures, values: dict[str, Any]) -> None:
    """A training after a probe ends exactly where one without it does."""
    outputs = []
    for probed in (False, True):
        trained = learner(**values)
        if probed:
            trained.probe(pictures, TRAIN)
            assert all(tensor.grad is None for tensor in trained.module.parameters())
        trained.train_epoch(pictures, TRAIN)
        outputs.append(trained.logits(pictures, VAL))
    assert (outputs[0] == outputs[1]).all()


def test_earlier_layers_learn_slower(pictures: Pictures) -> None:
    """With a layer decay the last layer has the full rate, each one before it a smaller one; states still fit."""
    del pictures
    config = ModelConfig("resnet18", tuple("abc"), 32, (0.5,) * 3, (0.5,) * 3)
    module = build_module("resnet18", 3)
    chosen = Hyperparameters(**{**USUAL, "layer_decay": 0.5})
    trained = ClassificationLearner(module, config, chosen, 0, torch.device("cpu"))
    scales = {
        name: group["scale"]
        for group in trained.optimizer.param_groups
        for name, tensor in module.named_parameters()
        if any(tensor is other for other in group["params"])
    }
    assert scales["fc.weight"] == scales["fc.bias"] == 1
    assert scales["layer4.1.conv1.weight"] == 0.5
    assert scales["conv1.weight"] == min(scales.values()) < scales["layer1.0.conv1.weight"]
    small = Pictures(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), np.arange(8) % 3)
    trained.train_epoch(small, np.arange(8))
    base = trained.optimizer.param_groups[0]["lr"] / trained.optimizer.param_groups[0]["scale"]
    assert all(group["lr"] == pytest.approx(base * group["scale"]) for group in trained.optimizer.param_groups)
    alike = ClassificationLearner(build_module("resnet18", 3), config, Hyperparameters(**USUAL), 0, torch.device("cpu"))
    alike.load_state(trained.state())
    memory = [alike.optimizer.state[tensor]["exp_avg"] for tensor in alike.module.parameters()]
    expected = [trained.optimizer.state[tensor]["exp_avg"] for tensor in trained.module.parameters()]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(memory, expected, strict=True))
