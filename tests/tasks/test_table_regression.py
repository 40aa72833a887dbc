"""A task that is not about pictures goes all the way: from the spec to the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tasks.supervised import run_job
from tests.tasks.table_regression import NAME, registered, write_table
from tunewell.service import check_job
from tunewell.service.service import Service
from tunewell.spec.errors import UserError
from tunewell.spec.states import TrialState
from tunewell.tasks.catalogue import task_for
from tunewell.trial import Failed


@pytest.fixture(autouse=True)
def task() -> Iterator[None]:
    """The task is among the built-in ones."""
    with registered():
        yield


def spec_over(table: Path, **fields: Any) -> dict[str, Any]:
    """Return a raw spec over a table."""
    return {"name": "prices", "task": NAME, "data": str(table), "algorithm": "random", "max_trials": 3, **fields}


def test_a_whole_search(tmp_path: Path) -> None:
    """It is searched in processes, evaluated in a job and reported, and nothing in the report is about pictures."""
    with Service(tmp_path / "home") as service:
        service.submit(spec_over(write_table(tmp_path / "table.csv")))
        assert service.run("prices")
        result = service.result("prices")
        assert result.trials[TrialState.SUCCEEDED] == 3 and result.best is not None
        assert service.experiment("prices").notes == ("Columns are standardised.",)
        evaluations = {one.number: one.figures for one in service.evaluations("prices")}
        assert all(sorted(evaluation) == ["test", "val"] for evaluation in evaluations.values())
        assert evaluations[result.best.number]["val"]["r2"] == pytest.approx(result.best.value)
        page = service.report("prices")
    assert '<h3 class="title">Validation (10 rows)</h3>' in page
    assert "rmse" in page and "tunewell retrain prices" in page
    body = page.split("</style>", 1)[1].split("<script", 1)[0]
    assert "picture" not in body and "tunewell predict" not in body and "tunewell export-model" not in body


def test_a_table_that_changed_is_refused(tmp_path: Path) -> None:
    """A search does not go on over other data."""
    table = write_table(tmp_path / "table.csv")
    with Service(tmp_path / "home") as service:
        service.submit(spec_over(table))
        assert service.run("prices")
        service.submit(spec_over(write_table(table, seed=1), max_trials=4))
        with pytest.raises(UserError, match="the table has changed"):
            service.run("prices")


def test_the_page_about_the_data(tmp_path: Path) -> None:
    """It counts rows, shows some, has no section about classes, and none about pictures."""
    raw = task_for({"task": NAME}).complete(spec_over(write_table(tmp_path / "table.csv")))
    assert run_job(check_job.check, tmp_path / "job", spec=raw, view=True) == [{"step": 1, "reading rows": 1.0}]
    result = json.loads((tmp_path / "job" / "result.json").read_text())
    assert result == {
        "findings": ["Rows: 40, with 3 columns to learn from."],
        "view": {"broken": 0, "copied": 0, "unusable": ""},
    }
    body = (tmp_path / "job" / "artifacts" / "data.html").read_text().split("<body>")[1]
    assert "20 train + 10 val + 10 test rows</p>" in body
    assert "height, width, age, price" in body and "Every row can be read." in body
    assert "icture" not in body and "<img" not in body and "of each class" not in body


def test_a_check_without_a_look_at_the_data(tmp_path: Path) -> None:
    """A page is made only where it is asked for, and for a task that knows its data."""
    raw = task_for({"task": NAME}).complete(spec_over(write_table(tmp_path / "table.csv")))
    run_job(check_job.check, tmp_path / "table", spec=raw)
    command = {"name": "c", "command": ["true"], "objective": "accuracy", "parameters": {"x": [1, 2]}}
    run_job(check_job.check, tmp_path / "command", spec=command, view=True)
    for folder in ("table", "command"):
        assert set(json.loads((tmp_path / folder / "result.json").read_text())) == {"findings"}
        assert not (tmp_path / folder / "artifacts").exists()


def test_a_check_that_finds_no_data_fails_with_one_sentence(tmp_path: Path) -> None:
    """The job ends with a cause for people, and without a result."""
    raw = task_for({"task": NAME}).complete(spec_over(tmp_path / "nowhere.csv"))
    with pytest.raises(Failed):
        run_job(check_job.check, tmp_path / "job", spec=raw)
    failure = json.loads((tmp_path / "job" / "failure.json").read_text())
    assert failure["cause"] == "data_error" and failure["detail"].endswith("Point `data` at a CSV file.")
    assert json.loads((tmp_path / "job" / "error.json").read_text())["remedy"] == "Point `data` at a CSV file"
    assert not (tmp_path / "job" / "result.json").exists()
