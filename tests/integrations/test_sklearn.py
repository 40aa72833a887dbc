"""Reports from scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import cross_val_score

from tests.integrations.searching import ends_early, reports_of
from tunewell.integrations.required import required
from tunewell.integrations.sklearn import cross_validate, fit_in_epochs

SAMPLES, TARGETS = load_iris(return_X_y=True)


def test_the_folds_are_reported_and_their_mean_is_scikit_learns(tmp_path: Path) -> None:
    """After each fold the mean so far is reported; at the end it is what scikit-learn gives for all folds."""
    model = LogisticRegression(max_iter=500, C=0.01)
    expected = cross_val_score(model, SAMPLES, TARGETS, cv=4, scoring="accuracy")
    reports = reports_of(
        lambda: cross_validate(model, SAMPLES, TARGETS, cv=4, metric="accuracy", scoring="accuracy"), tmp_path
    )
    assert [report["step"] for report in reports] == [1, 2, 3, 4]
    assert [report["accuracy_of_fold"] for report in reports] == pytest.approx(list(expected))
    assert [report["accuracy"] for report in reports] == pytest.approx([expected[:n].mean() for n in (1, 2, 3, 4)])
    assert not hasattr(model, "coef_")


def test_epochs_are_reported(tmp_path: Path) -> None:
    """After each epoch the score on the validation set is reported, also where the training set lacks a class."""
    order = np.random.default_rng(0).permutation(len(TARGETS))
    samples, targets = SAMPLES[order], TARGETS[order]
    training = (samples[:100][targets[:100] != 2], targets[:100][targets[:100] != 2])
    model = SGDClassifier(random_state=0)
    validation = (samples[100:], targets[100:])
    reports = reports_of(lambda: fit_in_epochs(model, training, validation, epochs=3), tmp_path)
    assert [report["step"] for report in reports] == [1, 2, 3]
    assert reports[-1]["score"] == model.score(*validation) and len(model.classes_) == 3


def test_a_trial_that_is_asked_to_end_ends() -> None:
    """No further fold or epoch is trained."""
    data = (SAMPLES, TARGETS)
    assert ends_early(lambda: cross_validate(LogisticRegression(max_iter=500), *data)) == 2
    assert ends_early(lambda: fit_in_epochs(SGDClassifier(), data, data, epochs=5)) == 2


def test_a_number_of_epochs_that_is_none_is_refused() -> None:
    """Less than one epoch is an error with the value."""
    with pytest.raises(ValueError, match="epochs is 0; it must be 1 at least"):
        fit_in_epochs(SGDClassifier(), (SAMPLES, TARGETS), (SAMPLES, TARGETS), epochs=0)


def test_a_library_that_is_missing_is_named_with_its_package() -> None:
    """The error says what to install."""
    with pytest.raises(ImportError, match="this needs some-package: pip install some-package"):
        required("no_such_module.part", "some-package")
