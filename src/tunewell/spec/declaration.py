"""How people declare parameters, in YAML, JSON and Python alike, and the way from there to a `SearchSpace`.

==============================================  =======================================================
``{low: 1e-5, high: 1e-1, log: true}``          a float; whole ends make an integer, `type: float` says otherwise
``{low: 0, high: 1, step: 0.1}``                a float in steps
``[sgd, adamw]`` or ``{choices: [sgd, adamw]}`` one of these, without order
``{ordinal: [32, 64, 128]}``                    one of these, in this order
``5`` or ``adamw``                              a constant (null: ``[null]``)
==============================================  =======================================================

Every mapping takes `default:` and `when: {parent: value or [values]}` as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

from tunewell.spec.errors import SpecError, UserError, closest, nearest, shortened, shown
from tunewell.spec.problems import Problems
from tunewell.spec.quantities import LARGEST_INTEGER
from tunewell.spec.space import (
    NO_DEFAULT,
    Choice,
    Condition,
    Numeric,
    Parameter,
    SearchSpace,
    Value,
    describe_domain,
    identity,
    is_number,
    misfit,
    unknown_parent,
)
from tunewell.spec.text import check_text

#: What a parameter may be called.
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")

#: Most parameters of a space: with more, proposals take minutes.
MOST_PARAMETERS = 1000

_NUMERIC_FIELDS = {"low", "high", "log", "step", "type", "default", "when"}
_CHOICE_FIELDS = {"choices", "ordinal", "default", "when"}
#: What other tools call a field, where the letters do not tell which one is meant → the field.
_INSTEAD = {
    "lower": "low",
    "max": "high",
    "maximum": "high",
    "min": "low",
    "minimum": "low",
    "options": "choices",
    "q": "step",
    "upper": "high",
    "values": "choices",
}
#: Share of a step that rounding may add: 0.5 - 0.4 is a little less than 0.1.
_ROUNDING = 1e-9


def check_domains(declarations: Any) -> None:
    """Check what only a program can give: tuples that may be meant as ranges, which are lists once they are on record.

    Raises:
        SpecError: it is no mapping, or one declaration could be a range as well as choices.
        SpecErrors: several could.
    """
    if not isinstance(declarations, Mapping):
        remedy = "Give a mapping such as {'x': {'low': 0, 'high': 1}}"
        raise SpecError("parameters", f"{shown(declarations)} is not a mapping", remedy, declarations)
    problems = Problems()
    for name, declaration in declarations.items():
        with problems.gathering():
            _check_no_range(f"parameters.{name}", declaration)
    problems.raise_any()


def _check_no_range(where: str, declaration: Any) -> None:
    """Refuse a tuple that begins with two numbers: other libraries take some for a range, others for choices."""
    if not isinstance(declaration, tuple) or len(declaration) < 2 or not all(map(is_number, declaration[:2])):
        return
    low, high = (f"{end:.10g}" for end in declaration[:2])
    written = shortened(repr(declaration), 60)
    ranges = "tunewell.uniform, tunewell.loguniform or tunewell.integer"
    remedy = f"For a range take {ranges}, such as tunewell.uniform({low}, {high}); for choices a list"
    raise SpecError(where, f"{written} could be a range, or choices", remedy, declaration)


def parse_space(declarations: Mapping[str, Any], base: SearchSpace | None = None) -> SearchSpace:
    """Return the space that `declarations` (name → declaration) describe.

    With a `base`, declarations override its parameters: what a declaration leaves out stays as in the base, and
    parameters that only the base has are kept. A default of the base that an override excludes moves to the
    nearest value that is left, and a parameter that can never be active any more is dropped.

    Raises:
        SpecError: a declaration breaks a rule; the error names the field, the value and the remedy.
        SpecErrors: several do.
    """
    if not isinstance(declarations, Mapping):
        raise SpecError(
            "parameters", f"{shown(declarations)} is not a mapping", "Write `name: {low: …, high: …}` lines"
        )
    if len(declarations) > MOST_PARAMETERS:
        raise SpecError("parameters", f"there are {len(declarations)}", f"Give {MOST_PARAMETERS} at most")
    problems, known = Problems(), {parameter.name: parameter for parameter in base or ()}
    wrong: set[str] = set()
    for name, declaration in declarations.items():
        try:
            known[name] = _parameter(name, declaration, base)
        except UserError as error:
            problems.add(error)
            wrong.add(name)
    _gather_unknown_parents(known, wrong, {*known, *map(str, declarations)}, problems)
    conditioned = {name for name, d in declarations.items() if isinstance(d, Mapping) and d.get("when")}
    space = SearchSpace(())
    with problems.gathering():
        space = SearchSpace(_without(known.values(), wrong))
        space = _with_checked_conditions(space, conditioned, problems)
    problems.raise_any()
    return space


def _parameter(name: Any, declaration: Any, base: SearchSpace | None) -> Parameter:
    if base is None:
        return parse_parameter(name, declaration)
    if name in base:
        return _override(base[name], declaration)
    raise SpecError(f"parameters.{name}", "there is no such parameter here", nearest(str(name), base.names))


def _gather_unknown_parents(
    known: Mapping[str, Parameter], wrong: set[str], names: Set[str], problems: Problems
) -> None:
    """Add the conditions on parameters that are not in `names`; those that have such a condition are `wrong`, too."""
    for parameter in known.values():
        for condition in parameter.when:
            if condition.parent not in names and parameter.name not in wrong:
                problems.add(unknown_parent(parameter, condition, names))
                wrong.add(parameter.name)


def _without(parameters: Iterable[Parameter], wrong: Set[str]) -> tuple[Parameter, ...]:
    """Return the parameters that are not wrong, and have no condition on one that is left out."""
    kept = [parameter for parameter in parameters if parameter.name not in wrong]
    names = {parameter.name for parameter in kept}
    if all(condition.parent in names for parameter in kept for condition in parameter.when):
        return tuple(kept)
    judged = [parameter for parameter in kept if all(condition.parent in names for condition in parameter.when)]
    return _without(judged, set())


def parse_parameter(name: Any, declaration: Any) -> Parameter:
    """Return the parameter that one declaration describes; raises `SpecError`, or `SpecErrors`."""
    where = f"parameters.{name}"
    if not isinstance(name, str) or not PARAMETER_NAME.fullmatch(name):
        raise SpecError(
            where,
            f"{shown(name)} is no name for a parameter",
            "Use letters, digits, '_', '-' and '.', a letter first",
        )
    if not isinstance(declaration, Mapping):
        return Choice(name, _choice_values(where, _as_list(where, declaration)))
    if "low" in declaration or "high" in declaration:
        return _numeric(name, where, declaration)
    if "choices" in declaration or "ordinal" in declaration:
        return _choice(name, where, declaration)
    problems = Problems()
    _gather_unknown(where, declaration, _NUMERIC_FIELDS | _CHOICE_FIELDS, problems)
    problems.raise_any()
    raise SpecError(where, f"{shown(declaration)} says no domain", "Give `low` and `high`, or `choices`", declaration)


def declare(space: SearchSpace) -> dict[str, Any]:
    """Return declarations that `parse_space` turns into an equal space: the JSON form of a space."""
    return {parameter.name: _declare(parameter) for parameter in space}


def _declare(parameter: Parameter) -> dict[str, Any]:
    declaration: dict[str, Any]
    if isinstance(parameter, Numeric):
        kind = int if parameter.integer else float
        declaration = {
            "low": kind(parameter.low),
            "high": kind(parameter.high),
            "type": "integer" if parameter.integer else "float",
        }
        if parameter.log:
            declaration["log"] = True
        if parameter.step is not None:
            declaration["step"] = kind(parameter.step)
    else:
        declaration = {"ordinal" if parameter.ordered else "choices": list(parameter.values_)}
    if parameter.default is not NO_DEFAULT:
        declaration["default"] = parameter.default
    if parameter.when:
        declaration["when"] = {condition.parent: list(condition.values) for condition in parameter.when}
    return declaration


def _override(base: Parameter, declaration: Any) -> Parameter:
    inherited = _declare(base)
    default = inherited.pop("default", NO_DEFAULT)
    if not isinstance(declaration, Mapping):
        declaration = {"choices": _as_list(f"parameters.{base.name}", declaration)}
    domain = {"choices", "ordinal"} if isinstance(base, Numeric) else {"choices", "ordinal", "low", "high"}
    if not domain.isdisjoint(declaration):
        inherited = {"when": inherited.get("when")}
    parameter = parse_parameter(base.name, {**inherited, **declaration})
    _check_kinds(base, parameter)
    if isinstance(parameter, Choice) and isinstance(base, Choice) and base.ordered:
        parameter = replace(parameter, ordered=True)
    if default is NO_DEFAULT or "default" in declaration:
        return parameter
    return replace(parameter, default=_closest(parameter, default))


def _check_kinds(base: Parameter, parameter: Parameter) -> None:
    """Raise `SpecError` if an override has a value of a kind (number, text, boolean, null) that the base has not."""
    kinds = {float} if isinstance(base, Numeric) else {_kind(value) for value in base.values_}
    for value in parameter.values(2):
        if _kind(value) not in kinds:
            problem = f"{shown(value)} is of another kind than {describe_domain(base)}"
            raise SpecError(f"parameters.{base.name}", problem, "Give values like these")


def _kind(value: Value) -> type:
    return float if is_number(value) else type(value)


def _closest(parameter: Parameter, value: Value) -> Value:
    """Return the value of the domain that is nearest to `value`; the first one if nearness means nothing."""
    if parameter.contains(value):
        return parameter.canonical(value)
    if isinstance(parameter, Choice):
        numbers = [known for known in parameter.values_ if is_number(known)]
        if not is_number(value) or not numbers:
            return parameter.values_[0]
        return min(numbers, key=lambda number: abs(number - value))
    if not is_number(value) or (parameter.log and value <= 0):
        return parameter.from_unit(0.0)
    return parameter.from_unit(parameter.to_unit(value))


def _numeric(name: str, where: str, declaration: Mapping[str, Any]) -> Numeric:
    problems = Problems()
    _gather_unknown(where, declaration, _NUMERIC_FIELDS, problems)
    found: dict[str, float] = {}
    for end in ("low", "high"):
        with problems.gathering(f"{where}.{end}"):
            found[end] = _end(where, declaration, end)
    with problems.gathering():
        _check_type(where, declaration)
    with problems.gathering():
        _check_log(where, declaration)
    with problems.gathering():
        _check_step(where, declaration)
    with problems.gathering():
        conditions = _when(where, declaration)
    problems.raise_any()
    low, high = found["low"], found["high"]
    if low > high:
        raise SpecError(f"{where}.low", f"{low:g} is above high = {high:g}", "Exchange them", low)
    if not math.isfinite(high - low):
        raise SpecError(where, f"the range from {low:g} to {high:g} is too wide", "Narrow it")
    integer = _is_integer(where, declaration, low, high)
    log = _is_log(where, declaration, low)
    step = _step(where, declaration, high - low, integer)
    if log and step is not None:
        raise SpecError(f"{where}.step", "a step and a log scale exclude each other", "Drop one of them", step)
    parameter = Numeric(name, low, high, integer, log, step, conditions)
    return replace(parameter, default=_default(where, declaration, parameter))


def _end(where: str, declaration: Mapping[str, Any], end: str) -> float:
    if end not in declaration:
        raise SpecError(f"{where}.{end}", "it is missing", "Give both `low` and `high`")
    return _number(f"{where}.{end}", declaration[end])


def _check_type(where: str, declaration: Mapping[str, Any]) -> None:
    kind = declaration.get("type")
    if kind not in (None, "integer", "int", "float"):
        raise SpecError(f"{where}.type", f"{shown(kind)} is no type", "Write `integer` or `float`", kind)


def _is_integer(where: str, declaration: Mapping[str, Any], low: float, high: float) -> bool:
    kind = declaration.get("type")
    if kind is None:
        parts = (declaration.get(part) for part in ("low", "high", "step"))
        integer = all(isinstance(part, int) for part in parts if part is not None)
    else:
        integer = kind != "float"
    if not integer:
        return False
    for end, value in (("low", low), ("high", high)):
        if value != int(value):
            problem = f"{value:g} is not whole, but the type is integer"
            raise SpecError(f"{where}.{end}", problem, "Give a whole number", value)
        if abs(value) > LARGEST_INTEGER:
            raise SpecError(
                f"{where}.{end}",
                f"{value:g} is too large for an integer",
                "Add `type: float`, or narrow the range",
                value,
            )
    return True


def _check_log(where: str, declaration: Mapping[str, Any]) -> None:
    log = declaration.get("log", False)
    if not isinstance(log, bool):
        raise SpecError(f"{where}.log", f"{shown(log)} is neither true nor false", "Write `log: true`", log)


def _is_log(where: str, declaration: Mapping[str, Any], low: float) -> bool:
    log = bool(declaration.get("log", False))
    if log and low <= 0:
        remedy = "Give a low above 0, or write `log: false`"
        raise SpecError(f"{where}.low", f"a log scale can't reach {low:g}", remedy, low)
    return log


def _check_step(where: str, declaration: Mapping[str, Any]) -> None:
    if declaration.get("step") is None:
        return
    step = _number(f"{where}.step", declaration["step"])
    if step <= 0:
        raise SpecError(f"{where}.step", f"{step:g} is not above 0", "Give a positive step, or drop it", step)


def _step(where: str, declaration: Mapping[str, Any], width: float, integer: bool) -> float | None:
    if declaration.get("step") is None:
        return None
    where, step = f"{where}.step", float(declaration["step"])
    if integer and step != int(step):
        raise SpecError(where, f"{step:g} is not whole, but the parameter is", "Add `type: float`", step)
    if width > step * LARGEST_INTEGER:
        raise SpecError(where, f"{step:g} is too short for the range", "Give a longer one, or drop it", step)
    if step * (1 - _ROUNDING) > width > 0:
        raise SpecError(where, f"{step:g} is longer than the range", "Give a smaller one", step)
    return step


def _choice(name: str, where: str, declaration: Mapping[str, Any]) -> Choice:
    problems = Problems()
    _gather_unknown(where, declaration, _CHOICE_FIELDS, problems)
    kind = "ordinal" if "ordinal" in declaration else "choices"
    with problems.gathering():
        if "choices" in declaration and "ordinal" in declaration:
            raise SpecError(where, "it has both `choices` and `ordinal`", "Keep one of them")
        values = _choice_values(f"{where}.{kind}", declaration[kind])
    with problems.gathering():
        conditions = _when(where, declaration)
    problems.raise_any()
    choice = Choice(name, values, kind == "ordinal", conditions)
    return replace(choice, default=_default(where, declaration, choice))


def _as_list(where: str, declaration: Any) -> list[Any] | tuple[Any, ...]:
    """Return the values of a declaration without fields."""
    if declaration is None:  # rather forgotten than meant
        raise SpecError(where, "it says no domain", "Give `low` and `high`, or a list of choices")
    if isinstance(declaration, Iterable) and not isinstance(declaration, str | bytes | list | tuple):
        raise SpecError(where, f"{shown(declaration)} is not a list", _listing(declaration), declaration)
    _check_no_range(where, declaration)
    return declaration if isinstance(declaration, list | tuple) else [declaration]


def _listing(declaration: Iterable[Any]) -> str:
    """Return what to write instead of what only a program can give: a range, an array, a set."""
    if isinstance(declaration, range) and len(declaration) > 1 and declaration.step > 0:
        step = f", step={declaration.step}" if declaration.step > 1 else ""
        return f"Write tunewell.integer({declaration[0]}, {declaration[-1]}{step})"
    return "Give the values as a list, such as array.tolist() of an array"


def _choice_values(where: str, values: Any) -> tuple[Value, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise SpecError(where, f"{shown(values)} is not a list of values", "Write it as [a, b, c]", values)
    known: set[Hashable] = set()
    for value in values:
        if value is not None and not isinstance(value, bool | str) and not is_number(value):
            remedy = "Choices are finite numbers, texts, true, false and null"
            raise SpecError(where, f"{shown(value)} can't be a choice", remedy, value)
        check_text(where, value)
        if identity(value) in known:
            raise SpecError(where, f"{shown(value)} is there twice", "Name each value once", value)
        known.add(identity(value))
    return tuple(values)


def _when(where: str, declaration: Mapping[str, Any]) -> tuple[Condition, ...]:
    when = declaration.get("when")
    if when is None:
        return ()
    if not isinstance(when, Mapping):
        raise SpecError(f"{where}.when", f"{shown(when)} is not a mapping", "Write `when: {optimizer: sgd}`", when)
    return tuple(
        Condition(str(parent), tuple(values) if isinstance(values, list | tuple) else (values,))
        for parent, values in when.items()
    )


def _default(where: str, declaration: Mapping[str, Any], parameter: Parameter) -> Value:
    default = declaration.get("default", NO_DEFAULT)
    if default is NO_DEFAULT or (default is None and not parameter.contains(None)):
        return NO_DEFAULT
    if not parameter.contains(default):
        raise SpecError(f"{where}.default", misfit(parameter, default), "Give a value in it", default)
    return parameter.canonical(default)


def _with_checked_conditions(space: SearchSpace, declared: Set[str], problems: Problems) -> SearchSpace:
    """Check the conditions of the parameters in `declared`, and fit those of the others to the space.

    Where an override took a value from a parent, inherited conditions lose it too, and a parameter that can
    never be active any more is dropped.
    """
    kept: dict[str, Parameter] = {}
    for parameter in space:
        conditions = parameter.when
        if parameter.name not in declared:
            conditions = tuple(
                Condition(c.parent, tuple(v for v in c.values if c.parent in kept and kept[c.parent].contains(v)))
                for c in conditions
            )
            if not all(condition.values for condition in conditions):
                continue
        kept[parameter.name] = parameter
        with problems.gathering():
            checked = tuple(_checked_condition(parameter, condition, space) for condition in conditions)
            kept[parameter.name] = replace(parameter, when=checked)
    return SearchSpace(tuple(kept.values()))


def _checked_condition(parameter: Parameter, condition: Condition, space: SearchSpace) -> Condition:
    where = f"parameters.{parameter.name}.when.{condition.parent}"
    parent = space[condition.parent]
    if parent.size is None:
        raise SpecError(where, f"'{parent.name}' is continuous", "Name a parent with single values")
    if not condition.values:
        raise SpecError(where, "it names no value, so that the parameter is never active", "Name one")
    for value in condition.values:
        if not parent.contains(value):
            raise SpecError(
                where,
                misfit(parent, value),
                f"Name values that '{parent.name}' can take",
                value,
            )
    return Condition(parent.name, tuple(parent.canonical(value) for value in condition.values))


def _gather_unknown(where: str, declaration: Mapping[str, Any], known: Set[str], problems: Problems) -> None:
    """Add the names that no field has; fields that they may have been meant for are suspect."""
    for name in declaration:
        if name not in known:
            meant = _INSTEAD.get(name) if _INSTEAD.get(name) in known else closest(str(name), known)
            remedy = f"Did you mean '{meant}'" if meant else nearest(str(name), known)
            problems.add(SpecError(f"{where}.{name}", "there is no such field", remedy))
            problems.suspect(f"{where}.{meant}")


def _number(where: str, value: Any) -> float:
    if isinstance(value, str):
        remedy = "Write a number such as 0.1, without quotes"
        raise SpecError(where, f"{shown(value)} is a text, not a number", remedy, value)
    if not is_number(value):
        raise SpecError(where, f"{shown(value)} is not a finite number", "Write a number such as 0.1", value)
    return float(value)
