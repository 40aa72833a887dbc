"""The rule that finds metrics in lines of output."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.metric_line import LONGEST_LINE, parse_metrics


@pytest.mark.parametrize(
    ("line", "step", "metrics"),
    [
        ("accuracy=0.91", None, {"accuracy": 0.91}),
        ("accuracy: 0.91\n", None, {"accuracy": 0.91}),
        ("accuracy = .5, loss : 3.", None, {"accuracy": 0.5, "loss": 3.0}),
        ("Validation loss: 0.31 - accuracy: 9.1e-01", None, {"loss": 0.31, "accuracy": 0.91}),
        ("epoch 3/10: loss=0.31, val/accuracy=0.91", 3, {"loss": 0.31, "val/accuracy": 0.91}),
        ("Epoch [12/50] loss: 1e-3", 12, {"loss": 0.001}),
        ("step=3 accuracy: 1", 3, {"accuracy": 1.0}),
        ("epoch: 3 step: 250 loss=2", 250, {"loss": 2.0}),
        ('{"step": 3, "accuracy": 0.91}', 3, {"accuracy": 0.91}),
        ("{'loss': 0.5, 'epoch': 2.0}", 2, {"loss": 0.5}),
        ("{'loss': 0.5, 'epoch': 0.25}", None, {"loss": 0.5, "epoch": 0.25}),
        ("loss=nan a=NaN b=inf c=-Infinity", None, {"loss": math.nan, "a": math.nan, "b": math.inf, "c": -math.inf}),
        ("top-1=0.5 mAP@0.5=0.25 eval.f1=1", None, {"top-1": 0.5, "mAP@0.5": 0.25, "eval.f1": 1.0}),
        ("accuracy=0.9 (best accuracy=0.95)", None, {"accuracy": 0.9}),
        ("INFO:trainer:accuracy=0.9", None, {"accuracy": 0.9}),
        ("\x1b[32maccuracy\x1b[0m: \x1b[1m0.9\x1b[0m", None, {"accuracy": 0.9}),
        ("1/9 loss: 3\r2/9 loss: 2\r\n", None, {"loss": 2.0}),
    ],
)
def test_what_counts(line: str, step: int | None, metrics: dict[str, float]) -> None:
    """Names with = or : and a number count, several in a line; step or epoch is the step."""
    found_step, found = parse_metrics(line)
    assert found_step == step
    assert found == pytest.approx(metrics, nan_ok=True)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "accuracy",
        "accuracy: 91%",
        "accuracy=0.9abc",
        "time: 12:30:05",
        "date: 2024-01-02",
        "host=10.0.0.1",
        "progress: 3/10",
        "parameters: 1,024",
        "python train.py --lr=0.1",
        "http://host/x:80",
        "2024-01-02T12:30:05 hello",
        "accuracy=best",
        "a == 5",
        "nan",
    ],
)
def test_what_does_not_count(line: str) -> None:
    """Percentages, times, dates, addresses, options and words are no metrics."""
    assert parse_metrics(line) == (None, {})


def test_a_pattern_replaces_the_rule() -> None:
    """With a pattern only its matches count; what its value group holds must be a number."""
    pattern = r"(?P<name>[A-Z]+) is (?P<value>[^\s,]+)"
    assert parse_metrics("ACC is 0.5, F is high, loss=3", pattern) == (None, {"ACC": 0.5})
    assert parse_metrics("epoch 7: ACC is 0.5", pattern) == (7, {"ACC": 0.5})


def test_a_pattern_may_find_the_step() -> None:
    """A group `step` gives the step."""
    pattern = r"\[(?P<step>\d+)\] (?P<name>\w+) (?P<value>\S+)"
    assert parse_metrics("[12] acc 0.5", pattern) == (12, {"acc": 0.5})


@given(st.text(max_size=200))
def test_any_line_is_borne(line: str) -> None:
    """No text breaks the rule, and whatever is found is a name with a number."""
    step, metrics = parse_metrics(line)
    assert step is None or 0 <= step < 10**18
    assert all(name and isinstance(value, float) for name, value in metrics.items())


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.floats(), max_size=5), st.integers(0, 10**9))
def test_what_a_program_prints_is_found(metrics: dict[str, float], step: int) -> None:
    """Every number that Python prints is read back exactly."""
    metrics = {name: value for name, value in metrics.items() if name not in ("step", "epoch")}
    line = " ".join([f"step={step}", *(f"{name}={value!r}" for name, value in metrics.items())])
    assert repr(parse_metrics(line)) == repr((step, metrics))


@pytest.mark.parametrize(
    "unit", ["a", "a=", "1", "a=1", "a=1e", " ", "a ", "step ", "\x1b[", "a'", "-", "a=.1", "a=1.1.", "epoch=1 "]
)
def test_long_lines_take_linear_time(unit: str) -> None:
    """Lines made to be slow are not: a hundred lines of the greatest length are read in a moment."""
    line = unit * (LONGEST_LINE // len(unit))
    start = time.perf_counter()
    for _ in range(100):
        parse_metrics(line)
    assert time.perf_counter() - start < 5.0


def test_only_the_beginning_of_a_long_line_is_read() -> None:
    """What follows after so many characters is not looked at."""
    assert parse_metrics("x" + " " * LONGEST_LINE + "a=1") == (None, {})
