"""What the sources of a search are trusted with."""

from __future__ import annotations

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion, Tuner
from tunewell.tuners.encoding import Encoding
from tunewell.tuners.prior import Prior, fit_trend
from tunewell.tuners.ranks import correlation, normal_scores
from tunewell.tuners.sources import Source, make_source, starts

SPACE = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})


def bowl(parameters: dict[str, float]) -> float:
    """Return a loss with its least value at (0.3, 0.6)."""
    return (parameters["x"] - 0.3) ** 2 + (parameters["y"] - 0.6) ** 2


def source(sign: float = 1.0) -> Source:
    """Return a source that knows the bowl, or its opposite."""
    generator = np.random.default_rng(1)
    drawn = [SPACE.sample(generator) for _ in range(40)]
    return make_source("earlier", SPACE, [(n, c, sign * bowl(c)) for n, c in enumerate(drawn, 1)])


def best_of(sources: tuple[Source, ...], trials: int, seed: int = 0) -> float:
    """Return the least loss of a search with these sources."""
    initial = starts(SPACE, sources, trials)
    tuner: Tuner = create(
        "bayesian", SPACE, goal="minimize", seed=seed, initial=initial, sources=sources, max_trials=trials
    )
    losses = []
    for _ in range(trials):
        suggestion = tuner.ask()
        assert isinstance(suggestion, Suggestion)
        losses.append(bowl(suggestion.parameters))
        tuner.tell(suggestion.outcome(losses[-1]))
    return min(losses)


def test_a_source_predicts_what_it_knows() -> None:
    """The order of its predictions is that of the losses elsewhere, too."""
    encoding, generator = Encoding(SPACE), np.random.default_rng(2)
    drawn = [SPACE.sample(generator) for _ in range(50)]
    points = np.array([encoding.encode(configuration) for configuration in drawn])
    predictions = Prior(encoding, [source()]).predict(points)
    assert predictions.shape == (1, 50)
    bowls = np.array([bowl(c) for c in drawn])
    assert correlation(normal_scores(predictions[0]), normal_scores(bowls)) > 0.95


def test_misleading_sources_have_no_weight() -> None:
    """A negative correlation is none; the good source next to it keeps its weight."""
    values = np.linspace(-1.5, 1.5, 20)
    trend = fit_trend(np.array([values, -values]), values)
    assert trend.weights[0] > 0.7
    assert trend.weights[1] == 0.0
    assert not fit_trend(-values[None], values).weights.any()


def test_few_observations_give_little_weight() -> None:
    """The same perfect correlation counts more with each observation."""
    weights = []
    for count in (2, 4, 16, 64):
        values = np.linspace(-1.5, 1.5, count)
        weights.append(float(fit_trend(values[None], values).weights[0]))
    assert weights == sorted(weights)
    assert weights[0] < 0.55 < 0.9 < weights[-1] < 1.0


def test_a_trend_does_not_shift_what_was_observed() -> None:
    """Its mean over the observations is that of the values, 0."""
    values = np.linspace(-1.5, 1.5, 20)
    predictions = values[None] + 3.0
    assert fit_trend(predictions, values)(predictions).mean() == pytest.approx(0.0, abs=1e-12)


def test_constant_predictions_say_nothing() -> None:
    """There is nothing to be divided by zero."""
    assert not fit_trend(np.ones((1, 5)), np.arange(5.0)).weights.any()


def test_a_good_source_saves_trials_and_a_bad_one_costs_little() -> None:
    """Short searches are better with a good source than without, a longer one is good with a bad one, too."""
    seeds = range(5)
    warm = [best_of((source(),), 8, seed) for seed in seeds]
    assert sum(warm) < 0.5 * sum(best_of((), 8, seed) for seed in seeds)
    assert best_of((source(-1.0),), 20) < 1e-3
