"""A real training that a time limit cuts off says how far it came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tasks.image_classification.trained import write_pictures

from tunewell.service.service import Service


@pytest.mark.timeout(240)
def test_a_training_over_its_time_limit_says_how_far_it_came(tmp_path: Path) -> None:
    """The epochs on record are those that were reported; the summary's facts advise a longer limit."""
    spec = {
        "name": "cut",
        "task": "image-classification",
        "data": str(write_pictures(tmp_path / "data", {"train": 40, "val": 30})),
        "network": "small-cnn",
        "weights": "none",
        "parameters": {"epochs": 50_000, "image_size": 32, "batch_size": 8},
        "max_trials": 1,
        "max_trial_duration": "5s",
    }
    with Service(tmp_path / "home") as service:
        service.submit(spec)
        service.run("cut")
        (trial,) = json.loads("".join(service.export("cut")))["trials"]
        assert (trial["state"], trial["cause"]) == ("failed", "timeout")
        assert (trial["cut_by"], trial["planned_epochs"]) == ("max_trial_duration", 50_000)
        assert trial["epochs"] == max((report["step"] for report in trial["reports"]), default=0)
        (advice,) = service.result("cut").advice
        assert advice.field == "max_trial_duration"
        assert "1 of 1 trial was cut off" in advice.detail
