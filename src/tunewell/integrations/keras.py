"""Keras: a callback that reports after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report

_Callback: Any = required("keras.callbacks", "keras").Callback


class ReportCallback(_Callback):  # type: ignore[misc]  # for mypy, which may not find the library
    """Reports what Keras logs of an epoch, such as `loss` and `val_loss`; the step is the epoch, from 1.

    `Pruned` ends the training when the trial is to end.
    """

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report an epoch."""
        if not logs:
            raise ValueError("Keras logs nothing that could be reported; compile the model with a loss")
        report(logs, step=epoch + 1)
