"""Comparing searches in a browser: chosen from the list, drawn over trials or time, told live."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.console import looks
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site


def test_searches_are_chosen_in_the_list_and_compared(page: Page, site: Site) -> None:
    """Two are ticked and compared; the other chart is a click away, a third joins, and one is left out again."""
    page.goto("/")
    expect(page.get_by_role("button", name="Compare")).to_be_hidden()
    page.get_by_label("Choose many to compare").check()
    page.get_by_label("Choose few to compare").check()
    check_looks(page)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare")
    expect(page.locator("thead th")).to_have_count(2)
    check_looks(page)
    page.get_by_role("link", name="over time").click()
    expect(page.get_by_role("heading", name="Progress over time")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Show .* the same")).click()
    expect(page.get_by_role("rowheader", name="seed", exact=True)).to_be_visible()
    assert page.url.endswith("over=time&fields=all")
    page.get_by_role("link", name="Choose others").click()
    expect(page.locator("input[value='owner~few']")).to_be_checked()
    page.locator("input[value='owner~running']").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("thead th")).to_have_count(3)
    page.get_by_role("link", name="Leave out many").click()
    expect(page.locator("thead th")).to_have_count(2)
    expect(page.locator("thead")).not_to_contain_text("many")


def test_a_comparison_is_live(page: Page, site: Site) -> None:
    """What comes of a search is seen beside the other without a reload."""
    site.service.create(looks.spec("later"))
    page.goto("/compare?e=owner~few&e=owner~later")
    expect(page.locator("#connection")).to_have_text("live")
    looks.trials(site.service, "later", 5)
    expect(page.get_by_role("row", name="best value")).to_contain_text(re.compile("best$"))
