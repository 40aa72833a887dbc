"""The metrics of every epoch agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from tunewell.tasks.image_classification.metrics import measure


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=50),
    scale=st.sampled_from([0.1, 1.0, 20.0]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_scikit_learn(labels: list[int], scale: float, seed: int) -> None:
    """Accuracy, macro F1 and cross entropy are scikit-learn's, whichever classes occur."""
    logits = (scale * np.random.default_rng(seed).standard_normal((len(labels), 5))).astype(np.float32)
    measured = measure(logits, np.asarray(labels))
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    assert measured["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert measured["f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    if probabilities.min() > 1e-12:  # scikit-learn clips smaller ones
        assert measured["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(5)), rel=1e-6)


def test_large_logits_stay_finite() -> None:
    """A sure mistake costs what the logits differ by, without overflow."""
    assert measure(np.array([[1e4, 0.0]], dtype=np.float32), np.array([1]))["loss"] == pytest.approx(1e4)


def test_non_finite_logits_show() -> None:
    """NaN in the outputs is NaN in the loss, never a number."""
    assert np.isnan(measure(np.array([[np.nan, 0.0]], dtype=np.float32), np.array([1]))["loss"])
