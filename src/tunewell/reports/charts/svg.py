"""Elements of SVG as text: everything that comes from outside is escaped here, and nowhere else."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

from tunewell.spec.format import shortened

NAMESPACE = "http://www.w3.org/2000/svg"
#: Characters that no document may have.
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def label(text: object, length: int = 40) -> str:
    """Return a text of a user on one line and shortened: no control characters, none that turn the line around."""
    told = [" " if character.isspace() else character for character in str(text)[: 4 * length]]
    visible = "".join(c for c in told if c == " " or unicodedata.category(c) != "Cf")
    return shortened("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in visible), length)


def element(name: str, *content: str, **attributes: object) -> str:
    """Return an element around `content`, which is markup; attributes that are None are left out.

    An underscore in the name of an attribute stands for a hyphen; one at its end is dropped (`class_`).
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(content)
    return f"<{name}{told}>{inner}</{name}>" if inner else f"<{name}{told}/>"


def escaped(text: object, length: int = 40) -> str:
    """Return a text of a user as markup."""
    return html.escape(label(text, length))


def words(text: object, length: int = 40, **attributes: object) -> str:
    """Return a text element."""
    return element("text", escaped(text, length), **attributes)


def title(text: str) -> str:
    """Return what appears over the element that it stands in."""
    return element("title", escaped(text, 400))


def written(value: object) -> str:
    """Return the value of an attribute: numbers with one decimal, where they need it."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))


def percent(place: float) -> str:
    """Return a place along the width, 0 to 1, as SVG takes it."""
    return f"{100 * place:.2f}".rstrip("0").rstrip(".") + "%"


def path(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return the data of a line through points."""
    return "M" + " ".join(f"{written(float(x))} {written(float(y))}" for x, y in zip(xs, ys, strict=True))


def steps(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return the data of a line that keeps its height up to the next point."""
    first, *rest = zip(xs, ys, strict=True)
    start = f"M{written(float(first[0]))} {written(float(first[1]))}"
    return start + "".join(f"H{written(float(x))}V{written(float(y))}" for x, y in rest)
