"""The average of weights follows the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunewell.tasks.vision.averaging import WeightAverage


def set_to(module: nn.Module, value: float) -> None:
    """Give every weight the same value."""
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.fill_(value)


def test_it_is_the_average_of_the_formula() -> None:
    """Each step moves it by (1 - decay), where the decay rises from 2/11 to its full value."""
    module = nn.Linear(2, 1)
    set_to(module, 0.0)
    average = WeightAverage(module, 0.5)
    expected = 0.0
    for step in range(1, 20):
        set_to(module, float(step))
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        assert average.module.weight.tolist() == [pytest.approx([expected] * 2, rel=1e-5)]
    assert module.weight.tolist() == [[19.0, 19.0]]


def test_running_statistics_and_counts_follow() -> None:
    """Statistics are averaged, the count of batches is that of the network."""
    module = nn.BatchNorm1d(3)
    average = WeightAverage(module, 0.9)
    module(torch.rand(8, 3) + 5)
    average.update(module)
    assert 0 < float(average.module.running_mean[0]) < float(module.running_mean[0])
    assert int(average.module.num_batches_tracked) == 1


def test_it_goes_on_from_its_state() -> None:
    """A state taken over makes the next step the same."""
    module = nn.Linear(2, 1)
    first, second = WeightAverage(module, 0.99), WeightAverage(nn.Linear(2, 1), 0.99)
    set_to(module, 3.0)
    first.update(module)
    second.load_state(first.state())
    for average in (first, second):
        average.update(module)
    assert torch.equal(first.module.weight, second.module.weight)
