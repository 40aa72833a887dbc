"""Jobs about an experiment as its page of results shows them: how far each is, and what its end means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunewell.service.types import Caller, Job, JobKind, TrialResult
from tunewell.service.verbs import Verbs
from tunewell.spec.states import JobState

#: How many of the latest jobs of a kind are looked through for one of the caller's own.
_LOOKED_THROUGH = 50


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
        trials: those that it may train with.
        caller: only theirs.
    """
    limit = 1 if caller is None else _LOOKED_THROUGH
    found: Iterable[Job] = verbs.jobs(experiment=name, kind=kind, limit=limit).items
    job = next((job for job in found if caller is None or job.caller == caller.name), None)
    return None if job is None else Work(job, *_progress(job, trials))


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
