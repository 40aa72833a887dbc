"""From printed lines to reports, within bounds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tunewell.schedulers import output as module
from tunewell.schedulers.output import OutputMetrics
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN


class Printer:
    """A trial's folder, and the scanner that watches it."""

    def __init__(self, folder: Path) -> None:
        """Begin with an empty output."""
        self.folder = folder
        self.output = OutputMetrics(folder, DEFAULT_METRIC_PATTERN)
        (folder / "output.log").touch()

    def print(self, text: str) -> None:
        """Print text and have it scanned."""
        with (self.folder / "output.log").open("a") as file:
            file.write(text)
        self.output.scan()

    def reports(self) -> list[tuple[int, dict[str, float]]]:
        """Return all reports so far as (step, metrics)."""
        path = self.folder / "reports.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(json.loads(line)["step"], json.loads(line)["metrics"]) for line in lines]


@pytest.fixture
def printer(tmp_path: Path) -> Printer:
    """A printer in a folder of its own."""
    return Printer(tmp_path)


def test_steps_count_by_metric(printer: Printer) -> None:
    """Each metric has its own steps, whatever other metrics come between and however the lines are read."""
    for text in ("loss=3\n", "accuracy=0.1\nloss=2\n", "accuracy=0.2\n"):
        printer.print(text)
    assert printer.reports() == [
        (1, {"loss": 3.0}),
        (1, {"accuracy": 0.1}),
        (2, {"loss": 2.0}),
        (2, {"accuracy": 0.2}),
    ]


def test_neighbouring_lines_make_one_report(printer: Printer) -> None:
    """Lines of one step that come together are one report; of two values for a metric the first counts."""
    printer.print("epoch 4: loss=1\nepoch 4: accuracy=0.5 loss=9\nepoch 5: loss=0.9\n")
    assert printer.reports() == [(4, {"loss": 1.0, "accuracy": 0.5}), (5, {"loss": 0.9})]


def test_named_steps_carry_on(printer: Printer) -> None:
    """A line without a step follows the step that its metric had last."""
    printer.print("step=10 loss=1\nloss=0.9\n")
    assert printer.reports() == [(10, {"loss": 1.0}), (11, {"loss": 0.9})]


def test_line_in_pieces(printer: Printer) -> None:
    """A line counts when it is whole, however it arrives."""
    for piece in ("los", "s=0", ".5", "\r", "\n"):
        assert printer.reports() == []
        printer.print(piece)
    assert printer.reports() == [(1, {"loss": 0.5})]


def test_progress_bar(printer: Printer) -> None:
    """Of a progress bar, only what it shows in the end counts, and it takes bounded memory."""
    for percent in range(101):
        printer.print(f"\r{percent:3d}% {'#' * 300} loss={1 - percent / 200}")
    assert printer.reports() == []
    printer.print("\n")
    assert printer.reports() == [(1, {"loss": 0.5})]


def test_silent_once_the_trial_reports(printer: Printer) -> None:
    """Nothing printed counts after the trial's own first report."""
    printer.print("loss=3\n")
    with (printer.folder / "reports.jsonl").open("a") as file:
        file.write('{"step": 1, "metrics": {"loss": 2}, "time": 0}\n')
    printer.print("loss=1\n")
    printer.output.scan_rest()
    assert [metrics["loss"] for _, metrics in printer.reports()] == [3.0, 2.0]


def test_flood(printer: Printer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of metric lines costs bounded time and few reports, and the last lines of all are among these."""
    monkeypatch.setattr(module, "BACKLOG_BYTES", 4 * module.SCAN_BYTES)
    printer.print("".join(f"step={number} loss={number}\n" for number in range(60_000)))
    begin = time.process_time()
    printer.output.scan_rest()
    reports = printer.reports()
    assert reports[-1] == (59_999, {"loss": 59_999.0})
    assert len(reports) <= module.REPORTS_A_SCAN * (module.BACKLOG_BYTES // module.SCAN_BYTES + 2)
    assert time.process_time() - begin < 10


def test_many_names(printer: Printer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text full of ever new names does not fill the memory; metrics that are known go on."""
    monkeypatch.setattr(module, "MOST_NAMES", 10)
    printer.print("loss=1\n" + "".join(f"name{number}=1\n" for number in range(100)) + "loss=2\n")
    names = {name for _, metrics in printer.reports() for name in metrics}
    assert len(names) <= 12
    assert printer.reports()[-1] == (2, {"loss": 2.0})


def test_no_output_file(tmp_path: Path) -> None:
    """Output that is not there (any more) is no error."""
    output = OutputMetrics(tmp_path / "nowhere", DEFAULT_METRIC_PATTERN)
    output.scan()
    output.scan_rest()


def test_a_pattern_that_takes_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's pattern with exponential time can't keep the supervisor busy; the output says what became of it."""
    monkeypatch.setattr(module, "PATTERN_SECONDS", 0.1)
    (tmp_path / "output.log").write_text("a" * 40 + "!\nb=1\n")
    OutputMetrics(tmp_path, r"(?P<name>(a+)+)=(?P<value>.*)$").scan_rest()
    assert "metric_pattern took longer" in (tmp_path / "output.log").read_text()
    assert not (tmp_path / "reports.jsonl").exists()
