from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reports import examples
from tunewell.reports.summary import CAUSES, headline, key_figures, next_steps
from tunewell.reports.view import ExperimentView
from tunewell.spec.states import Cause, Cut, ExperimentState, TrialState


def with_values(best: float, default: float, goal: str = "maximize") -> ExperimentView:
    """Two trials, the default and the best."""
    view = examples.hand_signs(2, evaluated=False)
    first, second = view.trials
    trials = (replace(first, value=default), replace(second, value=best, state=TrialState.SUCCEEDED))
    return replace(view, trials=trials, top=(2, 1), goal=goal)  # type: ignore[arg-type]


def test_the_headline_says_result_gain_and_end() -> None:
    """The first sentence has best value, trial and gain over the network's default, the second how it ended."""
    assert headline(with_values(0.984, 0.953)) == (
        "Best accuracy 0.984 (trial 2), 0.031 above the network's default 0.953. The maximum of 2 trials was reached."
    )


def test_the_headline_says_below_when_smaller_is_better() -> None:
    """A minimised metric is better below the default's."""
    assert "(trial 2), 0.2 below the network's default 0.5." in headline(with_values(0.3, 0.5, "minimize"))


def test_the_headline_owns_up_to_no_gain() -> None:
    """It says so when the default was not beaten, was only equalled, or was the only trial."""
    beaten = replace(with_values(0.9, 0.95), top=(1, 2))
    assert "with the network's default parameters, which no other trial has beaten." in headline(beaten)
    assert "no better than the network's default parameters." in headline(with_values(0.9, 0.9))
    assert headline(examples.single_trial()).startswith(
        "Best accuracy 0.9772 (trial 1), with the network's default parameters. "
    )


def test_the_headline_says_why_nothing_is_compared() -> None:
    """A default that failed is named with its cause."""
    view = with_values(0.9, 0.5)
    failed = replace(view.trials[0], value=None, state=TrialState.FAILED, cause=Cause.GPU_OOM)
    view = replace(view, trials=(failed, view.trials[1]), top=(2,))
    assert "; the network's default parameters failed (out of GPU memory), so there is nothing" in headline(view)


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (
            examples.no_success(),
            "No result: all trials failed (5 out of GPU memory, 1 crashed). "
            "6 of 6 trials failed; a share of 50% was allowed.",
        ),
        (examples.empty(), "No trial has started yet."),
        (replace(examples.empty(), state=ExperimentState.STOPPED), "It ended before any trial."),
        (replace(examples.hand_signs(3), top=(), state=ExperimentState.RUNNING), "No result yet. "),
        (replace(examples.hand_signs(3), top=()), "No result: no trial succeeded. "),
        (examples.running(), "Best accuracy so far 0.9811 (trial 2), "),
        (replace(examples.running(), running=True), "The search is still going on, with 9 ended trials so far."),
        (
            examples.running(),
            "The search is paused after 9 ended trials; the command that began it, or `tunewell serve`, goes on.",
        ),
    ],
)
def test_every_state_is_put_into_words(view: ExperimentView, text: str) -> None:
    """Failed, empty, running and paused experiments each get a sentence that fits."""
    assert text in headline(view)


def test_key_figures_show_the_difference_with_its_sign() -> None:
    """The difference keeps the metric's own direction, and says that it is better."""
    figures = {figure.name: (figure.value, figure.note) for figure in key_figures(with_values(0.3, 0.5, "minimize"))}
    assert figures["difference"] == ("−0.2", "40 % better")
    assert figures["best accuracy"] == ("0.3", "trial 2")
    assert "difference" not in {figure.name for figure in key_figures(examples.single_trial())}


def test_every_cause_has_words() -> None:
    """No cause of failure is shown as a code in the text."""
    assert set(CAUSES) == set(Cause)


def test_more_time_comes_first_where_it_is_advised() -> None:
    """What the time limit has cut off goes on before anything is made of it, as the command line says, too."""
    view = replace(examples.hand_signs(), more_time="2h")
    assert [step.command for step in next_steps(view)][:2] == [
        "tunewell set hand-signs --max-duration 2h",
        "tunewell retrain hand-signs --trial 34",
    ]
    trials = tuple(replace(t, cut_by=Cut.MAX_DURATION) if t.number == view.top[1] else t for t in view.trials)
    commands = [step.command for step in next_steps(replace(view, trials=trials))]
    assert commands[1] == f"tunewell retry hand-signs {view.top[1]}"


def test_next_steps_fit_the_kind_of_experiment() -> None:
    """A built-in task has a model to use, a command is shown filled in, a failure has a log to read."""
    task = [step.command for step in next_steps(examples.hand_signs())]
    assert task[0] == "tunewell retrain hand-signs --trial 34"
    assert any(command.startswith("tunewell predict hand-signs ") for command in task)
    assert "tunewell logs hand-signs 8" in task
    by_hand = ("python", "train.py", "--name", "a b")
    command = [step.command for step in next_steps(replace(examples.thousand(50), best_command=by_hand))]
    assert "python train.py --name 'a b'" in command
    assert not any("predict" in text for text in command)
    assert not any("retrain" in step.command for step in next_steps(examples.no_success()))
