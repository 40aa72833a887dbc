"""What a model card says of the training behind it."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.tasks.vision.model_card import Search, model_card

CONFIG: dict[str, Any] = {
    "network": "small-cnn",
    "task": "image-classification",
    "classes": ["a", "b"],
    "parameters": {"epochs": 10},
    "metrics": {"accuracy": 0.9},
    "note": "",
    "versions": {"torch": "2"},
}
ONNX: dict[str, Any] = {"opset": 17, "inputs": {}, "outputs": {}, "preprocessing": "", "batch": "", "checked": ""}


@pytest.mark.parametrize("came", ["", "epoch 7 of 10, stopped by the time limit of the search"])
def test_a_training_that_was_cut_off_is_told(came: str) -> None:
    """Who gets the model reads that its training did not come to its end."""
    search = Search(
        experiment="signs",
        spec="name: signs",
        metric="accuracy",
        trial=3,
        trials=20,
        retrained=False,
        sampling=1.0,
        training=came,
        objective={"validation": [0.9, 0.8]},
    )
    card = model_card(CONFIG, "", ONNX, None, [], search)
    assert ("not trained in full" in card) is bool(came)
    if came:
        assert f"The trial was not trained in full: {came}." in card
