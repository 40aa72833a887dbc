"""The settings in a browser: a token that is made, used and revoked; somebody who is added and comes in by a link."""

from __future__ import annotations

import re

import httpx2
from playwright.sync_api import Page, expect

from tests.console.browser.conftest import OpenContext, Troubles
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site


def test_a_token_is_made_shown_once_and_revoked(context_of: OpenContext, site: Site) -> None:
    """It can be copied, is gone after a reload that makes no other one, and proves nothing once it is revoked."""
    context = context_of("ben", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/settings/tokens")
    page.get_by_label("What it is for").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    told = page.locator(".secret .code")
    expect(told).to_have_text(re.compile("tw_"))
    secret = told.inner_text()
    check_looks(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert secret not in page.evaluate("JSON.stringify([location.href, history.state, {...sessionStorage}])")
    whose = f"{site.address}/api/v1/me"
    assert httpx2.get(whose, headers={"Authorization": f"Bearer {secret}"}).json()["name"] == "ben"
    page.reload()
    expect(page.get_by_role("row", name="laptop")).to_have_count(1)
    expect(page.locator(".secret")).to_have_count(0)
    assert secret not in page.content()
    page.get_by_role("row", name="laptop").get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Revoke laptop?")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="laptop")).to_have_count(0)
    assert httpx2.get(whose, headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_somebody_is_added_and_opens_the_link(
    page: Page, context_of: OpenContext, site: Site, troubles: Troubles
) -> None:
    """What is wrong stands at its field; then the link is shown once, and leads in another browser to the console."""
    troubles.expect("422")
    page.goto("/settings/people")
    page.get_by_label("Name", exact=True).fill("Zoë")
    page.get_by_label("Weight").fill("2")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Weight")).to_have_value("2")
    check_looks(page)
    page.get_by_label("Name", exact=True).fill("zoe")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("zoe")
    link = page.locator(".secret .code").inner_text()
    check_looks(page)
    theirs = context_of(None).new_page()
    theirs.goto(link)
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.get_by_label("zoe: menu")).to_be_visible()
    page.reload()
    expect(page.locator(".secret")).to_have_count(0)
    assert site.service.user("zoe").weight == 2


def test_what_somebody_may_is_changed(page: Page, site: Site, troubles: Troubles) -> None:
    """What is wrong stands in the form, at its field; what is changed is said, and shutting out can be undone."""
    troubles.expect("422")
    site.service.add_user("kim")
    page.goto("/settings/people/kim")
    page.get_by_label("GPUs at once").fill("many")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("GPUs at once")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-wrong]")).to_contain_text("GPUs at once:")
    page.get_by_label("GPUs at once").fill("2")
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#said")).to_contain_text("Changed.")
    assert site.service.user("kim").quota == {"gpus": 2}
    page.get_by_role("button", name="Shut out").click()
    page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
    expect(page.get_by_role("heading", name="Shut out")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="May come in")).to_be_visible()
