"""What Bayesian search makes of spaces, objectives and failures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewell.tuners.bayesian import modelled
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Exhausted, Suggestion, Tuner

Objective = Callable[[dict[str, Any]], float]

SQUARE = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}
MIXED = {
    "rate": {"low": 1e-5, "high": 1.0, "log": True},
    "width": {"low": 8, "high": 512, "log": True},
    "optimizer": ["sgd", "adam", "lion", "rprop"],
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "depth": {"ordinal": [1, 2, 4, 8]},
    "one": 7,
}


def bowl(parameters: dict[str, Any]) -> float:
    """Return a loss with its least value at (0.3, 0.6)."""
    return float((parameters["x"] - 0.3) ** 2 + (parameters["y"] - 0.6) ** 2)


def mixed(parameters: dict[str, Any]) -> float:
    """Return a loss on MIXED that is least, 0, for sgd with a momentum of 0.9, in the middle of the other ranges."""
    loss = 0.1 * (math.log10(parameters["rate"]) + 2.0) ** 2 + abs(math.log2(parameters["depth"]) - 2.0)
    loss += 0.1 * (math.log2(parameters["width"]) - 6.0) ** 2
    if parameters["optimizer"] == "sgd":
        return float(loss + (parameters["momentum"] - 0.9) ** 2)
    return loss + 0.5


def ask(subject: Tuner) -> Suggestion:
    """Return the next suggestion of a tuner that has one."""
    suggestion = subject.ask()
    assert isinstance(suggestion, Suggestion)
    return suggestion


def run(subject: Tuner, objective: Objective, trials: int) -> list[float]:
    """Train so many trials, one after another; return their objectives."""
    found = []
    for _ in range(trials):
        suggestion = ask(subject)
        found.append(objective(suggestion.parameters))
        subject.tell(suggestion.outcome(found[-1]))
    return found


def bayesian(declarations: dict[str, Any], seed: int = 0, **options: Any) -> Tuner:
    """Return a Bayesian tuner that minimises."""
    return create("bayesian", declarations, goal="minimize", seed=seed, **options)


@pytest.mark.parametrize(("declarations", "objective"), [(SQUARE, bowl), (MIXED, mixed)])
def test_beats_random_search(declarations: dict[str, Any], objective: Objective) -> None:
    """After 40 trials the mean distance to the least loss is a fifth of random search's, at most."""
    means = [
        np.mean([min(run(create(name, declarations, goal="minimize", seed=seed), objective, 40)) for seed in range(4)])
        for name in ("bayesian", "random")
    ]
    assert means[0] < 0.2 * means[1]


def test_order_of_categories_does_not_matter() -> None:
    """Declaring the values of categories in another order changes no suggestion."""
    first = bayesian(MIXED, seed=5)
    second = bayesian({**MIXED, "optimizer": ["rprop", "sgd", "lion", "adam"]}, seed=5)
    for _ in range(25):
        one, two = ask(first), ask(second)
        assert one.parameters == two.parameters
        first.tell(one.outcome(mixed(one.parameters)))
        second.tell(two.outcome(mixed(two.parameters)))


def test_start_covers_every_top_level_choice() -> None:
    """However small the start was asked to be, each branch of a hierarchy is in it."""
    learners = [f"learner {number}" for number in range(12)]
    space = {
        "learner": learners,
        "rate": {"low": 0.0, "high": 1.0, "when": {"learner": "learner 3"}},
        "size": {"low": 0.0, "high": 1.0},
    }
    for seed in range(5):
        subject = bayesian(space, seed, initial_trials=3)
        start = [ask(subject) for _ in learners]
        assert {suggestion.origin for suggestion in start} == {"spread out"}
        assert {suggestion.parameters["learner"] for suggestion in start} == set(learners)


def test_origins_say_what_proposed_a_trial() -> None:
    """First comes the start, then the model with a random trial now and then."""
    subject = bayesian(SQUARE, initial_trials=5)
    run(subject, bowl, 45)
    origins = [suggestion.origin for suggestion in subject.suggestions.values()]
    assert origins[:5] == ["spread out"] * 5
    assert set(origins[5:]) == {"model", "random"}
    assert origins.count("random") < 8


def failing_share(cause: str, seed: int) -> float:
    """Return how many of trials 13 to 40 lie where all trials fail with this cause: x above 0.4."""
    subject = bayesian(SQUARE, seed)
    failing = []
    for _ in range(40):
        suggestion = ask(subject)
        failing.append(suggestion.parameters["x"] > 0.4)
        value = (suggestion.parameters["y"] - 0.5) ** 2
        subject.tell(suggestion.failure(cause) if failing[-1] else suggestion.outcome(value))
    return float(np.mean(failing[12:]))


def test_failures_teach_to_keep_away() -> None:
    """Failures that the parameters brought about are avoided; accidents are no reason to avoid anything."""
    avoided, accidents = (np.mean([failing_share(cause, seed) for seed in range(3)]) for cause in ("gpu_oom", "killed"))
    assert avoided < 0.3
    assert avoided < 0.5 * accidents


def test_random_trials_keep_away_from_failures_too() -> None:
    """Chance is for what nobody knows: where nearly all have failed, it is known."""
    failing = []
    for seed in range(6):
        subject = bayesian(SQUARE, seed)
        for _ in range(50):
            suggestion = ask(subject)
            fails = suggestion.parameters["x"] > 0.4
            if suggestion.origin == "random" and suggestion.number > 12:
                failing.append(fails)
            subject.tell(suggestion.failure("gpu_oom") if fails else suggestion.outcome(suggestion.parameters["y"]))
    assert len(failing) >= 10
    assert np.mean(failing) < 0.2  # 0.6 if drawn anywhere


def test_search_leaves_a_region_of_failures_when_nothing_has_succeeded() -> None:
    """Where only failures are known, the next proposals lie away from them."""
    subject = bayesian(SQUARE, initial_trials=1)
    for x in (0.1, 0.2):
        suggestion = Suggestion(len(subject.suggestions) + 1, {"x": x, "y": 0.5}, "initial")
        subject.replay([suggestion, suggestion.failure("gpu_oom")])
    for _ in range(3):
        suggestion = ask(subject)
        assert math.dist(suggestion.parameters.values(), (0.15, 0.5)) > 0.3


def test_pending_trials_are_kept_apart() -> None:
    """Proposals made at once, without an outcome between them, are not heaped onto one point."""
    medians = []
    for seed in range(4):
        subject = bayesian(SQUARE, seed)
        run(subject, bowl, 10)
        batch = [ask(subject).parameters for _ in range(8)]
        points = np.array([[parameters["x"], parameters["y"]] for parameters in batch])
        medians.append(np.median(np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(8, 1)]))
    assert np.mean(medians) > 0.03


def test_of_very_many_pending_trials_the_latest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal beside a thousand pending trials takes no longer than beside some hundred."""

    def proposal(first: float) -> Any:
        subject = bayesian(SQUARE)
        run(subject, bowl, 10)
        for number in range(11, 21):
            place = {"x": first + number / 1000, "y": 0.5} if number < 15 else {"x": 0.3, "y": number / 30}
            subject.replay([Suggestion(number, place, "model")])
        return subject.propose(21)

    assert proposal(0.3) != proposal(0.9)
    monkeypatch.setattr("tunewell.tuners.bayesian.MOST_MODELLED", 6)
    assert proposal(0.3) == proposal(0.9)


def test_replay_of_a_long_history_goes_on_the_same() -> None:
    """A tuner that never proposed anything suggests what the original does, whenever its model was fitted last."""
    original = bayesian(MIXED)
    history: list[Any] = []
    for number in range(80):
        suggestion = ask(original)
        told = suggestion.outcome(mixed(suggestion.parameters))
        original.tell(told)
        history += [suggestion, told]
        if number in (66, 70, 79):
            copy = bayesian(MIXED)
            copy.replay(history)
            assert copy.ask() == original.propose(number + 2)


def test_luck_is_no_target() -> None:
    """Under noise the search returns to good configurations, instead of giving up beating one lucky value."""
    late = []
    for seed in range(3):
        subject, generator = bayesian(SQUARE, seed), np.random.default_rng(seed)
        run(subject, lambda p, g=generator: bowl(p) + 0.1 * g.standard_normal(), 40)  # type: ignore[misc]
        late += [bowl(subject.suggestions[number].parameters) for number in range(31, 41)]
    assert np.mean(late) < 0.1


@pytest.mark.parametrize(
    "objective",
    [
        lambda p: 1.0,
        lambda p: float(round(4 * bowl(p))),
        lambda p: 1e300 * bowl(p),
        lambda p: 1e-300 * bowl(p),
        lambda p: 1e12 + bowl(p),
        lambda p: -1e308 if bowl(p) < 0.1 else 1e308,
        lambda p: bowl(p) if p["x"] < 0.8 else 1e12,
    ],
    ids=["constant", "ties", "huge", "tiny", "far from 0", "ends of the range", "outliers"],
)
def test_any_objective_is_searched(objective: Objective) -> None:
    """Whatever the values, the model proposes."""
    subject = bayesian(SQUARE, initial_trials=4)
    run(subject, objective, 15)
    assert "model" in {suggestion.origin for suggestion in subject.suggestions.values()}


def test_outliers_do_not_blind_the_model() -> None:
    """A few diverged trainings with losses beyond all others leave the search nearly as good as it was."""

    def diverging(parameters: dict[str, Any]) -> float:
        return bowl(parameters) if parameters["x"] < 0.8 else 1e9

    assert np.mean([min(run(bayesian(SQUARE, seed), diverging, 30)) for seed in range(4)]) < 1e-3


def test_unit_of_the_objective_does_not_matter() -> None:
    """A loss in other units leads to the same suggestions."""
    first, second = bayesian(SQUARE), bayesian(SQUARE)
    for _ in range(20):
        one, two = ask(first), ask(second)
        assert one == two
        first.tell(one.outcome(bowl(one.parameters)))
        second.tell(two.outcome(1024.0 * bowl(two.parameters)))


def test_space_of_one_configuration() -> None:
    """A space without a choice has one suggestion."""
    subject = bayesian({"one": 7, "two": ["a"]})
    assert ask(subject).parameters == {"one": 7, "two": "a"}
    assert isinstance(subject.ask(), Exhausted)


def test_long_searches_model_the_best_and_the_latest() -> None:
    """Beyond a number of trials the best half and, of the others, the latest are modelled."""
    losses = np.array([5.0, 1.0, 9.0, 2.0, 8.0, 7.0, 6.0])
    assert modelled(losses, 4).tolist() == [1, 3, 5, 6]
    assert modelled(losses, 7).tolist() == list(range(7))


def test_finds_the_best_branch_of_a_hierarchy() -> None:
    """The best learner and its own parameter are found among learners with parameters of their own."""
    space: dict[str, Any] = {"learner": ["a", "b", "c", "d"]}
    for place, learner in enumerate("abcd"):
        space[f"rate-{learner}"] = {"low": 0.0, "high": 1.0, "when": {"learner": learner}}
        space[f"size-{learner}"] = {"low": 1, "high": 20 + place, "when": {"learner": learner}}

    def loss(parameters: dict[str, Any]) -> float:
        learner = parameters["learner"]
        rate, size = parameters[f"rate-{learner}"], parameters[f"size-{learner}"]
        return float("dbca".index(learner) * 0.1 + (rate - 0.2) ** 2 + 0.01 * abs(size - 12))

    assert np.mean([min(run(bayesian(space, seed), loss, 40)) for seed in range(4)]) < 0.05


def test_gain_is_improbable_once_the_optimum_is_known() -> None:
    """While little is known a gain is probable; once the bowl's bottom was found, one worth speaking of is not."""
    subject = bayesian(SQUARE)
    run(subject, bowl, 9)
    early = subject.probability_of_gain(1e-3)
    run(subject, bowl, 30)
    late = subject.probability_of_gain(1e-3)
    assert early is not None
    assert late is not None
    assert late < 0.01 < early


def test_probability_of_gain_is_replayed() -> None:
    """A tuner to which the history was replayed estimates the same, and estimating changes no suggestion."""
    original, copy = bayesian(MIXED), bayesian(MIXED)
    for _ in range(14):
        suggestion = ask(original)
        told = suggestion.outcome(mixed(suggestion.parameters))
        original.tell(told)
        copy.replay([suggestion, told])
    copy.replay([ask(original)])  # pending
    assert copy.probability_of_gain(0.01) == original.probability_of_gain(0.01)
    assert copy.ask() == original.ask()


def test_no_gain_is_estimated_without_a_result() -> None:
    """A search without any result has no estimate, nor has a tuner without a model."""
    subject, plain = bayesian(SQUARE), create("random", SQUARE, goal="minimize")
    subject.tell(ask(subject).failure("gpu_oom"))
    run(plain, bowl, 5)
    assert subject.probability_of_gain(0.1) is None
    assert plain.probability_of_gain(0.1) is None
