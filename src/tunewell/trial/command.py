"""`tunewell report accuracy=0.9 step=3` for training scripts in any language."""

from __future__ import annotations

import sys

from tunewell.trial.context import current
from tunewell.trial.trial import ASKED_TO_END, Pruned

_USAGE = "Write it like: tunewell report accuracy=0.9 loss=0.31 step=3"


def report_from_shell(arguments: list[str]) -> int:
    """Report the metrics in `name=number` arguments; return the exit code.

    Returns:
        0: reported. 1: the report could not be written. 2: an argument is wrong. 3: reported, and the controller
        has asked the trial to end.
    """
    metrics: dict[str, float] = {}
    step: int | None = None
    for argument in arguments:
        name, separator, text = argument.partition("=")
        try:
            if name == "step":
                step = int(text)
            elif name and separator:
                metrics[name] = float(text)
            else:
                raise ValueError
        except ValueError:
            kind = "a whole number" if name == "step" else "name=number"
            print(f"{argument}: this is not {kind}. {_USAGE}", file=sys.stderr)
            return 2
    if not metrics:
        print(f"There is no metric to report. {_USAGE}", file=sys.stderr)
        return 2
    return _report(metrics, step)


def _report(metrics: dict[str, float], step: int | None) -> int:
    try:
        current().report(metrics, step=step)
    except Pruned:
        return ASKED_TO_END
    except OSError as error:
        print(f"The report can't be written: {error}", file=sys.stderr)
        return 1
    return 0
