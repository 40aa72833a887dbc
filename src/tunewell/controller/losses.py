"""How often a trial or job may lose its process: one that gets further each time goes on, others end after a few."""

from __future__ import annotations

from dataclasses import dataclass

#: Losses of a trial or job in all, unless more in a row are allowed: steps of a program may grow without it getting on.
MOST_IN_ALL = 100


@dataclass(slots=True)
class Losses:
    """What became of the attempts at one trial or job, told one after the other.

    A machine that is taken away costs time and nothing else, as long as each attempt gets further than all before it. A
    program that brings its machine down at one place each time doesn't, and ends.
    """

    #: Attempts that were lost since one has got further than all before it, that one included.
    in_a_row: int = 0
    #: Attempts that were lost.
    in_all: int = 0
    #: Largest step that any attempt has reported; None: none has reported any.
    furthest: int | None = None

    def note(self, last_step: int | None, was_lost: bool) -> None:
        """Take note of an attempt that has ended.

        Args:
            last_step: the largest step that it reported; None: it reported none.
            was_lost: whether it was lost through no fault of its own, and not paused.
        """
        if last_step is not None and (self.furthest is None or last_step > self.furthest):
            self.furthest = last_step
            self.in_a_row = 0
        self.in_a_row += was_lost
        self.in_all += was_lost

    def allow_another(self, most_in_a_row: int) -> bool:
        """Whether there is to be another attempt, if so many may be lost in a row."""
        return self.in_a_row < most_in_a_row and self.in_all < max(most_in_a_row, MOST_IN_ALL)
