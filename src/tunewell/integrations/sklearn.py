"""scikit-learn: training in epochs and cross-validation, with a report at each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewell.integrations.required import required
from tunewell.trial import report

_metrics = required("sklearn.metrics", "scikit-learn")
_model_selection = required("sklearn.model_selection", "scikit-learn")
_base = required("sklearn.base", "scikit-learn")

#: What scores a model: the name of one of scikit-learn's, or a function of model, samples and targets.
Scoring = str | Callable[[Any, Any, Any], float] | None


def fit_in_epochs(
    model: Any,
    training: tuple[Any, Any],
    validation: tuple[Any, Any],
    *,
    epochs: int,
    metric: str = "score",
    scoring: Scoring = None,
) -> float:
    """Train a model by `partial_fit`, all training samples in each epoch; report its validation score after each.

    Args:
        model: what is trained; a classifier is told all classes of both sets of targets.
        training: samples and targets.
        validation: samples and targets to score on.
        epochs: how often the samples are seen, 1 at least.
        metric: name that the score is reported as.
        scoring: as in scikit-learn, such as "roc_auc"; default: the model's own `score`.

    Returns:
        The last score.

    Raises:
        Pruned: the trial is to end.
        ValueError: there is no epoch.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; it must be 1 at least")
    scorer = _metrics.check_scoring(model, scoring=scoring)
    classes = {}
    if _base.is_classifier(model):
        classes["classes"] = sorted({*training[1], *validation[1]})
    score = 0.0
    for epoch in range(1, epochs + 1):
        model.partial_fit(*training, **classes)
        score = float(scorer(model, *validation))
        report({metric: score}, step=epoch)
    return score


def cross_validate(
    model: Any, samples: Any, targets: Any, *, cv: Any = 5, metric: str = "score", scoring: Scoring = None
) -> float:
    """Train a clone of the model for each fold; report the mean of the folds so far after each of them.

    Args:
        model: what is cloned; it is not trained itself.
        samples: all of them.
        targets: one for each sample.
        cv: number of folds, or what splits, as in scikit-learn.
        metric: name that the mean is reported as; the score of the fold alone is reported as NAME_of_fold.
        scoring: as in scikit-learn, such as "roc_auc"; default: the model's own `score`.

    Returns:
        The mean of all folds.

    Raises:
        Pruned: the trial is to end.
    """
    splitter = _model_selection.check_cv(cv, targets, classifier=_base.is_classifier(model))
    scores: list[float] = []
    for train, test in splitter.split(samples, targets):
        (score,) = _model_selection.cross_val_score(
            model, samples, targets, cv=[(train, test)], scoring=scoring, error_score="raise"
        )
        scores.append(float(score))
        report({metric: sum(scores) / len(scores), f"{metric}_of_fold": scores[-1]}, step=len(scores))
    return sum(scores) / len(scores)
