"""The rule that finds metrics in a line that a trial prints.

By default `name=number` or `name: number` counts, several in a line too, so that all of these do::

    accuracy=0.91
    epoch 3/10: loss=0.31, val/accuracy=0.91
    step=3 accuracy: 9.1e-01
    {"step": 3, "accuracy": 0.91}
    {'accuracy': np.float64(0.91)}
    accuracy: 91.0%

A name is a word, parts joined by ``. / - @`` included, and `:number` in its midst (`mAP@0.5:0.95 = 0.3`). The
objective's own name may be any text. A number may stand in quotes, alone in brackets, or in the call that Python prints
(`tensor(0.91, device='cuda:0')`), and `91%` is 0.91. A number that goes on as something else (`12:30`, `3/10`, `1,024`,
`0,91`, `10.0.0.1`, `12ms`) is none; as the objective, `9913/10000` is a share. `step`, or else `epoch`, with a whole
number is the step of the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tunewell.spec.text import without_colours

_WORD = r"[\w./@\-]"
_NUMBER = r"[-+]?(?:(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?|(?i:nan|inf(?:inity)?))"
_ASSIGN = r"[\"']?[ \t]*+[=:][ \t]*+"
# `:0.95` and the like belongs to the name where a separator follows.
_COLON_PARTS = r"(?:(?::[.\d][\w.]*+)++(?=[\"'][ \t]*+[=:]|[ \t]*+(?:=(?!=)|:[ \t])))"
_VALUE = (
    r"(?P<call>[A-Za-z_][\w.]*+\([ \t]*+)?(?P<list>\[)?(?P<quote>[\"'])?"
    rf"(?P<number>(?>{_NUMBER}))(?P<percent>[ ]?+%)?+"
    r"(?(quote)(?P=quote))(?(list)\])(?(call)(?:,[^()]*+)?\))"
)
_END = r"(?![\w%])(?![.:,/\-]\d)(?![ \t]*+=[ \t]*+[-+.\d])"
_ANY_NAME = rf"[A-Za-z_]{_WORD}*+{_COLON_PARTS}?+"

#: The default rule as a regular expression with the groups `name` and `value`. It takes linear time.
DEFAULT_METRIC_PATTERN = rf"(?<!{_WORD})(?P<name>{_ANY_NAME}){_ASSIGN}(?P<value>{_VALUE}){_END}"
#: Characters of a line that are looked at.
LONGEST_LINE = 10_000

_READ_VALUE = re.compile(_VALUE)
_STEP = re.compile(
    rf"(?<!{_WORD})(?P<name>step|epoch)[\"']?[ \t]*+[=:]?[ \t]*+\[?(?P<step>\d{{1,18}}+)(?:\.0*+)?(?![\w%.])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule finds in a line."""

    #: None: the line names none.
    step: int | None
    metrics: dict[str, float]
    #: Whether the objective is named, with a value that can't be read.
    is_unread: bool


def look(line: str, pattern: str | None, objective: str) -> Found:
    """Return what is found in a line: see `parse_metrics`, and `names_a_value`."""
    step, metrics = parse_metrics(line, pattern, objective)
    return Found(step, metrics, objective not in metrics and names_a_value(line, objective, pattern))


def parse_metrics(
    line: str, pattern: str | None = None, objective: str | None = None
) -> tuple[int | None, dict[str, float]]:
    """Return the step (None if the line names none) and the metrics in `line`.

    Of several values for one name the first counts. Only what follows the last carriage return is looked at, as
    a terminal would show it, and colours are ignored.

    Args:
        line: one line of output, with or without its end.
        pattern: regular expression with the groups `name` and `value`, and `step` if it likes; None: the default rule.
        objective: a name that the default rule finds even where it is no word.
    """
    text = _as_shown(line)
    step = _find_step(text)
    metrics: dict[str, float] = {}
    by_default = pattern is None or pattern == DEFAULT_METRIC_PATTERN
    rule = _default_rule(objective) if by_default else re.compile(pattern or "")
    for match in rule.finditer(text):
        groups = match.groupdict()
        if groups.get("step"):
            step = _whole(groups["step"], step)
        name, value = groups.get("objective") or groups["name"], read_number(groups["value"])
        if name and value is not None:
            metrics.setdefault(name, value)
    if by_default and objective and objective not in metrics:
        metrics.update(_share(text, objective))
    if step is not None:
        metrics = {name: value for name, value in metrics.items() if name.lower() not in ("step", "epoch")}
    return step, metrics


def names_a_value(line: str, objective: str, pattern: str | None = None, firmly: bool = False) -> bool:
    """Whether `line` seems to give the objective a value that can't be read, given that `parse_metrics` found none.

    By the default rule its name is there as a word of its own, and a separator follows or (unless `firmly`) a digit, in
    a while; by a pattern of the user's, the pattern has found its name.
    """
    text = _as_shown(line)
    if pattern is None or pattern == DEFAULT_METRIC_PATTERN:
        found = _mention(objective).search(text)
        return found is not None and not (firmly and found["digit"])
    return any(match["name"] == objective for match in re.finditer(pattern, text))


def read_number(text: str | None) -> float | None:
    """Return the number that `text` is, as `0.5`, `50%`, `"0.5"`, `[0.5]` or `tensor(0.5)`; None if it is none."""
    match = _READ_VALUE.fullmatch((text or "").strip())
    if match is None:
        return None
    number = match["number"]
    if not match["percent"]:
        return float(number)
    # In one rounding where it can be: 93.12% is 0.9312.
    return float(f"{number}e-2") if re.fullmatch(r"[-+.\d]+", number) else float(number) / 100


def _as_shown(line: str) -> str:
    return without_colours(line.rstrip("\r\n").rpartition("\r")[2][:LONGEST_LINE])


@lru_cache(maxsize=8)
def _default_rule(objective: str | None) -> re.Pattern[str]:
    if not objective:
        return re.compile(DEFAULT_METRIC_PATTERN)
    own = rf"(?P<objective>{re.escape(objective)})(?!{_COLON_PARTS})"
    return re.compile(rf"(?<!{_WORD})(?:{own}|(?P<name>{_ANY_NAME})){_ASSIGN}(?P<value>{_VALUE}){_END}")


@lru_cache(maxsize=8)
def _mention(objective: str) -> re.Pattern[str]:
    name = rf"(?<!{_WORD}){re.escape(objective)}(?![\w@/\-])(?!\.\w)(?!{_COLON_PARTS})"
    return re.compile(rf"{name}(?:{_ASSIGN}|(?P<digit>[^\d\n]{{0,40}}\d))")


@lru_cache(maxsize=8)
def _share_of(objective: str) -> re.Pattern[str]:
    part = rf"(?P<part>(?>{_NUMBER}))[ ]?/[ ]?(?P<whole>\d{{1,18}}+)(?P<rest>\.0*+)?"
    return re.compile(rf"(?<!{_WORD}){re.escape(objective)}{_ASSIGN}{part}(?![\w/%.])")


def _share(text: str, objective: str) -> dict[str, float]:
    """Return the objective where it is given as `9913/10000`, or as a number of 1."""
    match = _share_of(objective).search(text)
    if match is None:
        return {}
    part, whole = float(match["part"]), int(match["whole"])
    counted = match["part"].isdecimal() and match["rest"] is None and part <= whole and whole > 0
    return {objective: part / whole} if counted or whole == 1 else {}


def _find_step(text: str) -> int | None:
    found: dict[str, int] = {}
    for match in _STEP.finditer(text):
        found.setdefault(match["name"].lower(), int(match["step"]))
    return found.get("step", found.get("epoch"))


def _whole(text: str, otherwise: int | None) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else otherwise
