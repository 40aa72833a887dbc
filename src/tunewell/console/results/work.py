"""Jobs about an experiment as its page of results shows them: how far each is, and what its end means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunewell.service.types import Caller, Job, JobKind, TrialResult
from tunewell.service.verbs import Verbs
from tunewell.spec.states import JobState


@dataclass(frozen=True, slots=True)
class Work:
    """The latest job of a kind."""

    job: Job
    #: What it is doing; empty: nothing yet.
    doing: str
    #: Share that is done; None: that can't be told.
    share: float | None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self.job.state.final

    @property
    def has_succeeded(self) -> bool:
        """Whether its result is there."""
        return self.job.state is JobState.SUCCEEDED


def latest(
    verbs: Verbs, name: str, kind: JobKind, trials: Sequence[TrialResult], caller: Caller | None = None
) -> Work | None:
    """Return the latest job of a kind about an experiment; None: there is none.

    Args:
        verbs: whom to ask.
        name: of the experiment.
        kind: of the job.
        trials: those that it may train with, and whose epochs it has.
        caller: only theirs.
    """
    by = None if caller is None else caller.name
    found: Sequence[Job] = verbs.jobs(experiment=name, kind=kind, caller=by, limit=1).items
    return Work(found[0], *_progress(found[0], trials)) if found else None


def _progress(job: Job, trials: Sequence[TrialResult]) -> tuple[str, float | None]:
    """Return what a job is doing, and the share that is done."""
    known = dict(job.progress)
    step = known.pop("step", None)
    if job.kind != "retrain":
        shares = [(name, share) for name, share in known.items() if 0 <= share <= 1]
        return shares[-1] if shares else ("", None)
    if step is None:
        return "", None
    number = job.arguments.get("trial")
    epochs = next((trial.parameters.get("epochs") for trial in trials if trial.number == number), None)
    if not isinstance(epochs, int | float) or epochs < 1:
        return f"step {step:.0f}", None
    return f"epoch {step:.0f} of {epochs:.0f}", min(step / epochs, 1.0)
