"""States and the moves between them."""

from __future__ import annotations

import pytest

from tunewell.spec.errors import TransitionRefused
from tunewell.spec.states import (
    DETERMINISTIC_CAUSES,
    EXPERIMENT_TRANSITIONS,
    JOB_TRANSITIONS,
    LOST_CAUSES,
    PROGRAM_CAUSES,
    TRIAL_TRANSITIONS,
    Cause,
    ExperimentState,
    JobState,
    TrialState,
    check_experiment_transition,
    check_trial_transition,
)


def test_every_state_has_its_moves() -> None:
    """The tables of moves name every state."""
    assert set(EXPERIMENT_TRANSITIONS) == set(ExperimentState)
    assert set(TRIAL_TRANSITIONS) == set(TrialState)


@pytest.mark.parametrize("old", TrialState)
@pytest.mark.parametrize("new", TrialState)
def test_trial_moves(old: TrialState, new: TrialState) -> None:
    """Only the moves of the table pass; a refusal names trial, state, wanted and allowed."""
    if new in TRIAL_TRANSITIONS[old]:
        check_trial_transition(7, old, new)
    else:
        with pytest.raises(TransitionRefused, match=rf"trial 7 is {old}: it can't become {new} \(allowed: "):
            check_trial_transition(7, old, new)


@pytest.mark.parametrize("old", ExperimentState)
@pytest.mark.parametrize("new", ExperimentState)
def test_experiment_moves(old: ExperimentState, new: ExperimentState) -> None:
    """Only the moves of the table pass."""
    if new in EXPERIMENT_TRANSITIONS[old]:
        check_experiment_transition("signs", old, new)
    else:
        with pytest.raises(TransitionRefused, match=rf"experiment 'signs' is {old}: it can't become {new}"):
            check_experiment_transition("signs", old, new)


def test_a_success_is_final_for_good() -> None:
    """What succeeded or was pruned is never run again; what failed or was stopped may be."""
    assert not TRIAL_TRANSITIONS[TrialState.SUCCEEDED]
    assert not TRIAL_TRANSITIONS[TrialState.PRUNED]
    assert TRIAL_TRANSITIONS[TrialState.FAILED] == {TrialState.WAITING}


def test_final_states() -> None:
    """Final are the states that only a new budget or a retry leaves."""
    assert [state for state in TrialState if not state.final] == [TrialState.WAITING, TrialState.RUNNING]
    assert {state for state in ExperimentState if not state.final} == {
        ExperimentState.CREATED,
        ExperimentState.RUNNING,
        ExperimentState.PAUSED,
        ExperimentState.STOPPING,
    }


def test_every_cause_lies_in_the_parameters_the_program_or_the_machine() -> None:
    """What a failure says about its parameters is settled for each cause, and only once."""
    assert sorted([*DETERMINISTIC_CAUSES, *PROGRAM_CAUSES, *LOST_CAUSES]) == sorted(Cause)


def test_jobs_that_succeeded_stay_so() -> None:
    """Every state of a job has its moves; failed and stopped jobs may run again, one that succeeded may not."""
    assert set(JOB_TRANSITIONS) == set(JobState)
    assert {state for state in JobState if state.final and JOB_TRANSITIONS[state]} == {
        JobState.FAILED,
        JobState.STOPPED,
    }
