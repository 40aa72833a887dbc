"""What a model card says of how good a model is."""

from __future__ import annotations

from typing import Any

from tunewell.tasks.vision.model_card import Search, model_card

CONFIG: dict[str, Any] = {
    "network": "small-cnn",
    "task": "image-classification",
    "classes": ["a", "b"],
    "note": "",
    "metrics": {},
    "parameters": {},
    "versions": {"torch": "2.9"},
}
ONNX: dict[str, Any] = {
    "inputs": {},
    "outputs": {},
    "opset": 18,
    "batch": "one picture",
    "preprocessing": "RGB",
    "checked": "It was.",
}


def card(**more: Any) -> str:
    """The card of a model whose trial has been measured on validation and test data."""
    objective = {"validation": (0.9375, 0.9062), "test": (0.91, None)}
    search = Search("e", "name: e", "accuracy", 7, 40, retrained=False, sampling=1.0, objective=objective, **more)
    return model_card(CONFIG, "", ONNX, None, (), search)


def test_values_have_their_intervals() -> None:
    """Where they are known they stand beside the values, with what the choice of the best does to these."""
    intervals = {"validation": ((0.84, 1.0), None), "test": ((0.8, 0.98), None)}
    told = card(intervals=intervals)
    assert "| validation | 0.94 (0.84–1.00) | 0.9062 |" in told
    assert "| test | 0.91 (0.80–0.98) | – |" in told
    assert "The best of 40 trials was chosen on the validation data" in told
    plain = card()
    assert "| validation | 0.9375 | 0.9062 |" in plain and "intervals" not in plain
