"""From annotated pictures to a detector in hand, by commands alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tasks.object_detection.scenes import make_scenes, write_coco


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_search_retrain_predict_export(run: Run, tmp_path: Path) -> None:
    """Search with inherited weights, evaluation, report, retraining, prediction and ONNX follow one another."""
    spec = {
        "name": "shapes",
        "task": "instance-segmentation",
        "data": str(write_coco(tmp_path / "shapes", make_scenes({"train": 8, "val": 3, "test": 2}))),
        "weights": "none",
        "algorithm": {"name": "evolutionary", "population_size": 2, "rounds": 2},
        "parameters": {"epochs": 2, "image_size": 64, "batch_size": 4},
    }
    (tmp_path / "shapes.yaml").write_text(json.dumps(spec))
    checked = run("check", "shapes.yaml", "--no-estimate")
    assert checked.code == 0, checked.err
    assert "Pictures: 8 train, 3 val, 2 test" in checked.out

    found = run("search", "shapes.yaml", "--json")
    assert found.code == 0, found.err
    assert found.json["objective"] == {"metric": "map", "goal": "maximize", "target": None}
    experiment = tmp_path / ".tunewell" / "experiments" / "shapes"
    assert "Marked beside found" in (experiment / "report.html").read_text()

    retrained = run("retrain", "shapes", "--json")
    assert retrained.code == 0, retrained.err
    assert "test_map" in retrained.json["metrics"]

    predicted = run("predict", "shapes", tmp_path / "shapes" / "images", "--drawn", "drawn")
    assert predicted.code == 0, predicted.err
    assert "objects" in predicted.out
    assert "Drawn: drawn" in predicted.out
    assert len(list((tmp_path / "drawn").iterdir())) == 13

    exported = run("export-model", "shapes", "--output", "handed over", "--json")
    assert exported.code == 0, exported.err
    assert exported.json["agreement"] >= 0.97
    assert "| disc (objects) |" in (tmp_path / "handed over" / "README.md").read_text()
    again = run("predict", "handed over", tmp_path / "shapes" / "images", "--json")
    assert again.json == run("predict", "shapes", tmp_path / "shapes" / "images", "--json").json
