"""Numbers, durations and moments as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

#: Stands where there is nothing to show.
NOTHING = "–"
#: From here on, no units are made of a time.
_LONGEST_SECONDS = 1e12
#: The first and the last moment that there is a date for (the years 1 and 9999), in seconds since the epoch.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800.0, 253_402_300_799.0
#: Longest time, in seconds, that a trial from elsewhere may have taken (31 years).
MOST_SECONDS = 1e9


def number(value: float | None, digits: int = 4) -> str:
    """Return `value` with `digits` significant digits: `0.9841`, `12.5`, `123457`, `1.2e-05`; `–` for None.

    Whole parts are never rounded below a million; trailing zeros are dropped.
    """
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_trimmed(mantissa)}e{exponent}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _trimmed(f"{value:.{decimals}f}")


def within(value: float | None, ends: tuple[float, float] | None) -> str:
    """Return a value with its interval, in as many decimals as tell anything: `0.94 (0.84–1)`, `0.9132`.

    The width of the interval has two significant digits in them; without one, the value is that of `number`.
    """
    if value is None or ends is None:
        return number(value)
    return f"{rounded(value, ends)} ({rounded(ends[0], ends)}–{rounded(ends[1], ends)})"


def rounded(value: float, ends: tuple[float, float]) -> str:
    """Return a value in as many decimals as an interval supports."""
    decimals = 1 - math.floor(math.log10(ends[1] - ends[0]))
    if not -4 < decimals < 8:
        return number(value, 2)
    text = f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"
    return f"−{text[1:]}" if text.startswith("-") else text


def between(ends: tuple[float, float]) -> str:
    """Return the interval of a difference: `−0.020 to +0.040`."""
    return " to ".join(signed_within(end, ends) for end in ends)


def signed_within(value: float, ends: tuple[float, float]) -> str:
    """Return a difference with its sign, in as many decimals as its interval supports: `+0.010`."""
    text = rounded(value, ends)
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def share(value: float | None) -> str:
    """Return a number from 0 to 1 with three decimals, so that columns line up: `0.984`, `1.000`; `–` for None."""
    return NOTHING if value is None else f"{value:.3f}"


def scalar(value: object, digits: int = 3) -> str:
    """Return a parameter's value: floats rounded, everything else as it is written in a spec."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number(value, digits)
    text = str(value)
    # A line break or a control character in a value must not break up a line or a table.
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def signed(value: float, digits: int = 3) -> str:
    """Return a difference with its sign: `+0.031`, `−2.5`, `0`."""
    if value == 0:
        return "0"
    return ("+" if value > 0 else "−") + number(abs(value), digits)


def percent(share: float) -> str:
    """Return a share in percent: `3.3 %`, `42 %`, `0 %`."""
    value = 100 * share
    return f"{number(round(value, 1) if abs(value) < 10 else float(round(value)), 6)} %"


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units: `0.42 s`, `12 s`, `3 m 5 s`, `2 h 10 m`; `–` for None."""
    if seconds is None:
        return NOTHING
    if not abs(seconds) < _LONGEST_SECONDS:  # what no clock has measured, or no number at all
        return f"{number(seconds, 2)} s"
    if seconds < 10:
        return f"{number(max(seconds, 0.0), 2)} s"
    whole = round(seconds)
    for name, size, smaller_name, smaller in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def roughly(seconds: float) -> str:
    """Return a time in one unit: `45 s`, `5 min`, `2.5 h`, `3 days`."""
    for name, unit, least, digits in (("days", 86400, 2, 0), ("h", 3600, 2, 1), ("min", 60, 2, 0)):
        if seconds >= least * unit:
            return f"{round(seconds / unit, digits):g} {name}"
    return f"{max(1, round(seconds))} s"


def size(amount: int) -> str:
    """Return a number of bytes for people: `500 B`, `1.5 MiB`."""
    if amount < 1024:
        return f"{amount} B"
    power = min((amount.bit_length() - 1) // 10, 5)
    return f"{number(amount / 1024**power, 3)} {'KMGTP'[power - 1]}iB"


def moment(seconds: float | None) -> str:
    """Return seconds since the epoch as `2026-03-01 14:05 UTC`; `–` for None."""
    if seconds is None:
        return NOTHING
    return date(seconds).strftime("%Y-%m-%d %H:%M UTC")


def date(seconds: float) -> datetime:
    """Return the date of so many seconds since the epoch; the first or last that there is, beyond."""
    return datetime.fromtimestamp(max(_FIRST_MOMENT, min(seconds, _LAST_MOMENT)), UTC)


def is_moment(seconds: float) -> bool:
    """Whether there is a date for so many seconds since the epoch."""
    return _FIRST_MOMENT <= seconds <= _LAST_MOMENT


def shortened(text: str, length: int) -> str:
    """Return `text` cut to `length` characters, the last being an ellipsis if anything was cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def spoken(slug: object) -> str:
    """Return a slug as words: `target_reached` → `target reached`."""
    return str(slug).replace("_", " ").replace("-", " ")
