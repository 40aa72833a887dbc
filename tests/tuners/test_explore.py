"""Moves from good configurations to new ones, whatever the space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.strategies import POSITIONS, choices, spaces
from tunewell.spec.space import Choice, SearchSpace
from tunewell.tuners.acquisition import neighbours
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.explore import cross, perturb
from tunewell.tuners.hamiltonian import hamiltonian_step

SEEDS = st.integers(0, 2**32 - 1)


def drawn(space: SearchSpace, generator: np.random.Generator) -> Array:
    """Return the point of a random configuration."""
    return Encoding(space).encode(space.sample(generator))


@given(spaces(), SEEDS, st.floats(0, 1), st.floats(0, 5))
def test_no_move_leaves_the_space(space: SearchSpace, seed: int, resample: float, step: float) -> None:
    """What is crossed, perturbed, moved by PSHE2 or looked at around it has one of the values that there are."""
    encoding, generator = Encoding(space), np.random.default_rng(seed)
    one, other = drawn(space, generator), drawn(space, generator)
    crossed = cross(one, other, 0.5, generator)
    noise = generator.uniform(-1, 1, one.shape)
    moved, _ = hamiltonian_step(one, 10 * noise, other, other, 1, noise)
    for configuration in (
        perturb(encoding, crossed, generator, resample=resample, step=step),
        perturb(encoding, moved, generator, resample=0.0, step=0.0),
        encoding.decode(moved),
        *map(encoding.decode, neighbours(encoding, np.array([one, other]), generator)),
    ):
        assert space.check(configuration) == configuration


@pytest.mark.parametrize("step", [0.01, 0.2])
@given(ordinal=choices().filter(lambda choice: choice.ordered and choice.size > 1), position=POSITIONS, seed=SEEDS)
def test_a_step_takes_an_ordinal_to_another_value_of_its_list(
    step: float, ordinal: Choice, position: float, seed: int
) -> None:
    """However small the step and however long the list, it is one value at least, and turns round at the ends."""
    space = SearchSpace((ordinal,))
    before = ordinal.from_unit(position)
    point = Encoding(space).encode({"x": before})
    after = perturb(Encoding(space), point, np.random.default_rng(seed), resample=0.0, step=step)["x"]
    assert ordinal.contains(after)
    assert ordinal.index(after) != ordinal.index(before)
