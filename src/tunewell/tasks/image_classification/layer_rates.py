"""Lower learning rates for earlier layers, whose pretrained features are general and need little change.

Clark et al. 2020 (ELECTRA), arXiv:2003.10555, and Bao et al. 2022 (BEiT), arXiv:2106.08254: the
last layer learns at the full rate, each layer before it at `decay` times the rate of the next.
"""

from __future__ import annotations

from torch import nn


def layer_scales(module: nn.Module, decay: float) -> dict[str, float] | None:
    """Return the share of the learning rate of each tensor by name, None if it is 1 for all.

    Args:
        module: a model of timm, which knows its layers.
        decay: in (0, 1].
    """
    if decay >= 1:
        return None
    from timm.models import group_parameters

    layers: dict[str, int] = group_parameters(module, module.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    last = max(layers.values())
    return {name: decay ** (last - layer) for name, layer in layers.items()}
