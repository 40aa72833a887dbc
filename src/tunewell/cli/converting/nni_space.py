"""Search spaces of NNI as parameters of a spec.

A choice among sub-spaces, each a mapping with a `_name`, becomes a parameter `NAME._name`, and what is in a sub-space
becomes `NAME.SUBSPACE.…`, with a condition on it. `tunewell.integrations.nni` hands a program the nested form again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tunewell.cli.converting.source import Notes, check_distinct, parameter_name, plain_name
from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.space import identity, is_number

#: So many standard deviations about the mean a range reaches that stands for a normal distribution.
DEVIATIONS = 3
Declaration = dict[str, Any]


def parameters_of(space: Mapping[str, Any], notes: Notes, where: str = "") -> dict[str, Declaration]:
    """Return the declarations of a search space.

    Raises:
        SpecError: a field of it is wrong, or of a kind that a spec has not.
    """
    found: dict[str, Declaration] = {}
    for name, field in space.items():
        _add(found, "", str(name), field, f"{where}{name}", {}, notes)
    return found


def is_space(data: Mapping[str, Any]) -> bool:
    """Whether a mapping is a search space, and nothing else."""
    return bool(data) and all(isinstance(field, Mapping) and "_type" in field for field in data.values())


def _add(
    found: dict[str, Declaration],
    prefix: str,
    name: str,
    field: Any,
    where: str,
    when: Mapping[str, Any],
    notes: Notes,
) -> None:
    kind, value = _kind_and_value(field, where)
    full = parameter_name(name, where, notes, prefix)
    condition = {"when": dict(when)} if when else {}
    branches = value if kind == "choice" and any(isinstance(one, Mapping) for one in value) else []
    check_distinct(where, full if not branches else f"{full}._name", found)
    if not branches:
        found[full] = {**_KINDS[kind](value, where, notes), **condition}
        return
    names = [_branch_name(branch, f"{where}._value[{place}]") for place, branch in enumerate(branches)]
    for chosen in names:
        if names.count(chosen) > 1:
            raise SpecError(f"{where}._value", f"two sub-spaces are called {shown(chosen)}", "Rename one of them")
    found[f"{full}._name"] = {"choices": names, **condition}
    for branch, chosen in zip(branches, names, strict=True):
        inner = f"{full}.{plain_name(chosen)}."
        for part, inside in branch.items():
            if part != "_name":
                _add(found, inner, str(part), inside, f"{where}.{chosen}.{part}", {f"{full}._name": chosen}, notes)


def _kind_and_value(field: Any, where: str) -> tuple[str, list[Any]]:
    if not isinstance(field, Mapping) or not {"_type", "_value"} <= set(field):
        remedy = 'Write it like {"_type": "uniform", "_value": [0, 1]}'
        raise SpecError(where, f"{shown(field)} has no `_type` and `_value`", remedy)
    kind, value = field["_type"], field["_value"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SpecError(f"{where}._type", f"{shown(kind)} is not known", nearest(str(kind), _KINDS), kind)
    if not isinstance(value, list) or not value:
        raise SpecError(f"{where}._value", f"{shown(value)} is not a list of values", "Write it as [a, b]", value)
    return kind, value


def _branch_name(branch: Any, where: str) -> str:
    name = branch.get("_name") if isinstance(branch, Mapping) else None
    if not isinstance(name, str):
        remedy = "Make each choice a mapping with a text as `_name`, or each a value"
        raise SpecError(where, f"{shown(branch)} is no sub-space with a `_name`", remedy)
    return name


# Kinds -----------------------------------------------------------------------------------------------------


def _choice(values: list[Any], where: str, notes: Notes) -> Declaration:
    plain = []
    for value in values:
        if isinstance(value, list):
            notes.add(where, "the program gets a list as a text in JSON")
        plain.append(json.dumps(value) if isinstance(value, list) else value)
    return {"choices": _distinct(plain, where, notes)}


def _distinct(values: list[Any], where: str, notes: Notes) -> list[Any]:
    distinct = list({identity(value): value for value in values}.values())
    if len(distinct) < len(values):
        notes.add(where, "values that are there twice count once")
    return distinct


def _randint(values: list[Any], where: str, notes: Notes) -> Declaration:
    del notes
    low, high = (0, values[0]) if len(values) == 1 else _numbers(values, 2, where)
    if not all(isinstance(end, int) for end in (low, high)) or high <= low:
        remedy = "Give two whole numbers, the lower one first; the upper one is not drawn"
        raise SpecError(f"{where}._value", f"{shown(values)} holds no whole number", remedy)
    return {"low": low, "high": high - 1}


def _uniform(values: list[Any], where: str, notes: Notes) -> Declaration:
    del notes
    low, high = _numbers(values, 2, where)
    return {"low": float(low), "high": float(high)}


def _quniform(values: list[Any], where: str, notes: Notes) -> Declaration:
    low, high, step = (Decimal(str(number)) for number in _numbers(values, 3, where))
    if step <= 0:
        raise SpecError(f"{where}._value", f"the step {step} is not above 0", "Give a positive step", values)
    first, last = math.ceil(low / step) * step, math.floor(high / step) * step
    kind = int if all(isinstance(number, int) for number in values) else float
    if first >= last:  # at most one multiple: what NNI draws are that one and the ends
        return {"ordinal": [kind(value) for value in sorted({low, high, *([first] if first == last else [])})]}
    for end, kept in ((low, first), (high, last)):
        if end != kept:
            notes.add(where, f"{end} is no multiple of {step}; the end of the range is {kept}")
    return {"low": kind(first), "high": kind(last), "step": kind(step)}


def _loguniform(values: list[Any], where: str, notes: Notes) -> Declaration:
    return {**_uniform(values, where, notes), "log": True}


def _qloguniform(values: list[Any], where: str, notes: Notes) -> Declaration:
    low, high, step = _numbers(values, 3, where)
    if step == 1 and low == int(low) and high == int(high):
        return {"low": int(low), "high": int(high), "log": True}
    notes.add(where, f"values are not rounded to multiples of {step}, as a range on a log scale has no steps")
    return {"low": float(low), "high": float(high), "log": True}


def _normal(values: list[Any], where: str, notes: Notes) -> Declaration:
    mean, deviation = _numbers(values, 2, where)
    low, high = mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpecError(f"{where}._value", f"{shown(values)} is too wide", "Narrow it", values)
    notes.add(where, f"{DEVIATIONS} standard deviations about the mean are searched evenly; NNI's range has no ends")
    return {"low": _rounded(low), "high": _rounded(high)}


def _qnormal(values: list[Any], where: str, notes: Notes) -> Declaration:
    step = _numbers(values, 3, where)[2]
    ends = _normal(values[:2], where, notes)
    return _quniform([*_multiples(ends["low"], ends["high"], step, where), step], where, notes)


def _lognormal(values: list[Any], where: str, notes: Notes) -> Declaration:
    ends = _normal(values, where, notes)
    try:
        return {end: _rounded(math.exp(value)) for end, value in ends.items()} | {"log": True}
    except OverflowError:
        raise SpecError(f"{where}._value", f"{shown(values)} is too wide", "Narrow it", values) from None


def _qlognormal(values: list[Any], where: str, notes: Notes) -> Declaration:
    step = _numbers(values, 3, where)[2]
    ends = _lognormal(values[:2], where, notes)
    return _qloguniform([ends["low"], ends["high"], step], where, notes)


def _multiples(low: float, high: float, step: float, where: str) -> tuple[float, float]:
    """Return the outermost multiples of a step in a range, whole numbers if the step is one."""
    if step <= 0:
        raise SpecError(f"{where}._value", f"the step {step} is not above 0", "Give a positive step", step)
    exact = Decimal(str(step))
    first, last = round(Decimal(str(low)) / exact) * exact, round(Decimal(str(high)) / exact) * exact
    return (int(first), int(last)) if isinstance(step, int) else (float(first), float(last))


def _numbers(values: list[Any], count: int, where: str) -> list[Any]:
    if len(values) != count or not all(map(is_number, values)):
        problem = f"{shown(values)} are not {count} numbers"
        raise SpecError(f"{where}._value", problem, "Give numbers such as [0.1, 0.5]", values)
    return values


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


_KINDS: Mapping[str, Callable[[list[Any], str, Notes], Declaration]] = {
    "choice": _choice,
    "randint": _randint,
    "uniform": _uniform,
    "quniform": _quniform,
    "loguniform": _loguniform,
    "qloguniform": _qloguniform,
    "normal": _normal,
    "qnormal": _qnormal,
    "lognormal": _lognormal,
    "qlognormal": _qlognormal,
}
