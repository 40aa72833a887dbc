"""The metrics of several labels agree with scikit-learn's, and thresholds are the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, log_loss

from tunewell.tasks.image_classification.multilabel_metrics import (
    best_thresholds,
    measure,
    precision_recall,
    sigmoid,
)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return logits with ties and presence of 3 labels, of which one may not occur."""
    count = draw(st.integers(1, 30))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    logits = generator.integers(-4, 5, (count, 3)).astype(np.float32)
    return logits, generator.random((count, 3)) < draw(st.sampled_from([0.0, 0.3, 0.9]))


@given(outputs())
def test_agrees_with_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Mean average precision, F1 and cross entropy are scikit-learn's, over the labels that occur."""
    logits, presence = drawn
    thresholds = [0.3, 0.5, 0.9]
    measured = measure(logits, presence, thresholds)
    occurring = np.flatnonzero(presence.any(axis=0))
    chosen = sigmoid(logits) >= thresholds
    if len(occurring):
        precisions = [average_precision_score(presence[:, label], logits[:, label]) for label in occurring]
        assert measured["map"] == pytest.approx(np.mean(precisions))
        scores = [f1_score(presence[:, label], chosen[:, label], zero_division=0) for label in occurring]
        assert measured["f1_macro"] == pytest.approx(np.mean(scores))
    assert measured["f1_micro"] == pytest.approx(f1_score(presence, chosen, average="micro", zero_division=0))
    assert measured["subset_accuracy"] == pytest.approx((chosen == presence).all(axis=1).mean())
    losses = [log_loss(presence[:, label], sigmoid(logits)[:, label], labels=[False, True]) for label in range(3)]
    assert measured["loss"] == pytest.approx(np.mean(losses), rel=1e-6)


@settings(max_examples=25)
@given(outputs())
def test_no_threshold_is_better(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """No other threshold gives a label a higher F1 on the same pictures."""
    logits, presence = drawn
    scores = sigmoid(logits)
    for label, threshold in enumerate(best_thresholds(logits, presence)):
        if not presence[:, label].any():
            assert threshold == 0.5
            continue
        found = f1_score(presence[:, label], scores[:, label] >= threshold)
        others = [f1_score(presence[:, label], scores[:, label] >= cut) for cut in scores[:, label]]
        assert found == pytest.approx(max(others))


def test_thresholds_lie_between_the_scores() -> None:
    """A threshold is halfway between the last score that counts and the next one."""
    logits = np.log(np.array([[0.9], [0.7], [0.2]]) / (1 - np.array([[0.9], [0.7], [0.2]])))
    assert best_thresholds(logits, np.array([[1], [1], [0]])) == pytest.approx([0.45])


def test_non_finite_logits_show() -> None:
    """NaN in the outputs makes every metric NaN, never a number."""
    assert all(np.isnan(value) for value in measure(np.array([[np.nan, 0.0]]), np.array([[1, 0]])).values())


def test_large_logits_stay_finite() -> None:
    """A sure mistake costs what the logits say, without overflow."""
    assert measure(np.array([[-1e4]]), np.array([[1]]))["loss"] == pytest.approx(1e4)


def test_precision_and_recall_of_a_ranking() -> None:
    """Each distinct score is a point of the curve."""
    precision, recall = precision_recall(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 0, 1, 1]))
    assert precision == pytest.approx([1, 2 / 3, 3 / 4])
    assert recall == pytest.approx([1 / 3, 2 / 3, 1])
