from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tunewell.reports.charts.plot import apart
from tunewell.reports.charts.svg import element, label, words


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_stays_text(text: str) -> None:
    """Whatever a user writes is one line of text in a well-formed element, and no longer than there is room for."""
    found = ElementTree.fromstring(words(text, 20, class_=text[:5].replace("\x00", "") and "a"))
    assert list(found) == []
    assert len(found.text or "") <= 20
    assert "\n" not in (found.text or "")


def test_attributes_are_escaped() -> None:
    """A quotation mark ends no attribute."""
    found = ElementTree.fromstring(element("path", data_name="\"'><script>", d=None, y=1.25, x=2.0))
    assert found.attrib == {"data-name": "\"'><script>", "y": "1.2", "x": "2"}


def test_texts_that_turn_the_line_around_lose_that() -> None:
    """Characters that change the direction of what follows, or have no width, are left out."""
    assert label("a\u202eb\u200b") == "ab"
    assert label("a\x00b") == "a\N{REPLACEMENT CHARACTER}b"


@given(st.lists(st.floats(0, 200), max_size=8))
def test_labels_do_not_lie_over_each_other(heights: list[float]) -> None:
    """Labels keep their order and a line's distance, and stay within where there is room for them."""
    told = apart(sorted(heights), 200.0)
    assert all(b - a >= 13.99 for a, b in pairwise(told))
    assert all(height <= 200 for height in told)
