"""NNI: its calls for a trial's program, so that `from tunewell.integrations import nni` does in place of `import nni`.

It does not need NNI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tunewell.trial import current, parameters, report
from tunewell.trial.trial import is_number

#: What NNI calls the value of a result that has several.
_DEFAULT = "default"
_CHOSEN = "._name"


def get_next_parameter() -> dict[str, Any]:
    """Return the trial's hyperparameters, those of sub-spaces nested as NNI has them; empty outside of a trial."""
    found = parameters()
    # A sub-space lies in those that have a shorter name: from the inside outwards.
    for parent in sorted((name[: -len(_CHOSEN)] for name in found if name.endswith(_CHOSEN)), key=len, reverse=True):
        chosen = found.pop(parent + _CHOSEN)
        prefix = f"{parent}.{re.sub('[^A-Za-z0-9_.-]+', '_', chosen)}."
        inside = {name: found.pop(name) for name in list(found) if name.startswith(prefix)}
        found[parent] = {"_name": chosen, **{name.removeprefix(prefix): value for name, value in inside.items()}}
    return found


def report_intermediate_result(metric: float | Mapping[str, Any]) -> None:
    """Report the objective, or a mapping with the objective as `default`, of which the other numbers are metrics, too.

    Raises:
        Pruned: the trial is to end.
        TypeError: the objective is no number, or there is none.
    """
    metrics = dict(metric) if isinstance(metric, Mapping) else {_DEFAULT: metric}
    objective = os.environ.get("TUNEWELL_METRIC", _DEFAULT)
    others = {name: value for name, value in metrics.items() if name != _DEFAULT and is_number(value)}
    report({objective: metrics.get(_DEFAULT), **others})


def report_final_result(metric: float | Mapping[str, Any]) -> None:
    """Report the value of the trial, as `report_intermediate_result` does: the last report counts."""
    report_intermediate_result(metric)


def get_sequence_id() -> int:
    """Return the number of the trial."""
    return current().number
