"""Search spaces: parameters, their domains, and the conditions under which they are active.

A *configuration* is a plain dict of the active parameters only. Each parameter maps to the unit interval
(`to_unit`, `from_unit`): logarithmic scales become linear there, and each value of a discrete parameter owns
an equal share (in the parameter's own scale), so that tuners see numbers in [0, 1] whatever the domain.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from tunewell.spec.errors import SpecError, closest, nearest, shortened, shown
from tunewell.spec.problems import Problems

if TYPE_CHECKING:  # a command that shows something does without NumPy
    import numpy as np
    from numpy.typing import NDArray

Value = Any  # a JSON scalar: bool, int, float, str or null (None)
Configuration = dict[str, Value]


class NoDefault(Enum):
    """Type of `NO_DEFAULT`."""

    NO_DEFAULT = "no default"


#: In the place of a default: there is none. (None, null in a file, is a value.)
NO_DEFAULT = NoDefault.NO_DEFAULT

#: Most values of a parameter that are named to people.
_MOST_DESCRIBED = 20
#: Rounding errors that are forgiven when steps are counted, in steps.
_SLACK = 1e-9


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether `value` is a finite number, true and false not counting, that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def identity(value: Value) -> Hashable:
    """Return what two values have in common if they are the same: 1 and 1.0 are, 1 and true are not.

    Raises:
        TypeError: it is no scalar.
    """
    hash(value)
    return isinstance(value, bool), value


def same(first: Value, second: Value) -> bool:
    """Whether two values are the same: 1 and 1.0 are, 1 and true are not."""
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)


def _places(values: tuple[Value, ...]) -> dict[Hashable, int]:
    """Return identity → place of each value."""
    return {identity(value): place for place, value in enumerate(values)}


def _place(places: Mapping[Hashable, int], value: Value) -> int | None:
    try:
        return places.get(identity(value))
    except TypeError:
        return None


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter is active only while `parent` is active and has one of `values`."""

    parent: str
    values: tuple[Value, ...]
    _places: dict[Hashable, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", _places(self.values))

    def holds(self, value: Value) -> bool:
        """Whether `value` is one of `values`."""
        return _place(self._places, value) is not None


@dataclass(frozen=True, slots=True)
class Numeric:
    """A float or an integer between `low` and `high`, both included."""

    name: str
    low: float
    high: float
    integer: bool = False
    log: bool = False
    #: Distance between neighbouring values, counted from `low`; None: continuous (integers: 1).
    step: float | None = None
    when: tuple[Condition, ...] = ()
    default: float | int | NoDefault = NO_DEFAULT

    @property
    def size(self) -> int | None:
        """Number of distinct values, None if continuous."""
        if self.low == self.high:
            return 1
        if self.step is None and not self.integer:
            return None
        return math.floor((self.high - self.low) / (self.step or 1.0) + _SLACK) + 1

    def from_unit(self, position: float) -> float | int:
        """Return the value at `position` in [0, 1]; positions outside are clipped."""
        position = min(max(float(position), 0.0), 1.0)
        size = self.size
        if size is None and position in (0.0, 1.0):
            return float(self.high if position else self.low)  # exactly, where exp(log(high)) is not
        lower, upper = self._edges()
        scaled = lower * (1.0 - position) + upper * position
        value = math.exp(scaled) if self.log else scaled
        if size is None:
            return float(min(max(value, self.low), self.high))
        index = math.floor((value - self.low) / (self.step or 1.0) + 0.5)
        return self._discrete(min(max(index, 0), size - 1))

    def to_unit(self, value: float) -> float:
        """Return the position of `value` in [0, 1]; for a discrete parameter it lies inside the value's share."""
        lower, upper = self._edges()
        scaled = math.log(value) if self.log else float(value)
        return min(max((scaled - lower) / (upper - lower), 0.0), 1.0) if lower < upper else 0.5

    def positions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `to_unit` of many values at once; NaN of NaN."""
        import numpy as np

        lower, upper = self._edges()
        if lower == upper:
            return np.where(np.isnan(values), np.nan, 0.5)
        scaled = np.log(values) if self.log else values
        return np.clip((scaled - lower) / (upper - lower), 0.0, 1.0)

    def contains(self, value: Value) -> bool:
        """Whether `value` is a number of the right kind, in range, and on a step if there are steps."""
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        if self.integer and value != int(value):
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < _SLACK * max(1.0, steps)

    def canonical(self, value: float) -> float | int:
        """Return a contained value in the form that `from_unit` gives it: integers as int, steps rounded."""
        if self.size is None:
            return float(value)
        return self._discrete(round((value - self.low) / (self.step or 1.0)))

    def values(self, steps: int) -> list[Value]:
        """Return all values, or `steps` evenly spaced ones (in the parameter's scale) if there are more."""
        size = self.size
        if size is not None and size <= steps:
            return [self._discrete(index) for index in range(size)]
        import numpy as np

        positions = np.linspace(0.0, 1.0, steps) if steps > 1 else [0.5]
        return list(dict.fromkeys(self.from_unit(position) for position in positions))

    def _discrete(self, index: int) -> float | int:
        if self.integer:
            return int(self.low) + index * int(self.step or 1)
        if index == 0 or self.step is None:
            return float(self.low)
        # Counted in decimals, as people do: three steps of 0.1 are 0.3.
        value = Decimal(repr(float(self.low))) + index * Decimal(repr(float(self.step)))
        return min(float(value), float(self.high))

    def _edges(self) -> tuple[float, float]:
        """Return the ends of the unit interval in the parameter's scale: half a step beyond the outer values."""
        size = self.size
        lower, upper = self.low, self.high
        if size is not None and (self.integer or self.step is not None):
            step = self.step or 1.0
            lower, upper = self.low - step / 2, self.low + (size - 0.5) * step
        return (math.log(lower), math.log(upper)) if self.log else (lower, upper)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values_`: categorical, or ordinal if `ordered`. A single value is a constant."""

    name: str
    values_: tuple[Value, ...]
    ordered: bool = False
    when: tuple[Condition, ...] = ()
    default: Value = NO_DEFAULT
    _places: dict[Hashable, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", _places(self.values_))

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values_)

    def index(self, value: Value) -> int:
        """Return the place of `value` (true is not 1); raise ValueError if it is none of them."""
        place = _place(self._places, value)
        if place is None:
            raise ValueError(f"{shown(value)} is none of {describe_domain(self)}")
        return place

    def from_unit(self, position: float) -> Value:
        """Return the value that owns `position` in [0, 1]; positions outside are clipped."""
        return self.values_[min(max(int(position * self.size), 0), self.size - 1)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the share of `value`."""
        return (self.index(value) + 0.5) / self.size

    def positions(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `to_unit` of many values at once, which are given by their places; NaN of NaN."""
        return (places + 0.5) / self.size

    def contains(self, value: Value) -> bool:
        """Whether `value` is one of the values."""
        return _place(self._places, value) is not None

    def canonical(self, value: Value) -> Value:
        """Return a contained value as the space lists it."""
        return self.values_[self.index(value)]

    def values(self, steps: int) -> list[Value]:
        """Return all values; `steps` does not apply."""
        del steps
        return list(self.values_)


Parameter = Numeric | Choice


@dataclass(frozen=True)
class SearchSpace:
    """An ordered set of parameters, parents before children."""

    parameters: tuple[Parameter, ...]
    _by_name: dict[str, Parameter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = _parents_first(self.parameters)
        object.__setattr__(self, "parameters", ordered)
        object.__setattr__(self, "_by_name", {parameter.name: parameter for parameter in ordered})

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, parents first."""
        return tuple(self._by_name)

    def is_active(self, parameter: Parameter, configuration: Mapping[str, Value]) -> bool:
        """Whether `parameter` is active given the values of its ancestors in `configuration`."""
        return all(
            condition.parent in configuration and condition.holds(configuration[condition.parent])
            for condition in parameter.when
        )

    def from_unit(self, positions: Mapping[str, float]) -> Configuration:
        """Return the configuration at `positions` (name → [0, 1]); inactive parameters are left out."""
        configuration: Configuration = {}
        for parameter in self.parameters:
            if self.is_active(parameter, configuration):
                configuration[parameter.name] = parameter.from_unit(positions[parameter.name])
        return configuration

    def sample(self, generator: np.random.Generator) -> Configuration:
        """Draw a configuration, uniformly in each parameter's own scale."""
        draws = generator.random(len(self.parameters))
        return self.from_unit(dict(zip(self._by_name, draws.tolist(), strict=True)))

    def active_part(self, values: Mapping[str, Value]) -> Configuration:
        """Return `values` restricted to the parameters that are active in it, in this space's order."""
        configuration: Configuration = {}
        for parameter in self.parameters:
            if parameter.name in values and self.is_active(parameter, configuration):
                configuration[parameter.name] = values[parameter.name]
        return configuration

    def default(self) -> Configuration | None:
        """Return the default configuration, or None if an active parameter has no default.

        A constant (a single choice) is its own default.
        """
        configuration: Configuration = {}
        for parameter in self.parameters:
            if not self.is_active(parameter, configuration):
                continue
            if parameter.default is not NO_DEFAULT:
                configuration[parameter.name] = parameter.default
            elif parameter.size == 1:
                configuration[parameter.name] = parameter.from_unit(0.5)
            else:
                return None
        return configuration

    def check(self, configuration: Mapping[str, Value], where: str = "parameters") -> Configuration:
        """Return the active part of `configuration` in this space's order, values in canonical form.

        Raises:
            SpecError: a name is unknown, an active parameter has no value, or a value is outside its domain.
            SpecErrors: several of these.
        """
        problems = Problems()
        for name in configuration:
            if name not in self:
                problems.add(SpecError(f"{where}.{name}", "there is no such parameter", nearest(name, self.names)))
                problems.suspect(f"{where}.{closest(name, self.names)}")
        checked: Configuration = {}
        for parameter in self.parameters:
            field_ = f"{where}.{parameter.name}"
            if self.is_active(parameter, checked):
                with problems.gathering(field_):
                    checked[parameter.name] = _checked(field_, parameter, configuration)
        problems.raise_any()
        return checked

    def size(self) -> int | None:
        """Upper bound of the number of distinct configurations, None if infinite.

        Exact where there are no conditions.
        """
        total = 1
        for parameter in self.parameters:
            if parameter.size is None:
                return None
            total *= parameter.size
        return total


def _checked(where: str, parameter: Parameter, configuration: Mapping[str, Value]) -> Value:
    if parameter.name not in configuration:
        raise SpecError(where, "it is active here but has no value", "Give it one")
    value = configuration[parameter.name]
    if not parameter.contains(value):
        raise SpecError(where, misfit(parameter, value), "Give a value in it", value)
    return parameter.canonical(value)


def key(configuration: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Return a hashable identity: equal for equal configurations, whatever their order."""
    return tuple(sorted((name, repr(value)) for name, value in configuration.items()))


def misfit(parameter: Parameter, value: Any) -> str:
    """Return why a parameter does not contain a value, with the domain."""
    domain = describe_domain(parameter)
    if isinstance(parameter, Choice):
        return f"{shown(value)} is outside {domain}"
    if not is_number(value):
        return f"{shown(value)} is no number, and so outside {domain}"
    if not parameter.low <= value <= parameter.high:
        return f"{shown(value)} is outside {domain}"
    if parameter.integer and value != int(value):
        return f"{shown(value)} is no whole number in {domain}"
    return f"{shown(value)} is between the steps of {domain}"


def describe_domain(parameter: Parameter) -> str:
    """Return the domain as a user reads it: `1e-05 … 0.1 (log)` or `16 | 32 | 64`; of many values the first ones."""
    if isinstance(parameter, Choice):
        named = parameter.values_ if parameter.size <= _MOST_DESCRIBED else parameter.values_[: _MOST_DESCRIBED // 2]
        texts = [shortened(value, 60) if isinstance(value, str) else shown(value) for value in named]
        return " | ".join(texts) + ("" if named is parameter.values_ else f" | … ({parameter.size} values)")
    marks = [f"step {parameter.step:g}"] if parameter.step is not None else []
    marks += ["log"] if parameter.log else []
    suffix = f" ({', '.join(marks)})" if marks else ""
    low, high = (str(int(end)) if parameter.integer else f"{end:.10g}" for end in (parameter.low, parameter.high))
    return f"{low} … {high}{suffix}"


def _parents_first(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    known: dict[str, Parameter] = {}
    for parameter in parameters:
        if parameter.name in known:
            raise SpecError(f"parameters.{parameter.name}", "the name is used twice", "Names must be unique")
        known[parameter.name] = parameter
    ordered: dict[str, Parameter] = {}
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if all(c.parent in ordered for c in p.when)]
        if not ready:
            _refuse_condition(waiting, known)
        ordered.update({p.name: p for p in ready})
        waiting = [p for p in waiting if p.name not in ordered]
    return tuple(ordered.values())


def unknown_parent(parameter: Parameter, condition: Condition, known: Iterable[str]) -> SpecError:
    """Return the error for a condition on a parameter that is none of `known`."""
    return SpecError(
        f"parameters.{parameter.name}.when",
        f"there is no parameter '{condition.parent}'",
        nearest(condition.parent, known),
        condition.parent,
    )


def _refuse_condition(waiting: list[Parameter], known: Mapping[str, Parameter]) -> NoReturn:
    for parameter in waiting:
        for condition in parameter.when:
            if condition.parent not in known:
                raise unknown_parent(parameter, condition, known)
    cycle = shortened(", ".join(parameter.name for parameter in waiting), 200)
    raise SpecError(
        f"parameters.{waiting[0].name}.when", f"the conditions go in a circle ({cycle})", "Drop one of them"
    )
