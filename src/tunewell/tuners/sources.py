"""Earlier searches that help a new one: their trials in the new space, and which of them to try first.

Objectives of different searches have different scales, so a source is known by the ranks of its losses only, as normal
scores (Salinas, Shen, Perrone 2020, "A Quantile-based Approach for Hyperparameter Transfer Learning").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewell.spec.space import NO_DEFAULT, Configuration, Numeric, Parameter, SearchSpace, Value, is_number, key
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.ranks import normal_scores

#: Most trials of a source that are kept.
MOST_TRIALS = 150
#: Most trials of a search that repeat those of sources: a count, and a share of all its trials.
MOST_STARTS, MOST_STARTS_SHARE = 3, 0.25
#: Share of a source's trials from which diverse ones are picked, and their least number.
_ELITE_SHARE, _LEAST_ELITE = 0.1, 3


@dataclass(frozen=True, slots=True)
class SourceTrial:
    """A trial of an earlier search."""

    #: Its number there.
    number: int
    #: Its parameters, as a configuration of the new space.
    parameters: Configuration
    #: Normal score of its loss among those of its search: the lower, the better.
    score: float


@dataclass(frozen=True, slots=True)
class Source:
    """An earlier search."""

    #: Name of the experiment.
    name: str
    #: Best first.
    trials: Sequence[SourceTrial]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data from which `from_json` makes the same source."""
        return {"name": self.name, "trials": [[t.number, t.parameters, t.score] for t in self.trials]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        """Return the source that `to_json` described."""
        return cls(data["name"], tuple(SourceTrial(number, dict(p), score) for number, p, score in data["trials"]))


def make_source(name: str, space: SearchSpace, trials: Iterable[tuple[int, Mapping[str, Value], float]]) -> Source:
    """Return a source made of (number, parameters, loss) of its trials, as far as they fit into `space`.

    Of more than `MOST_TRIALS`, the better half is the best ones, the others are spread over the remaining ranks.
    """
    fitting = [
        (number, mapped, loss)
        for number, parameters, loss in trials
        if (mapped := map_into(space, parameters)) is not None
    ]
    fitting.sort(key=lambda trial: trial[2])
    scores = normal_scores(np.array([loss for _, _, loss in fitting]))
    places = np.arange(len(fitting))
    if len(places) > MOST_TRIALS:
        best, others = np.split(places, [MOST_TRIALS // 2])
        spread = np.linspace(0, len(others) - 1, MOST_TRIALS - len(best)).round().astype(int)
        places = np.append(best, others[spread])
    return Source(name, tuple(SourceTrial(*fitting[place][:2], float(scores[place])) for place in places.tolist()))


def map_into(space: SearchSpace, parameters: Mapping[str, Value]) -> Configuration | None:
    """Return the configuration of `space` that comes closest to parameters of another space.

    Numbers outside a range are clipped; constants are this space's; active parameters without a value get their
    default, or the middle of the range; other parameters are left out. None if a value can't be brought into its
    domain: an unknown category.
    """
    configuration: Configuration = {}
    for parameter in space:
        if not space.is_active(parameter, configuration):
            continue
        if parameter.name not in parameters:
            configuration[parameter.name] = _middle(parameter)
            continue
        found = _nearest(parameter, parameters[parameter.name])
        if not found:
            return None
        configuration[parameter.name] = found[0]
    return configuration


def starts(
    space: SearchSpace, sources: Sequence[Source], max_trials: int, known: Iterable[Configuration] = ()
) -> list[tuple[str, Configuration]]:
    """Return (origin, configuration) of the source trials to be tried first: good ones, unlike each other.

    Sources take turns. The first pick is the best trial; each later one is, among the elite of its source, the farthest
    from all `known` configurations and earlier picks.
    """
    encoding = Encoding(space)
    taken = [encoding.encode(configuration) for configuration in known]
    seen = {key(configuration) for configuration in known}
    chosen: list[tuple[str, Configuration]] = []
    room = min(MOST_STARTS, int(MOST_STARTS_SHARE * max_trials)) if sources else 0
    for turn in range(room):
        source = sources[turn % len(sources)]
        elite = source.trials[: max(_LEAST_ELITE, math.ceil(_ELITE_SHARE * len(source.trials)))]
        candidates = [trial for trial in elite if key(trial.parameters) not in seen]
        if not candidates:
            continue
        points = [encoding.encode(trial.parameters) for trial in candidates]
        if chosen:
            place = int(np.argmax([min(_distance(encoding, point, other) for other in taken) for point in points]))
        else:
            place = 0
        picked = candidates[place]
        taken.append(points[place])
        seen.add(key(picked.parameters))
        chosen.append((f"warm start: {source.name}, trial {picked.number}", dict(picked.parameters)))
    return chosen


def _nearest(parameter: Parameter, value: Value) -> tuple[Value] | tuple[()]:
    """Return the one value of `parameter` that is closest to `value`, which may be null; empty: there is none."""
    if parameter.contains(value):
        return (parameter.canonical(value),)
    if parameter.size == 1:
        return (parameter.from_unit(0.5),)
    if not is_number(value):
        return ()
    if isinstance(parameter, Numeric):
        return (parameter.from_unit(parameter.to_unit(min(max(value, parameter.low), parameter.high))),)
    numbers = [known for known in parameter.values_ if is_number(known)]
    if not parameter.ordered or len(numbers) < parameter.size:
        return ()
    return (min(numbers, key=lambda known: abs(known - value)),)


def _middle(parameter: Parameter) -> Value:
    return parameter.from_unit(0.5) if parameter.default is NO_DEFAULT else parameter.default


def _distance(encoding: Encoding, point: Array, other: Array) -> float:
    """Return the distance of two points (d,): 1 between categories, and between active and inactive."""
    differences = np.abs(point - other)
    differences[encoding.categorical & (differences > 0)] = 1.0
    return float(np.where(np.isnan(point) & np.isnan(other), 0.0, np.nan_to_num(differences, nan=1.0)).sum())
