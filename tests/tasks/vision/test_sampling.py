"""The advice to search on a sample."""

from __future__ import annotations

import pytest

from tunewell.tasks.data_view import DataSummary
from tunewell.tasks.vision.sampling import advise_sampling


@pytest.mark.parametrize(
    ("pictures", "counts", "share"),
    [
        (60_000, [6000] * 10, "0.1` would search on 6000 training pictures, about 10 times"),
        (4000, [2000, 2000], "0.25` would search on 1000 training pictures, about 2 times"),
        (2000, [1000, 1000], None),
        (20_000, [19_900, 100], "0.5` would search on 10000 training pictures, about 2 times"),
        (1999, [999, 1000], None),
        (60_000, [59_901, 99], None),
        (5000, [], None),
    ],
)
def test_a_sample_is_advised_where_enough_is_left(pictures: int, counts: list[int], share: str | None) -> None:
    """The smallest share that leaves a thousand pictures and fifty of each class; none where nothing does.

    Nor where a search would hardly be faster, as a small sample needs as many steps.
    """
    splits = {"val": 1, "train": pictures}
    data = DataSummary("data", splits, "picture", {str(label): (0, count) for label, count in enumerate(counts)})

    def steps(share: float) -> int:
        return max(2000, round(share * pictures))

    advice = advise_sampling(1.0, data, steps)
    assert advise_sampling(0.5, data, steps) == [], "it is sampled already"
    if share is None:
        assert advice == []
    else:
        assert advice == [
            f"Advice: `sampling: {share} as fast; `finalists: full` then trains the five best on all of them."
        ]
