"""How versions of models are told apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tunewell.display.model_differences import Headline, compare, headline
from tunewell.service.types import ModelVersion, Objective, TrainingData


def version(number: int = 1, **facts: Any) -> ModelVersion:
    """Return a version with some facts."""
    known: dict[str, Any] = {
        "model": "signs",
        "number": number,
        "is_current": True,
        "task": "image-classification",
        "network": "resnet18",
        "classes": ("a", "b"),
        "parameters": {},
        "objective": Objective(metric="macro_f1", goal="maximize"),
        "value": 0.95,
        "gain": 0.01,
        "validation": {},
        "test": {},
        "training": "",
        "data": TrainingData(name="signs", content="9f" * 32),
        "experiment": "e",
        "experiment_is_there": True,
        "trial": 7,
        "retrained": False,
        "publisher": "ada",
        "note": "",
        "sha256": "ab" * 32,
        "size_bytes": 1,
        "files": 1,
        "created_at": datetime.now(UTC),
    }
    return ModelVersion(**{**known, **facts})


def test_a_retrained_model_is_known_by_its_own_figure() -> None:
    """What its trial had on validation is said to be the trial's, and stands in front only where nothing else is."""
    assert headline(version()) == Headline(0.95, "macro f1 on validation")
    measured = headline(version(retrained=True, test={"macro_f1": 0.94}))
    assert measured == Headline(0.94, "macro f1 on test", "its trial had 0.95 on validation")
    alone = headline(version(retrained=True))
    assert (alone.value, alone.what) == (0.95, "macro f1 of its trial on validation")
    assert "was not measured" in alone.more


def test_figures_have_words() -> None:
    """Metrics are called as on other pages, and figures of the trial say that they are."""
    found = compare([version(), version(2, validation={"expected_calibration_error": 0.1})])
    names = [row.name for row in found.figures]
    assert "expected calibration error on validation" in names
    assert "macro f1 of the trial, on validation" in names and "gain of the trial over the default" in names
