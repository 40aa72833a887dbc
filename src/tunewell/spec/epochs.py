"""How much of its training a trial has done, and in words why it is not all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunewell.spec.states import CUTS_BY_DESIGN, Cut


@dataclass(frozen=True, slots=True)
class CutWords:
    """How a cut is told."""

    #: What follows on `stopped`; of a cut by design, on how much was done.
    why: str
    #: The same in a word or two, for tables.
    brief: str


#: The words for all cuts, wherever one is told.
CUT_WORDS: Mapping[Cut, CutWords] = {
    Cut.MAX_DURATION: CutWords("by the time limit of the search", "time limit"),
    Cut.MAX_TRIAL_DURATION: CutWords("by the time limit of a trial", "time limit"),
    Cut.EARLY_STOPPING: CutWords("by the early stopping", "early stopping"),
    Cut.FIDELITY: CutWords("all that the search gave it", "all it was given"),
    Cut.BY_HAND: CutWords("by hand", "by hand"),
    Cut.TARGET: CutWords("when the search reached its target", "target reached"),
    Cut.SEARCH_ENDED: CutWords("when the search ended", "search ended"),
}


def training_text(epochs: int | None, planned: int | None, cut_by: Cut | None) -> str:
    """Return how far a training came and why not further: `epoch 7 of 10, stopped by the time limit of the search`.

    Empty where that is not known, or all of it was done.
    """
    if epochs is None or planned is None or epochs >= planned:
        return ""
    if cut_by in CUTS_BY_DESIGN:
        return f"{epochs} of {planned} epochs, {CUT_WORDS[cut_by].why}"
    done = f"epoch {epochs} of {planned}" if epochs else f"none of {planned} epochs done"
    return f"{done}, {stopped_text(cut_by)}" if cut_by is not None else done


def stopped_text(cut_by: Cut) -> str:
    """Return what has stopped a trial: `stopped by the time limit of the search`."""
    return f"stopped {CUT_WORDS[cut_by].why}"


def share_text(epochs: int | None, planned: int | None) -> str:
    """Return how many of its epochs a training has done, `7 of 10`; empty where that is not known."""
    return "" if epochs is None or planned is None else f"{min(epochs, planned)} of {planned}"
