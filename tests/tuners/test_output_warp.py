"""What the warps make of losses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunewell.tuners.output_warp import FLOORS, drop, warp


@pytest.mark.parametrize("floor", FLOORS)
def test_warped_losses_keep_their_order_and_are_standardised(floor: float) -> None:
    """Values have mean 0 and variance 1 and rise with the losses; a failure has the value of the worst loss."""
    losses = np.append(np.random.default_rng(0).lognormal(size=50), math.inf)
    values, _ = warp(losses, floor)
    assert values.mean() == pytest.approx(0)
    assert values.std() == pytest.approx(1)
    assert (np.argsort(values, kind="stable") == np.argsort(losses, kind="stable")).all()
    assert values[-1] == values[:-1].max()


def test_jacobian_is_that_of_the_warp() -> None:
    """Differences between floors agree with the derivatives of the values, taken by differences."""
    losses = np.sort(np.random.default_rng(1).lognormal(size=9))

    def numeric(floor: float) -> float:
        unit = np.median(losses) - losses[0]
        deviation = np.log((losses - losses[0]) / unit + floor).std()

        def value(loss: float) -> float:
            return math.log((loss - losses[0]) / unit + floor) / deviation

        slopes = [(value(loss + 1e-6) - value(loss)) / 1e-6 for loss in losses]
        return -float(np.log(slopes).sum())

    found = warp(losses, 1.0)[1] - warp(losses, 0.1)[1]
    assert found == pytest.approx(numeric(1.0) - numeric(0.1), rel=1e-3)


@pytest.mark.parametrize(
    "losses",
    [[1.0, 1.0], [math.inf, math.inf], [math.inf, 2.0], [3.0]],
    ids=["ties", "failures only", "one success", "one trial"],
)
def test_nothing_to_tell_apart(losses: list[float]) -> None:
    """Without two different losses all values are 0."""
    values, log_jacobian = warp(np.array(losses), 0.1)
    assert (values == 0).all()
    assert log_jacobian == 0


def test_extreme_losses_stay_finite() -> None:
    """Losses at the ends of the range of floats, and next to each other, have finite values."""
    for losses in ([-1e308, 0.0, 1e308], [0.0, 5e-324, 1.0], [0.0, 5e-324], [1.0, 1.0, np.nextafter(1.0, 2.0)]):
        values, log_jacobian = warp(np.array(losses), 0.01)
        assert np.isfinite(values).all()
        assert math.isfinite(log_jacobian)


def test_drop_is_the_distance_between_warped_losses() -> None:
    """The fall of a value is what the warp itself makes of a loss that is lower by the gain."""
    losses, floor, gain = np.array([3.0, 1.0, 8.0, 2.0, np.inf]), 0.1, 0.05
    median, unit = 2.0, 1.0 * floor * 2.0
    assert median == float(np.median(np.minimum(losses, 8.0)) - 1.0)
    deviation = float(np.log(np.minimum(losses, 8.0) - 1.0 + unit).std())
    assert drop(losses, floor, gain) == pytest.approx(math.log(unit / (unit - gain)) / deviation)
    assert drop(losses, floor, 1.0) == math.inf
    assert drop(np.ones(4), floor, gain) == 0.0
