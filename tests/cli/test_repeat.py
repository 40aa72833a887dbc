"""Training the five best again with other seeds, by commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Run

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy=$(awk -v seed=$TUNEWELL_SEED 'BEGIN {print {x} + seed / 100}')"],
    "parameters": {"x": {"low": 0.0, "high": 0.5, "default": 0.25}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "max_trials": 2,
}


def test_the_best_are_trained_again(run: Run, tmp_path: Path) -> None:
    """The command waits for all trainings, shows mean and spread, and has the report written; 0 seeds are refused."""
    (tmp_path / "e.yaml").write_text(json.dumps(SPEC))
    assert run("search", "e.yaml").code == 0
    done = run("repeat", "e", "--seeds", "2")
    assert done.code == 0, done.err
    assert "Trained again with other seeds:" in done.out and "± 0.0071" in done.out
    again = run("repeat", "e", "--seeds", "2", "--json")
    assert again.code == 0, again.err
    assert [sorted(one["values"]) for one in again.json] == [["1", "2"]] * 2
    report = tmp_path / ".tunewell" / "experiments" / "e" / "report.html"
    assert "Trained again with other seeds" in report.read_text()
    wrong = run("repeat", "e", "--seeds", "0")
    assert wrong.code != 0 and "seeds" in wrong.err and "from 1 to 100" in wrong.err, wrong.err
