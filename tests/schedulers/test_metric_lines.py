"""From printed lines to reports, and to notes on those that don't count."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.schedulers import metric_lines as module
from tunewell.schedulers.metric_lines import MetricLines
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN, LONGEST_LINE


def lines_of(metric: str = "loss") -> MetricLines:
    """Return a scanner with the default rule."""
    return MetricLines(DEFAULT_METRIC_PATTERN, metric)


def reports(*data: bytes) -> list[tuple[int, dict[str, float]]]:
    """Return step and metrics of each report."""
    found = [json.loads(line) for line in b"".join(data).splitlines()]
    assert all(report["source"] == "output" for report in found)
    return [(report["step"], report["metrics"]) for report in found]


def test_steps_count_by_metric() -> None:
    """Each metric has its own steps, whatever other metrics come between."""
    assert reports(lines_of().feed(b"loss=3\naccuracy=0.1\nloss=2\naccuracy=0.2\n")) == [
        (1, {"loss": 3.0}),
        (1, {"accuracy": 0.1}),
        (2, {"loss": 2.0}),
        (2, {"accuracy": 0.2}),
    ]


def test_named_steps_carry_on() -> None:
    """A line without a step follows the step that its metric had last."""
    assert reports(lines_of().feed(b"step=10 loss=1\nloss=0.9\n")) == [(10, {"loss": 1.0}), (11, {"loss": 0.9})]


def test_line_in_pieces() -> None:
    """A line counts when it is whole, however it arrives."""
    lines = lines_of()
    assert [lines.feed(piece) for piece in (b"los", b"s=0", b".5", b"\r")] == [b""] * 4
    assert reports(lines.feed(b"\n")) == [(1, {"loss": 0.5})]


@given(st.lists(st.integers(1, 40)))
def test_any_pieces(sizes: list[int]) -> None:
    """How the output is cut into pieces changes nothing, and a last line without its end counts."""
    data = b"".join(b"epoch %d: loss=%d.5\r\n" % (n, n) for n in range(12)) + b"loss=7"
    lines, rest, found = lines_of(), data, b""
    for size in sizes:
        found += lines.feed(rest[:size])
        rest = rest[size:]
    found += lines.feed(rest) + lines.finish()
    assert reports(found) == [*((n, {"loss": n + 0.5}) for n in range(12)), (12, {"loss": 7.0})]
    assert lines.finish() == b""


def test_progress_bar() -> None:
    """Of a progress bar, only what it shows in the end counts, and it takes bounded memory."""
    lines = lines_of()
    found = [lines.feed(b"\r%3d%% %s loss=%d" % (percent, b"#" * 300, percent)) for percent in range(101)]
    assert reports(*found, lines.feed(b"\n")) == [(1, {"loss": 100.0})]
    assert lines.notes() == ()


def test_burst() -> None:
    """However many metric lines come at once, each of them is a report, in their order and in a moment."""
    begin = time.process_time()
    found = reports(lines_of().feed(b"".join(b"step=%d loss=%d\n" % (n, n) for n in range(100_000))))
    assert found == [(n, {"loss": float(n)}) for n in range(100_000)]
    assert time.process_time() - begin < 30


def test_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text full of ever new names does not fill the memory; known ones and the objective go on, and a note says so."""
    monkeypatch.setattr(module, "MOST_NAMES", 10)
    lines = lines_of("f1")
    text = "loss=1\n" + "".join(f"name{number}=1\n" for number in range(100)) + "loss=2\nf1=3\n"
    found = reports(lines.feed(text.encode()))
    assert len({name for _, metrics in found for name in metrics}) <= 13
    assert found[-2:] == [(2, {"loss": 2.0}), (1, {"f1": 3.0})]
    assert lines.notes() == ("More than 10 names of metrics were printed; 90 values of others don't count.",)


def test_lines_without_a_readable_value_are_noted() -> None:
    """Lines that give the objective a value that can't be read are counted, and the last one is quoted."""
    lines = lines_of("accuracy")
    lines.feed(b"accuracy=0.5\naccuracy=n/a\nloss=1\n\x1b[1maccuracy\x1b[0m: 0,93\x07\n")
    assert lines.notes() == (
        "2 lines name accuracy without a value that can be read: "
        "the last is line 4 of the output, 'accuracy: 0,93\N{REPLACEMENT CHARACTER}'.",
    )


def test_values_in_another_form() -> None:
    """A line that may give the objective a value in another form is noted where no later line gives one by the rule."""
    lines = lines_of("accuracy")
    lines.feed(b"Namespace(metric='accuracy', lr=0.1)\naccuracy=0.5\n")
    assert lines.notes() == ()
    lines.feed(b"Final accuracy of 0.7\n")
    assert lines.notes() == (
        "The last line that names accuracy is no metric line by the rule: "
        "line 3 of the output, 'Final accuracy of 0.7'.",
    )


@pytest.mark.parametrize("line", [b"We trained: Accuracy ninety percent", b"accuracy, that is all"])
def test_a_line_that_just_names_the_objective(line: bytes) -> None:
    """Where no line gives a value, the last one that names the objective is quoted; where one does, none is."""
    lines = lines_of("accuracy")
    lines.feed(b"accuracy is good\n" + line + b"\nbye\n")
    assert lines.notes() == (
        f"No line gives a value of accuracy; the last one that names it: line 2 of the output, '{line.decode()}'.",
    )
    lines.feed(b"accuracy=0.5\n")
    assert lines.notes() == ()


def test_values_beyond_the_readable_part_of_a_line() -> None:
    """A line that names the objective only behind what is read of it is noted, in one piece and in many."""
    line = b"x" * (LONGEST_LINE + 5) + b" loss=1\n"
    for pieces in ([line], [line[:7_000], line[7_000:12_000], line[12_000:]]):
        lines = lines_of()
        assert [lines.feed(piece) for piece in pieces] == [b""] * len(pieces)
        (note,) = lines.notes()
        assert "line 1 of the output, of which only 10,000 characters are read" in note


def test_steps_that_begin_anew_are_quoted() -> None:
    """The first report of the objective whose step goes back has its line, and so does the first that repeats one."""
    found = lines_of().feed(b"step=1 loss=3\nstep=2 loss=2\nstep=1 loss=1\nstep=1 loss=0\nstep=0 loss=0\n")
    quotes = [json.loads(line).get("line") for line in found.splitlines()]
    assert quotes == [
        None,
        None,
        "line 3 of the output, 'step=1 loss=1'",
        "line 4 of the output, 'step=1 loss=0'",
        None,
    ]


def test_a_pattern_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's pattern with exponential time can't keep the supervisor busy; a note says what became of it."""
    monkeypatch.setattr(module, "PATTERN_SECONDS", 0.1)
    lines = MetricLines(r"(?P<name>(a+)+)=(?P<value>.*)$", "a")
    assert lines.feed(b"a=1\n" + b"a" * 40 + b"!\na=2\n").count(b"\n") == 1
    assert any("metric_pattern took longer than 0.1 s for line 2" in note for note in lines.notes())


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_output_is_borne(pieces: list[bytes]) -> None:
    """No bytes break the scanner, and what it finds is sound."""
    lines = lines_of("a")
    found = b"".join(map(lines.feed, pieces)) + lines.finish()
    assert all(metrics for _, metrics in reports(found))
    assert all(note.encode() and len(note.splitlines()) == 1 for note in lines.notes())
