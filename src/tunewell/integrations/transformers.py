"""Hugging Face Transformers: a callback for its `Trainer` that reports after each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report
from tunewell.trial.trial import is_number

_Callback: Any = required("transformers", "transformers").TrainerCallback


class ReportCallback(_Callback):  # type: ignore[misc]  # for mypy, which may not find the library
    """Reports what an evaluation has given, such as `eval_loss`; the step is the trainer's global step.

    Of several processes the first one reports. `Pruned` ends the training when the trial is to end.
    """

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any] | None = None, **others: Any
    ) -> None:
        """Report an evaluation."""
        del args, control, others
        numbers = {name: value for name, value in (metrics or {}).items() if is_number(value)}
        if state.is_world_process_zero and numbers:
            report(numbers, step=state.global_step)
