"""What a model card says of a model, and of the training behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tunewell.tasks.vision.model_card import Search, model_card

ONNX = {"opset": 18, "inputs": {}, "outputs": {}, "preprocessing": "pixels", "batch": "any", "checked": "Checked."}
VALIDATION = {"accuracy": 0.9125, "f1": 0.8875}


def _config(**facts: Any) -> dict[str, Any]:
    return {
        "network": "small-cnn",
        "task": "image-classification",
        "classes": ["cat", "dog"],
        "note": "",
        "metrics": VALIDATION,
        "parameters": {},
        "versions": {},
        "trial": None,
        **facts,
    }


def _search(retrained: bool, is_default: bool = False, training: str = "") -> Search:
    objective = {"validation": [0.9125, 0.8525], "test": [0.9225, None]}
    return Search("signs", "name: signs", "accuracy", 7, 20, retrained, 1.0, is_default, training, objective)


def _quality(config: dict[str, Any], search: Search | None, figures: dict[str, Any]) -> str:
    card = model_card(config, "print(1)", ONNX, None, [], search, figures)
    return card.partition("## Quality")[2].partition("\n## ")[0]


def test_a_trials_figures_are_told_by_split_beside_the_defaults() -> None:
    """A trial's own model has a column a split, its objective once, and the default's right below it."""
    figures = {"val": {**VALIDATION, "weighted_f1": 0.1}, "test": {"accuracy": 0.9225, "f1": 0.9}}
    told = _quality(_config(), _search(retrained=False), figures)
    assert "It is the model of a search: trial 7 of 20." in told
    assert (
        "| metric | validation | test |\n| --- | --- | --- |\n| accuracy | 0.9125 | 0.9225 |\n"
        "| accuracy, default parameters | 0.8525 | – |\n| f1 | 0.8875 | 0.9 |\n" in told
    )
    assert told.count("0.9125") == told.count("0.9225") == 1
    assert "weighted" not in told


def test_a_trial_that_was_not_evaluated_has_validation_figures_alone() -> None:
    """Without test figures there is no column of them; without a search, no comparison."""
    assert "| metric | validation |\n" in _quality(_config(), None, {"val": VALIDATION})


def test_a_retrained_model_has_its_own_test_figures_and_those_of_its_trial_apart() -> None:
    """Figures of two models are two tables, and each says on which data and of which model they are."""
    config = _config(metrics={"test_accuracy": 0.955}, trial=7)
    told = _quality(config, _search(retrained=True), {"test": {"accuracy": 0.955}})
    assert "| metric | test |\n| --- | --- |\n| accuracy | 0.955 |\n" in told
    assert "The search found its parameters: trial 7 of 20." in told
    assert "| accuracy | that trial | default parameters |" in told
    assert "| validation | 0.9125 | 0.8525 |\n| test | 0.9225 | – |" in told


def test_the_default_trial_is_not_compared_with_itself() -> None:
    """Its figures stand once, and the card says whose they are."""
    figures = {"val": VALIDATION}
    told = _quality(_config(), _search(retrained=False, is_default=True), figures)
    assert "trial 7 of 20, the one with the default parameters." in told
    assert "| accuracy | 0.9125 |" in told and "accuracy, default parameters" not in told
    config = _config(metrics={"test_accuracy": 0.955}, trial=7)
    again = _quality(config, _search(retrained=True, is_default=True), {"test": {"accuracy": 0.955}})
    assert "| accuracy | that trial |\n" in again and "0.8525" not in again


@pytest.mark.parametrize("came", ["", "epoch 7 of 10, stopped by the time limit of the search"])
def test_a_training_that_was_cut_off_is_told(came: str) -> None:
    """Who gets the model reads that its training did not come to its end."""
    told = _quality(_config(), _search(retrained=False, training=came), {"val": VALIDATION})
    assert ("not trained in full" in told) is bool(came)
    assert not came or f"It was not trained in full: {came}." in told


@pytest.mark.parametrize("retrained", [False, True])
def test_values_have_their_intervals(retrained: bool) -> None:
    """Where they are known they stand beside the values, with what the choice of the best does to these."""
    intervals = {"validation": ((0.84, 1.0), None), "test": ((0.8, 0.98), None)}
    plain = _search(retrained=retrained)
    told = _quality(_config(), replace(plain, intervals=intervals), {"val": {"accuracy": 0.9125}})
    assert "0.91 (0.84–1.00)" in told
    assert "The best of 20 trials was chosen on the validation data" in told
    assert "intervals" not in _quality(_config(), plain, {"val": {"accuracy": 0.9125}})
