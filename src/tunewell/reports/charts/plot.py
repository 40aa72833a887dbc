"""A drawing area with two axes, and the marks that charts are made of.

Across, everything stands at shares of the width, so that a chart is as wide as its place and its texts keep their size;
down, at pixels. Lines and points lie in an inner drawing of 1000 units across, which is stretched; strokes are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tunewell.reports.charts import svg
from tunewell.reports.charts.chart import FRAMES, Frame
from tunewell.reports.charts.scales import Axis
from tunewell.reports.table import Floats

ACROSS = 1000
#: Least distance of two labels under each other, in pixels.
LINE = 14
_SYMBOLS = {
    "star": "M0-8 2.1-2.8 7.6-2.5 3.3 1.1 4.7 6.5 0 3.4-4.7 6.5-3.3 1.1-7.6-2.5-2.1-2.8z",
    "diamond": "M0-6 6 0 0 6-6 0z",
}


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside the end of a line."""

    #: Where the line ends, in pixels from above.
    height: float
    text: str
    style: str


class Plot:
    """A chart while it is drawn."""

    def __init__(self, x: Axis, y: Axis, *, height: int = 300, frame: Frame = "numbers") -> None:
        """Draw into `height` pixels, the frame with its texts included."""
        self.x, self.y = x, y
        self.frame: Frame = frame
        self.height = height
        top, _, bottom, _ = FRAMES[frame]
        self.depth = height - top - bottom
        self._below: list[str] = []
        self._marks: list[str] = []
        self._above: list[str] = []
        self._key: list[str] = []

    def across(self, values: ArrayLike) -> Floats:
        """Return how far to the right values stand, in units of the inner drawing."""
        return ACROSS * self.x.places(values)

    def down(self, values: ArrayLike) -> Floats:
        """Return how far from above values stand, in pixels."""
        return self.depth * (1 - self.y.places(values))

    # Marks, in the order in which they cover each other ----------------------------------------------------

    def points(self, xs: ArrayLike, ys: ArrayLike, style: str, trials: Iterable[int], shape: str = "h0") -> None:
        """Mark trials at points; `shape` is what is drawn from there, as path data."""
        marks = [
            f'<path data-trial="{trial}" d="M{x:.0f} {svg.written(y)}{shape}"/>'
            for x, y, trial in zip(self.across(xs).tolist(), self.down(ys).tolist(), trials, strict=True)
        ]
        if marks:
            self._marks.append(svg.element("g", *marks, class_=f"points {style}"))

    def ticks_below(self, xs: ArrayLike, style: str, trials: Iterable[int]) -> None:
        """Mark trials that have no value at the lower edge."""
        marks = [
            f'<path data-trial="{trial}" d="M{x:.0f} {self.depth}v-9"/>'
            for x, trial in zip(self.across(xs).tolist(), trials, strict=True)
        ]
        if marks:
            self._marks.append(svg.element("g", *marks, class_=f"rug {style}"))

    def line(
        self,
        xs: ArrayLike,
        ys: ArrayLike,
        style: str,
        *,
        stepped: bool = False,
        trial: int | None = None,
        told: str = "",
    ) -> None:
        """Draw a line through points; `stepped`: at the height of the last one up to the next; `told` on hover."""
        join = svg.steps if stepped else svg.path
        data = join(self.across(xs).tolist(), self.down(ys).tolist())
        inner = svg.title(told) if told else ""
        self._marks.append(svg.element("path", inner, class_=style, data_trial=trial, d=data))

    def mark(self, content: str) -> None:
        """Add markup to the inner drawing."""
        self._marks.append(content)

    def symbol(self, kind: str, x: float, y: float, style: str, trial: int) -> None:
        """Mark one trial by a `star` or a `diamond`, over everything else."""
        shape = svg.element("path", class_=style, data_trial=trial, d=_SYMBOLS[kind])
        place = svg.percent(self.x.place(x))
        height = float(self.down(y))
        self._above.append(svg.element("svg", shape, x=place, y=height, overflow="visible"))

    def level(self, y: float, style: str) -> None:
        """Draw a horizontal line."""
        height = float(self.down(y))
        self._below.append(svg.element("line", class_=f"level {style}", x2="100%", y1=height, y2=height))

    def ends(self, labels: Sequence[Label]) -> None:
        """Write labels to the right of the drawing area, at the heights of their lines, none over another."""
        ordered = sorted(labels, key=lambda one: one.height)
        for one, height in zip(ordered, apart([one.height for one in ordered], self.depth), strict=True):
            self._above.append(svg.words(one.text, 24, class_=one.style, x="100%", y=height, dx=8, dy=4))

    def below(self, content: str) -> None:
        """Add markup under all marks."""
        self._below.append(content)

    def above(self, content: str) -> None:
        """Add markup over all marks."""
        self._above.append(content)

    def key(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Explain marks over the drawing area, each as (glyph, style, text)."""
        self._key = [f"{svg.element('tspan', glyph, class_=style)} {text}" for glyph, style, text in entries]

    def shades(self, amount: int) -> None:
        """Explain shades, from the worst to the best."""
        glyphs = [svg.element("tspan", "■", class_=f"strength-{shade}") for shade in range(amount)]
        self._key = [f"worse {''.join(glyphs)} better"]

    # ---------------------------------------------------------------------------------------------------------

    def render(self, facts: str, *, wide: bool = False, axes: bool = True) -> str:
        """Return the chart; `facts` says in words what it shows, for those who don't see it.

        `wide`: it is scrolled sideways where there is little room.
        """
        inner = inner_drawing(self.depth, *self._marks) if self._marks else ""
        parts = [*(self._grid() if axes else ()), *self._below, inner, *self._above]
        return drawing(self.frame, self.height, facts, *parts, wide=wide)

    def _grid(self) -> Iterable[str]:
        """Yield lines and texts of both axes."""
        for tick in self.y.ticks:
            height = self.depth * (1 - tick.place)
            yield svg.element("line", class_="grid", x2="100%", y1=height, y2=height)
            yield svg.words(tick.text, 14, x="0", y=height, dx=-8, dy=4, text_anchor="end")
        # In one text, so that the key begins where the title ends.
        heading = [svg.element("tspan", svg.escaped(self.y.title, 28), class_="axis-title")] if self.y.title else []
        told = "\N{EM SPACE}".join([*heading, *self._key])
        yield svg.element("text", told, x="0", dx=-FRAMES[self.frame][3], y=-14) if told else ""
        yield svg.element("line", class_="base", x2="100%", y1=self.depth, y2=self.depth)
        for tick in self.x.ticks:
            style = "spare" if tick.spare else None
            place = svg.percent(tick.place)
            yield svg.words(tick.text, 14, class_=style, x=place, y=self.depth + 18, text_anchor="middle")
        if self.x.title:
            yield svg.words(self.x.title, 28, class_="axis-title", x="100%", y=self.depth + 36, text_anchor="end")


def drawing(frame: Frame, height: int, facts: str, *parts: str, wide: bool = False, role: str = "img") -> str:
    """Return the element of a whole chart."""
    return svg.element(
        "svg",
        *parts,
        xmlns=svg.NAMESPACE,
        class_=f"chart {frame}{' wide' if wide else ''}",
        width="100%",
        height=height,
        role=role,
        aria_label=svg.label(facts, 400),
    )


def inner_drawing(depth: int, *marks: str, **attributes: object) -> str:
    """Return a drawing of `ACROSS` units across and pixels down, stretched to the width that there is."""
    size = {"viewBox": f"0 0 {ACROSS} {depth}", "preserveAspectRatio": "none", "width": "100%", "height": depth}
    return svg.element("svg", *marks, **size, overflow="visible", **attributes)


def apart(heights: Sequence[float], depth: float) -> list[float]:
    """Return ascending heights moved as little as needed to be a line apart, within `depth` if they fit."""
    told: list[float] = []
    for height in heights:
        told.append(max(height, told[-1] + LINE) if told else height)
    limit = depth
    for place in range(len(told) - 1, -1, -1):
        told[place] = min(told[place], limit)
        limit = told[place] - LINE
    return told


def evenly(amount: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return at most `most` places of `amount` evenly, the first and the last among them."""
    if amount <= most:
        return np.arange(amount, dtype=np.int64)
    return np.unique(np.linspace(0, amount - 1, most).round().astype(np.int64))
