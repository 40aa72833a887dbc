"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from typing import Protocol

from torch import nn, optim

_WARM_UP = 0.05
_ONE_CYCLE_RISE = 0.25
_ONE_CYCLE_START = 1 / 25


class Settings(Protocol):
    """What an optimiser needs to know of a configuration."""

    @property
    def optimizer(self) -> str:
        """`adamw` or `sgd`."""

    @property
    def learning_rate(self) -> float:
        """Peak learning rate of the schedule."""

    @property
    def weight_decay(self) -> float:
        """Decoupled (adamw) or added to the gradient (sgd)."""

    @property
    def momentum(self) -> float:
        """SGD's, with Nesterov's rule."""


def create_optimizer(module: nn.Module, settings: Settings) -> optim.Optimizer:
    """Return the optimiser of all trainable tensors; weight decay spares norms and biases (arXiv:1812.01187, 3.1)."""
    trainable = [tensor for tensor in module.parameters() if tensor.requires_grad]
    groups = [
        {
            "params": [tensor for tensor in trainable if tensor.ndim > 1],
            "weight_decay": settings.weight_decay,
        },
        {"params": [tensor for tensor in trainable if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = settings.learning_rate
    if settings.optimizer == "sgd":
        return optim.SGD(groups, rate, momentum=settings.momentum, nesterov=settings.momentum > 0)
    return optim.AdamW(groups, rate)


def rate_factor(schedule: str, progress: float) -> float:
    """Return the share of the peak learning rate at `progress` in [0, 1) of the full training.

    `one-cycle` rises from 1/25 over the first quarter, then falls to 0, along half cosine waves (Smith, Topin
    2017, arXiv:1708.07120, with fastai's shape and shares). `cosine` and `constant` rise linearly over 5 %.
    """
    if schedule == "one-cycle":
        if progress < _ONE_CYCLE_RISE:
            return 1 - (1 - _ONE_CYCLE_START) * _half_wave(progress / _ONE_CYCLE_RISE)
        return _half_wave((progress - _ONE_CYCLE_RISE) / (1 - _ONE_CYCLE_RISE))
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 1.0 if schedule == "constant" else _half_wave((progress - _WARM_UP) / (1 - _WARM_UP))


def _half_wave(position: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * position))
