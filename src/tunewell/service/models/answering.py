"""How a model is asked to answer, and whether it can."""

from __future__ import annotations

from tunewell.spec.errors import ArgumentError
from tunewell.tasks.contract import Answering, Task


def checked(task: Task, threshold: float | None, probabilities: bool) -> Answering:
    """Return how a model of a task is to answer.

    Raises:
        ArgumentError: the threshold is none, or such a model does not know of one, or of probabilities.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ArgumentError("threshold", f"{threshold:g} is none", "Give a number above 0, and 1 at most", threshold)
    if threshold is not None and "threshold" not in task.answering:
        what = "this model gives each picture its likeliest label, whatever its probability"
        raise ArgumentError("threshold", what, "Leave it out, or ask for all probabilities", threshold)
    if probabilities and "probabilities" not in task.answering:
        what = "this model has a score for each object, and no probabilities of classes"
        raise ArgumentError("probabilities", what, "Leave it out, or ask for objects of a lower threshold")
    return Answering(threshold, probabilities)
