"""From results to a model in use: published, tried on a dropped picture, rolled back, compared, deleted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.console import looks
from tests.console.browser.conftest import Troubles
from tests.console.browser.looking import check_looks, drop_picture
from tests.console.browser.site import Site
from tests.service.published import SPEC, add_trial, picture
from tunewell.service.service import Service
from tunewell.serving.contract import Limits
from tunewell.serving.pool import Pool


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over a home with a search that has left two models, which can be asked."""
    with Service(tmp_path_factory.mktemp("models") / "home") as service:
        service.create(SPEC)
        for number in (1, 2):
            add_trial(service, number, 1 - number / 10, real=True)
        looks.end(service, "e")
        with Pool(service.home.models, Limits()) as service.asks:
            one = Site(service)
            yield one
            one.stop()


def test_from_a_search_to_a_model_in_use(page: Page, site: Site, troubles: Troubles) -> None:
    """Published in a dialog, tried at once, rolled back and forth with an undo, compared, deleted."""
    troubles.expect("422")  # a wrong name, and what is no picture
    for trial, note in (("1", "the first"), ("2", "")):
        page.goto("/experiments/owner~e/results")
        page.get_by_role("button", name="Publish…").click()
        dialog = page.locator("#publish")
        dialog.get_by_label("Name").fill("a b")
        dialog.get_by_role("button", name="Publish").click()
        expect(dialog.locator("[data-wrong]")).to_contain_text("no name for a model")
        dialog.get_by_label("Name").fill("signs")
        dialog.locator("[name=trial]").select_option(trial)
        dialog.get_by_label("Note").fill(note)
        dialog.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("signs")
    expect(page.locator("#said")).to_contain_text("signs has a version 2, which is the current one.")

    drop_picture(page, "my cat.png", picture(3).content)
    answer = page.locator("[data-answer]")
    expect(answer.locator(".guesses li")).to_have_count(3)
    expect(answer).to_contain_text("my cat.png")
    expect(answer).to_contain_text("Version 2 took")
    assert answer.locator("image").get_attribute("href").startswith("blob:")  # type: ignore[union-attr]
    check_looks(page)

    page.get_by_role("button", name="Make current: version 1").click()
    expect(page.locator("#v-1 .label")).to_have_text("current")
    expect(page.locator("#said")).to_contain_text("Version 1 is the current one.")
    expect(answer).to_contain_text("Version 2 took")  # what was said stays while the page lives
    page.locator("#said").get_by_role("button", name="Undo").click()
    expect(page.locator("#v-2 .label")).to_have_text("current")
    site.service.use_model_version("signs", 1)
    expect(page.locator("#v-1 .label")).to_have_text("current")

    drop_picture(page, "broken.png", b"no picture")
    expect(answer).to_contain_text("broken.png: it can't be read")
    page.get_by_role("button", name="Add a note of version 2").click()
    page.locator("#note-2").get_by_label("Note").fill("worse at night")
    page.locator("#note-2").get_by_role("button", name="Save").click()
    expect(page.locator("#v-2")).to_contain_text("worse at night")

    for number in (1, 2):
        page.get_by_label(f"Compare version {number}").check()
    page.get_by_role("button", name="Compare those chosen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare models")
    expect(page.locator("table")).to_contain_text("of the trial, on validation")
    check_looks(page)

    page.goto("/models/owner~signs")
    page.get_by_role("button", name="Delete version 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#v-2")).to_have_count(0)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.locator("#said").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="signs")).to_be_visible()
