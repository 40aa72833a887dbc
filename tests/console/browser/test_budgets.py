"""What a page of 10,000 trials may have sent. What it costs the browser in time, `benchmarks/console.py` measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.console.browser.conftest import PATIENCE
from tests.console.browser.site import Site
from tests.console.serving import session_of
from tests.store.many_trials import fill
from tunewell.api.visits import COOKIE
from tunewell.service.service import Service

BYTES = 250_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server over a home with a large search."""
    with Service(tmp_path / "home") as service:
        fill(service.store, "large", 10_000)
        one = Site(service)
        yield one
        one.stop()


def test_a_page_of_ten_thousand_trials(site: Site, chromium: Browser) -> None:
    """With nothing in the browser's cache, all that comes is small."""
    with chromium.new_context(base_url=site.address, viewport={"width": 1400, "height": 900}) as context:
        context.add_cookies([{"name": COOKIE, "value": session_of(site.service, "owner"), "url": site.address}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        received: list[float] = []
        devtools.on("Network.loadingFinished", lambda one: received.append(one["encodedDataLength"]))
        page.goto("/experiments/owner~large")
        expect(page.locator("#connection")).to_have_text("live")
        assert page.locator("svg.chart").count() > 5 and page.locator("#trials tbody tr").count() >= 25
    assert len(received) > 5 and sum(received) <= BYTES
