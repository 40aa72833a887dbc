"""Where parameters with well-known names usually do well: a search starts there more often than elsewhere.

The places are what practitioners and the defaults of libraries (PyTorch, scikit-learn, XGBoost, LightGBM) agree on.
They count for three quarters of the start of a search, and for some trials after it where a tuner weighs its proposals
by the density; what is observed soon outweighs them. A range that leaves the place out, and a default, say that
somebody knows better.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tunewell.spec.space import NO_DEFAULT, Numeric, Parameter, SearchSpace
from tunewell.tuners.encoding import Array

#: How much of a start leans to the usual places; the rest is spread evenly.
SHARE = 0.75
#: Least standard deviation in the unit cube: nobody knows a place better than that.
LEAST_SPREAD = 0.15
#: A place so close to an end of the range is another parameter's of the same name (an `alpha` from 0 to 1, say).
EDGE = 0.01


@dataclass(frozen=True, slots=True)
class _Usual:
    """A normal distribution of good values."""

    #: What the name of the parameter matches as a whole.
    pattern: str
    centre: float
    #: One standard deviation: a factor, or a summand.
    times: float = 0.0
    plus: float = 0.0


#: Of trees that are boosted or bagged, told by one of these names among the parameters.
_TREES = r"booster|max_?depth|num_leaves|n_?estimators|n_?rounds|num_(boost_)?rounds?|num_trees|sub_?sample|colsample.*"
_OF_TREES = (
    _Usual("(.*_)?(lr|learning_rate|eta)", 0.1, times=3),
    _Usual("(reg_)?alpha|(lambda_)?l1(_.*)?", 0.01, times=30),
    _Usual("(reg_)?lambda|(lambda_)?l2(_.*)?", 1, times=30),
    _Usual("gamma|min_split_loss|min_split_gain", 0.01, times=30),
)
_OF_OTHERS = (
    _Usual("(.*_)?(lr|learning_rate|eta0?)(_.*)?", 5e-3, times=8),
    _Usual("alpha|(.*_)?weight_decay|wd|l2(_.*)?", 1e-4, times=10),
    _Usual("gamma", 0.03, times=10),
)
_OF_ALL = (
    _Usual("(.*_)?batch(_.*)?", 32, times=3),
    _Usual("momentum|beta_?1", 0.9, plus=0.08),
    _Usual("(.*_)?drop_?out(_.*)?", 0.2, plus=0.15),
    _Usual("(.*_)?(units|width|hidden|neurons|channels)(_.*)?", 256, times=3),
    _Usual("label_smoothing", 0.1, plus=0.1),
    _Usual("warm_?up(_(ratio|fraction|share))?", 0.05, plus=0.1),
    _Usual("n_?rounds|num_(boost_)?rounds?|n_?estimators|num_trees|iterations", 300, times=3),
    _Usual("sub_?sample|(sample|bagging)_fraction", 0.8, plus=0.2),
    _Usual("colsample.*|feature_fraction.*", 0.8, plus=0.25),
    _Usual("max_?depth", 7, plus=4),
    _Usual("num_leaves", 31, times=3),
    _Usual("min_child_weight|min_samples_leaf|min_?bucket|min_node_size", 3, times=4),
    _Usual("min_data_in_leaf|min_child_samples", 20, times=4),
    _Usual("min_?split|min_samples_split", 5, times=4),
    _Usual("rate_drop|drop_rate", 0.1, plus=0.15),
    _Usual("cp|ccp_alpha", 0.003, times=4),
    _Usual("c|cost", 3, times=10),
    _Usual("n_neighbors", 10, times=3),
)


class UsualPlaces:
    """Where the parameters of a space usually do well: a distribution over the unit cube.

    Of each parameter that is known, `SHARE` of it is a normal distribution, cut off at the ends of the range, and the
    rest uniform. So no region is left out.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Find the parameters with well-known names."""
        #: Place of each in the space, its normal distribution, and how much of that lies below the range, and in it.
        self._known = [
            (place, usual, usual.cdf(0.0), usual.cdf(1.0) - usual.cdf(0.0)) for place, usual in _known(space)
        ]

    @property
    def places(self) -> tuple[int, ...]:
        """Places in the space of the parameters that are known."""
        return tuple(place for place, *_ in self._known)

    def lean(self, points: Array) -> Array:
        """Return evenly spread points (n, d) moved to where parameters usually do well; they stay spread out.

        The first one has what is most usual: the first trial that anybody sees is a sensible one.
        """
        moved, grid = points.copy(), np.linspace(0.0, 1.0, 201)
        for place, usual, below, inside in self._known:
            shares = np.array([(usual.cdf(position) - below) / inside for position in grid.tolist()])
            moved[:, place] = np.interp(points[:, place], SHARE * shares + (1.0 - SHARE) * grid, grid)
            moved[:1, place] = usual.mean
        return moved

    def log_density(self, points: Array) -> Array:
        """Return the logarithm of the density (m,) at points (m, d); what is inactive does not count."""
        result = np.zeros(len(points))
        for place, usual, _, inside in self._known:
            z = (np.nan_to_num(points[:, place], nan=math.inf) - usual.mean) / usual.stdev
            density = SHARE * np.exp(-0.5 * z * z) / (math.sqrt(2.0 * math.pi) * usual.stdev * inside) + 1.0 - SHARE
            result += np.where(np.isnan(points[:, place]), 0.0, np.log(density))
        return result


def _known(space: SearchSpace) -> Iterator[tuple[int, NormalDist]]:
    """Yield places of parameters in the space, with what is usual for each in the unit cube."""
    names = [_plain(parameter) for parameter in space]
    with_trees = {group for group, name in names if re.fullmatch(_TREES, name)}
    for place, ((group, name), parameter) in enumerate(zip(names, space, strict=True)):
        of_kind = _OF_TREES if group in with_trees else _OF_OTHERS
        usual = next((one for one in (*of_kind, *_OF_ALL) if re.fullmatch(one.pattern, name)), None)
        if usual is not None and parameter.default is NO_DEFAULT and (found := _located(parameter, usual)) is not None:
            yield place, found


def _plain(parameter: Parameter) -> tuple[str, str]:
    """Return what a parameter belongs to, and its name proper: `model__maxDepth_1` is `max_depth` of `model`.

    A name may also begin with the value that the parameter hangs on, as `svm.gamma` where a learner is `svm`.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter.name).lower()
    *groups, name = re.split(r"__|/", words)
    for value in (str(value).lower() for condition in parameter.when for value in condition.values):
        if re.match(re.escape(value) + "[._-]", name):
            groups, name = [*groups, value], name[len(value) + 1 :]
            break
    return "/".join(groups), re.sub(r"(_\d+)+$", "", re.sub(r"[^a-z0-9]+", "_", name))


def _located(parameter: Parameter, usual: _Usual) -> NormalDist | None:
    """Return what is usual in the unit cube; None where the parameter can't have it."""
    low, high = _range(parameter)
    if not low <= usual.centre <= high or low == high:
        return None
    centre = _position(parameter, usual.centre)
    if not EDGE <= centre <= 1.0 - EDGE:
        return None
    if usual.times:
        around = usual.centre / usual.times, usual.centre * usual.times
    else:
        around = usual.centre - usual.plus, usual.centre + usual.plus
    distances = [abs(_position(parameter, min(max(value, low), high)) - centre) for value in around]
    return NormalDist(centre, max(LEAST_SPREAD, *distances))


def _range(parameter: Parameter) -> tuple[float, float]:
    """Return the least and the largest number that a parameter can be; NaN where it has no order, or no numbers."""
    if isinstance(parameter, Numeric):
        return parameter.low, parameter.high
    numbers = [value for value in parameter.values_ if isinstance(value, int | float) and not isinstance(value, bool)]
    if not parameter.ordered or len(numbers) < len(parameter.values_):
        return math.nan, math.nan
    return min(numbers), max(numbers)


def _position(parameter: Parameter, number: float) -> float:
    """Return where a number within the range is in the unit cube; of listed numbers the nearest one."""
    if isinstance(parameter, Numeric):
        return parameter.to_unit(number)
    return parameter.to_unit(min(parameter.values_, key=lambda value: abs(float(str(value)) - number)))
