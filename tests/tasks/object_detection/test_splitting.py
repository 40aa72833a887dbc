"""Division of pictures that show several classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tasks.object_detection.splitting import stratified_choice


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.2, 0.5]))
def test_every_class_is_shared_out(seed: int, share: float) -> None:
    """The chosen part has about its share of each class, and never all pictures of one."""
    presence = np.random.default_rng(seed).random((200, 4)) < np.array([0.9, 0.5, 0.2, 0.05])
    chosen = stratified_choice(presence, share, seed)
    assert abs(len(chosen) - 200 * share) <= 10
    counts, total = presence[chosen].sum(axis=0), presence.sum(axis=0)
    assert (np.abs(counts - share * total) <= np.maximum(3, 0.15 * total)).all()
    assert (counts[total > 0] < total[total > 0]).all()
    np.testing.assert_array_equal(chosen, stratified_choice(presence, share, seed))


def test_groups_stay_together() -> None:
    """All pictures of a group go the same way."""
    groups = np.repeat(np.arange(30), 2)
    chosen = set(stratified_choice(np.ones((60, 1), dtype=bool), 0.3, 0, groups).tolist())
    assert all((2 * group in chosen) == (2 * group + 1 in chosen) for group in range(30))
