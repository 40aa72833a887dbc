"""Reports from XGBoost and LightGBM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integrations.searching import ends_early, library, reports_of

pytestmark = pytest.mark.filterwarnings("default")
_random = np.random.default_rng(0)
SAMPLES = _random.normal(size=(200, 4))
TARGETS = (SAMPLES[:, 0] > 0).astype(int)


def test_xgboost(tmp_path: Path) -> None:
    """Each round's evaluation is on record, as XGBoost has it, and a trial that is to end trains no further."""
    xgboost = library("xgboost", "xgboost")
    from tunewell.integrations.xgboost import ReportCallback

    data = xgboost.DMatrix(SAMPLES, TARGETS)
    found: dict[str, Any] = {}

    def train(rounds: int = 4, **more: Any) -> None:
        settings = {"objective": "binary:logistic", "nthread": 1}
        more = {"evals": [(data, "validation")], "evals_result": found, "verbose_eval": False, **more}
        xgboost.train(settings, data, rounds, callbacks=[ReportCallback()], **more)

    reports = reports_of(train, tmp_path)
    assert [report["step"] for report in reports] == [1, 2, 3, 4]
    assert [report["validation-logloss"] for report in reports] == found["validation"]["logloss"]
    assert ends_early(lambda: train(10)) == 2
    with pytest.raises(ValueError, match="evaluates nothing"):
        train(evals=[])

    def folds() -> None:
        xgboost.cv({"objective": "binary:logistic", "nthread": 1}, data, 2, nfold=2, callbacks=[ReportCallback()])

    assert [report["step"] for report in reports_of(folds, tmp_path / "cv")] == [1, 2]


def test_lightgbm(tmp_path: Path) -> None:
    """Each round's evaluation is on record, as LightGBM has it, and a trial that is to end trains no further."""
    lightgbm = library("lightgbm", "lightgbm")
    from tunewell.integrations.lightgbm import ReportCallback

    settings = {"objective": "binary", "verbose": -1, "num_threads": 1}
    found: dict[str, Any] = {}

    def train(rounds: int = 4, evaluated: bool = True) -> None:
        data = lightgbm.Dataset(SAMPLES, TARGETS)
        callbacks = [ReportCallback(), lightgbm.record_evaluation(found)] if evaluated else [ReportCallback()]
        sets = [data.create_valid(SAMPLES, TARGETS)] if evaluated else None
        lightgbm.train(settings, data, rounds, valid_sets=sets, callbacks=callbacks)

    reports = reports_of(train, tmp_path)
    assert [report["step"] for report in reports] == [1, 2, 3, 4]
    assert [report["valid_0-binary_logloss"] for report in reports] == found["valid_0"]["binary_logloss"]
    assert ends_early(lambda: train(10)) == 2
    with pytest.raises(ValueError, match="evaluates nothing"):
        train(evaluated=False)

    def folds() -> None:
        lightgbm.cv(settings, lightgbm.Dataset(SAMPLES, TARGETS), 2, nfold=2, callbacks=[ReportCallback()])

    assert [report["step"] for report in reports_of(folds, tmp_path / "cv")] == [1, 2]
