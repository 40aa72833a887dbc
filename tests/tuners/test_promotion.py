"""Promotion: who is trained further, how far, and what is kept for it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.space import SearchSpace
from tunewell.tuners.catalogue import DEFAULT_MAX_PARTS, PROMOTING, choose, create, initial_configurations
from tunewell.tuners.contract import Exhausted, Suggestion, Tuner, Wait
from tunewell.tuners.promotion import ETA, LEAST_ENDED, Ladder, rungs

SPACE = parse_space({"x": {"low": 0.0, "high": 1.0}})


def tuner(name: str = "random", space: SearchSpace = SPACE, rule: Any = "promotion", **arguments: Any) -> Tuner:
    """Return a tuner whose trials are promoted; the objective is maximised."""
    if name == "bayesian":
        arguments["initial_trials"] = 3
    return create(name, space, goal="maximize", resumable=True, early_stopping=rule, **arguments)


def ask(subject: Tuner) -> Suggestion:
    """Return the next suggestion; there must be one."""
    answer = subject.ask()
    assert isinstance(answer, Suggestion)
    return answer


def test_rungs_are_thirds_of_the_training_and_an_epoch_at_least() -> None:
    """Without knowledge of epochs: a 27th, a ninth, a third and all; short trainings have fewer rungs."""
    assert rungs() == pytest.approx((1 / 27, 1 / 9, 1 / 3, 1))
    assert rungs(27) == pytest.approx((1 / 27, 3 / 27, 9 / 27, 1))
    assert rungs(8) == pytest.approx((1 / 8, 3 / 8, 1))
    assert rungs(1) == (1,)


@pytest.mark.parametrize("name", PROMOTING)
def test_the_best_third_goes_on(name: str) -> None:
    """Three trials make the best of them go on from its own checkpoint, as far as the next rung."""
    subject = tuner(name, epochs=9)
    values = {1: 0.1, 2: 0.9, 3: 0.5}
    for number, value in values.items():
        suggestion = ask(subject)
        assert suggestion.fidelity == pytest.approx(1 / 9)
        assert suggestion.number == number
        subject.tell(suggestion.outcome(value))
    promoted = ask(subject)
    assert (promoted.origin, promoted.resume_from) == ("promoted from trial 2", 2)
    assert promoted.parameters == subject.suggestions[2].parameters
    assert promoted.fidelity == pytest.approx(1 / 3)
    assert ask(subject).fidelity == pytest.approx(1 / 9)


def test_a_share_of_the_data_is_trained_afresh() -> None:
    """`data-promotion`: nothing goes on from a checkpoint made with less data, and none needs to be kept."""
    subject = tuner(rule="data-promotion")
    for _ in range(3):
        subject.tell(ask(subject).outcome(0.5))
    promoted = ask(subject)
    assert promoted.origin == "promoted from trial 1"
    assert promoted.resume_from is None
    assert not subject.checkpoints()


def test_the_default_configuration_is_trained_in_full() -> None:
    """What a search gains is measured against it; the user's own configurations climb like all others."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0, "default": 0.5}})
    subject = tuner(space=space, initial=initial_configurations(space, [{"x": 0.1}]))
    assert [ask(subject).fidelity for _ in range(2)] == pytest.approx([1, 1 / 27])


def test_a_linear_probe_is_trained_in_full() -> None:
    """It costs little; half trained, it would say nothing."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    subject = tuner(space=space, initial=initial_configurations(space, promising=[("linear probe", {"x": 0.1})]))
    assert [ask(subject).fidelity for _ in range(2)] == pytest.approx([1, 1 / 27])


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("max_trials", [5, 20, 60])
def test_something_is_trained_in_full_before_the_trials_run_out(max_trials: int, concurrency: int) -> None:
    """However few trials there are, the last ones take the best configuration to the end."""
    subject = tuner(max_trials=max_trials)
    running: list[Suggestion] = []
    while len(subject.suggestions) < max_trials or running:
        answer = subject.ask() if len(running) < concurrency and len(subject.suggestions) < max_trials else Wait()
        if isinstance(answer, Suggestion):
            running.append(answer)
        else:
            assert running, "waiting for nothing"
            ended = running.pop(0)
            subject.tell(ended.outcome(ended.parameters["x"]))
    assert any(suggestion.fidelity == 1 for suggestion in subject.suggestions.values())


def test_a_finite_space_ends_with_a_full_training() -> None:
    """When all configurations have begun, the best one climbs to the top; then there is nothing left."""
    subject = tuner("grid", parse_space({"k": ["a", "b", "c"]}))
    answer = subject.ask()
    while isinstance(answer, Suggestion):
        subject.tell(answer.outcome({"a": 0.1, "b": 0.3, "c": 0.2}[str(answer.parameters["k"])]))
        answer = subject.ask()
    assert isinstance(answer, Exhausted)
    full = [suggestion.parameters for suggestion in subject.suggestions.values() if suggestion.fidelity == 1]
    assert full == [{"k": "b"}]


def test_no_more_than_the_best_are_promoted() -> None:
    """After many trials, a third of each rung has gone on, the best ones (of equals the earlier ones)."""
    subject = tuner(epochs=9)
    while len(subject.suggestions) < 130:
        suggestion = ask(subject)
        subject.tell(suggestion.outcome(round(suggestion.parameters["x"], 2)))
    lowest = [s for s in subject.suggestions.values() if s.fidelity < 0.2]
    promoted = {s.resume_from for s in subject.suggestions.values()} & {s.number for s in lowest}
    assert len(promoted) >= len(lowest) // ETA
    best = sorted(lowest, key=lambda s: -s.parameters["x"])[: len(lowest) // ETA - 3]
    assert sum(s.number in promoted for s in best) > 0.7 * len(best)


def test_bayesian_learns_from_parts() -> None:
    """Where a part tells what the whole would, the optimum is found, and trained in full, at little cost."""
    subject = tuner("bayesian", seed=1, max_trials=40)
    while len(subject.suggestions) < 40:
        suggestion = ask(subject)
        x = suggestion.parameters["x"]
        subject.tell(suggestion.outcome(-((x - 0.7) ** 2) - 0.1 / suggestion.fidelity))
    full = [suggestion.parameters["x"] for suggestion in subject.suggestions.values() if suggestion.fidelity == 1]
    assert min(abs(x - 0.7) for x in full) < 0.02
    assert sum(suggestion.fidelity for suggestion in subject.suggestions.values()) < 12


def test_what_does_not_go_together_is_refused() -> None:
    """Algorithms that compare full trainings, and trials that can't go on, are named with the remedy."""
    with pytest.raises(SpecError, match="does not go with tpe"):
        choose("tpe", SPACE, early_stopping="promotion", resumable=True)
    with pytest.raises(SpecError, match="go on from a checkpoint"):
        choose("random", SPACE, early_stopping="promotion")
    with pytest.raises(SpecError, match="max_trials: 3 "):
        choose("random", SPACE, 3, early_stopping="promotion", resumable=True)
    assert choose("random", SPACE, 2, early_stopping="promotion", resumable=True, epochs=2).max_trials == 2
    assert choose("random", SPACE, early_stopping="data-promotion").max_trials == DEFAULT_MAX_PARTS
    assert choose("auto", SPACE, early_stopping="promotion", resumable=True).name == "bayesian"


def test_auto_weighs_how_many_run_at_once() -> None:
    """When all trials run at once there is nothing to learn from."""
    choice = choose("auto", SPACE, 16, max_concurrency=16)
    assert (choice.name, "at once" in choice.reason) == ("random", True)
    assert choose("auto", SPACE, 16, max_concurrency=8).name == "bayesian"


def test_who_may_go_on_is_what_the_rules_say() -> None:
    """However trials end, and end again: those may that have not failed, gone on, or been in the worse half once."""
    for seed in range(30):
        generator = np.random.default_rng(seed)
        ladder, shares = Ladder(rungs()), rungs()
        running: dict[int, tuple[int, int]] = {}
        ended: dict[int, tuple[int, int]] = {}
        losses: list[dict[int, float]] = [{} for _ in shares]
        given_up: set[int] = set()
        last: dict[int, int] = {}
        for number in range(1, 150):
            found = ladder.next(None)
            assert not isinstance(found, str)
            before = None if found is None else ended[found.trial]
            configuration, rung = (number, 0) if before is None else (before[0], before[1] + 1)
            running[number], last[configuration] = (configuration, rung), number
            ladder.note_suggestion(number, {"x": configuration}, shares[rung])
            for _ in range(generator.integers(3)):
                again = bool(ended) and generator.random() < 0.1
                trial = int(generator.choice(list(ended if again else running or ended)))
                configuration, rung = ended[trial] = running.pop(trial, None) or ended[trial]
                loss = None if generator.random() < 0.1 else float(generator.choice([math.inf, *generator.random(4)]))
                losses[rung].pop(trial, None)
                given_up.discard(trial)
                if loss is not None:
                    losses[rung][trial] = loss
                    ranked = sorted(losses[rung], key=lambda one, rung=rung: (losses[rung][one], one))
                    if len(ranked) >= LEAST_ENDED:
                        given_up.update(ranked[math.ceil(len(ranked) / 2) :])
                ladder.note_end(trial, loss)
            assert ladder.promotable() == {
                trial
                for here in losses[:-1]
                for trial, loss in here.items()
                if math.isfinite(loss) and trial not in given_up and last[ended[trial][0]] == trial
            }
