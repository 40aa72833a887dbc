"""How likely a configuration is to fail, learned from failures that the parameters brought about.

A kernel vote (Nadaraya 1964) with a prior of two pseudo-observations, three quarters feasible: it needs no fit, and a
single failure already counts.
"""

from __future__ import annotations

import numpy as np

from tunewell.tuners.encoding import Array

#: Pseudo-observations, and how many of them succeeded.
PRIOR_WEIGHT = 2.0
PRIOR_SUCCESSES = 1.5


def log_feasibility(correlation: Array, succeeded: Array) -> Array:
    """Return log P(no failure) (m,) from correlations (m, n), in [0, 1], with n trials of which some succeeded (n,)."""
    successes = PRIOR_SUCCESSES + correlation @ succeeded.astype(float)
    return np.asarray(np.log(successes / (PRIOR_WEIGHT + correlation.sum(axis=1))))
