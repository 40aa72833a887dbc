"""The densities of TPE against straightforward computations, and what the algorithm makes of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.space import SearchSpace
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion
from tunewell.tuners.encoding import Encoding
from tunewell.tuners.tpe import Mixture, normal_cdf

SPACE = parse_space(
    {
        "rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "layers": {"low": 1, "high": 6},
        "width": {"low": 4, "high": 256, "log": True},
        "optimizer": ["sgd", "adamw", "lion"],
        "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
        "size": {"ordinal": [32, 64, 128]},
    }
)

#: Numbers of the branch with many parameters.
MANY = {f"y{number}": 0.7 for number in range(12)}
BRANCHES = parse_space(
    {
        "k": ["few", "many", "none"],
        "x": {"low": 0.0, "high": 1.0, "when": {"k": "few"}},
        **{name: {"low": 0.0, "high": 1.0, "when": {"k": "many"}} for name in MANY},
    }
)


def mixture(space: SearchSpace, number: int, seed: int = 0) -> Mixture:
    """Return a mixture around random configurations with random weights."""
    generator = np.random.default_rng(seed)
    encoding = Encoding(space)
    points = np.array([encoding.encode(space.sample(generator)) for _ in range(number)])
    return Mixture(encoding, points.reshape(number, len(space)), generator.random(number) + 0.1)


def test_normal_distribution_function() -> None:
    """The approximation agrees with the standard library's error function."""
    z = np.linspace(-6, 6, 201)
    exact = [0.5 * math.erfc(-value / math.sqrt(2)) for value in z]
    assert np.abs(normal_cdf(z) - exact).max() < 1.2e-7


def test_encoding_round_trip() -> None:
    """Encoding and decoding give the same configuration, and snapping leaves an encoded point where it is."""
    generator = np.random.default_rng(1)
    encoding = Encoding(SPACE)
    for _ in range(200):
        configuration = SPACE.sample(generator)
        point = encoding.encode(configuration)
        assert encoding.decode(point) == pytest.approx(configuration)
        assert np.allclose(encoding.snap(point[None])[0], point, equal_nan=True)


@pytest.mark.parametrize(
    "declaration",
    [
        {"low": 0.0, "high": 1.0},
        {"low": 1, "high": 9},
        {"low": 1, "high": 40, "log": True},
        {"low": 0.0, "high": 1.0, "step": 0.1},
        {"choices": ["a", "b", "c", "d"]},
        {"ordinal": [1, 2, 3]},
    ],
)
def test_densities_integrate_to_one(declaration: dict[str, object]) -> None:
    """The density of any kind of parameter has mass 1 on the unit interval."""
    space = parse_space({"x": declaration})
    subject = mixture(space, 7)
    positions = (np.arange(20000) + 0.5) / 20000
    density = np.exp(subject.log_density(Encoding(space).snap(positions[:, None])))
    assert density.mean() == pytest.approx(1.0, abs=2e-3)


def test_sampling_follows_the_density() -> None:
    """The mean of 1/l(x) over draws from l is 1: what is drawn is what the density says, conditions included."""
    subject = mixture(SPACE, 5)
    draws = subject.sample(40_000, np.random.default_rng(2), np.full(len(SPACE), math.nan))
    ratio = np.exp(-subject.log_density(draws))
    assert ratio.mean() == pytest.approx(1.0, abs=0.1)


def test_branches_are_comparable() -> None:
    """In a branch, draws follow its own density, and the branch counts no more: neither do its parameters' number."""
    encoding = Encoding(BRANCHES)
    points = [encoding.encode({"k": "few", "x": 0.2})] * 3 + [encoding.encode({"k": "many", **MANY})]
    subject = Mixture(encoding, np.array(points), np.ones(4))
    for name, active in (("few", {"x"}), ("many", set(MANY)), ("none", set())):
        branch = np.where(encoding.parents, encoding.encode({"k": name}), math.nan)
        density = subject.within(branch)
        draws = density.sample(40_000, np.random.default_rng(3), branch)
        assert {*encoding.decode(draws[0])} == {"k", *active}
        assert np.exp(-density.log_density(draws)).mean() == pytest.approx(1.0, abs=0.1)


def test_a_branch_with_more_parameters_is_not_preferred() -> None:
    """Of two branches that are as good as one another both are searched, however many parameters each has."""
    for seed in range(3):
        subject = create("tpe", BRANCHES, goal="minimize", seed=seed)
        counts = dict.fromkeys(("few", "many", "none"), 0)
        for number in range(90):
            suggestion = subject.ask()
            assert isinstance(suggestion, Suggestion)
            name = str(suggestion.parameters["k"])
            counts[name] += number >= 30
            near = abs(float(suggestion.parameters["x" if name == "few" else "y0"]) - 0.5) if name != "none" else 1.0
            subject.tell(suggestion.outcome(near))
        assert counts["few"] > 10 < counts["many"]


def test_log_density_by_hand() -> None:
    """For one continuous parameter, one observation and the prior the density is the textbook formula."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    subject = Mixture(Encoding(space), np.array([[0.3]]), np.array([2.0]))
    s = subject.sigma
    mass = 0.5 * (math.erf(0.7 / s / math.sqrt(2)) + math.erf(0.3 / s / math.sqrt(2)))
    for x in (0.0, 0.25, 0.9):
        kernel = math.exp(-0.5 * ((x - 0.3) / s) ** 2) / (s * math.sqrt(2 * math.pi) * mass)
        expected = math.log(2 / 3 * kernel + 1 / 3)
        assert subject.log_density(np.array([[x]]))[0] == pytest.approx(expected, abs=1e-6)


def test_order_of_categories_does_not_matter() -> None:
    """A categorical kernel looks at equality only: permuted categories have the same densities."""
    one = parse_space({"k": ["a", "b", "c"]})
    two = parse_space({"k": ["c", "a", "b"]})
    densities = []
    for space in (one, two):
        encoding = Encoding(space)
        points = np.array([encoding.encode({"k": value}) for value in ("a", "a", "b")])
        subject = Mixture(encoding, points, np.ones(3))
        densities.append([subject.log_density(encoding.encode({"k": v})[None])[0] for v in "abc"])
    assert densities[0] == pytest.approx(densities[1])


def best(name: str, seed: int, trials: int = 60, **options: Any) -> float:
    """Return the best value of a mixed function of five parameters."""
    space = parse_space({**{f"x{i}": {"low": 0.0, "high": 1.0} for i in range(4)}, "k": [f"c{i}" for i in range(5)]})
    subject = create(name, space, goal="minimize", seed=seed, **options)
    lowest = math.inf
    for _ in range(trials):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        p = suggestion.parameters
        value = sum((p[f"x{i}"] - 0.15 - 0.2 * i) ** 2 for i in range(4)) + 0.3 * (p["k"] != "c3")
        lowest = min(lowest, value)
        subject.tell(suggestion.outcome(value))
    return lowest


def test_beats_random_search() -> None:
    """On a smooth mixed function TPE's mean best value is less than half of that of independent random draws."""
    tpe = np.mean([best("tpe", seed) for seed in range(8)])
    random = np.mean([best("random", seed, sequence="uniform") for seed in range(8)])
    assert tpe < 0.5 * random


def failing_share(cause: str, seed: int) -> float:
    """Return how many of trials 21 to 60 lie where all trials fail with this cause: x above 0.3."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    subject = create("tpe", space, goal="minimize", seed=seed)
    failing = []
    for _ in range(60):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        failing.append(suggestion.parameters["x"] > 0.3)
        value = (suggestion.parameters["y"] - 0.5) ** 2
        subject.tell(suggestion.failure(cause) if failing[-1] else suggestion.outcome(value))
    return float(np.mean(failing[20:]))


def test_failures_teach_to_keep_away() -> None:
    """Failures that the parameters brought about are avoided; accidents are no reason to avoid anything."""
    avoided, accidents = (np.mean([failing_share(cause, seed) for seed in range(5)]) for cause in ("gpu_oom", "killed"))
    assert avoided < 0.2
    assert avoided < 0.5 * accidents


def test_pending_trials_are_kept_apart() -> None:
    """Proposals made at once, without an outcome between them, are not heaped onto one point."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    subject = create("tpe", space, goal="minimize", seed=1)
    for _ in range(20):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        subject.tell(
            suggestion.outcome((suggestion.parameters["x"] - 0.5) ** 2 + (suggestion.parameters["y"] - 0.5) ** 2)
        )
    batch = [subject.ask() for _ in range(8)]
    points = np.array([[s.parameters["x"], s.parameters["y"]] for s in batch if isinstance(s, Suggestion)])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(8, 1)]
    assert distances.min() > 0.005
    assert np.median(distances) > 0.1
