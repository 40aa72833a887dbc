"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn, optim

from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters

_WARM_UP = 0.05
_ONE_CYCLE_RISE = 0.25
_ONE_CYCLE_START = 1 / 25


def create_optimizer(
    module: nn.Module, chosen: TrainingHyperparameters, scales: Mapping[str, float] | None = None
) -> optim.Optimizer:
    """Return the optimiser of all trainable tensors; weight decay spares norms and biases (arXiv:1812.01187, 3.1).

    `scales`, name of a tensor → share of the learning rate that it gets, are those of all trainable tensors (default:
    1). `set_rate` applies them.
    """
    # Such as the position embeddings of transformers, which are matrices but no weights.
    spared: Collection[str] = getattr(module, "no_weight_decay", tuple)()
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): [], (False, 1.0): []} if not scales else {}
    for name, tensor in module.named_parameters():
        if tensor.requires_grad:
            key = (tensor.ndim > 1 and name not in spared, scales[name] if scales else 1.0)
            groups.setdefault(key, []).append(tensor)
    options = [
        {"params": tensors, "weight_decay": chosen.weight_decay if decayed else 0.0, "scale": scale}
        for (decayed, scale), tensors in groups.items()
    ]
    return _optimizer_of(options, chosen)


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set the learning rate, times the scale of each group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def memory_of(optimizer: optim.Optimizer, module: nn.Module) -> dict[str, Any]:
    """Return what the optimiser remembers of each tensor of the module, by name."""
    names = {id(tensor): name for name, tensor in module.named_parameters()}
    return {names[id(tensor)]: memory for tensor, memory in optimizer.state.items()}


def restore_memory(optimizer: optim.Optimizer, module: nn.Module, memory: Mapping[str, Any]) -> None:
    """Give the optimiser back what `memory_of` said, however it groups its tensors."""
    names = {id(tensor): name for name, tensor in module.named_parameters()}
    ordered = [names[id(tensor)] for group in optimizer.param_groups for tensor in group["params"]]
    state = {place: memory[name] for place, name in enumerate(ordered) if name in memory}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _optimizer_of(groups: list[dict[str, Any]], chosen: TrainingHyperparameters) -> optim.Optimizer:
    rate = chosen.learning_rate
    if chosen.optimizer == "sgd":
        return optim.SGD(groups, rate, momentum=chosen.momentum, nesterov=chosen.momentum > 0)
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
