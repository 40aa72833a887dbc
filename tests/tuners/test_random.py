"""The sequences of random search."""

from __future__ import annotations

import numpy as np

from tunewell.spec.declaration import parse_space
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion

SPACE = parse_space({f"x{i}": {"low": 0.0, "high": 1.0} for i in range(3)})


def points(sequence: str, seed: int = 0, number: int = 64) -> np.ndarray:
    """Return the first points (number, 3)."""
    subject = create("random", SPACE, goal="minimize", seed=seed, sequence=sequence)
    found = [subject.ask() for _ in range(number)]
    return np.array([list(s.parameters.values()) for s in found if isinstance(s, Suggestion)])


def test_sobol_points_fill_every_slice() -> None:
    """64 Sobol points lie one in each 64th of every axis; independent draws do not."""
    for axis in points("sobol").T:
        assert sorted((axis * 64).astype(int)) == list(range(64))
    assert any(len(set((axis * 64).astype(int))) < 64 for axis in points("uniform").T)


def test_a_point_depends_on_seed_and_number_only() -> None:
    """Point 130 is the same whether the ones before were drawn here or replayed; another seed scrambles again."""
    subject = create("random", SPACE, goal="minimize", sequence="sobol")
    history = [subject.ask() for _ in range(129)]
    copy = create("random", SPACE, goal="minimize", sequence="sobol")
    copy.replay(entry for entry in history if isinstance(entry, Suggestion))
    assert copy.ask() == subject.ask()
    assert not np.allclose(points("sobol", seed=1), points("sobol"))


def test_taken_points_of_the_sequence_are_replaced() -> None:
    """In a space of 12 configurations each comes once, by drawing where the sequence repeats itself."""
    space = parse_space({"a": [1, 2, 3], "b": {"low": 1, "high": 4}})
    subject = create("random", space, goal="minimize", sequence="sobol")
    found = [subject.ask() for _ in range(12)]
    assert {s.origin for s in found if isinstance(s, Suggestion)} == {"spread out", "random"}
    assert len({str(s.parameters) for s in found if isinstance(s, Suggestion)}) == 12
