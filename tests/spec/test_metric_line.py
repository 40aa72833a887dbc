"""The rule that finds metrics in lines of output."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.metric_line import LONGEST_LINE, names_a_value, parse_metrics, read_number


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
        "accuracy: 91%x",
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
    """Times, dates, addresses, options and words are no metrics."""
    assert parse_metrics(line) == (None, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("93.12%", 0.9312),
        ("91 %", 0.91),
        ("1e1%", 0.1),
        ("np.float64(0.93)", 0.93),
        ("tensor(0.93)", 0.93),
        ("tensor(0.93, device='cuda:0', grad_fn=<MeanBackward0>)", 0.93),
        ("array([0.93], dtype=float32)", 0.93),
        ("Decimal('0.93')", 0.93),
        ("[0.93]", 0.93),
        ('"0.93"', 0.93),
        ("tensor(nan)", math.nan),
    ],
)
def test_how_programs_print_numbers(text: str, value: float) -> None:
    """Percentages are shares, and numbers count in quotes, alone in brackets and in the calls that Python prints."""
    assert read_number(text) == pytest.approx(value, nan_ok=True)
    expected = pytest.approx({"accuracy": value, "loss": 2.0}, nan_ok=True)
    assert parse_metrics(f"{{'accuracy': {text}, 'loss': 2}}")[1] == expected


@pytest.mark.parametrize(
    "text", ["0,93", "n/a", "None", "high", "[0.9, 0.8]", "tensor([0.9, 0.8])", "12ms", "0.9/0.8", "'0.9"]
)
def test_values_that_cannot_be_read(text: str) -> None:
    """What may mean several numbers, or none, is no value, and the line is known to name the objective."""
    line = f"epoch 3: accuracy={text}"
    assert parse_metrics(line, objective="accuracy") == (3, {})
    assert names_a_value(line, "accuracy")


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ("mAP@0.5:0.95 = 0.25", {"mAP@0.5:0.95": 0.25}),
        ("'mAP@0.5:0.95': 0.25", {"mAP@0.5:0.95": 0.25}),
        ("mAP@.5:.95: 0.25", {"mAP@.5:.95": 0.25}),
        ("mAP@0.5=0.5 mAP@0.5:0.05:0.95=0.25", {"mAP@0.5": 0.5, "mAP@0.5:0.05:0.95": 0.25}),
        ("mAP@0.5:0.95 = n/a", {}),
        ("mAP@0.5:0.95:0.25", {}),
        ("mAP@0.5: 0.95 = 0.25", {}),
    ],
)
@pytest.mark.parametrize("objective", ["mAP@0.5", None])
def test_names_with_colons(line: str, metrics: dict[str, float], objective: str | None) -> None:
    """A number behind a colon in a name is part of the name, whatever the objective, and never a value."""
    assert parse_metrics(line, objective=objective) == (None, metrics)


@pytest.mark.parametrize(
    "name", ["mAP@0.5:0.95", "mAP@[.5:.95]", "F1:macro", "top-5 acc", "val/loss", "Größe (mm)", "a*b"]
)
@pytest.mark.parametrize("separator", [": ", "=", " = ", ":"])
def test_any_name_of_the_objective_is_found(name: str, separator: str) -> None:
    """The objective is found by its own name, whatever it is made of."""
    assert parse_metrics(f"epoch 2: {name}{separator}0.25, x=1", objective=name) == (2, {name: 0.25, "x": 1.0})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("accuracy: 9913/10000 (99%)", 0.9913),
        ("accuracy: 0.93/1.0", 0.93),
        ("accuracy: 5/4", None),
        ("accuracy: 0.31/0.45", None),
        ("accuracy: 1/2/3", None),
        ("accuracy: 0/0", None),
        (f"accuracy: 1/{'1' * 5000}", None),
    ],
)
def test_shares(line: str, value: float | None) -> None:
    """So many of so many is a share, for the objective alone; two numbers of another kind are none."""
    assert parse_metrics(line, objective="accuracy")[1] == ({} if value is None else {"accuracy": value})
    assert parse_metrics(line)[1] == {}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Acc@1 76.1 (75.0)", True),
        ("* Acc@1 is now 76.1", True),
        ("Acc@1: train 0.3", True),
        ("Acc@1 got better", False),
        ("Acc@10 76.1", False),
        ("val/Acc@1 76.1", False),
        ("Acc@1:0.5 = n/a", False),
    ],
)
def test_lines_that_name_the_objective(line: str, named: bool) -> None:
    """A line names a value of the objective where its name stands alone and a separator or a digit follows."""
    assert names_a_value(line, "Acc@1") is named


def test_unreadable_values_by_a_pattern() -> None:
    """With a pattern of the user's, only what it takes for the objective can be unreadable."""
    pattern = r"<(?P<name>\w+)> (?P<value>\S+)"
    assert names_a_value("<acc> high", "acc", pattern)
    assert not names_a_value("acc=high", "acc", pattern)
    assert parse_metrics("<acc> 50%", pattern) == (None, {"acc": 0.5})


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
    "unit",
    [
        "a",
        "a=",
        "1",
        "a=1",
        "a=1e",
        " ",
        "a ",
        "step ",
        "\x1b[",
        "a'",
        "-",
        "a=.1",
        "a=1.1.",
        "epoch=1 ",
        "a:1",
        "a=f(1,",
        "a=[",
        "a=1 ",
        "\x1b]",
    ],
)
def test_long_lines_take_linear_time(unit: str) -> None:
    """Lines made to be slow are not: a hundred lines of the greatest length are read in a moment."""
    line = unit * (LONGEST_LINE // len(unit))
    start = time.perf_counter()
    for _ in range(50):
        parse_metrics(line)
        if not parse_metrics(line, objective="a b")[1]:
            names_a_value(line, "a")
    assert time.perf_counter() - start < 5.0


def test_only_the_beginning_of_a_long_line_is_read() -> None:
    """What follows after so many characters is not looked at."""
    assert parse_metrics("x" + " " * LONGEST_LINE + "a=1") == (None, {})
