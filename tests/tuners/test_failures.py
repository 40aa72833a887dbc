"""What search algorithms make of trainings that fail: because of the parameters, by chance, or with the machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from tunewell.controller.stop_rules import Progress, decide
from tunewell.spec.experiment import parse_spec
from tunewell.spec.states import Cause, TrialState
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Suggestion, Tuner

TRIALS = 40
SEEDS = 3
RATE = {"low": 1e-5, "high": 1.0, "log": True}
SPACE: dict[str, Any] = {"opt": ["sgd", "adamw", "boom"], "rate": RATE, "layers": {"low": 1, "high": 8}}
BRANCHES: dict[str, Any] = {
    "net": ["tree", "vit", "mlp"],
    "heads": {"low": 1, "high": 12, "when": {"net": "vit"}},
    "depth": {"low": 0.0, "high": 1.0, "when": {"net": "mlp"}},
    "rate": RATE,
}
SQUARE: dict[str, Any] = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}, "rate": RATE, "k": ["a", "b"]}
#: Every algorithm that learns, in each way of using it that proposes differently.
LEARNERS: dict[str, Callable[..., Tuner]] = {
    "bayesian": partial(create, "bayesian"),
    "promotion-bayesian": partial(create, "bayesian", early_stopping="promotion", resumable=True, epochs=9),
    "tpe": partial(create, "tpe"),
    "cmaes": partial(create, "cmaes"),
    "evolutionary": partial(create, "evolutionary"),
    "population": partial(create, "evolutionary", resumable=True),
    "pshe2": partial(create, "pshe2"),
    "pshe2-faithful": partial(create, "pshe2", faithful=True),
}
every_learner = pytest.mark.parametrize("learner", LEARNERS)

#: From the parameters to a loss, or to the cause of a failure.
Training = Callable[[Mapping[str, Any]], float | str]


def distance(parameters: Mapping[str, Any]) -> float:
    """Return a loss that is least, 0, in the middle of the rates."""
    return 0.1 * (math.log10(parameters["rate"]) + 2.5) ** 2


def crashing_choice(parameters: Mapping[str, Any]) -> float | str:
    """Crash for one of the three values of `opt`."""
    if parameters["opt"] == "boom":
        return "crashed"
    return distance(parameters) + 0.02 * (parameters["layers"] - 5) ** 2 + 0.15 * (parameters["opt"] == "sgd")


def crashing_region(parameters: Mapping[str, Any]) -> float | str:
    """Crash for large rates, beside the best ones, as a quarter of all configurations do."""
    if parameters["rate"] > 0.05:
        return "crashed"
    return 0.1 * (math.log10(parameters["rate"]) + 1.5) ** 2 + 0.02 * (parameters["layers"] - 5) ** 2


def crashing_branch(parameters: Mapping[str, Any]) -> float | str:
    """Crash in one branch of a hierarchy."""
    if parameters["net"] == "vit":
        return "crashed"
    return distance(parameters) + (0.2 if parameters["net"] == "tree" else (parameters["depth"] - 0.6) ** 2)


def bowl(parameters: Mapping[str, Any]) -> float:
    """Return a loss on SQUARE that is least, 0, at one point."""
    x, y = parameters["x"] - 0.7, parameters["y"] - 0.25
    return distance(parameters) + x**2 + y**2 + 0.3 * (x - y) ** 2 + 0.2 * (parameters["k"] == "a")


def ends(subject: Tuner, training: Training, concurrency: int = 1, trials: int = TRIALS) -> list[float]:
    """Return how trials end, so many at once: with a loss, which is infinite for failures."""
    running: list[Suggestion] = []
    found: list[float] = []
    while len(found) < trials:
        while len(running) < concurrency and isinstance(answer := subject.ask(), Suggestion):
            running.append(answer)
        suggestion = running.pop(0)
        end = training(suggestion.parameters)
        subject.tell(suggestion.failure(end) if isinstance(end, str) else suggestion.outcome(end))
        found.append(math.inf if isinstance(end, str) else end)
    return found


def searched(learner: str, space: dict[str, Any], training: Training, concurrency: int = 1) -> np.ndarray:
    """Return the losses (SEEDS, TRIALS) of searches by a learner."""
    common = {"goal": "minimize", "max_trials": TRIALS, "max_concurrency": concurrency}
    subjects = [LEARNERS[learner](space, seed=seed, **common) for seed in range(SEEDS)]
    return np.array([ends(subject, training, concurrency) for subject in subjects])


def stopped(losses: np.ndarray) -> bool:
    """Whether a search whose trials end with these losses (n,) is ended for its failures, with limits as they are."""
    base = {"name": "e", "command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "loss"}}
    spec, progress = parse_spec(base), Progress(max_trials=TRIALS, suggested=TRIALS)
    for loss in losses.tolist():
        state, value = (TrialState.SUCCEEDED, loss) if math.isfinite(loss) else (TrialState.FAILED, None)
        progress.note_end(spec.objective, state, value)
        decision = decide(spec, progress)
        if decision is not None and decision.rule == "max_failed_trials":
            return True
    return False


@every_learner
@pytest.mark.parametrize(
    ("space", "training", "concurrency"),
    [
        (SPACE, crashing_choice, 1),
        (SPACE, crashing_choice, 4),
        (BRANCHES, crashing_branch, 1),
        (SPACE, crashing_region, 4),
    ],
    ids=["choice", "choice, 4 at once", "branch", "region, 4 at once"],
)
def test_parameters_that_crash_are_left_alone(
    learner: str, space: dict[str, Any], training: Training, concurrency: int
) -> None:
    """A plain crash that comes again with the same parameters teaches: few trials go there, and the search goes on.

    Random search has a third of its trials in the choice and in the branch. The best rates lie beside those that
    crash: half of the trials would go there. CMA-ES alone starts without a design that holds few of any value.
    """
    losses = searched(learner, space, training, concurrency)
    failed = np.isinf(losses)
    assert failed.mean() < (0.3 if training is crashing_region else 0.25)
    assert failed[:, TRIALS // 2 :].mean() < (0.4 if training is crashing_region else 0.25)
    assert not any(stopped(of_one_search) for of_one_search in losses) or learner == "cmaes"


@every_learner
def test_crashes_by_chance_hardly_matter(learner: str) -> None:
    """With a tenth of the trials crashing for no reason the search finds about what it finds otherwise.

    What is learned of a failure in the midst of good trials is that it was chance.
    """
    generator = np.random.default_rng(0)

    def flaky(parameters: Mapping[str, Any]) -> float | str:
        return "crashed" if generator.random() < 0.1 else bowl(parameters)

    with_crashes, without = (searched(learner, SQUARE, training).min(axis=1) for training in (flaky, bowl))
    assert with_crashes.mean() < 2 * without.mean() + 0.005


@pytest.mark.parametrize("learner", ["bayesian", "pshe2"])
def test_a_crash_by_chance_beside_the_best_does_not_hide_it(learner: str) -> None:
    """If the training that came closest to the best one crashed, later ones come as close."""
    best = []
    for seed in range(SEEDS):
        subject, tried = LEARNERS[learner](SQUARE, goal="minimize", seed=seed), list[float]()

        def training(parameters: Mapping[str, Any], tried: list[float] = tried) -> float | str:
            crashes = len(tried) in (14, 18, 22)  # by then, the model leads close to the best point
            tried.append(bowl(parameters))
            return "crashed" if crashes else tried[-1]

        best.append(min(ends(subject, training)))
    assert np.mean(best) < 0.005


@pytest.mark.parametrize("cause", ["node_lost", "killed", "disk_full"])
def test_where_the_machine_failed_is_known(cause: str) -> None:
    """After accidents of the machine the search does not repeat itself beside them, and does not avoid the region."""
    subject, last, steps = LEARNERS["bayesian"](SQUARE, goal="minimize"), np.zeros(3), []
    lost = range(15, 25)

    def training(parameters: Mapping[str, Any]) -> float | str:
        nonlocal last
        point = np.array([parameters["x"], parameters["y"], math.log10(parameters["rate"]) / 5])
        steps.append(float(np.abs(point - last).max()))
        last = point
        return cause if len(steps) in lost else bowl(parameters)

    losses = ends(subject, training)
    assert np.median([steps[number] for number in lost]) > 0.02
    assert min(losses[lost.stop :]) < 0.005


def test_failures_of_a_broken_program_do_not_lead_astray_for_good() -> None:
    """The first six trials crash whatever they try, most of those in the better category: the search gets there yet."""
    subject, begun = LEARNERS["bayesian"](SQUARE, goal="minimize", seed=4), 0

    def repaired(parameters: Mapping[str, Any]) -> float | str:
        nonlocal begun
        begun += 1
        return "crashed" if begun <= 6 else bowl(parameters)

    assert min(ends(subject, repaired, trials=80)) < 0.005


@pytest.mark.parametrize("cause", Cause)
def test_which_causes_teach(cause: Cause) -> None:
    """Failures of the training itself count as the worst loss, those of the machine for nothing."""
    subject = create("random", SPACE, goal="minimize")
    suggestion = subject.ask()
    assert isinstance(suggestion, Suggestion)
    told = suggestion.failure(cause)
    subject.tell(told)
    machine = cause in {"killed", "gpu_error", "node_lost", "disk_full"}
    certain = cause in {"gpu_oom", "host_oom", "non_finite", "invalid_parameters"}
    assert subject.loss(told) == (None if machine else math.inf)
    assert subject.may_be_chance(1) == (not machine and not certain)
