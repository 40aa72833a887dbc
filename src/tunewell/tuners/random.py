"""Random search: uniform in each parameter's own scale, no configuration twice.

Source: Bergstra, Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13.
"""

from __future__ import annotations

from typing import ClassVar

from tunewell.tuners.contract import Exhausted, Search, Suggestion, Tuner, Wait
from tunewell.tuners.fresh import Fresh


class RandomTuner(Tuner):
    """Draws each trial independently; all trials may run at once."""

    name: ClassVar[str] = "random"

    def __init__(self, search: Search) -> None:
        """Set up an empty history; see `Tuner`."""
        super().__init__(search)
        self._fresh = Fresh(self.space)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Draw a configuration that has not been suggested."""
        configuration = self._fresh.draw(self.generator(number))
        return Exhausted() if configuration is None else Suggestion(number, configuration, "random")

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration."""
        self._fresh.note(suggestion.parameters)
