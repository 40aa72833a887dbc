"""Which work a controller looks for in the store."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.controller.job_run import belongs_to_search, brought_about_by
from tunewell.spec.states import ExperimentState
from tunewell.store.rows import ExperimentRow, JobRow, RequestRow


@dataclass(frozen=True, slots=True)
class Work:
    """Which work a controller looks for in the store."""

    #: Whether it takes all that there is; else only what follows.
    everything: bool = False
    #: Experiments, with the jobs that belong to their searches.
    experiments: frozenset[str] = frozenset()
    #: Jobs, with those that they bring about.
    jobs: frozenset[int] = frozenset()

    def wants_experiment(self, name: str) -> bool:
        """Whether it takes this experiment over."""
        return self.everything or name in self.experiments

    def wants_job(self, job: JobRow) -> bool:
        """Whether it takes this job over."""
        of_search = job.experiment in self.experiments and belongs_to_search(job)
        named = job.id in self.jobs or any(job.caller == brought_about_by(one) for one in self.jobs)
        return self.everything or named or of_search


def sets_going(request: RequestRow, row: ExperimentRow) -> bool:
    """Whether a request has an experiment taken over that is paused."""
    return row.state is ExperimentState.PAUSED and request.verb in ("stop", "resume", "retry")
