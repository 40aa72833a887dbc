"""The equations of PSHE2 against steps worked out by hand, and what the algorithm makes of outcomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion, Tuner
from tunewell.tuners.gaussian_process import GaussianProcess
from tunewell.tuners.hamiltonian import StepConstants, disturb, exchange_categories, hamiltonian_step

NAN = math.nan
SQUARE = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}


def array(*values: float) -> np.ndarray:
    """Return a point."""
    return np.array(values)


def asked(subject: Tuner) -> Suggestion:
    """Return the next suggestion."""
    suggestion = subject.ask()
    assert isinstance(suggestion, Suggestion)
    return suggestion


def test_step_by_hand() -> None:
    """Momentum first, then position, then disturbance, with PaddleHub's α = 0.5, ε = 0.2, friction 3α/t."""
    position, momentum = hamiltonian_step(
        array(0.4, 0.8), array(0.1, -0.2), array(0.5, 0.6), array(0.2, 0.4), 3, array(0.5, -1.0)
    )
    # (1): friction 1 − 1.5/3 = 0.5; x: 0.05 − 0.5 (−0.1) − 0.5 (0.2) = 0; y: −0.1 − 0.5 (0.2) − 0.5 (0.4) = −0.4
    assert momentum == pytest.approx([0.0, -0.4])
    # (2): x 0.4, y 0.6; (3): x + 0.2·0.5·(1 − 0.4) = 0.46; y − 0.2·0.6 = 0.48
    assert position == pytest.approx([0.46, 0.48])


def test_step_agrees_with_the_source_on_its_own_scale() -> None:
    """On [−1, 1], where PaddleHub works, a step is the same one, scaled."""
    u, m, p, g, r = np.random.default_rng(0).uniform(0.3, 0.7, (5, 6))
    m, r = (m - 0.5) / 5, 2 * r - 1
    position, momentum = hamiltonian_step(u, m, p, g, 4, r)
    x, best, own = 2 * u - 1, 2 * g - 1, 2 * p - 1
    expected = (1 - 3 * 0.5 / 4) * 2 * m - 0.5 * (x - own) - 0.5 * (x - best)
    moved = x + 0.5 * expected
    moved += np.where(r >= 0, (1 - moved) * r * 0.2, (moved + 1) * r * 0.2)
    assert momentum == pytest.approx(expected / 2)
    assert position == pytest.approx((moved + 1) / 2)


def test_weights_scale_the_attraction() -> None:
    """A weight of 0 makes the particle blind to that point; proposals broadcast against one particle."""
    constants = StepConstants(own_weight=np.array([[1.0], [0.0]]), best_weight=np.array([[0.0], [2.0]]), epsilon=0.0)
    _, momentum = hamiltonian_step(array(0.5), array(0.0), array(0.9), array(0.3), 2, np.zeros((2, 1)), constants)
    assert momentum.ravel() == pytest.approx([0.2, -0.2])


def test_positions_stay_in_the_cube() -> None:
    """However large the momentum, a particle ends on the boundary, and the disturbance leads inwards."""
    position, _ = hamiltonian_step(array(0.9, 0.1), array(9.0, -9.0), array(1.0, 0.0), array(1.0, 0.0), 9, array(-1, 1))
    assert position == pytest.approx([0.8, 0.2])
    assert disturb(array(0.0, 1.0), array(-1.0, 1.0)) == pytest.approx([0.0, 1.0])


def test_inactive_coordinates_start_from_a_good_point_without_momentum() -> None:
    """A coordinate comes from the own best, else the best, else anywhere; what attracts must be active, too."""
    position, momentum = hamiltonian_step(
        array(NAN, NAN, NAN, 0.5),
        array(0.3, 0.3, 0.3, 0.2),
        array(0.7, NAN, NAN, NAN),
        array(NAN, 0.6, NAN, NAN),
        3,
        array(0.0, 0.0, 0.5, 0.0),
        StepConstants(epsilon=0.0),
    )
    assert momentum == pytest.approx([0.0, 0.0, 0.0, 0.1])
    assert position == pytest.approx([0.7, 0.6, 0.75, 0.55])


def test_categories_are_copied_the_surer_the_older_the_particle() -> None:
    """Copies of the own best and of the best make up t/(t + 1) of the values, half each."""
    generator = np.random.default_rng(0)
    for step in (1, 9):
        found = exchange_categories(np.zeros((20_000, 1)), array(0.25), array(0.75), step, generator)
        for source in (0.25, 0.75):
            assert (found == source).mean() == pytest.approx(0.5 * step / (step + 1), abs=0.015)
    assert not np.isnan(exchange_categories(np.zeros((100, 1)), array(NAN), array(NAN), 9, generator)).any()


def faithful(losses: list[Any], population: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Return the points of trials with these outcomes (a loss, or a cause), one after another."""
    subject = create("pshe2", SQUARE, goal="minimize", seed=seed, faithful=True, population_size=population)
    found = []
    for loss in losses:
        suggestion = asked(subject)
        found.append(array(*suggestion.parameters.values()))
        subject.tell(suggestion.failure(loss) if isinstance(loss, str) else suggestion.outcome(loss))
    return found


def noise_of(number: int) -> np.ndarray:
    """Return the disturbance of a trial: the first draw of its own generator."""
    return np.random.default_rng([0, number, 2]).uniform(-1, 1, (1, 2))


def test_each_particle_has_a_momentum_of_its_own() -> None:
    """Trials of two particles in turn follow the equations with separate momenta, clocks and best points."""
    points = faithful([1.0, 2.0, 0.5, 3.0, 4.0, 5.0])
    still = np.zeros(2)
    third, first_momentum = hamiltonian_step(points[0], still, points[0], points[0], 1, noise_of(3))
    fourth, second_momentum = hamiltonian_step(points[1], still, points[1], points[2], 1, noise_of(4))
    fifth, _ = hamiltonian_step(points[2], first_momentum, points[2], points[2], 2, noise_of(5))
    sixth, _ = hamiltonian_step(points[3], second_momentum, points[1], points[2], 2, noise_of(6))
    for place, expected in ((2, third), (3, fourth), (4, fifth), (5, sixth)):
        assert points[place] == pytest.approx(expected[0])


@pytest.mark.parametrize(("cause", "sign"), [("gpu_oom", -1), ("killed", 1)])
def test_failures_turn_the_momentum_round(cause: str, sign: int) -> None:
    """After a failure due to the parameters a particle turns back, after an accident it goes on; best points stay."""
    points = faithful([1.0, 2.0, 3.0, cause, 4.0, 5.0])
    _, momentum = hamiltonian_step(points[1], np.zeros(2), points[1], points[0], 1, noise_of(4))
    sixth, _ = hamiltonian_step(points[3], sign * momentum, points[1], points[0], 2, noise_of(6))
    assert points[5] == pytest.approx(sixth[0])


def test_the_latest_of_equal_points_is_the_best() -> None:
    """A tie replaces the best point, so that a particle on a plateau wanders."""
    points = faithful([1.0, 1.0, 2.0])
    third, _ = hamiltonian_step(points[0], np.zeros(2), points[0], points[1], 1, noise_of(3))
    assert points[2] == pytest.approx(third[0])


def test_the_particle_whose_trial_has_ended_moves() -> None:
    """A slow trial holds up its own particle only; with all of them busy one more is born."""
    subject = create("pshe2", SQUARE, goal="minimize", faithful=True, population_size=2)
    slow, quick = asked(subject), asked(subject)
    subject.tell(quick.outcome(1.0))
    assert asked(subject).origin == "moved"
    assert asked(subject).origin == "spread out"
    subject.tell(slow.outcome(2.0))
    assert asked(subject).origin == "moved"


def test_switched_on_parameters_are_valid_and_used() -> None:
    """In a conditional space both branches are tried, and the better one prevails."""
    space = parse_space(
        {
            "kind": ["a", "b"],
            "m": {"low": 0.0, "high": 1.0, "when": {"kind": "a"}},
            "n": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}},
        }
    )
    subject = create("pshe2", space, goal="minimize", seed=1)
    kinds = []
    for _ in range(50):
        suggestion = asked(subject)
        p = suggestion.parameters
        kinds.append(p["kind"])
        subject.tell(suggestion.outcome(1 + p["m"] if p["kind"] == "a" else abs(p["n"] - 0.3)))
    assert set(kinds[:12]) == {"a", "b"}
    assert kinds[-20:].count("b") >= 15


def best(seed: int, **options: Any) -> float:
    """Return the best value of 60 trials on a mixed function of five parameters."""
    name = options.pop("name", "pshe2")
    space = parse_space({**{f"x{i}": {"low": 0.0, "high": 1.0} for i in range(4)}, "k": [f"c{i}" for i in range(5)]})
    subject = create(name, space, goal="minimize", seed=seed, **options)
    lowest = math.inf
    for _ in range(60):
        suggestion = asked(subject)
        p = suggestion.parameters
        value = sum((p[f"x{i}"] - 0.15 - 0.2 * i) ** 2 for i in range(4)) + 0.3 * (p["k"] != "c3")
        lowest = min(lowest, value)
        subject.tell(suggestion.outcome(value))
    return lowest


def test_screening_pays_and_both_beat_random_search() -> None:
    """On a smooth mixed function the faithful kind beats random search, and the screened kind beats that by far."""
    screened, plain, random = (
        np.mean([best(seed, **options) for seed in range(6)])
        for options in ({}, {"faithful": True}, {"name": "random"})
    )
    assert plain < 0.8 * random
    assert screened < 0.3 * plain


def nearest_gap(seed: int) -> float:
    """Return the mean distance to the nearest neighbour of eight trials that run at once, after 16 on a bowl."""
    space = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}
    subject = create("pshe2", space, goal="minimize", seed=seed, population_size=8)
    for number in range(1, 25):
        suggestion = subject.ask()
        assert isinstance(suggestion, Suggestion)
        p = suggestion.parameters
        if number <= 16:
            subject.tell(suggestion.outcome((p["x"] - 0.4) ** 2 + (p["y"] - 0.4) ** 2))
    together = np.array([[subject.suggestions[n].parameters[name] for name in "xy"] for n in range(17, 25)])
    gaps = np.linalg.norm(together[:, None] - together[None], axis=2) + 9 * np.eye(8)
    return float(gaps.min(axis=1).mean())


def test_pending_trials_keep_others_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that run at once lie farther apart than they would if they were not believed to turn out as predicted."""
    believing = np.mean([nearest_gap(seed) for seed in range(8)])
    monkeypatch.setattr(GaussianProcess, "believe", lambda self, points: None)
    assert believing > 1.5 * np.mean([nearest_gap(seed) for seed in range(8)])
