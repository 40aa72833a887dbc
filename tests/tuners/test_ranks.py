"""Ranks and what is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.tuners.ranks import correlation, mean_ranks, normal_scores


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_the_correlation_of_ranks_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    """It is Pearson's correlation of mean ranks, within [-1, 1], 0 where a side is constant."""
    first, second = (np.array([float(pair[place]) for pair in pairs]) for place in (0, 1))
    found = correlation(mean_ranks(first), mean_ranks(second))
    ranks = [
        [np.mean([place for place, other in enumerate(sorted(side.tolist())) if other == value]) for value in side]
        for side in (first, second)
    ]
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found == 0.0
    else:
        assert found == pytest.approx(np.corrcoef(ranks)[0, 1])


def test_equal_values_share_their_ranks() -> None:
    """Mean ranks of ties; normal scores that are symmetric; no correlation with what is constant."""
    assert mean_ranks(np.array([3.0, 1.0, 3.0, -np.inf])).tolist() == [3.5, 2.0, 3.5, 1.0]
    assert normal_scores(np.array([5.0, 1.0, 3.0])).tolist() == pytest.approx([0.967422, -0.967422, 0.0], abs=1e-6)
    assert correlation(np.ones(5), np.arange(5.0)) == 0.0
