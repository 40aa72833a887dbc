"""CMA-ES: its constants and updates against the tutorial, its margins, and what it makes of outcomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.tuners.catalogue import create, initial_configurations
from tunewell.tuners.cma_distribution import Categories, Constants, Gaussian
from tunewell.tuners.cma_es import SIGMA, CmaEsTuner
from tunewell.tuners.contract import Suggestion, Tuner

NAN = math.nan


def asked(subject: Tuner) -> Suggestion:
    """Return the next suggestion."""
    suggestion = subject.ask()
    assert isinstance(suggestion, Suggestion)
    return suggestion


def cube(d: int) -> dict[str, Any]:
    """Return declarations of d continuous parameters."""
    return {f"x{i}": {"low": 0.0, "high": 1.0} for i in range(d)}


def ellipsoid(name: str, seed: int, d: int = 5, trials: int = 300) -> float:
    """Return the best value on a rotated ellipsoid of condition 100."""
    rotation, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((d, d)))
    subject = create(name, cube(d), goal="minimize", seed=seed)
    lowest = math.inf
    for _ in range(trials):
        suggestion = asked(subject)
        y = rotation @ (np.array(list(suggestion.parameters.values())) - 0.3)
        value = float((100 ** (np.arange(d) / (d - 1)) * y * y).sum())
        lowest = min(lowest, value)
        subject.tell(suggestion.outcome(value))
    return lowest


def test_solves_a_rotated_ellipsoid() -> None:
    """In 5 dimensions, after 300 trials, CMA-ES is twenty times closer than random search, by the median."""
    evolved, random = (np.median([ellipsoid(name, seed) for seed in range(3)]) for name in ("cmaes", "random"))
    assert evolved < 0.05 * random


def test_reaches_an_optimum_on_the_boundary() -> None:
    """Where less is better in each of 4 parameters, most of them are exactly 0 in the best of 80 trials."""
    subject = create("cmaes", cube(4), goal="minimize")
    found = []
    for _ in range(80):
        suggestion = asked(subject)
        found.append(list(suggestion.parameters.values()))
        subject.tell(suggestion.outcome(sum(found[-1])))
    assert min(found, key=sum).count(0.0) >= 3


def test_constants_of_the_tutorial() -> None:
    """For n = 10 and λ = 10 the constants are the tutorial's."""
    k = Constants.of(10, 10)
    assert k.weights[:5].sum() == pytest.approx(1.0)
    assert (np.diff(k.weights) < 0).all()
    assert k.mu_eff == pytest.approx(3.167, abs=1e-3)
    assert k.c_sigma == pytest.approx(5.167 / 18.167, abs=1e-3)
    assert k.c_c == pytest.approx((4 + 0.3167) / (14 + 0.6334), abs=1e-3)
    assert k.c_1 == pytest.approx(2 / (11.3**2 + 3.167), abs=1e-5)
    assert k.chi == pytest.approx(3.0843, abs=1e-3)
    # No update takes more from C than there is: c_1 + c_μ Σ w stays below 1, with negative weights, too.
    assert k.c_1 + k.c_mu * np.abs(k.weights).sum() < 1


def test_update_by_hand() -> None:
    """From N(m, σ² I), a first update of mean and covariance is the recombination of the ranked draws."""
    k = Constants.of(2, 6)
    mean, sigma = np.array([0.5, 0.5]), 0.1
    x = mean + sigma * np.array([[1.0, 0.0], [0.5, 0.5], [0.2, -0.3], [0.0, 1.0], [-1.0, 0.2], [-0.5, -1.0]])
    after = Gaussian.start(mean, sigma).updated(k, x)
    y = (x - mean) / sigma
    step = k.weights[:3] @ y[:3]
    assert after.mean == pytest.approx(mean + sigma * step)
    path = math.sqrt(k.c_sigma * (2 - k.c_sigma) * k.mu_eff) * step
    assert after.path_sigma == pytest.approx(path)
    growth = k.c_sigma / k.d_sigma * (np.linalg.norm(path) / k.chi - 1)
    assert after.sigma == pytest.approx(sigma * math.exp(growth))
    weights = np.where(k.weights >= 0, k.weights, k.weights * 2 / (y**2).sum(axis=1))
    path_c = math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * step
    expected = (1 - k.c_1 - k.c_mu * k.weights.sum()) * np.eye(2) + k.c_1 * np.outer(path_c, path_c)
    expected += k.c_mu * sum(w * np.outer(row, row) for w, row in zip(weights, y, strict=True))
    assert after.covariance == pytest.approx(expected)


def test_foreign_points_can_not_tear_the_distribution() -> None:
    """A point far from the distribution counts as one at the usual distance."""
    k = Constants.of(2, 6)
    x = np.full((6, 2), 0.5)
    x[0] = 1.0
    after = Gaussian.start(np.full(2, 0.5), 1e-3).updated(k, x)
    assert np.linalg.norm(after.mean - 0.5) <= 1e-3 * (math.sqrt(2) + 1)


def share_outside(gaussian: Gaussian, place: int, lower: float, upper: float) -> tuple[float, float]:
    """Return how often a discrete parameter is drawn below and above its cell."""
    generator = np.random.default_rng(0)
    drawn = np.array([gaussian.stretched(gaussian.draw(generator))[place] for _ in range(20_000)])
    return float((drawn < lower).mean()), float((drawn > upper).mean())


@pytest.mark.parametrize(
    ("mean", "cell", "least"),
    [(0.31, (0.25, 0.5), (0.02, 0.02)), (0.02, (0.0, 0.25), (0.0, 0.04)), (0.98, (0.75, 1.0), (0.04, 0.0))],
)
def test_margin_keeps_the_neighbours_possible(
    mean: float, cell: tuple[float, float], least: tuple[float, float]
) -> None:
    """However small σ, each neighbouring value is drawn with half the margin, or one alone with all of it."""
    gaussian = Gaussian.start(np.array([mean, 0.5]), 1e-4)
    bounds = tuple(end if 0 < end < 1 else math.inf * (end - 0.5) for end in cell)
    assert share_outside(gaussian, 0, *bounds) == (0.0, 0.0)
    after = gaussian.with_margin({0: cell}, 0.04)
    assert share_outside(after, 0, *bounds) == pytest.approx(least, abs=0.006)
    assert after.mean[1] == 0.5
    assert after.scales[1] == 1.0
    assert cell[0] <= after.mean[0] <= cell[1]


def test_margin_leaves_a_wide_distribution_alone() -> None:
    """Where the neighbours are likely enough nothing changes."""
    gaussian = Gaussian.start(np.array([0.4]), 0.3)
    after = gaussian.with_margin({0: (0.25, 0.5)}, 0.04)
    assert after.mean == pytest.approx(gaussian.mean)
    assert after.scales == pytest.approx(gaussian.scales)


def test_categories_follow_the_better_half_and_none_dies_out() -> None:
    """The probability of what the better half chose grows towards 1, less the margin of the others."""
    k, categories = Constants.of(1, 6), Categories.start([3, 2])
    chosen = np.array([[0, NAN], [0, NAN], [0, NAN], [1, NAN], [2, NAN], [1, NAN]])
    first = categories.updated(k, chosen)
    assert first.probabilities[0] == pytest.approx([1 / 3 + 0.3 * 2 / 3, 1 / 3 - 0.1, 1 / 3 - 0.1])
    for _ in range(100):
        categories = categories.updated(k, chosen)
    least = (1 - 0.73**0.5) / 2
    assert categories.probabilities[0] == pytest.approx([1 - 2 * least, least, least])
    assert categories.probabilities[1] == pytest.approx([0.5, 0.5])  # nothing was said about it


def test_starts_around_the_default() -> None:
    """The first generation surrounds the default configuration; without one, the middle."""
    space = parse_space({name: {**declared, "default": 0.1} for name, declared in cube(3).items()})
    for subject, centre in (
        (create("cmaes", space, goal="minimize", initial=initial_configurations(space)), 0.1),
        (create("cmaes", cube(3), goal="minimize"), 0.5),
    ):
        drawn = [list(asked(subject).parameters.values()) for _ in range(200)]
        assert np.median(drawn) == pytest.approx(centre, abs=0.05)
        assert np.std(drawn) < SIGMA


def generation(subject: Tuner, outcomes: list[Any]) -> list[Suggestion]:
    """Ask for as many trials as there are outcomes and tell them: a loss, or a cause."""
    suggestions = [asked(subject) for _ in outcomes]
    for suggestion, what in zip(suggestions, outcomes, strict=True):
        subject.tell(suggestion.failure(what) if isinstance(what, str) else suggestion.outcome(what))
    return suggestions


def state_after(outcomes: list[Any]) -> Gaussian:
    """Return the distribution after these outcomes and one more question; λ = 4."""
    subject = create("cmaes", cube(2), goal="minimize", population_size=4)
    assert isinstance(subject, CmaEsTuner)
    generation(subject, outcomes)
    asked(subject)
    return subject._state.gaussian


def test_a_generation_is_complete_with_lambda_outcomes() -> None:
    """Fewer outcomes teach nothing yet; 2λ of them are two generations, however many were asked for at once."""
    assert state_after([1.0, 2.0, 3.0]).generation == 0
    assert state_after([1.0, 2.0, 3.0, 4.0]).generation == 1
    assert state_after([float(value) for value in range(9)]).generation == 2


def test_failures_rank_last_or_count_for_nothing() -> None:
    """A failure due to the parameters is the worst of its generation; an accident leaves the generation open."""
    failed, bad = state_after([1.0, "gpu_oom", 2.0, 3.0]), state_after([1.0, 9.0, 2.0, 3.0])
    assert failed.mean == pytest.approx(bad.mean)
    assert state_after([1.0, "killed", 2.0, 3.0]).generation == 0
    assert state_after([1.0, "killed", 2.0, 3.0, 4.0]).generation == 1


def test_converged_searches_start_again_with_a_larger_population() -> None:
    """After convergence the distribution is wide again, and λ has doubled."""
    subject = create("cmaes", cube(1), goal="minimize", population_size=4)
    assert isinstance(subject, CmaEsTuner)
    for _ in range(200):
        suggestion = asked(subject)
        subject.tell(suggestion.outcome((suggestion.parameters["x0"] - 0.4) ** 2))
        if subject._state.start:
            break
    assert subject._state.start == 1
    assert subject._state.constants.population == 8
    assert subject._state.gaussian.sigma == SIGMA


def test_learns_categories_conditions_and_integers() -> None:
    """On a mixed conditional function CMA-ES finds branch, integer and value far better than random search."""
    space = parse_space(
        {
            "kind": ["a", "b", "c"],
            "layers": {"low": 1, "high": 12},
            "m": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}},
            **cube(3),
        }
    )

    def best(name: str, seed: int) -> float:
        subject, lowest = create(name, space, goal="minimize", seed=seed), math.inf
        for _ in range(150):
            suggestion = asked(subject)
            p = suggestion.parameters
            value = sum((p[f"x{i}"] - 0.8) ** 2 for i in range(3)) + abs(p["layers"] - 9) / 12
            value += (p["m"] - 0.7) ** 2 if p["kind"] == "b" else 0.5
            lowest = min(lowest, value)
            subject.tell(suggestion.outcome(value))
        return lowest

    evolved, random = (np.mean([best(name, seed) for seed in range(6)]) for name in ("cmaes", "random"))
    assert evolved < 0.25 * random
