from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.reports import examples
from tests.reports.charts.tables import SVG, Drawn
from tunewell.reports import charts
from tunewell.reports.charts import Chart
from tunewell.reports.charts.chart import FRAMES
from tunewell.reports.importance import parameter_importances
from tunewell.reports.table import SearchView
from tunewell.reports.view import ExperimentView, search_view

HOSTILE = [
    "\"'><img src=x onerror=alert(1)></svg><script>alert(2)</script>",
    "]]><!--&amp;&#x22;",
    "\x00\x1b\ud800\u202e\r\n\t",
    "x" * 100_000,
    "",
]


def all_charts(view: ExperimentView) -> list[Chart]:
    """Every chart of an experiment."""
    search = search_view(view)
    found = parameter_importances(search.table)
    half = replace(search, chosen=np.arange(len(search.table)) % 2 == 0)
    return [
        charts.history_over_trials(search),
        charts.history_over_time(search),
        charts.ribbon(search),
        charts.learning_curves(search),
        *metric_curves(search),
        charts.parallel_coordinates(search, found),
        charts.parallel_coordinates(half, found),
        charts.importance(search, found),
        *charts.slices(search, found),
        *charts.contours(search, found),
        charts.outcomes(search),
        charts.timeline(search),
        charts.lineage(search),
    ]


def metric_curves(search: SearchView) -> Iterator[Chart]:
    """Yield the curve of each trial beside that of the best one, if that is another one."""
    best = search.top[0] if search.top else 0
    of_best = search.curves.get(best, {})
    for number, curve in search.curves.items():
        yield charts.metric_curve(search.metric, curve, {} if number == best else of_best, best or None)


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_every_chart_copes_with_every_experiment(make: Callable[[], ExperimentView]) -> None:
    """With one trial, a thousand, none, or none that succeeded, each chart is well-formed or says why it is not there.

    All of them say in words what they show, and have nothing that a strict content security policy refuses.
    """
    for chart in all_charts(make()):
        if chart.svg is None:
            assert chart.caption.endswith(".")
            continue
        root = Drawn(chart).root
        assert root.get("role") == "img" and root.get("aria-label")
        for element in root.iter():
            assert element.tag.removeprefix(SVG) in {"svg", "g", "path", "line", "rect", "text", "tspan", "title"}
            assert not {"style", "id", "href"} & set(element.keys())
            assert not any(name.startswith("on") or "nan" in value for name, value in element.items() if name != "d")
            assert "nan" not in element.get("d", "") and "inf" not in element.get("d", "")


@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "entities", "controls", "long", "empty"])
def test_whatever_users_write_stays_text(text: str) -> None:
    """Text planted in every name and value makes no element and no long text, and charts stay small."""
    plain, hostile = (all_charts(examples.planted(name)) for name in ("plain", text or "\u200b"))
    for one, other in zip(plain, hostile, strict=True):
        assert (one.svg is None) == (other.svg is None)
        if other.svg is not None:
            assert len(list(Drawn(other).root.iter())) <= len(list(Drawn(one).root.iter())) + 2
            assert max(map(len, Drawn(other).texts), default=0) < 120
            assert "<script" not in other.svg


def test_every_class_that_is_drawn_has_a_look() -> None:
    """Each class of a mark stands in the style sheet, so that nothing is drawn black."""
    known = set(re.findall(r"\.([a-z][\w-]*)", charts.style()))
    matrix = charts.confusion_matrix([[3, 1], [0, 4]], ["a", "b"])
    curves = charts.precision_recall({"recall": [0, 1], "mean": [1, 0], "classes": {"a": [1, 0], "b": [1, 1]}})
    drawn = [*all_charts(examples.hand_signs()), *all_charts(examples.population()), matrix, curves]
    drawn.append(charts.calibration([{"probability": 0.1, "present": 0.2, "count": 9}]))
    for chart in drawn:
        for element in Drawn(chart).root.iter() if chart.svg else ():
            kinds = set(element.get("class", "").split()) - {"axis", "halo", "bare", "few", "succeeded", "link", "led"}
            assert kinds <= known, chart.title


def test_the_style_sheet_agrees_with_the_frames() -> None:
    """The room that charts reckon with is the room that pages give them."""
    for name, room in FRAMES.items():
        if any(room):
            (told,) = re.findall(rf"\.chart\.{name} {{ padding: ([^;]+);", charts.style())
            assert tuple(int(side.removesuffix("px")) for side in told.split()) == room


def test_every_colour_is_told_for_light_and_dark() -> None:
    """Rules take their colours from the tokens alone, and each token that they take has both."""
    tokens, rules = charts.style().split("/* Charts. */")
    names = set(re.findall(r"(--[\w-]+): light-dark\(#\w{6}, #\w{6}\);", tokens))
    assert set(re.findall(r"var\((--[\w-]+)\)", rules)) <= names
    assert "#" not in rules


def test_a_chart_for_itself_has_its_styles_within() -> None:
    """A chart saved as a file is complete, has light and dark colours, and says which trial a mark is."""
    chart = charts.history_over_trials(search_view(examples.hand_signs()))
    assert chart.svg is not None
    alone = charts.standalone(chart.svg, "Best <so> far")
    root = ElementTree.fromstring(alone)
    assert root.get("width") == "760" and root.get("viewBox") == f"0 0 760 {root.get('height')}"
    (style,) = root.iter(f"{SVG}style")
    assert "var(" not in str(style.text) and "light-dark" not in str(style.text)
    assert "@media (prefers-color-scheme: dark)" in str(style.text)
    assert {"Best <so> far", "trial 34"} <= {title.text for title in root.iter(f"{SVG}title")}
    assert "Best <so> far" in ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    inner = next(one for one in root if one.get("overflow"))
    top, right, bottom, left = FRAMES["labelled"]
    assert int(str(inner.get("width"))) == 760 - left - right - 32
    assert int(str(inner.get("height"))) == 300 - top - bottom


def test_a_ribbon_as_a_picture() -> None:
    """It is stretched to any width and height, and brings its colours along."""
    ribbon = charts.ribbon(search_view(examples.hand_signs()))
    assert ribbon.svg is not None
    root = ElementTree.fromstring(charts.picture(ribbon.svg))
    assert (root.get("viewBox"), root.get("preserveAspectRatio")) == ("0 0 100 28", "none")
    (style,) = root.iter(f"{SVG}style")
    assert ".strength-6" in str(style.text) and "var(" not in str(style.text)
    assert len([*root.iter(f"{SVG}rect")]) == ribbon.svg.count("<rect")


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_every_chart_can_stand_for_itself(make: Callable[[], ExperimentView]) -> None:
    """Each chart makes a well-formed file."""
    for chart in all_charts(make()):
        if chart.svg is not None:
            ElementTree.fromstring(charts.standalone(chart.svg))
