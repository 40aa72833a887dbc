"""Random search: uniform in each parameter's own scale, no configuration twice.

Sources: Bergstra, Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13 (which finds Sobol's sequence
ahead of independent draws, too); Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points", Journal of Complexity 14.
"""

from __future__ import annotations

from typing import ClassVar

from tunewell.spec.space import Configuration
from tunewell.tuners.contract import Exhausted, Search, Suggestion, Tuner, Wait
from tunewell.tuners.encoding import Array
from tunewell.tuners.fresh import Fresh

#: Independent draws, or a scrambled Sobol sequence.
SEQUENCES = ("uniform", "sobol")
_SCRAMBLING = 1


class RandomTuner(Tuner):
    """Draws each trial without regard to outcomes; all trials may run at once."""

    name: ClassVar[str] = "random"

    def __init__(self, search: Search, *, sequence: str = "uniform") -> None:
        """Set up an empty history with one of `SEQUENCES`; see `Tuner`."""
        super().__init__(search)
        self._sobol = sequence == "sobol"
        self._points: Array | None = None
        self._fresh = Fresh(self.space)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Take the sequence's next point, or draw one if that has been suggested."""
        configuration = self._sobol_configuration(self.place(number)) if self._sobol else None
        if configuration is not None and self._fresh.is_new(configuration):
            return Suggestion(number, configuration, "spread out")
        configuration = self._fresh.draw(self.generator(number))
        return Exhausted() if configuration is None else Suggestion(number, configuration, "random")

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration."""
        self._fresh.note(suggestion.parameters)

    def _sobol_configuration(self, index: int) -> Configuration:
        """Return the configuration at point `index` (from 0) of the sequence, which the seed determines."""
        if self._points is None or index >= len(self._points):
            from scipy.stats import qmc  # takes half a second to import

            sequence = qmc.Sobol(len(self.space), rng=self.generator(0, _SCRAMBLING))
            self._points = sequence.random_base2(max(6, (index + 1).bit_length()))
        return self.space.from_unit(dict(zip(self.space.names, self._points[index].tolist(), strict=True)))
