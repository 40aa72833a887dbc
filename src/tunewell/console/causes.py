"""Why attempts did not succeed, and what to do about it, in words."""

from __future__ import annotations

from collections.abc import Mapping

from tunewell.reports.summary import CAUSES
from tunewell.spec.states import Cause

_REMEDIES: Mapping[str, str] = {
    Cause.GPU_OOM: "Narrow the range of the batch size or the picture size, or give trials a larger GPU.",
    Cause.HOST_OOM: "Give trials more with resources.memory, or let fewer run at once.",
    Cause.GPU_ERROR: "Look at the GPU with nvidia-smi: reset or replace it, then retry.",
    Cause.NON_FINITE: "Narrow the range of the learning rate: the training diverged.",
    Cause.NO_METRIC: "See that the program reports the objective, under the name that the spec gives it.",
    Cause.TIMEOUT: "Raise max_trial_duration, or have the program do less.",
    Cause.SILENT: "Raise max_trial_silence, or have the program print or report more often.",
    Cause.CRASHED: "The end of its log says what went wrong. Put it right, then retry.",
    Cause.KILLED: "Something outside of Tunewell ended it. Retry it when that is settled.",
    Cause.NODE_LOST: "Retry it when the machine is back.",
    Cause.DISK_FULL: "Make room on the disk, then retry.",
    Cause.INVALID_PARAMETERS: "Leave such combinations out of the search space.",
    Cause.DATA_ERROR: "Put the data right, then retry; tunewell check opens them all.",
}


def in_words(cause: Cause | str) -> str:
    """Return a cause as part of a sentence: `out of GPU memory`."""
    return CAUSES.get(cause, str(cause))


def sentence(cause: Cause | str | None) -> str:
    """Return a cause as a sentence: `Out of GPU memory.`; of None, that it failed."""
    told = in_words(cause) if cause else "failed"
    return f"{told[0].upper()}{told[1:]}."


def remedy(cause: Cause | str) -> str:
    """Return what to do about a cause, in a sentence; empty where nothing is known."""
    return _REMEDIES.get(cause, "")
