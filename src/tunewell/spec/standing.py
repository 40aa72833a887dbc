"""How the best trials stand to each other, chance taken into account, in words."""

from __future__ import annotations

import math
from collections.abc import Collection

from tunewell.spec.errors import count
from tunewell.spec.format import between, number

#: Fewer items hardly show what others are like: intervals and ties from them mean little.
LEAST_ITEMS = 20


#: How the repeats of the best trials are to be read.
REPEATS_NOTE = (
    "Mean ± standard deviation over the seeds; the run that the search made is left out, "
    "since it was chosen for its value."
)


def spread_text(mean: float | None, deviation: float | None) -> str:
    """Return a mean with its standard deviation, in the digits that this supports: `0.937 ± 0.006`."""
    if mean is None or not deviation:
        return number(mean)
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    few = decimals < 8
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}" if few else f"{number(mean)} ± {number(deviation, 2)}"


def rest_text(failed: Collection[int], unfinished: int) -> str:
    """Return what became of the other trainings: `1 failed, 2 not finished`; empty if all have ended well."""
    parts = [(len(failed), "failed"), (unfinished, "not finished")]
    return ", ".join(f"{amount} {what}" for amount, what in parts if amount)


def rank_text(place: int, is_tie: bool) -> str:
    """Return the rank of the trial in a place, or that it can't be told apart from the first."""
    return "tie with 1" if is_tie else str(place)


def standing_text(
    ties: Collection[int], compared: Collection[int], items: int, unit: str, *, in_full: bool = True
) -> str:
    """Return what the comparison of the best trials with the first one says, and whether the items are too few for it.

    Empty if there was none, of items enough.

    Args:
        ties: numbers of the trials that can't be told apart from the first.
        compared: numbers of all that were compared with it.
        items: number of validation items.
        unit: what an item is, such as `picture`.
        in_full: whether all of them were trained in full: a part of a training does not tell what all of it reaches.
    """
    few = f"From {count(items, unit)}, intervals and ties mean little." if items < LEAST_ITEMS else ""
    if not compared:
        return few
    amount = count(items, f"validation {unit}")
    numbers = ", ".join(map(str, sorted(ties)))
    if not ties:
        others = f"the {len(compared)} others" if len(compared) > 1 else "the other one"
        text = f"The first is ahead of {others} by more than chance explains, on {amount}."
        text += "" if in_full else " That is as far as they were trained: in full, it may be otherwise."
    else:
        which = f"Trial {numbers} is" if len(ties) == 1 else f"Trials {numbers} are"
        text = (
            f"{which} not to be told apart from the first on {amount}; "
            "the first is taken since no measured value is better."
        )
    return f"{text} {few}".rstrip()


def gain_text(ends: tuple[float, float] | None) -> str:
    """Return whether the gain over the default, of which this is the interval, is more than chance; empty for None."""
    if ends is None:
        return ""
    verdict = "within chance" if ends[0] <= 0 <= ends[1] else "more than chance explains"
    return f"What the best has over the default ({between(ends)}) is {verdict}."


def choice_text(trials: int) -> str:
    """Return what the choice of the best of so many trials does to its value on the validation data."""
    best = f"The best of {trials} trials" if trials > 1 else "Its best epoch"
    return (
        f"{best} was chosen on the validation data, which flatters it there; the test data had no part in the choice."
    )
