"""How much of its training a trial has done, and in words why it is not all."""

from __future__ import annotations

from collections.abc import Mapping

from tunewell.spec.states import CUTS_BY_DESIGN, Cut

_WHY: Mapping[Cut, str] = {
    Cut.MAX_DURATION: "stopped by the time limit of the search",
    Cut.MAX_TRIAL_DURATION: "stopped by the time limit of a trial",
    Cut.BY_HAND: "stopped by hand",
    Cut.TARGET: "when the search reached its target",
    Cut.SEARCH_ENDED: "when the search ended",
}


#: The same in a word or two, for tables.
CUT_WORDS: Mapping[Cut, str] = {
    Cut.MAX_DURATION: "time limit",
    Cut.MAX_TRIAL_DURATION: "time limit",
    Cut.EARLY_STOPPING: "early stopping",
    Cut.FIDELITY: "all it was given",
    Cut.BY_HAND: "by hand",
    Cut.TARGET: "target reached",
    Cut.SEARCH_ENDED: "search ended",
}


def training_text(epochs: int | None, planned: int | None, cut_by: Cut | None) -> str:
    """Return how far a training came and why not further: `epoch 7 of 10, stopped by the time limit of the search`.

    Empty where that is not known, or all of it was done.
    """
    if epochs is None or planned is None or epochs >= planned:
        return ""
    if cut_by in CUTS_BY_DESIGN:
        why = "by the early stopping" if cut_by is Cut.EARLY_STOPPING else "all that the search gave it"
        return f"{epochs} of {planned} epochs, {why}"
    done = f"epoch {epochs} of {planned}" if epochs else f"none of {planned} epochs done"
    return f"{done}, {_WHY[cut_by]}" if cut_by is not None else done


def share_text(epochs: int | None, planned: int | None) -> str:
    """Return how many of its epochs a training has done, `7 of 10`; empty where that is not known."""
    return "" if epochs is None or planned is None else f"{min(epochs, planned)} of {planned}"
