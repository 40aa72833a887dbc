"""Retraining and evaluation of a task whose trials leave a number as their model, as entries of jobs.

A retraining leaves what is in the file `next` of the home; with a file `fail` there, it fails halfway.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tunewell.tasks.evaluation import Evaluation, evaluate_trials
from tunewell.tasks.job_folder import arguments_of, leave_result, place_in
from tunewell.tasks.uncertainty import resampled
from tunewell.trial import fail, report

#: How many pictures a model is measured on.
PICTURES = 40


def retrain(folder: Path) -> None:
    """Leave a model."""
    with arguments_of(folder) as arguments:
        home = place_in(folder, arguments["task_file"]).parents[2]
        model = folder / "artifacts" / "model"
        model.mkdir(parents=True)
        (model / "model.json").write_text((home / "next").read_text())
        if (home / "fail").exists():
            fail("gpu_oom", "It was too large.")
        report(accuracy=0.5, step=1)
        leave_result(folder, {})


def evaluate(folder: Path) -> None:
    """Measure models by what they say."""
    with arguments_of(folder) as arguments:

        def measured(artifacts: Path) -> Evaluation:
            value = json.loads((artifacts / "model" / "model.json").read_text())["value"]
            right = np.arange(PICTURES) < value * PICTURES
            answers = resampled(lambda weights: {"accuracy": weights @ right / PICTURES}, PICTURES, seed=0)
            val = {"count": PICTURES, "unit": "picture", "accuracy": value, "resampled": answers}
            return {"val": val, "test": {"accuracy": value - 1}}

        evaluate_trials(folder, arguments, measured)
