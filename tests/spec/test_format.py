from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.errors import count
from tunewell.spec.format import duration, moment, number, percent, scalar, shortened, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98412, "0.9841"),
        (0.95, "0.95"),
        (1.0, "1"),
        (12.3456, "12.35"),
        (123456.7, "123457"),
        (1234567.0, "1.235e+06"),
        (1.2e-05, "1.2e-05"),
        (0.000123456, "0.0001235"),
        (-0.5, "-0.5"),
        (0.0, "0"),
        (None, "–"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_have_four_significant_digits(value: float | None, text: str) -> None:
    """Numbers are rounded to four significant digits, with an exponent only where it is shorter to read."""
    assert number(value) == text


@given(st.floats(-1e300, 1e300), st.integers(1, 8))
def test_a_formatted_number_is_close_to_the_number(value: float, digits: int) -> None:
    """Formatting never changes a number by more than half a unit of its last digit."""
    assert float(number(value, digits)) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits), abs=0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (32, "32"), (1234567, "1234567"), (0.0023456, "0.00235"), ("adamw", "adamw"), (None, "null")],
)
def test_parameter_values_are_written_as_in_a_spec(value: object, text: str) -> None:
    """Only floats are rounded: whole numbers, texts and booleans stand as a spec has them."""
    assert scalar(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (-0.1, "0 s"),
        (0.0, "0 s"),
        (0.424, "0.42 s"),
        (9.99, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 m"),
        (185.0, "3 m 5 s"),
        (7800.0, "2 h 10 m"),
        (86400.0, "1 d"),
        (273600.0, "3 d 4 h"),
        (1e308, "1e+308 s"),
        (math.inf, "∞ s"),
        (math.nan, "NaN s"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    """A duration shows its two largest units, and fractions only below ten seconds."""
    assert duration(seconds) == text


def test_differences_shares_moments_and_counts_read_well() -> None:
    """Signs, percentages, moments and plurals come out as a reader expects them."""
    assert (signed(0.0311), signed(-2.5), signed(0.0)) == ("+0.0311", "−2.5", "0")
    assert (percent(0.0331), percent(0.424), percent(0.0), percent(1.0)) == ("3.3 %", "42 %", "0 %", "100 %")
    assert moment(0.0) == "1970-01-01 00:00 UTC"
    assert (moment(1e300), moment(math.inf)) == ("9999-12-31 23:59 UTC",) * 2
    assert moment(-math.inf).endswith("1-01-01 00:00 UTC")
    assert (count(1, "trial"), count(0, "trial")) == ("1 trial", "0 trials")
    assert (shortened("learning_rate", 20), shortened("learning_rate", 9)) == ("learning_rate", "learning…")


def test_control_characters_are_shown_and_not_obeyed() -> None:
    """A value with a line break or an escape sequence stays on its line."""
    assert scalar("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert scalar("naïve – fine") == "naïve – fine"
