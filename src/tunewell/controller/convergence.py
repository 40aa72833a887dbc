"""Whether a search has converged: enough trials, a long plateau, and a tuner that expects no more gain.

Pure: what has ended, in the order of the trials' first ends, and the tuner's estimate in; a verdict out. So a search
that was recovered from the store is judged as it would have been.

After Makarova et al. 2022, "Automatic Termination for Hyperparameter Optimization", and Wilson 2024, "Stopping
Bayesian Optimization with Probabilistic Regret Bounds", section 3 (stop when a gain above ε is improbable).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

#: A gain counts from this share of the distance from the best loss to the median of the first so many. (Later losses
#: lie ever closer to the best one.)
GAIN_SHARE = 0.005
FIRST = 10
#: The probability of a gain below which a plateau is taken for the end.
MOST_PROBABLE = 0.01
#: Fewest ended trials, and ended trials without a gain: a number, and one for each parameter that varies.
FEWEST_ENDED = (30, 4)
FEWEST_WITHOUT_GAIN = (25, 3)
#: Ended trials without a gain where the tuner has no estimate: a number, and as many as there were trials before.
FEWEST_WITHOUT_GAIN_OR_MODEL = 50


@dataclass(frozen=True, slots=True)
class Convergence:
    """Figures of a search that has converged."""

    #: Trials that have ended.
    ended: int
    #: The latest of them, none of which brought a gain.
    without_gain: int
    #: Difference of the objective from which on an improvement counts as gain.
    least_gain: float
    #: Of a gain, as the tuner expects it; None if it has no estimate.
    probability: float | None


def examine(
    losses: Sequence[float | None], parameters: int, probability_of_gain: Callable[[float], float | None]
) -> Convergence | None:
    """Return the figures of a search that has converged, None for one that has not.

    Args:
        losses: what is minimised, of each ended trial; None of those without a result that counts.
        parameters: number of parameters that vary.
        probability_of_gain: the tuner's estimate (`Tuner.probability_of_gain`); called only after a long plateau.
    """
    found = [loss for loss in losses if loss is not None]
    ended = len(losses)
    if not found or ended < max(FEWEST_ENDED[0], FEWEST_ENDED[1] * parameters):
        return None
    best = min(found)
    least_gain = GAIN_SHARE * (median(found[:FIRST]) - best)
    if not math.isfinite(least_gain):  # losses at both ends of the range of floats
        return None
    good = next(place for place, loss in enumerate(losses) if loss is not None and loss <= best + least_gain)
    without_gain = ended - 1 - good
    if without_gain < max(FEWEST_WITHOUT_GAIN[0], FEWEST_WITHOUT_GAIN[1] * parameters):
        return None
    probability = probability_of_gain(least_gain)
    if probability is None:
        converged = without_gain >= max(FEWEST_WITHOUT_GAIN_OR_MODEL, ended - without_gain)
    else:
        converged = probability < MOST_PROBABLE
    return Convergence(ended, without_gain, least_gain, probability) if converged else None
