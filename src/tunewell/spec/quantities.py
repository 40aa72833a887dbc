"""Numbers, shares, durations and sizes as people write them.

The `parse_…` functions raise ValueError with two arguments: what is wrong, and the remedy.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, StrictBool

from tunewell.spec.errors import shown
from tunewell.spec.space import is_number

#: Beyond it floats, and JSON in other languages, skip whole numbers.
LARGEST_INTEGER = 2**53
_MOST_DIGITS = 20
#: Smallest fraction of a core.
LEAST_CORES = 0.01
_AMOUNT = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_AMOUNT}d)?(?:{_AMOUNT}h)?(?:{_AMOUNT}m)?(?:{_AMOUNT}s)?", re.IGNORECASE)
_SIZE = re.compile(rf"{_AMOUNT}\s*([KMGT])(?:i?B)?", re.IGNORECASE)
_SHARE = re.compile(rf"{_AMOUNT}\s*%")


def parse_duration(value: Any) -> timedelta:
    """Return the time that `24h`, `1h30m`, `90s` or a number of seconds means."""
    remedy = "Write it like 24h, 1h30m or 90s"
    if isinstance(value, timedelta):
        duration = value
    else:
        try:
            duration = _duration(value)
        except OverflowError:
            raise ValueError(f"{shown(value)} is too long a time", remedy) from None
        except ValueError:
            raise ValueError(f"{shown(value)} is no duration", remedy) from None
    if duration <= timedelta(0):
        raise ValueError(f"{shown(value)} is not above zero", remedy)
    return duration


def _duration(value: Any) -> timedelta:
    if is_number(value):
        return timedelta(seconds=value)
    match = _DURATION.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if not match or not any(match.groups()):
        raise ValueError
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta | float) -> str:
    """Return a duration as people write it: `24h`, `1h30m`, `2m5s`, `0.4s`."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if seconds < 10:
        return f"{seconds:.1f}s".replace(".0s", "s")
    whole = round(seconds)
    parts = [(whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _exact_duration(duration: timedelta) -> str | float:
    text = format_duration(duration)
    return text if text != "0s" and parse_duration(text) == duration else duration.total_seconds()


def parse_size(value: Any) -> int:
    """Return the number of bytes that `500M`, `8G` or a whole number means; K is 1024 bytes."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and len(match[1]) <= _MOST_DIGITS:
        size = int(float(match[1]) * 1024 ** ("KMGT".index(match[2].upper()) + 1))
    elif is_number(value) and value == int(value):
        size = int(value)
    else:
        raise ValueError(f"{shown(value)} is no size", "Write it like 500M or 8G")
    if size <= 0:
        raise ValueError(f"{shown(value)} is not above zero", "Write it like 500M or 8G")
    return size


def parse_whole(value: Any) -> int:
    """Return a whole number; `1e3` is one, texts, true and false are none."""
    if not is_number(value) or value != int(value):
        quoted = isinstance(value, str)
        remedy = "Write a whole number such as 4" + (", without quotes" if quoted else "")
        raise ValueError(f"{shown(value)} is " + ("a text, " if quoted else "") + "not a whole number", remedy)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{shown(value)} is too large", f"Give {LARGEST_INTEGER} at most")
    return int(value)


def parse_number(value: Any) -> float:
    """Return a finite number; texts, true and false are none."""
    if isinstance(value, str):
        raise ValueError(f"{shown(value)} is a text, not a number", "Write a number such as 0.1, without quotes")
    if not is_number(value):
        raise ValueError(f"{shown(value)} is not a finite number", "Write a number such as 0.1")
    return float(value)


def parse_share(value: Any) -> float:
    """Return the share above 0 and up to 1 that `0.5` or `50%` means."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else value
    if not is_number(share) or not 0 < share <= 1:
        raise ValueError(f"{shown(value)} is no share above 0 and up to 1", "Write 0.5 or 50%")
    return float(share)


def parse_cores(value: Any) -> int | float:
    """Return a number of cores: whole, a fraction from 0.01 on, or 0."""
    if not is_number(value) or not (value == 0 or LEAST_CORES <= value <= LARGEST_INTEGER):
        raise ValueError(
            f"{shown(value)} is no number of cores", f"Write 2, 0.5 or 0; {LEAST_CORES} is the least fraction"
        )
    return int(value) if value == int(value) else value


def parse_gpus(value: Any) -> int | float:
    """Return a number of GPUs: whole, or a share of one from 0.01 on."""
    if not is_number(value) or not (LEAST_CORES <= value < 1 or (value == int(value) and value >= 0)):
        remedy = f"Write 2, 0 or, for a part of one, 0.5; {LEAST_CORES} is the least part"
        raise ValueError(f"{shown(value)} is no number of GPUs", remedy)
    return int(value) if value == int(value) else value


def parse_count_or_share(value: Any) -> int | float:
    """Return a count (int) as it is, a share (`0.5` or `50%`) as a float; both from 0 on."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if value == 0 and isinstance(value, float):
        return value
    try:
        return parse_share(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is neither a count nor a share", "Write 5, 0.3 or 30%") from None


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(_exact_duration)]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
Flag = StrictBool
WholeNumber = Annotated[int, BeforeValidator(parse_whole)]
Number = Annotated[float, BeforeValidator(parse_number)]
Cores = Annotated[int | float, BeforeValidator(parse_cores)]
Gpus = Annotated[int | float, BeforeValidator(parse_gpus)]
Share = Annotated[float, BeforeValidator(parse_share)]
CountOrShare = Annotated[int | float, BeforeValidator(parse_count_or_share)]
