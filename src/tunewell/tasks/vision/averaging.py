"""An exponential moving average of a network's weights over the steps of its training.

Polyak, Juditsky 1992; Tan, Le 2021 (EfficientNetV2), arXiv:2104.00298, section 5.1. It is smoother than the last
weights, as if the learning rate had been lowered.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """Follows a network: average ← decay · average + (1 - decay) · weights, after each step.

    The decay begins at 2 / 11 and rises as (1 + steps) / (10 + steps) to its full value, so that the first, random
    weights are soon forgotten (as in TensorFlow's `ExponentialMovingAverage`). Running statistics are averaged alike.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = deepcopy(module).requires_grad_(False)
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take a step's new weights in."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for average, current in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs."""
        return {"module": self.module.state_dict(), "steps": self._steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.module.load_state_dict(state["module"])
        self._steps = state["steps"]
