"""The reader of reports, whatever writes them and however the bytes arrive."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.schedulers import report_reader as module
from tunewell.schedulers.report_reader import ReportReader
from tunewell.spec.launch import Report
from tunewell.trial.files import append_report, report_line

NUMBERS = st.floats(allow_nan=False)
REPORTS = st.builds(
    Report,
    step=st.integers(-(10**30), 10**30),
    metrics=st.dictionaries(st.text(max_size=5), NUMBERS, min_size=1, max_size=3),
    time=st.floats(0, 4e9),
)


def write(folder: Path, data: bytes) -> None:
    """Append bytes to the reports."""
    with (folder / "reports.jsonl").open("ab") as file:
        file.write(data)


def read_all(folder: Path, data: bytes) -> tuple[list[Report], int]:
    """Return what a reader finds in `data`, and how many lines it skipped."""
    (folder / "reports.jsonl").write_bytes(data)
    reader = ReportReader(folder, clock=lambda: 5.0)
    return reader.read_rest(), reader.skipped


@given(reports=st.lists(REPORTS, max_size=8), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_any_chunks(reports: list[Report], cuts: list[int]) -> None:
    """Reports come back equal and in order, once each, however the file grows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for report in reports:
            append_report(folder, report.step, report.metrics, report.time)
        path = folder / "reports.jsonl"
        data = path.read_bytes() if reports else b""
        path.unlink(missing_ok=True)
        reader = ReportReader(folder)
        seen: list[Report] = []
        before = 0
        for cut in sorted(min(cut, len(data)) for cut in cuts):
            write(folder, data[before:cut])
            before = cut
            seen += reader.read()
        write(folder, data[before:])
        seen += reader.read_rest()
        assert seen == reports
        assert reader.skipped == 0


@given(
    parts=st.lists(
        st.one_of(st.binary(max_size=40), st.just(b'{"metrics": {"a": 1}}'), st.just(b'{"a": 1}'), st.just(b"\r")),
        max_size=12,
    )
)
def test_garbage_is_never_fatal(parts: list[bytes]) -> None:
    """Arbitrary bytes raise nothing, and sound lines among them count."""
    with tempfile.TemporaryDirectory() as name:
        seen, _ = read_all(Path(name), b"\n".join(parts))
    sound = [p for part in parts for p in part.split(b"\n") if p in (b'{"metrics": {"a": 1}}', b'{"a": 1}')]
    assert len(seen) >= len(sound)


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["step", "metrics", "time", "source", "a"]), inner, max_size=4)
        ),
    )
)
def test_any_json_is_a_report_or_skipped(content: Any) -> None:
    """Any JSON value is either a sound report or counted as skipped."""
    with tempfile.TemporaryDirectory() as name:
        seen, skipped = read_all(Path(name), json.dumps(content).encode() + b"\n")
    assert len(seen) + skipped == 1
    for report in seen:
        assert isinstance(report.step, int) and report.metrics and math.isfinite(report.time)
        assert all(isinstance(value, float) for value in report.metrics.values())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"step": 3, "metrics": {"a": 0.5}, "time": 7}', Report(3, {"a": 0.5}, 7.0)),
        ('{"metrics": {"a": 0.5}}', Report(1, {"a": 0.5}, 5.0)),
        ('{"a": 1, "note": "plain", "ok": true}', Report(1, {"a": 1.0}, 5.0)),
        ('{"a": 1, "step": 2.0, "time": "NaN"}', Report(2, {"a": 1.0}, 5.0)),
        ('{"metrics": {"a": "0.5"}}', Report(1, {"a": 0.5}, 5.0)),
        ('{"metrics": {"a": "Infinity"}}', Report(1, {"a": math.inf}, 5.0)),
        ('{"metrics": {"a": -Infinity}}', Report(1, {"a": -math.inf}, 5.0)),
        ('{"metrics": {"a": 1e400}}', Report(1, {"a": math.inf}, 5.0)),
        ('{"metrics": {"a": 1}}\r', Report(1, {"a": 1.0}, 5.0)),
        ('{"metrics": {}}', None),
        ('{"metrics": {"a": null}}', None),
        ('{"metrics": {"a": true}}', None),
        ('{"metrics": {"a": 1}, "step": 1.5}', None),
        ('{"metrics": {"a": 1}, "step": true}', None),
        ('{"metrics": {"a": 1}, "step": 1e18}', Report(10**18, {"a": 1.0}, 5.0)),
        ('{"metrics": {"a": 1}, "step": 1e400}', None),
        ('{"metrics": {"a": 1}, "time": 1e308}', Report(1, {"a": 1.0}, 5.0)),
        ('{"metrics": {"a": 1}, "time": -1e12}', Report(1, {"a": 1.0}, 5.0)),
        ('{"metrics": {"a": 1}, "step": "NaN"}', None),
        ('{"metrics": [1]}', None),
        ("[1]", None),
        ("accuracy 0.5", None),
        ("[" * 100_000, None),
    ],
)
def test_lines(tmp_path: Path, line: str, expected: Report | None) -> None:
    """A line is read leniently where its meaning is clear, and skipped otherwise."""
    assert read_all(tmp_path, line.encode() + b"\n") == ([expected] if expected else [], 0 if expected else 1)


def test_what_does_not_count_is_noted(tmp_path: Path) -> None:
    """Lines that are no reports are counted, the first one quoted; an objective without a number is, the last time."""
    reader = ReportReader(tmp_path, "a")
    write(
        tmp_path,
        b'{"a": 1}\ngarbage \xff\n[1]\n\n{"metrics": {"a": "high", "b": 1}}\n{"a": null, "b": 2}\n{"b": "low", "c": 1}',
    )
    assert [report.metrics for report in reader.read_rest()] == [{"a": 1.0}, {"b": 1.0}, {"b": 2.0}, {"c": 1.0}]
    assert reader.skipped == 2
    assert reader.notes() == (
        "2 lines of reports.jsonl are no reports; the first: "
        "line 2 of reports.jsonl, 'garbage \N{REPLACEMENT CHARACTER}'.",
        'a was reported without a number 2 times, the last time in line 6 of reports.jsonl, \'{"a": null, "b": 2}\'.',
    )


def test_numbers_in_texts(tmp_path: Path) -> None:
    """A text is a number where a printed one would be."""
    seen, _ = read_all(tmp_path, b'{"metrics": {"a": "93.12%", "b": "tensor(0.5)"}}\n')
    assert [report.metrics for report in seen] == [{"a": 0.9312, "b": 0.5}]


def test_reports_that_go_back_are_quoted(tmp_path: Path) -> None:
    """A report of the objective whose step is not after the last one has its line, or the one it was printed in."""
    reader = ReportReader(tmp_path, "a")
    append_report(tmp_path, 2, {"a": 1.0}, 0.0)
    write(tmp_path, b'{"a": 2, "step": 1}\n{"b": 2, "step": 1}\n')
    assert [report.line for report in reader.read()] == ["", 'line 2 of reports.jsonl, \'{"a": 2, "step": 1}\'', ""]
    printed = ReportReader(tmp_path, "a")
    (tmp_path / "reports.jsonl").write_bytes(report_line(1, {"a": 1.0}, 0.0, source="output", line="line 7"))
    assert [report.line for report in printed.read()] == ["line 7"]


def test_nan(tmp_path: Path) -> None:
    """NaN comes through the file as it is, in valid JSON."""
    append_report(tmp_path, 1, {"a": math.nan}, 0.0)
    data = (tmp_path / "reports.jsonl").read_bytes()
    json.loads(data, parse_constant=lambda name: pytest.fail(f"bare {name}"))
    ((report,), _) = read_all(tmp_path, data)
    assert math.isnan(report.metrics["a"])


def test_default_steps(tmp_path: Path) -> None:
    """Reports without a step count on from the one before."""
    seen, _ = read_all(tmp_path, b'{"a": 1}\n{"a": 1, "step": 7}\n{"a": 1}\n')
    assert [report.step for report in seen] == [1, 7, 8]


def test_output_counts_until_the_trial_reports(tmp_path: Path) -> None:
    """What was found in the output counts up to the trial's first own report, whose steps begin again."""
    found = b'{"step": 5, "metrics": {"a": 1}, "time": 0, "source": "output"}\n'
    seen, skipped = read_all(tmp_path, found + b'{"a": 2}\n' + found + b'{"a": 3}\n')
    assert [(report.step, report.metrics["a"]) for report in seen] == [(5, 1), (1, 2), (2, 3)]
    assert skipped == 0


def test_endless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is far too long is skipped once, in bounded memory, and what follows it counts."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(module, "LONGEST_LINE", 3000)
    seen, skipped = read_all(tmp_path, b"x" * 50_000 + b'\n{"a": 1}\n' + b"y" * 50_000)
    assert [report.metrics for report in seen] == [{"a": 1.0}]
    assert skipped == 2


def test_torn_last_line(tmp_path: Path) -> None:
    """A last line without an end waits for its rest; at the end it counts if it is whole."""
    reader = ReportReader(tmp_path)
    write(tmp_path, b'{"a": 1')
    assert reader.read() == []
    write(tmp_path, b"}")
    assert reader.read() == []
    (report,) = reader.read_rest()
    assert report.metrics == {"a": 1.0}


def test_truncated_file(tmp_path: Path) -> None:
    """A file that the trial empties and fills again is read on from its start."""
    reader = ReportReader(tmp_path)
    write(tmp_path, b'{"a": 1}\n{"a": 2}\n')
    assert len(reader.read()) == 2
    (tmp_path / "reports.jsonl").write_bytes(b'{"a": 3}\n')
    assert [report.metrics for report in reader.read()] == [{"a": 3.0}]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_no_file(tmp_path: Path, kind: str) -> None:
    """Where the reports should be there may be anything: the reader neither fails nor blocks."""
    if kind == "folder":
        (tmp_path / "reports.jsonl").mkdir()
    if kind == "pipe":
        os.mkfifo(tmp_path / "reports.jsonl")
    reader = ReportReader(tmp_path)
    assert reader.read() == [] and reader.read_rest() == []


def test_large_file(tmp_path: Path) -> None:
    """Reading a large file takes bounded steps: one call gives no more than a chunk."""
    write(tmp_path, b'{"a": 1}\n' * 50_000)
    reader = ReportReader(tmp_path)
    first = reader.read()
    assert 0 < len(first) <= module.CHUNK_BYTES // 9 + 1
    assert len(first) + len(reader.read_rest()) == 50_000


def test_replaced_file(tmp_path: Path) -> None:
    """Of a file that the trial replaces each time, as long as it was before, every report counts."""
    reader, new = ReportReader(tmp_path), tmp_path / "new"
    values = []
    for value in (1.0, 2.0, 3.0):
        new.write_text(json.dumps({"step": value, "metrics": {"loss": value}}) + "\n")
        new.replace(tmp_path / "reports.jsonl")
        values += [report.metrics["loss"] for report in reader.read()]
    assert values == [1.0, 2.0, 3.0]


def test_replaced_file_that_grows(tmp_path: Path) -> None:
    """Of a file that the trial replaces by itself with one more report, each report counts once."""
    reader, new, lines = ReportReader(tmp_path), tmp_path / "new", ""
    steps = []
    for step in range(4):
        lines += json.dumps({"step": step, "loss": 0.5}) + "\n"
        new.write_text(lines)
        new.replace(tmp_path / "reports.jsonl")
        steps += [report.step for report in reader.read()]
    assert steps == [0, 1, 2, 3]
