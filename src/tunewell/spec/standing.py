"""How the best trials stand to each other, chance taken into account, in words."""

from __future__ import annotations

from collections.abc import Collection

from tunewell.spec.errors import count

#: Fewer items hardly show what others are like: intervals and ties from them mean little.
LEAST_ITEMS = 20


def rank_text(place: int, is_tie: bool) -> str:
    """Return the rank of the trial in a place, or that it can't be told apart from the first."""
    return "tie with 1" if is_tie else str(place)


def standing_text(ties: Collection[int], compared: Collection[int], items: int, unit: str) -> str:
    """Return what the comparison of the best trials with the first one says; empty if there was none.

    Args:
        ties: numbers of the trials that can't be told apart from the first.
        compared: numbers of all that were compared with it.
        items: number of validation items.
        unit: what an item is, such as `picture`.
    """
    if not compared:
        return ""
    amount = count(items, f"validation {unit}")
    numbers = ", ".join(map(str, sorted(ties)))
    if not ties:
        others = f"the {len(compared)} others" if len(compared) > 1 else "the other one"
        text = f"The first is ahead of {others} by more than chance explains, on {amount}."
    else:
        which = f"Trial {numbers} is" if len(ties) == 1 else f"Trials {numbers} are"
        text = (
            f"{which} not to be told apart from the first on {amount}; "
            "the first is taken since its measured value is the best."
        )
    return f"{text} So few {unit}s tell little of others." if items < LEAST_ITEMS else text


def choice_text(trials: int) -> str:
    """Return what the choice of the best of so many trials does to its value on the validation data."""
    return (
        f"The best of {count(trials, 'trial')} was chosen on the validation data, which flatters it there; "
        "the test data had no part in the choice."
    )
