"""PyTorch Lightning: a callback that reports after each validation."""

from __future__ import annotations

from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report

_Callback: Any = required("lightning.pytorch.callbacks", "lightning").Callback


class ReportCallback(_Callback):  # type: ignore[misc]  # for mypy, which may not find the library
    """Reports all that was logged (`self.log`) by the end of a validation; the step is the epoch, from 1.

    Of several processes the first one reports. `Pruned` ends the training when the trial is to end.
    """

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report an epoch, unless it is only tried whether validation works."""
        del pl_module
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not trainer.callback_metrics:
            raise ValueError("nothing was logged that could be reported; call self.log in validation_step")
        report(trainer.callback_metrics, step=trainer.current_epoch + 1)
