"""How pages word moments, amounts, states and addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from tunewell.spec import format
from tunewell.spec.names import in_address

#: A thin space between thousands, which no line is broken at.
_THIN = "\u202f"


def thousands(amount: int) -> str:
    """Return a number with thin spaces between thousands: `10 000`; four digits stand together."""
    return str(amount) if abs(amount) < 10_000 else f"{amount:,}".replace(",", _THIN)


def coded(text: str) -> Markup:
    """Return a sentence in which what stands between backticks, as in a spec, is code: `tiles: 1`."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them is alone, and means itself
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def ago(moment: datetime | None) -> Markup:
    """Return how long ago something was, with the exact moment on hover; scripts keep it true."""
    if moment is None:
        return Markup(format.NOTHING)
    passed = (datetime.now(UTC) - moment).total_seconds()
    exact = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), exact, relative(passed))


def relative(seconds: float) -> str:
    """Return how long ago in one unit: `just now`, `5 min ago`, `3 h ago`, `2 days ago`."""
    for size, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            amount = int(seconds // size)
            plural = "s" if name == "day" and amount > 1 else ""
            return f"{amount} {name}{plural} ago"
    return f"{int(seconds)} s ago" if seconds >= 2 else "just now"


def breakable(text: str) -> Markup:
    """Return text whose lines may be broken after underscores and dots: parameter names head narrow columns."""
    return escape(text).replace("_", Markup("_<wbr>")).replace(".", Markup(".<wbr>"))


def state_of(one: Any) -> str:
    """Return the state of an experiment as people see it."""
    if one.running and not one.state.final:
        return "paused" if one.state == "paused" else "running"
    return str(one.state)


def basename(path: str) -> str:
    """Return the name of a file without its folders."""
    return path.replace("\\", "/").rpartition("/")[2]


def amount(number: float) -> str:
    """Return a count as it is, `5`, and a share, which is no whole number, in percent: `50%`."""
    return str(number) if isinstance(number, int) else f"{100 * number:.6g}%"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "thousands": thousands,
    "coded": coded,
    "ago": ago,
    "breakable": breakable,
    "state_of": state_of,
    "spoken": format.spoken,
    "basename": basename,
    "address": in_address,
    "amount": amount,
}
