"""Dividing pictures with several classes each: iterative stratification.

Sechidis, Tsoumakas, Vlahavas 2011, "On the Stratification of Multi-Label Data" (ECML PKDD), algorithm 1, for two
parts. The rarest class is shared out first, each picture to the part that lacks most of it. Deviations: pictures that
belong together stay together, and the last picture of a class never goes to the chosen part.
"""

from __future__ import annotations

import numpy as np

from tunewell.tasks.vision.duplicates import groups_of_copies
from tunewell.tasks.vision.inspection import Pictures
from tunewell.tasks.vision.picture_set import VALIDATION_SHARE


def divide(pictures: Pictures, seed: int) -> Pictures:
    """Return a set with a share of each class of the training pictures as validation data; copies stay together.

    Raises:
        DataError: there are too few pictures.
    """
    groups = groups_of_copies([pictures.path(position) for position in pictures.splits["train"]])
    return pictures.divided(stratified_choice(pictures.presence("train"), VALIDATION_SHARE, seed, groups))


def stratified_choice(presence: np.ndarray, share: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return indices, ascending, of about `share` of the pictures, and of the pictures of each class.

    Args:
        presence: which classes are in each picture, bool (N, C).
        share: of the pictures, in (0, 1).
        seed: decides between equals.
        groups: group of each picture, (N,); all pictures of a group go the same way.
    """
    groups = np.arange(len(presence)) if groups is None else groups
    names, members = np.unique(groups, return_inverse=True)
    units = np.zeros((len(names), presence.shape[1]), dtype=bool)
    np.logical_or.at(units, members, presence)
    chosen: np.ndarray = np.flatnonzero(_choose(units, share, np.random.default_rng(seed))[members])
    return chosen


def _choose(units: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Return which rows of `units` (N, C) are chosen, bool (N,)."""
    parts = np.array([share, 1 - share])
    wanted = parts[:, None] * units.sum(axis=0)  # (2, C): how many of each class each part still lacks
    room = parts * len(units)  # (2,)
    part = np.full(len(units), -1)
    rest = units.sum(axis=0)  # (C,): units of each class that the second part has, or may yet get
    while (part < 0).any():
        open_units = part < 0
        counts = units[open_units].sum(axis=0)  # (C,)
        if counts.any():
            rarest = int(np.argmin(np.where(counts > 0, counts, len(units) + 1)))
            candidates = np.flatnonzero(open_units & units[:, rarest])
        else:
            rarest, candidates = -1, np.flatnonzero(open_units)
        for unit in generator.permutation(candidates).tolist():
            own = units[unit]
            lack = room if rarest < 0 else wanted[:, rarest]
            first = lack[0] > lack[1] or (lack[0] == lack[1] and generator.random() < share)
            if first and not (rest[own] <= 1).any():
                part[unit] = 0
                rest = rest - own
            else:
                part[unit] = 1
            wanted[part[unit]] -= own
            room[part[unit]] -= 1
    chosen: np.ndarray = part == 0
    return chosen
