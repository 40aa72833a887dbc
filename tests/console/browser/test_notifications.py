"""Notifications in a browser: a host is allowed, a webhook added and tested, and removed again."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.console.browser.conftest import Troubles
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site
from tests.service.notifications.receiving import receiving


def test_the_life_of_a_webhook(page: Page, site: Site, troubles: Troubles) -> None:
    """Refused at its field, allowed, added with a secret that is shown once, tested, switched off and on, removed."""
    troubles.expect("403 .*/settings/notifications")
    with receiving() as receiver:
        page.goto("/")
        page.get_by_label("owner: menu").click()
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Settings").get_by_role("link", name="Notifications").click()
        form = page.locator("form.told").last
        form.get_by_label("Sent to").select_option("json")
        form.get_by_label("URL, or mail address").fill(receiver.url("/hook"))
        form.get_by_label("Name of it").fill("my robot")
        form.get_by_role("button", name="Add").click()
        expect(form).to_contain_text("is not allowed: nothing is sent there.")
        expect(form.get_by_label("URL, or mail address")).to_have_value(receiver.url("/hook"))
        check_looks(page)
        host = page.locator(".host-form")
        host.get_by_label("Host").fill("127.0.0.1")
        host.get_by_label("Port").fill(str(receiver.port))
        host.get_by_label("plain http").check()
        host.get_by_label("addresses of our own network").check()
        host.get_by_role("button", name="Allow").click()
        expect(page.locator(".hosts li")).to_contain_text([re.compile(rf"127\.0\.0\.1:{receiver.port}")])
        form.get_by_role("button", name="Add").click()
        expect(page.locator(".secret .code")).to_have_text(re.compile("whsec_"))
        check_looks(page)
        line = page.locator("li", has_text="my robot")
        line.get_by_role("button", name="Send a test").click()
        expect(page.locator("#said")).to_have_text("The test message was delivered.")
        assert len(receiver.at("/hook")) == 1
        expect(line).to_contain_text("delivered")
        line.get_by_role("button", name="Switch off").click()
        page.locator("#said").get_by_role("button", name="Undo").click()
        expect(line.get_by_role("button", name="Send a test")).to_be_visible()
        line.get_by_role("button", name="Change").click()
        sheet = line.locator("form.dialog")
        sheet.get_by_label("A search has failed").check()
        sheet.get_by_role("button", name="Save").click()
        expect(line).to_contain_text("ended, failed")
        line.get_by_role("link", name="All deliveries").click()
        expect(page.locator("table.deliveries tbody tr")).to_have_count(1)
        check_looks(page)
        page.wait_for_load_state()
        page.go_back()
        line.get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(line).to_have_count(0)
        assert not [one for one in site.service.channels() if one.label == "my robot"]
