"""XGBoost: a callback that reports after each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report

_Callback: Any = required("xgboost.callback", "xgboost").TrainingCallback


class ReportCallback(_Callback):  # type: ignore[misc]  # for mypy, which may not find the library
    """Reports what XGBoost evaluates, as it prints it: `validation-logloss` for data named `validation`.

    `xgboost.train` takes the names from `evals`, the scikit-learn interface has `validation_0`, …; of
    `xgboost.cv`, the means over the folds are reported. `Pruned` ends the training when the trial is to end.
    """

    def after_iteration(
        self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[float | tuple[float, float]]]]
    ) -> bool:
        """Report a round; go on."""
        del model
        latest = {f"{data}-{name}": values[-1] for data, found in evals_log.items() for name, values in found.items()}
        if not latest:
            raise ValueError("XGBoost evaluates nothing that could be reported; give it evals=[(data, 'validation')]")
        # Of `cv`, mean and standard deviation.
        metrics = {name: value[0] if isinstance(value, tuple) else value for name, value in latest.items()}
        report(metrics, step=epoch + 1)
        return False
