"""What a trial reports, how a user sees it, and what is said of that which does not count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

Write = Callable[..., Path]


def search(run: Run, write: Write, program: str, metric: str = "score", **fields: Any) -> dict[str, Any]:
    """Run a search of a single trial that is a shell script; return the trial."""
    objective = {"metric": metric, "goal": "maximize"}
    run("search", write(command=["sh", "-c", program], objective=objective, max_trials=1, **fields))
    (trial,) = run("export", "quick", "--format", "json").json["trials"]
    return dict(trial)


@pytest.mark.parametrize("say", ['echo "epoch $s: score=0.$n$s"', "tunewell report score=0.$n$s step=$s"])
def test_a_second_stage_counts_on(run: Run, write: Write, say: str) -> None:
    """The value is that of the second stage, printed or reported; show, the summary and the report say so."""
    program = f"n=1; for s in 1 2 3; do {say}; done; n=2; for s in 1 2; do {say}; done"
    trial = search(run, write, program)
    assert (trial["value"], [report["step"] for report in trial["reports"]]) == (0.22, [1, 2, 3, 4, 5])
    (note,) = trial["notes"]
    assert "step 1 came after step 3 (line 4 of " in note and "0.21" in note
    for text in (run("show", "quick", "1").out, run("show", "quick").out, run("search", "quick.yaml").out):
        assert "step 1 came after step 3" in " ".join(text.split())
    report = Path(run("report", "quick").out.strip()).read_text()
    assert "step 1 came after step 3" in report
    assert "step 1 came after step 3" in "".join(run("show", "quick", "--json").json["notes"])


@pytest.mark.parametrize(
    ("program", "noted"),
    [
        ("echo score=0.5; echo score=n/a", "line 2 of the output, 'score=n/a'"),
        ("echo score=0.5; echo 'Score score: 0,6'", "line 2 of the output, 'Score score: 0,6'"),
        ("echo score=0.5; echo 'score 0.7'", "line 2 of the output, 'score 0.7'"),
        ("tunewell report score=0.5; echo x >> $TUNEWELL_TRIAL_FOLDER/reports.jsonl", "line 2 of reports.jsonl, 'x'"),
        (
            "tunewell report score=0.5; "
            """echo '{"metrics": {"score": "high"}}' >> $TUNEWELL_TRIAL_FOLDER/reports.jsonl""",
            '{"metrics": {"score": "high"}}',
        ),
    ],
)
def test_a_last_value_that_is_none_is_noted(run: Run, write: Write, program: str, noted: str) -> None:
    """Where what was reported last is no number, the value before it is not left to stand alone."""
    trial = search(run, write, program)
    assert trial["value"] == 0.5
    assert noted in "".join(trial["notes"]) and noted[-8:] in run("show", "quick", "1").out


@pytest.mark.parametrize(
    ("line", "metric", "value"),
    [
        ("score: 93.12%", "score", 0.9312),
        ("{'score': np.float64(0.5)}", "score", 0.5),
        ("mAP@0.5:0.95 = 0.25", "mAP@0.5:0.95", 0.25),
        ("F1:macro=0.5", "F1:macro", 0.5),
    ],
)
def test_lines_that_count(run: Run, write: Write, line: str, metric: str, value: float) -> None:
    """Numbers as programs print them count, under any name of the objective."""
    trial = search(run, write, f'echo "{line}"', metric)
    assert (trial["value"], trial["notes"]) == (value, [])


def test_a_name_that_goes_on_is_another_one(run: Run, write: Write) -> None:
    """`mAP@0.5:0.95 = …` says nothing of `mAP@0.5`."""
    trial = search(run, write, "echo 'mAP@0.5 = 0.5'; echo 'mAP@0.5:0.95 = 0.25'", "mAP@0.5")
    assert (trial["value"], trial["notes"]) == (0.5, [])


def test_a_failure_quotes_the_line(run: Run, write: Write) -> None:
    """Where no line could be read, the failure quotes the one that names the metric."""
    trial = search(run, write, "echo 'The score is good'; echo 'score: about ninety'")
    assert trial["cause"] == "no_metric" and "line 2 of the output, 'score: about ninety'" in trial["detail"]


def test_names_that_can_not_be_written(run: Run, write: Write) -> None:
    """Metric names with lone surrogates, NUL or a megabyte harm neither the search nor what shows it."""
    names = ["a\\ud800", "b\\u0000", "c" * 100_000]
    reports = "".join(json.dumps({"metrics": {"NAME": 1, "score": 2}}).replace("NAME", name) + "\n" for name in names)
    Path(write().parent, "reports").write_text(reports.replace("\\\\", "\\"))
    trial = search(run, write, "cat reports >> $TUNEWELL_TRIAL_FOLDER/reports.jsonl")
    assert (trial["state"], trial["value"]) == ("succeeded", 2.0)
    assert "can't be kept as they are" in "".join(trial["notes"])
    assert "\N{REPLACEMENT CHARACTER}" in run("show", "quick", "1").out
    assert run("report", "quick").code == 0
