"""LightGBM: a callback that reports after each round."""

from __future__ import annotations

from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report

required("lightgbm", "lightgbm")


class ReportCallback:
    """Reports what LightGBM evaluates, such as `valid_0-binary_logloss`: the name of the data, then of the metric.

    Of `lightgbm.cv`, the means over the folds are reported. `Pruned` ends the training when the trial is to end.
    """

    #: Before LightGBM's own early stopping, so that its last round is reported, too.
    order = 20
    before_iteration = False

    def __call__(self, env: Any) -> None:
        """Report a round."""
        if not env.evaluation_result_list:
            raise ValueError("LightGBM evaluates nothing that could be reported; give it valid_sets=[data]")
        # (data, metric, value, …)
        metrics = {f"{found[0]}-{found[1]}".replace(" ", "-"): found[2] for found in env.evaluation_result_list}
        report(metrics, step=env.iteration + 1)
