"""What a job finds in its folder, and what it leaves there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tasks.supervised import failure, run_job
from tunewell.spec.errors import DataError
from tunewell.tasks.job_folder import arguments_of, leave_result, reported_progress
from tunewell.trial import Failed


def test_arguments_in_and_a_result_out(tmp_path: Path) -> None:
    """A job finds its arguments, and its result is what it left."""

    def job(folder: Path) -> None:
        with arguments_of(folder) as arguments:
            leave_result(folder, {"twice": 2 * arguments["number"]})

    assert run_job(job, tmp_path / "job", number=21) == []
    assert json.loads((tmp_path / "job" / "result.json").read_text()) == {"twice": 42}


def test_progress_is_reported_now_and_then(tmp_path: Path) -> None:
    """Shares are reported five times a second at most, but the end of each step is, too."""
    times = iter([0.0, 0.1, 0.25, 0.3, 0.31])
    told = [("decoding", 1, 4), ("decoding", 2, 4), ("decoding", 3, 4), ("decoding", 4, 4), ("fetching", 0, 0)]
    now = [0.0]

    def job(folder: Path) -> None:
        del folder
        progress = reported_progress(lambda: now[0])
        for step in told:
            now[0] = next(times)
            progress(*step)

    reports = run_job(job, tmp_path / "job")
    assert [{name: value for name, value in report.items() if name != "step"} for report in reports] == [
        {"decoding": 0.25},
        {"decoding": 0.75},
        {"decoding": 1.0},
        {"fetching": 1.0},
    ]


def test_a_users_error_keeps_its_parts(tmp_path: Path) -> None:
    """A job that its input ends says so in a sentence, and leaves the parts of the error for fronts."""

    def job(folder: Path) -> None:
        with arguments_of(folder):
            raise DataError("it is empty", field="data.csv", remedy="Fill it", kind="empty-table")

    with pytest.raises(Failed):
        run_job(job, tmp_path / "job")
    assert failure(tmp_path / "job") == {"cause": "data_error", "detail": "data.csv: it is empty. Fill it."}
    error = json.loads((tmp_path / "job" / "error.json").read_text())
    assert (error["kind"], error["field"], error["what"], error["remedy"]) == (
        "empty-table",
        "data.csv",
        "it is empty",
        "Fill it",
    )


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    """A file that can't be read ends the job with its name; an error of the program's own is none of the user's."""

    def job(folder: Path) -> None:
        with arguments_of(folder) as arguments:
            Path(arguments["file"]).read_text()

    with pytest.raises(Failed):
        run_job(job, tmp_path / "job", file=str(tmp_path / "gone"))
    problem = "it can't be read or written (No such file or directory)."
    assert failure(tmp_path / "job")["detail"] == f"{tmp_path}/gone: {problem}"

    def broken(folder: Path) -> None:
        with arguments_of(folder):
            raise KeyError("a mistake")

    with pytest.raises(KeyError):
        run_job(broken, tmp_path / "broken")
