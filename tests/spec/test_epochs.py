"""How far a training came, in words."""

from __future__ import annotations

import pytest

from tunewell.spec.epochs import share_text, training_text
from tunewell.spec.states import Cut


@pytest.mark.parametrize(
    ("epochs", "planned", "cut_by", "text"),
    [
        (10, 10, None, ""),
        (None, 10, None, ""),
        (7, None, Cut.MAX_DURATION, ""),
        (7, 10, Cut.MAX_DURATION, "epoch 7 of 10, stopped by the time limit of the search"),
        (7, 10, Cut.MAX_TRIAL_DURATION, "epoch 7 of 10, stopped by the time limit of a trial"),
        (0, 10, Cut.MAX_TRIAL_DURATION, "none of 10 epochs done, stopped by the time limit of a trial"),
        (7, 10, Cut.BY_HAND, "epoch 7 of 10, stopped by hand"),
        (7, 10, Cut.TARGET, "epoch 7 of 10, stopped when the search reached its target"),
        (7, 10, Cut.SEARCH_ENDED, "epoch 7 of 10, stopped when the search ended"),
        (3, 10, Cut.EARLY_STOPPING, "3 of 10 epochs, by the early stopping"),
        (3, 10, Cut.FIDELITY, "3 of 10 epochs, all that the search gave it"),
        (3, 10, None, "epoch 3 of 10"),
    ],
)
def test_a_training_that_is_not_whole_says_why(epochs: int, planned: int, cut_by: Cut | None, text: str) -> None:
    """Only what is not all of the training is told, with what has ended it."""
    assert training_text(epochs, planned, cut_by) == text


def test_every_cut_has_words() -> None:
    """No cut is told without a reason."""
    assert all("," in training_text(1, 2, cut) for cut in Cut)


def test_shares_of_trainings() -> None:
    """A share is told where it is known."""
    assert (share_text(7, 10), share_text(None, 10), share_text(7, None)) == ("7 of 10", "", "")
