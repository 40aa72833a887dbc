"""The metrics that a Python program prints or reports, as far as its code tells: what it is searched for by."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tunewell.spec.experiment import guess_goal
from tunewell.spec.metric_line import parse_metrics

#: What stands for a value that is known once the program runs.
_ANY_NUMBER = "1"
#: Words in the names of metrics that are measured on data which the program has not learned from.
_HELD_OUT = re.compile(r"(val|valid|validation|dev|eval|test)(?![a-z])", re.IGNORECASE)
#: Words in the names of what is printed beside metrics, and seldom searched for.
_BESIDE = re.compile(r"time|duration|latency|cost|train", re.IGNORECASE)


def printed_metrics(tree: ast.Module) -> list[str]:
    """Return the metrics whose names tell whether more is better, the likeliest objective first."""
    found = dict.fromkeys(name for name in _names(tree) if guess_goal(name))
    return sorted(found, key=_unlikeliness)


def _unlikeliness(name: str) -> tuple[bool, bool, bool]:
    return bool(_BESIDE.search(name)), not _HELD_OUT.search(name), guess_goal(name) == "minimize"


def _names(tree: ast.Module) -> Iterator[str]:
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called == "print":
            for line in " ".join(map(_text, call.args)).splitlines():
                yield from parse_metrics(line)[1]
        elif called == "report":
            yield from (one.arg for one in call.keywords if one.arg and one.arg != "step")


def _text(node: ast.expr) -> str:
    """Return what an expression looks like when it is printed, with a number for all that is not in the code."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            return re.sub(r"%[-+ #0]*[\d.]*[a-zA-Z]", _ANY_NUMBER, text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return re.sub(r"\{[^{}]*\}", _ANY_NUMBER, text)
        case ast.Call(func=ast.Attribute(attr="dumps"), args=[ast.Dict() as fields]):
            return _text(fields)
        case ast.Dict(keys=keys):
            names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            return " ".join(f"{name}={_ANY_NUMBER}" for name in names)
    return _ANY_NUMBER
