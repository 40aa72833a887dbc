"""Which epoch of a training is the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.experiment import Objective
from tunewell.tasks.vision import best_epoch
from tunewell.tasks.vision.best_epoch import Best, Validated, better, keep, reaches_target, restored, tidy

VALUES = st.lists(st.integers(0, 5).map(lambda value: value / 5), min_size=1, max_size=12)


def judged_by(maximized: bool, target: float | None = None) -> Objective:
    """Return an objective."""
    return Objective(metric="f1", goal="maximize" if maximized else "minimize", target=target)


def best_of(values: list[float], objective: Objective | None) -> tuple[Best, list[int]]:
    """Return the best of epochs that reached these values, and which were saved."""
    saved: list[int] = []
    best: Best | None = None
    for epoch, value in enumerate(values, start=1):
        validated = Validated({"f1": value}, lambda epoch, note: saved.append(epoch))
        best = better(best, epoch, validated, objective, len(values))
    assert best is not None
    return best, saved


@given(VALUES, st.booleans())
def test_the_last_of_the_best_epochs_is_kept(values: list[float], maximized: bool) -> None:
    """Its metrics are the best of all, none after it are as good, and its model was saved last."""
    best, saved = best_of(values, judged_by(maximized))
    top = max(values) if maximized else min(values)
    assert values[best.epoch - 1] == best.metrics["f1"] == top
    assert top not in values[best.epoch :]
    assert saved[-1] == best.epoch


@given(VALUES)
def test_without_an_objective_the_last_epoch_is_kept(values: list[float]) -> None:
    """Nobody says what is better, so each epoch takes the place of the one before."""
    best, saved = best_of(values, None)
    assert best.epoch == len(values)
    assert saved == list(range(1, len(values) + 1))


@pytest.mark.parametrize("values", [[0.5, math.nan], [math.nan, 0.5], [0.5, math.inf], [0.5, -math.inf]])
def test_what_is_no_number_is_not_hidden(values: list[float]) -> None:
    """A value that is not finite is told, for it is what the trial fails for; so is one that comes after it."""
    assert best_of(values, judged_by(True))[0].epoch == 2


@pytest.mark.parametrize(
    ("metrics", "maximized", "reached"),
    [({"f1": 0.9}, True, True), ({"f1": 0.7}, True, False), ({"f1": 0.7}, False, True), ({"loss": 1.0}, True, False)],
)
def test_a_target_is_reached_in_the_direction_of_the_goal(
    metrics: Mapping[str, float], maximized: bool, reached: bool
) -> None:
    """At least the target, or at most; without the metric it is not."""
    assert reaches_target(judged_by(maximized, 0.8), metrics) == reached


def test_files_of_an_attempt_that_died_are_not_taken_for_those_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between the files of its best epoch and its checkpoint; the next one trains that epoch anew."""
    checkpoint, output, of = tmp_path / "checkpoint", tmp_path / "output", {"parameters": {}}
    checkpoint.mkdir()
    output.mkdir()
    monkeypatch.setattr(best_epoch, "output_dir", lambda: output)
    (output / "model").write_text("of the first attempt")
    keep(checkpoint, Best(3, {"f1": 0.5}), of)
    tidy(checkpoint, None)
    (output / "model").write_text("of the second attempt")
    state = keep(checkpoint, Best(3, {"f1": 0.6}), of)
    (output / "model").unlink()
    assert restored(checkpoint, state, of) == Best(3, {"f1": 0.6})
    assert (output / "model").read_text() == "of the second attempt"
