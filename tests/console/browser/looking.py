"""What every page must be in a browser: accessible, in both colour schemes, and no wider than a phone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: Width of a phone in pixels.
NARROW = 390
#: Colour scheme → which of axe's rules are checked in it: in dark, those about colours.
RULES: Mapping[Literal["light", "dark"], dict[str, Any]] = {
    "light": {},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},
}


def check_looks(page: Page) -> None:
    """Check that axe finds nothing wrong with a page, in light and dark, and that a phone need not scroll sideways."""
    for scheme, rules in RULES.items():
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options=rules)
        assert found.violations_count == 0, f"{page.url}, {scheme}: {found.generate_report()}"
    check_narrow(page)


def drop_picture(page: Page, name: str, data: bytes) -> None:
    """Drop a picture where the page of results takes one."""
    dropped = page.evaluate_handle(
        "([bytes, name]) => { const data = new DataTransfer();"
        " data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' })); return data; }",
        [list(data), name],
    )
    page.dispatch_event("#try .drop", "drop", {"dataTransfer": dropped})


def check_narrow(page: Page) -> None:
    """Check that a phone need not scroll a page sideways."""
    size = page.viewport_size
    page.set_viewport_size({"width": NARROW, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW, page.url
    assert size is not None
    page.set_viewport_size(size)
