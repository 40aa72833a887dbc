"""The words for ranks, ties and intervals."""

from __future__ import annotations

import pytest

from tunewell.spec.format import within
from tunewell.spec.standing import choice_text, gain_text, rank_text, standing_text


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (0.9375, (0.8438, 1.0), "0.94 (0.84–1.00)"),
        (0.98413, (0.9712, 0.9931), "0.984 (0.971–0.993)"),
        (12.3456, (8.0, 20.0), "12 (8–20)"),
        (0.00123456, (0.001, 0.0019), "0.00123 (0.00100–0.00190)"),
        (-0.02, (-0.051, 0.049), "−0.02 (−0.05–0.05)"),
        (0.9132456, None, "0.9132"),
        (None, None, "–"),
        (None, (0.1, 0.2), "–"),
    ],
)
def test_a_value_has_the_digits_that_its_interval_supports(
    value: float | None, ends: tuple[float, float] | None, text: str
) -> None:
    """Two digits of the interval's width are shown; without an interval the value is as ever."""
    assert within(value, ends) == text


def test_ranks() -> None:
    """A tie is called one."""
    assert [rank_text(1, False), rank_text(2, True), rank_text(3, False)] == ["1", "tie with 1", "3"]


def test_what_a_comparison_says() -> None:
    """One sentence says who is a tie, on how many items; that these are few is said, too."""
    assert standing_text((), (), 32, "picture") == ""
    assert standing_text((), (3,), 40, "picture") == (
        "The first is ahead of the other one by more than chance explains, on 40 validation pictures."
    )
    assert "the 4 others" in standing_text((), (3, 4, 5, 6), 40, "picture")
    assert standing_text((7, 3), (7, 3, 4), 32, "picture") == (
        "Trials 3, 7 are not to be told apart from the first on 32 validation pictures; "
        "the first is taken since no measured value is better."
    )
    assert standing_text((7,), (7,), 12, "row").endswith("is better. From 12 rows, intervals and ties mean little.")
    assert standing_text((), (), 4, "picture") == "From 4 pictures, intervals and ties mean little."
    cut = standing_text((), (3,), 40, "picture", in_full=False)
    assert cut.endswith("validation pictures. That is as far as they were trained: in full, it may be otherwise.")
    assert gain_text(None) == ""
    assert gain_text((-0.02, 0.04)) == "What the best has over the default (−0.020 to +0.040) is within chance."
    assert gain_text((0.02, 0.14)).endswith("(+0.02 to +0.14) is more than chance explains.")
    assert choice_text(1).startswith("Its best epoch was chosen on the validation data")
    assert choice_text(40).startswith("The best of 40 trials was chosen on the validation data")
