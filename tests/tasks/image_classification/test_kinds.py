"""Losses and class weights of one label and of several."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunewell.tasks.image_classification.kinds import KINDS, SeveralLabels, SingleLabel
from tunewell.tasks.image_classification.task import ImageClassification, MultilabelClassification


def test_every_task_has_a_kind() -> None:
    """Each classification task has a kind, which reports the metrics that the task offers."""
    logits = np.random.default_rng(0).standard_normal((22, 11))
    for task in (ImageClassification, MultilabelClassification):
        kind = KINDS[task.name]
        targets = np.arange(22) % 11 if task is ImageClassification else (logits > 0.5).astype(np.float32)
        assert set(kind.measure(logits, targets, (0.5,) * 11)) == set(task.metrics)


def test_single_labels_are_balanced() -> None:
    """Every class weighs the same in all, and one without pictures nothing."""
    weights = SingleLabel().balance(np.array([0, 0, 0, 1]), 3)
    assert weights.tolist() == pytest.approx([4 / 9, 4 / 3, 0])
    outputs, targets = torch.zeros(4, 3), torch.tensor([0, 0, 0, 1])
    loss = SingleLabel().loss(outputs, targets, 0.0, torch.tensor(weights).float())
    assert float(loss) == pytest.approx(np.log(3))


def test_several_labels_are_balanced() -> None:
    """A label that is there weighs as much as those that are not; never, always and hardly ever have it."""
    targets = np.zeros((1000, 4), dtype=np.float32)
    targets[:200, 0] = 1
    targets[:, 1] = 1
    targets[0, 2] = 1
    assert SeveralLabels().balance(targets, 4).tolist() == pytest.approx([4, 1, 100, 1])


def test_the_loss_of_several_labels() -> None:
    """It is the mean binary cross entropy, linear in its targets, which smoothing moves towards one half."""
    kind = SeveralLabels()
    outputs = torch.tensor([[2.0, -1.0]])
    yes, no = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    right = -(np.log(1 / (1 + np.exp(-2))) + np.log(1 - 1 / (1 + np.exp(1)))) / 2
    assert float(kind.loss(outputs, yes, 0.0, None)) == pytest.approx(right, rel=1e-5)
    mixed = 0.95 * kind.loss(outputs, yes, 0.0, None) + 0.05 * kind.loss(outputs, no, 0.0, None)
    assert float(kind.loss(outputs, yes, 0.1, None)) == pytest.approx(float(mixed), rel=1e-5)
