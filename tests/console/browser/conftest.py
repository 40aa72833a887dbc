"""A real browser before a real server. Without Chromium, these tests are skipped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.console import looks
from tests.console.browser.site import Site
from tests.console.serving import session_of
from tunewell.api.visits import COOKIE
from tunewell.service.service import Service

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: No wait takes longer, in milliseconds: a busy machine computes slowly.
PATIENCE = 30_000


# These live as long as the package, not as the session: while Playwright runs, no other event loop does in its thread.


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Chromium."""
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over a home with searches in every state (see `looks`), `running` among them."""
    with Service(tmp_path_factory.mktemp("site") / "home") as service:
        for name, role in (("ada", "user"), ("ben", "user"), ("vic", "viewer")):
            service.add_user(name, {"role": role, "run_code": role == "user"})
        looks.fill(service)
        with service.home.lock("running"), service.home.lock("paused"):
            one = Site(service)
            yield one
            one.stop()


class Troubles:
    """What a browser complains of: scripts that fail, what the policy forbids, what could not be loaded."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._expected: list[str] = []

    def expect(self, pattern: str) -> None:
        """Let the test have brought about what matches."""
        self._expected.append(pattern)

    def watch(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._found.append(f"{error}"))

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self._found.append(f"{said.text} {said.location['url']}")

    @property
    def unexpected(self) -> list[str]:
        """What the test has not brought about."""
        return [one for one in self._found if not any(re.search(pattern, one) for pattern in self._expected)]


@pytest.fixture
def troubles() -> Iterator[Troubles]:
    """What the browser complains of, which must be nothing at the end of the test."""
    found = Troubles()
    yield found
    assert found.unexpected == []


OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def context_of(chromium: Browser, site: Site, troubles: Troubles) -> Iterator[OpenContext]:
    """What makes browsers of users (None: of nobody) who are signed in."""
    made = []

    def make(name: str | None = "owner", **options: Any) -> BrowserContext:
        context = chromium.new_context(
            base_url=site.address, **{"viewport": {"width": 1400, "height": 900}, "locale": "en-GB", **options}
        )
        context.set_default_timeout(PATIENCE)
        context.on("page", troubles.watch)
        if name is not None:
            context.add_cookies([{"name": COOKIE, "value": session_of(site.service, name), "url": site.address}])
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(context_of: OpenContext) -> Page:
    """A tab of the administrator's browser."""
    return context_of().new_page()
