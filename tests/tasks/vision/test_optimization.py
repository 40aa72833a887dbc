"""Optimisers and learning-rate schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.small_cnn import SmallCnn
from tunewell.tasks.vision.optimization import create_optimizer, rate_factor


def chosen(**values: Any) -> Hyperparameters:
    """Return hyperparameters with some values."""
    usual: dict[str, Any] = {
        "learning_rate": 0.01,
        "batch_size": 16,
        "optimizer": "adamw",
        "weight_decay": 0.05,
        "schedule": "cosine",
        "epochs": 1,
        "image_size": 32,
    }
    return Hyperparameters(**{**usual, **values})


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_weight_decay_spares_norms_and_biases(name: str, kind: type) -> None:
    """Only weights of convolutions and linear layers are decayed; every tensor is in one group."""
    module = SmallCnn(4)
    optimizer = create_optimizer(module, chosen(optimizer=name, momentum=0.7))
    decayed, spared = optimizer.param_groups
    assert isinstance(optimizer, kind)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert {tensor.ndim for tensor in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(module.parameters()))
    assert decayed.get("momentum", 0.7) == 0.7


def test_sgd_without_momentum() -> None:
    """Momentum 0, which Nesterov's rule excludes, is plain SGD."""
    assert create_optimizer(SmallCnn(4), chosen(optimizer="sgd", momentum=0.0)).param_groups[0]["nesterov"] is False


def test_frozen_tensors_are_left_out() -> None:
    """Tensors that need no gradient are not optimised."""
    module = SmallCnn(4).requires_grad_(False)
    module.classifier.requires_grad_(True)
    groups = create_optimizer(module, chosen()).param_groups
    assert [len(group["params"]) for group in groups] == [1, 1]


@pytest.mark.parametrize(
    ("schedule", "start", "peak_at", "end"),
    [("one-cycle", 1 / 25, 0.25, 0.0), ("cosine", 0.0, 0.05, 0.0), ("constant", 0.0, 0.05, 1.0)],
)
def test_shapes_of_schedules(schedule: str, start: float, peak_at: float, end: float) -> None:
    """Each schedule starts, peaks and ends where its description says, rising before the peak, then falling."""
    assert rate_factor(schedule, 0.0) == pytest.approx(start)
    assert rate_factor(schedule, peak_at) == pytest.approx(1.0)
    assert rate_factor(schedule, 1.0) == pytest.approx(end, abs=1e-9)
    factors = [rate_factor(schedule, step / 1000) for step in range(1001)]
    top = round(peak_at * 1000)
    assert factors[:top] == sorted(factors[:top])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@given(st.sampled_from(["one-cycle", "cosine", "constant"]), st.floats(0, 1))
def test_factors_are_shares(schedule: str, progress: float) -> None:
    """No schedule ever leaves [0, 1]."""
    assert 0 <= rate_factor(schedule, progress) <= 1
