"""States of experiments, trials and jobs, and the moves allowed between them.

Experiment::

       ┌───────────────────────┐
       │                       ▼
    created ──► running ◄──► paused
                  │  ▲          │
                  ▼  └───┐      ▼
               stopping ─┴─► completed | target_reached | converged | stopped | timed_out | failed

A final experiment goes back to ``running`` when its budget is raised or a trial is retried.

Trial::

    waiting ──► running ──► succeeded | stopped | pruned | failed
       ▲           │                                  │
       └── lost ───┘  (attempts left)                 │
       └──────────────────── retry ───────────────────┘

``lost`` is how an attempt can end, not a state of its own: the trial waits again.

Job::

    waiting ──► running ──► succeeded | stopped | failed
       ▲           │                        │
       ├── lost ───┤  (attempts left)       │
       ├── part ───┘  (of several)          │
       └───────────────── retry ────────────┘
"""

from __future__ import annotations

from enum import StrEnum

from tunewell.spec.errors import TransitionRefused


class ExperimentState(StrEnum):
    """Where an experiment is in its life."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    TARGET_REACHED = "target_reached"
    CONVERGED = "converged"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether the experiment has ended."""
        return self in FINAL_EXPERIMENT_STATES


class TrialState(StrEnum):
    """Where a trial is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether the trial has ended."""
        return self in FINAL_TRIAL_STATES


class JobState(StrEnum):
    """Where a job is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL_JOB_STATES


class Cause(StrEnum):
    """Why an attempt did not succeed."""

    GPU_OOM = "gpu_oom"
    HOST_OOM = "host_oom"
    #: The GPU itself has failed, whatever was computed on it.
    GPU_ERROR = "gpu_error"
    NON_FINITE = "non_finite"
    NO_METRIC = "no_metric"
    TIMEOUT = "timeout"
    SILENT = "silent"
    CRASHED = "crashed"
    KILLED = "killed"
    NODE_LOST = "node_lost"
    DISK_FULL = "disk_full"
    INVALID_PARAMETERS = "invalid_parameters"
    DATA_ERROR = "data_error"


class Cut(StrEnum):
    """What ended a trial before the last report of a full training."""

    MAX_DURATION = "max_duration"
    MAX_TRIAL_DURATION = "max_trial_duration"
    EARLY_STOPPING = "early_stopping"
    #: It was given no more: a part of a training, or as long as it takes to see whether it is worth more.
    FIDELITY = "fidelity"
    BY_HAND = "by_hand"
    TARGET = "target"
    SEARCH_ENDED = "search_ended"


#: Cuts that the algorithm means: no fault of anything.
CUTS_BY_DESIGN = frozenset({Cut.EARLY_STOPPING, Cut.FIDELITY})
#: Cuts that more time would have prevented.
TIME_LIMITS = frozenset({Cut.MAX_DURATION, Cut.MAX_TRIAL_DURATION})

FINAL_EXPERIMENT_STATES = frozenset(
    {
        ExperimentState.COMPLETED,
        ExperimentState.TARGET_REACHED,
        ExperimentState.CONVERGED,
        ExperimentState.STOPPED,
        ExperimentState.TIMED_OUT,
        ExperimentState.FAILED,
    }
)
FINAL_TRIAL_STATES = frozenset({TrialState.SUCCEEDED, TrialState.STOPPED, TrialState.PRUNED, TrialState.FAILED})
FINAL_JOB_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED})
OPEN_JOB_STATES = (JobState.WAITING, JobState.RUNNING)

#: States of ended trials whose value counts.
RESULT_STATES = frozenset({TrialState.SUCCEEDED, TrialState.STOPPED})

#: Causes that the same parameters would bring about again: one failure teaches a tuner to keep away.
DETERMINISTIC_CAUSES = frozenset({Cause.GPU_OOM, Cause.HOST_OOM, Cause.NON_FINITE, Cause.INVALID_PARAMETERS})
#: Causes within the program: its parameters may have brought them about, or chance. Other trials tell which.
PROGRAM_CAUSES = frozenset({Cause.NO_METRIC, Cause.TIMEOUT, Cause.SILENT, Cause.CRASHED, Cause.DATA_ERROR})
#: Causes that say nothing about the parameters: the attempt is repeated while attempts are left.
LOST_CAUSES = frozenset({Cause.KILLED, Cause.GPU_ERROR, Cause.NODE_LOST, Cause.DISK_FULL})

EXPERIMENT_TRANSITIONS: dict[ExperimentState, frozenset[ExperimentState]] = {
    ExperimentState.CREATED: frozenset(
        {ExperimentState.RUNNING, ExperimentState.PAUSED, ExperimentState.STOPPING, ExperimentState.FAILED}
    ),
    ExperimentState.RUNNING: frozenset({ExperimentState.PAUSED, ExperimentState.STOPPING, *FINAL_EXPERIMENT_STATES}),
    ExperimentState.PAUSED: frozenset({ExperimentState.RUNNING, ExperimentState.STOPPING}),
    ExperimentState.STOPPING: frozenset({ExperimentState.PAUSED, ExperimentState.RUNNING, *FINAL_EXPERIMENT_STATES}),
    **{state: frozenset({ExperimentState.RUNNING}) for state in FINAL_EXPERIMENT_STATES},
}

TRIAL_TRANSITIONS: dict[TrialState, frozenset[TrialState]] = {
    TrialState.WAITING: frozenset({TrialState.RUNNING, TrialState.STOPPED}),
    TrialState.RUNNING: frozenset({TrialState.WAITING, *FINAL_TRIAL_STATES}),
    TrialState.SUCCEEDED: frozenset(),
    TrialState.STOPPED: frozenset({TrialState.WAITING}),
    TrialState.PRUNED: frozenset(),
    TrialState.FAILED: frozenset({TrialState.WAITING}),
}

JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.STOPPED}),
    JobState.RUNNING: frozenset({JobState.WAITING, *FINAL_JOB_STATES}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.WAITING}),
    JobState.STOPPED: frozenset({JobState.WAITING}),
}


def check_experiment_transition(name: str, old: ExperimentState, new: ExperimentState) -> None:
    """Raise `TransitionRefused` unless an experiment may go from `old` to `new`."""
    if new not in EXPERIMENT_TRANSITIONS[old]:
        allowed = ", ".join(sorted(EXPERIMENT_TRANSITIONS[old]))
        raise TransitionRefused(f"experiment '{name}' is {old}: it can't become {new} (allowed: {allowed})")


def check_trial_transition(number: int, old: TrialState, new: TrialState) -> None:
    """Raise `TransitionRefused` unless a trial may go from `old` to `new`."""
    if new not in TRIAL_TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRIAL_TRANSITIONS[old])) or "none, it is final"
        raise TransitionRefused(f"trial {number} is {old}: it can't become {new} (allowed: {allowed})")


#: Origin of a trial that trains the last layer of a network alone, which takes far less time than others.
LINEAR_PROBE = "linear probe"
