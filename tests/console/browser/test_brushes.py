"""Ranges dragged along the axes of the parallel coordinates choose trials: of the table, the count, the address."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console import looks
from tests.console.browser.site import Site
from tunewell.service.types import Range, TrialFilter

SEARCH = "/experiments/owner~many"


@pytest.fixture
def chart(page: Page) -> Locator:
    """The chart of a search with many trials."""
    page.goto(SEARCH)
    page.evaluate("document.body.dataset.untouched = 'yes'")
    return page.locator(".chart.parallel")


def drag(page: Page, chart: Locator, parameter: str, low: float, high: float) -> None:
    """Drag from one share of an axis' length to another, counted from its lower end."""
    base = chart.locator(f".axis[data-parameter='{parameter}'] line.base")
    chart.scroll_into_view_if_needed()
    box = base.bounding_box()
    assert box is not None
    across = box["x"] + box["width"] / 2
    page.mouse.move(across, box["y"] + box["height"] * (1 - low))
    page.mouse.down()
    page.mouse.move(across, box["y"] + box["height"] * (1 - (low + high) / 2), steps=3)
    page.mouse.move(across, box["y"] + box["height"] * (1 - high), steps=3)
    page.mouse.up()


def chosen(page: Page, name: str) -> str:
    """Return what the address says of a range."""
    return parse_qs(urlsplit(page.url).query)[f"in.{name}"][0]


def matching(site: Site, name: str, condition: Range | tuple[str, ...]) -> int:
    """Return how many trials have a value in a range, or one of some."""
    return site.service.trials("many", filter=TrialFilter(within={name: condition})).count


def test_a_range_of_numbers(page: Page, chart: Locator, site: Site) -> None:
    """The table has exactly the trials whose values lie in the range; other lines fade; Back lets them in again."""
    drag(page, chart, "learning_rate", 0.25, 0.6)
    expect(page).to_have_url(re.compile(r"in\.learning_rate="))
    low, high = map(float, chosen(page, "learning_rate").split(".."))
    count = matching(site, "learning_rate", Range(low=low, high=high))
    total = site.service.trials("many").count
    assert 0 < count < total
    heading = page.locator("#trials header")
    expect(heading).to_contain_text(f"{count} of {total} match")
    expect(chart.locator(".axis .brush")).to_have_count(1)
    page.go_back()
    expect(heading).not_to_contain_text("match")
    expect(chart.locator(".axis .brush")).to_have_count(0)
    page.go_forward()
    expect(heading).to_contain_text(f"{count} of {total} match")
    page.reload()
    expect(heading).to_contain_text(f"{count} of {total} match")
    expect(chart.locator(".axis .brush")).to_have_count(1)
    page.get_by_role("link", name="Show all").first.click()
    expect(heading).not_to_contain_text("match")


def test_choices(page: Page, chart: Locator, site: Site) -> None:
    """Choices whose places the range covers are chosen; a second range narrows further; each has a tag to undo it."""
    drag(page, chart, "optimizer", 0.05, 0.3)
    expect(page).to_have_url(re.compile(r"in\.optimizer=sgd$"))
    count = matching(site, "optimizer", ("sgd",))
    heading = page.locator("#trials header")
    expect(heading).to_contain_text(f"{count} of ")
    drag(page, chart, "layers", 0.0, 0.4)
    expect(page).to_have_url(re.compile(r"in\.layers="))
    expect(page.get_by_label(re.compile("Remove the filter"))).to_have_count(2)
    page.get_by_label(re.compile("Remove the filter layers")).click()
    expect(heading).to_contain_text(f"{count} of ")
    assert page.evaluate("document.body.dataset.untouched") == "yes"


def test_by_keyboard(page: Page, chart: Locator) -> None:
    """Arrows move the ends of a range, Escape lets it go, and the axis keeps the focus."""
    reach = chart.get_by_role("slider", name=re.compile("Range of layers"))
    reach.focus()
    page.keyboard.press("ArrowUp")
    expect(page).to_have_url(re.compile(r"in\.layers=[\d.]+\.\.$"))
    page.keyboard.press("Shift+ArrowDown")
    expect(page).to_have_url(re.compile(r"in\.layers=[\d.]+\.\.[\d.]+$"))
    expect(reach).to_be_focused()
    for _ in range(6):  # quicker than the service answers
        page.keyboard.press("ArrowUp")
    expect(page).to_have_url(re.compile(r"in\.layers=3\.3\.\.8\.1$"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(SEARCH + r"$"))


def test_lines_fade_while_one_drags(page: Page, chart: Locator) -> None:
    """Before the mouse is let go, the lines outside of the range are faint already; nothing is asked yet."""
    base = chart.locator(".axis[data-parameter='layers'] line.base")
    chart.scroll_into_view_if_needed()
    box = base.bounding_box()
    assert box is not None
    page.mouse.move(box["x"], box["y"] + box["height"] - 1)
    page.mouse.down()
    page.mouse.move(box["x"], box["y"] + box["height"] / 2, steps=4)
    out = chart.locator(".lines path.out")
    expect(out.first).to_be_attached()
    assert out.count() < chart.locator(".lines path").count()
    assert "in." not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"in\.layers="))


def test_over_the_largest_numbers(page: Page, site: Site) -> None:
    """Where the values of a search lie further apart than a number can tell, a range has ends all the same."""
    site.service.create(looks.spec("huge"))
    for number, value in ((1, 1e308), (2, -1e308), (3, 0.5), (4, 2.0)):
        looks.start_trial(site.service, "huge", number)
        looks.report(site.service, "huge", number, {"accuracy": value})
        looks.end_trial(site.service, "huge", number, value)
    page.goto("/experiments/owner~huge")
    drag(page, page.locator(".chart.parallel"), "accuracy", 0.5, 0.9)
    expect(page).to_have_url(re.compile(r"in\.value="))
    assert "Infinity" not in page.url and "NaN" not in page.url
    expect(page.locator("#trials header")).to_contain_text("of 4 match")
