"""Intervals against what is known in closed form, and ties against models that are alike and that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm

from tunewell.tasks.evaluation import figures, with_intervals
from tunewell.tasks.uncertainty import RESAMPLES, interval, is_tie, resampled


def mean(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """The mean of values on resamples of them."""
    found = resampled(lambda weights: {"mean": weights @ values / len(values)}, len(values), seed)
    return found["mean"]


def answers(right: int, wrong: int) -> np.ndarray:
    """Whether each of so many pictures is judged rightly."""
    return np.repeat([1.0, 0.0], [right, wrong])


@pytest.mark.parametrize(("right", "wrong"), [(90, 10), (150, 50), (40, 24)])
def test_an_accuracy_has_the_interval_of_the_binomial(right: int, wrong: int) -> None:
    """The bootstrap distribution of an accuracy is binomial, so its quantiles are known."""
    items = right + wrong
    values = mean(answers(right, wrong))
    assert values.mean() == pytest.approx(right / items, abs=0.004)
    assert values.std() == pytest.approx(np.sqrt(right * wrong / items**3), rel=0.05)
    found = interval(values, items)
    assert found is not None
    expected = binom.ppf([0.025, 0.975], items, right / items) / items
    assert found == pytest.approx(expected, abs=1.5 / items)


@pytest.mark.parametrize("items", [20, 60])
def test_intervals_hold_what_they_promise(items: int) -> None:
    """Of 400 data sets, about 95 % have an interval with the true mean in it, and few are far too wide."""
    generator = np.random.default_rng(0)
    covered, widths = 0, []
    for _ in range(400):
        low, high = interval(mean(generator.normal(size=items)), items) or (0.0, 0.0)
        covered += low <= 0 <= high
        widths.append(high - low)
    assert 0.92 <= covered / 400 <= 0.98
    assert np.mean(widths) == pytest.approx(2 * norm.ppf(0.975) / np.sqrt(items), rel=0.12)


def test_the_same_seed_gives_the_same_resamples() -> None:
    """Also where more is in hand, and so fewer resamples at a time."""
    values = np.random.default_rng(0).normal(size=50)
    assert (mean(values, 1) == mean(values, 1)).all()
    assert not (mean(values, 1) == mean(values, 2)).all()

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        assert len(weights) <= 100
        return {"mean": weights @ values / len(values)}

    np.testing.assert_allclose(resampled(measure, 50, 1, width=10_000)["mean"], mean(values, 1))


def test_there_is_no_interval_where_nothing_tells_it() -> None:
    """All pictures right, a single picture, a figure that is mostly not defined."""
    assert interval(mean(answers(30, 0)), 30) is None
    assert interval(np.array([0.5, 0.6]), 1) is None
    undefined = np.where(np.arange(RESAMPLES) % 10 == 0, np.nan, np.linspace(0, 1, RESAMPLES))
    assert interval(undefined, 30) is None
    rarely = np.where(np.arange(RESAMPLES) % 100 == 0, np.nan, np.linspace(0, 1, RESAMPLES))
    assert interval(rarely, 30) is not None


def test_models_that_say_the_same_are_a_tie() -> None:
    """Identical answers can't be told apart, nor those of models that are equally good by chance."""
    first = mean(answers(80, 20))
    assert is_tie(first, first, 100, 4)
    shuffled = np.random.default_rng(0).permutation(answers(80, 20))
    assert is_tie(first, mean(shuffled), 100, 4)


def test_a_much_better_model_is_no_tie() -> None:
    """A fifth more of the pictures is more than chance; that the other is asked first makes no difference."""
    first, second = mean(answers(90, 10)), mean(answers(70, 30))
    assert not is_tie(first, second, 100, 4)
    assert not is_tie(second, first, 100, 4)


def test_the_same_pictures_tell_smaller_differences() -> None:
    """A gain on the same pictures is told apart where the intervals of both overlap."""
    hard = np.random.default_rng(0).normal(size=60)
    first, second = mean(hard), mean(hard + 0.2)
    ends, others = interval(first, 60), interval(second, 60)
    assert ends is not None and others is not None and ends[1] > others[0]
    assert not is_tie(first, second, 60, 1)


def test_few_pictures_that_differ_tell_nothing() -> None:
    """Four pictures of 32 that only one of two models judges rightly are chance in one case of eight."""
    assert is_tie(mean(answers(32, 0)), mean(answers(28, 4)), 32, 4)
    assert not is_tie(mean(answers(32, 0)), mean(answers(22, 10)), 32, 4)


def test_equal_models_are_seldom_called_different() -> None:
    """Of 200 comparisons of four models with a fifth that is as good, some three say that there is a difference."""
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        first, *others = (mean(one) for one in (generator.random((5, 40)) < 0.8).astype(float))
        wrong += any(not is_tie(first, other, 40, 4) for other in others)
    assert wrong / 200 <= 0.08


def test_evaluations_have_intervals_in_place_of_resamples() -> None:
    """What is recorded has both ends of what has an interval, and they are no figures."""
    measured: dict[str, Any] = {
        "count": 100,
        "accuracy": 0.8,
        "f1": 1.0,
        "resampled": {"accuracy": mean(answers(80, 20)), "f1": np.ones(RESAMPLES)},
    }
    found = with_intervals(measured)
    assert found.keys() == {"count", "accuracy", "f1", "intervals"}
    [(name, (low, high))] = found["intervals"].items()
    assert name == "accuracy" and 0.7 < low < 0.8 < high < 0.9
    assert figures(found) == {"accuracy": 0.8, "f1": 1.0}
    assert with_intervals({"count": 3, "r2": 0.5}) == {"count": 3, "r2": 0.5}
