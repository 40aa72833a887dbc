"""A chart as the report, the console and notebooks show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from tunewell.reports.charts.svg import NAMESPACE, element, title, words

Frame = Literal["numbers", "labelled", "names", "parallel", "matrix", "bare"]
#: Room around the drawn area for the texts beside it, in pixels: above, on the right, below, on the left. The same
#: stands in charts.css.
FRAMES: dict[Frame, tuple[int, int, int, int]] = {
    "numbers": (28, 14, 42, 56),
    "labelled": (28, 92, 42, 56),
    "names": (4, 64, 8, 150),
    "parallel": (64, 0, 14, 0),
    "matrix": (78, 40, 4, 116),
    "bare": (0, 0, 0, 0),
}
_TRIAL = re.compile(r'(<(\w+)[^<>]* data-trial="(\d+)"[^<>]*)/>')
_VARIABLE = re.compile(r"var\((--[\w-]+)\)")
_TOKEN = re.compile(r"(--[\w-]+): light-dark\(([^,]+), ([^)]+)\);")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart."""

    title: str
    #: What it shows and how to read it. Without a drawing: why there is none.
    caption: str
    #: An `svg` element as wide as what it stands in. It has classes for `style` and no styles of its own, and
    #: `data-trial` wherever a mark stands for a trial.
    svg: str | None


@cache
def style() -> str:
    """Return the style sheet of charts, with the colours that pages share with them."""
    return (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")


def standalone(svg: str, heading: str = "") -> str:
    """Return a chart as a file for itself: its styles within, a heading over it.

    Nothing in it asks for a script, and programs that know neither variables nor dark colours draw it in light ones.
    """
    opening, _, inner = svg.removesuffix("</svg>").partition(">")
    kind, tall = re.search(r'class="chart (\w+)[^"]*', opening), re.search(r' height="(\d+)"', opening)
    assert kind is not None and tall is not None, opening
    top, right, bottom, left = FRAMES[kind[1]]  # type: ignore[index]
    height = int(tall[1])
    width = 960 if kind[0].endswith(" wide") else 760
    above = 48 if heading else 12
    area = element(
        "svg",
        _TRIAL.sub(r"\1><title>trial \3</title></\2>", inner),
        x=left + 16,
        y=top + above,
        width=width - left - right - 32,
        height=height - top - bottom,
        overflow="visible",
    )
    return element(
        "svg",
        title(heading) if heading else "",
        f"<style>{_plain_style()}</style>",
        element("rect", class_="paper", width="100%", height="100%"),
        words(heading, 90, class_="heading", x=16, y=28) if heading else "",
        area,
        xmlns=NAMESPACE,
        class_="chart alone",
        width=width,
        height=height + above + 12,
        viewBox=f"0 0 {width} {height + above + 12}",
    )


def picture(svg: str) -> str:
    """Return a chart that is `bare` as a file for pages to show as an image: stretched to whatever it stands in."""
    opening, _, inner = svg.partition(">")
    tall = re.search(r' height="(\d+)"', opening)
    assert tall is not None, opening
    box = f'viewBox="0 0 100 {tall[1]}" preserveAspectRatio="none"'
    return f"{opening} {box}><style>{_plain_style()}</style>{inner}"


@cache
def _plain_style() -> str:
    """Return the style sheet with its colours filled in: the light ones, and for dark screens the dark ones."""
    tokens, _, rules = style().partition("/* Charts. */")
    pairs = {name: (light.strip(), dark.strip()) for name, light, dark in _TOKEN.findall(tokens)}
    light, dark = (_VARIABLE.sub(partial(_colour, pairs, side), rules) for side in (0, 1))
    coloured = [rule for rule in re.findall(r"[^{}]+\{[^{}]*\}", dark) if "#" in rule]
    text = f"{light}@media (prefers-color-scheme: dark) {{{''.join(coloured)}}}"
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))


def _colour(pairs: Mapping[str, tuple[str, str]], side: int, found: re.Match[str]) -> str:
    return pairs[found[1]][side]
