"""The rule that finds metrics in a line that a trial prints.

By default `name=number` or `name: number` counts, several in a line too, so that all of these do::

    accuracy=0.91
    epoch 3/10: loss=0.31, val/accuracy=0.91
    step=3 accuracy: 9.1e-01
    {"step": 3, "accuracy": 0.91}

A name is a word, parts joined by ``. / - @`` included. A number that goes on as something else (`91%`, `12:30`,
`3/10`, `1,024`, `10.0.0.1`) is none. `step`, or else `epoch`, with a whole number is the step of the others.
"""

from __future__ import annotations

import re

_WORD = r"[\w./@\-]"
_NUMBER = r"[-+]?(?:(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?|(?i:nan|inf(?:inity)?))"

#: The default rule as a regular expression with the groups `name` and `value`. It takes linear time.
DEFAULT_METRIC_PATTERN = (
    rf"(?<!{_WORD})(?P<name>[A-Za-z_]{_WORD}*+)[\"']?[ \t]*+[=:][ \t]*+"
    rf"(?P<value>(?>{_NUMBER}))(?![\w%])(?![.:,/\-]\d)"
)
#: Characters of a line that are looked at.
LONGEST_LINE = 10_000

_STEP = re.compile(
    rf"(?<!{_WORD})(?P<name>step|epoch)[\"']?[ \t]*+[=:]?[ \t]*+\[?(?P<step>\d{{1,18}}+)(?:\.0*+)?(?![\w%.])",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*+[A-Za-z]")


def parse_metrics(line: str, pattern: str | None = None) -> tuple[int | None, dict[str, float]]:
    """Return the step (None if the line names none) and the metrics in `line`.

    Of several values for one name the first counts. Only what follows the last carriage return is looked at, as
    a terminal would show it, and colours are ignored.

    Args:
        line: one line of output, with or without its end.
        pattern: regular expression with the groups `name` and `value`, and `step` if it likes; None: the default rule.
    """
    text = _COLOUR.sub("", line.rstrip("\r\n").rpartition("\r")[2][:LONGEST_LINE])
    step = _find_step(text)
    metrics: dict[str, float] = {}
    for match in re.finditer(pattern or DEFAULT_METRIC_PATTERN, text):
        groups = match.groupdict()
        if groups.get("step"):
            step = _whole(groups["step"], step)
        name, value = groups["name"], _number(groups["value"])
        if name and value is not None:
            metrics.setdefault(name, value)
    if step is not None:
        metrics = {name: value for name, value in metrics.items() if name.lower() not in ("step", "epoch")}
    return step, metrics


def _find_step(text: str) -> int | None:
    found: dict[str, int] = {}
    for match in _STEP.finditer(text):
        found.setdefault(match["name"].lower(), int(match["step"]))
    return found.get("step", found.get("epoch"))


def _whole(text: str, otherwise: int | None) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else otherwise


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
