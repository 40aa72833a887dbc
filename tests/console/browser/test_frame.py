"""What happens on the way to a page and while it stands there: signing in, looking on, going back, a server that goes.

Tests wait for what a page shows, never for time to pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.console import looks
from tests.console.browser.conftest import OpenContext, Troubles
from tests.console.browser.site import Site
from tunewell.service.service import Service

ELSEWHERE = "http://elsewhere.example/"


@contextmanager
def search(service: Service, name: str, trials: int) -> Iterator[None]:
    """Give a search that runs, with trials that have ended and one more that runs."""
    service.create(looks.spec(name))
    looks.trials(service, name, trials)
    looks.begin(service, name)
    looks.start_trial(service, name, trials + 1)
    with service.home.lock(name):
        yield


def live(page: Page) -> None:
    """Wait until a page hears of changes."""
    expect(page.locator("#connection")).to_have_text("live")


# Signing in and out -----------------------------------------------------------------------------------------


def test_a_link_signs_in(context_of: OpenContext, site: Site) -> None:
    """Who follows a sign-in link and presses the button, is in; the link is good for nothing any more."""
    page, link = context_of(None).new_page(), site.link("ada")
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
    assert page.url == f"{site.address}/"
    expect(page.get_by_label("ada: menu")).to_be_visible()


def test_a_link_from_elsewhere_leads_to_the_page(context_of: OpenContext, site: Site) -> None:
    """A link in a mail or chat shows the page at once to whoever is signed in."""
    page = context_of("owner").new_page()
    _come_from_elsewhere(page, f"{site.address}/experiments/owner~few?a=b")
    expect(page.get_by_role("heading", level=1)).to_contain_text("few")
    assert page.url.endswith("/experiments/owner~few?a=b")


def test_a_link_from_elsewhere_leads_to_the_page_after_the_sign_in(context_of: OpenContext, site: Site) -> None:
    """Whoever is not signed in gets there by the sign-in; markup in the address stays part of it."""
    page = context_of(None).new_page()
    _come_from_elsewhere(page, f"{site.address}/?search=few&project=%22%3E%3Cb%3E")
    page.get_by_label("Sign-in link").fill(site.link())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("searchbox")).to_have_value("few")
    assert page.url == f"{site.address}/?search=few&project=%22%3E%3Cb%3E"


def _come_from_elsewhere(page: Page, address: str) -> None:
    link = f'<a href="{address.replace("&", "&amp;")}">there</a>'
    page.route(f"{ELSEWHERE}**", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(ELSEWHERE)
    page.get_by_text("there").click()


def test_signing_out(context_of: OpenContext, site: Site, troubles: Troubles) -> None:
    """Who signs out is out: Back shows no page any more."""
    troubles.expect("401")
    page = context_of("ada").new_page()
    page.goto("/experiments/ada~secret")
    page.get_by_label("ada: menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")  # whole: before that, the browser may still take the page before for this one
    page.go_back()
    page.wait_for_url("**/sign-in?next=*secret")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.get_by_text("secret").count() == 0


def test_signing_out_while_the_page_looks(context_of: OpenContext, troubles: Troubles) -> None:
    """The page of the sign-in follows, even if the old page hears sooner that nobody is signed in any more."""
    troubles.expect("401")
    page = context_of("ada").new_page()
    looking: list[Route] = []
    leaving: list[tuple[Route, APIResponse]] = []

    def look(route: Route) -> None:
        if "x-have" in route.request.headers:
            looking.append(route)
        else:
            route.continue_()

    def leave(route: Route) -> None:
        leaving.append((route, route.fetch(max_redirects=0)))
        looking[0].continue_()

    page.route("**/ada~secret", look)
    page.route("**/sign-out", leave)
    with page.expect_request(lambda request: "x-have" in request.headers):
        page.goto("/experiments/ada~secret")
    page.get_by_label("ada: menu").click()
    with page.expect_response(lambda answer: answer.status == 401):
        page.get_by_role("button", name="Sign out").dispatch_event("click")
    ((route, answer),) = leaving
    route.fulfill(response=answer)
    page.wait_for_url("**/sign-in")


# Looking on -------------------------------------------------------------------------------------------------


def test_a_page_follows_a_search(page: Page, site: Site) -> None:
    """What happens to a search is seen without a reload, and nobody loses the place, the focus or a selection."""
    with search(site.service, "live", trials=40):
        page.set_viewport_size({"width": 1400, "height": 500})
        page.goto("/experiments/owner~live")
        live(page)
        page.get_by_role("link", name="30", exact=True).focus()
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#t31 td'))")
        told = "[scrollY, document.activeElement.textContent, `${getSelection()}`]"
        before = page.evaluate(told)
        assert before[0] > 0
        assert before[1] == "30"
        assert before[2]
        looks.end_trial(site.service, "live", 41, 0.9999)
        expect(page.locator("main")).to_contain_text("0.9999")
        looks.start_trial(site.service, "live", 42)  # a new row above
        expect(page.locator("#t42")).to_be_attached()
        after = page.evaluate(told)
        assert after[1:] == before[1:]
        assert page.get_by_role("link", name="30", exact=True).is_visible()


def test_what_is_typed_stays(page: Page, site: Site) -> None:
    """While somebody types into the search of the list, changes come in, and the text and its caret stay."""
    with search(site.service, "typing", trials=2):
        page.goto("/")
        live(page)
        page.get_by_role("searchbox").press_sequentially("typ")
        page.keyboard.press("ArrowLeft")
        looks.end_trial(site.service, "typing", 3, 0.9998)
        expect(page.locator("main")).to_contain_text("0.9998")
        page.keyboard.type("i")
        expect(page.get_by_role("searchbox")).to_have_value("tyip")


def test_projects_and_tags_narrow_the_list(page: Page, site: Site) -> None:
    """Each click narrows further, what is typed comes to it, and each filter goes again by itself."""
    for name, tags in (("tagged-one", ["first tag", "second"]), ("tagged-two", ["first tag"])):
        site.service.create(looks.spec(name, project="narrow", tags=tags))
    page.goto("/")
    for link, address in (("narrow", r"project=narrow$"), ("first tag", r"tag=first\+tag$"), ("second", "tag=second$")):
        page.get_by_role("link", name=link, exact=True).first.click()
        expect(page).to_have_url(re.compile(address))
        expect(page.get_by_role("link", name="tagged-one")).to_be_visible()
        expect(page.locator(".tag.chosen", has_text=link)).to_be_visible()
    expect(page.get_by_role("link", name="tagged-two")).to_have_count(0)
    page.get_by_role("searchbox").fill("tagged")
    expect(page).to_have_url(re.compile(r"/\?search=tagged&project=narrow&tag=first\+tag&tag=second$"))
    page.get_by_label("Remove the filter on the tag first tag").click()
    expect(page).to_have_url(re.compile(r"/\?search=tagged&project=narrow&tag=second$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"tag=first\+tag&tag=second$"))
    expect(page.locator(".tag.chosen", has_text="first tag")).to_be_visible()
    page.get_by_role("searchbox").fill("tagged-")
    expect(page).to_have_url(re.compile(r"/\?search=tagged-&project=narrow&tag=first\+tag&tag=second$"))


def test_back_after_filtering(page: Page) -> None:
    """A filter is an address; Back shows the list of before, and what was chosen there."""
    page.goto("/")
    page.get_by_role("searchbox").fill("man")
    expect(page.get_by_role("link", name="few")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/\?search=man$"))
    page.get_by_label("failed").check(force=True)
    expect(page.get_by_text("No experiment matches")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="many")).to_be_visible()
    expect(page.get_by_label("all", exact=True)).to_be_checked()
    expect(page.get_by_role("searchbox")).to_have_value("man")
    page.go_back()
    expect(page.get_by_role("link", name="few")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.go_forward()
    expect(page.get_by_role("searchbox")).to_have_value("man")
    page.reload()
    expect(page.get_by_role("link", name="few")).to_have_count(0)
    page.get_by_role("searchbox").fill("nothing is called so")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("link", name="few")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_what_is_typed_right_after_back_stays(page: Page) -> None:
    """Back fills the forms at once, and what is typed before the page is there comes to it, and is looked for."""
    page.goto("/")
    page.get_by_role("searchbox").fill("few")
    expect(page).to_have_url(re.compile(r"/\?search=few$"))
    page.get_by_label("failed").check(force=True)
    expect(page).to_have_url(re.compile(r"state=failed"))

    def type_meanwhile(route: Route) -> None:
        expect(page.get_by_label("all", exact=True)).to_be_checked()
        page.get_by_role("searchbox").fill("many")
        route.continue_()

    page.route(re.compile(r"/\?search=few$"), type_meanwhile)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/\?search=many$"))
    expect(page.get_by_role("searchbox")).to_have_value("many")
    expect(page.get_by_role("link", name="many")).to_be_visible()


def test_the_list_is_sorted(page: Page) -> None:
    """The order of the list is chosen, stands in the address, and stays with a filter."""
    page.goto("/")
    page.get_by_label("Order").select_option("by name")
    expect(page).to_have_url(re.compile(r"/\?sort=name$"))
    names = page.locator(".list .cover")
    expect(names.first).to_have_text(re.compile("^a-search"))
    page.get_by_label("ended", exact=True).check(force=True)
    expect(page).to_have_url(re.compile("state=ended.*sort=name"))
    shown = names.all_text_contents()
    assert shown == sorted(shown)
    page.reload()
    expect(page.get_by_label("Order")).to_have_value("name")


def test_a_filter_is_taken_away(page: Page) -> None:
    """An owner is a filter that is seen, goes at a click, and does not come back with the next word."""
    page.goto("/")
    page.locator("a[href*='owner=']").first.click()
    expect(page).to_have_url(re.compile("owner="))
    page.get_by_label("Remove the filter on owner").click()
    expect(page.get_by_label("Remove the filter on owner")).to_have_count(0)
    page.get_by_role("searchbox").fill("man")
    expect(page).to_have_url(re.compile(r"/\?search=man$"))
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Remove the filter on owner")).to_be_visible()


def test_an_action_can_be_undone(page: Page, site: Site) -> None:
    """A button has it done without leaving the page, says what was done, and takes it back."""
    service = site.service
    service.create(looks.spec("acting"))
    looks.begin(service, "acting")
    with service.home.lock("acting"):
        page.goto("/experiments/owner~acting")
        page.get_by_role("button", name="Pause").click()
        said = page.locator("#said")
        expect(said).to_contain_text("acting is paused.")
        assert [one.verb for one in service.store.requests("acting")] == ["pause"]
        said.get_by_role("button", name="Resume").click()
        expect(said).to_contain_text("acting goes on.")
        assert [one.verb for one in service.store.requests("acting")] == ["pause", "resume"]


def test_a_dialog_says_what_is_wrong_by_its_labels(page: Page, site: Site, troubles: Troubles) -> None:
    """Errors stand in the dialog, at the fields they are about, by the names that it gives them; and once only."""
    troubles.expect("422")
    site.service.create(looks.spec("limits"))
    page.goto("/experiments/owner~limits")
    page.get_by_role("button", name="Limits").click()
    dialog = page.locator("#budget")
    dialog.get_by_label("At once").fill("0")
    dialog.get_by_label("Longest time").fill("soon")
    dialog.get_by_role("button", name="Change").click()
    wrong = dialog.locator("[data-wrong]")
    expect(wrong).to_contain_text("At once: ")
    expect(wrong).to_contain_text("Longest time: ")
    expect(wrong).not_to_contain_text("max_concurrency:")
    expect(dialog.locator("[aria-invalid]")).to_have_count(2)
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Limits").click()
    expect(wrong).to_have_text("")
    expect(dialog.locator("[aria-invalid]")).to_have_count(0)


def test_a_dialog_changes_what_somebody_has_changed(page: Page, site: Site) -> None:
    """What others have changed meanwhile stays; opened again, the dialog shows it; without a change nothing is one."""
    service = site.service
    service.create(looks.spec("shared-limits", max_failed_trials=3))
    page.goto("/experiments/owner~shared-limits")
    live(page)
    dialog, said = page.locator("#budget"), page.locator("#said")
    page.get_by_role("button", name="Limits").click()
    dialog.get_by_label("Trials", exact=True).fill("401")
    service.update("shared-limits", {"objective.target": 0.99, "tags": ["theirs"], "visibility": "private"})
    dialog.get_by_role("button", name="Change").click()
    expect(said).to_contain_text("Changed.")
    one = service.experiment("shared-limits")
    assert (one.max_trials, one.objective.target, one.spec["max_failed_trials"]) == (401, 0.99, 3)
    assert (one.tags, one.visibility) == (("theirs",), "private")
    expect(page.locator("main")).to_contain_text("theirs")
    page.get_by_role("button", name="Limits").click()
    expect(dialog.get_by_label("Target")).to_have_value("0.99")
    dialog.get_by_label("Failures allowed").fill("5")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog).to_be_hidden()
    assert service.experiment("shared-limits").spec["max_failed_trials"] == 5
    page.get_by_role("button", name="Limits").click()
    dialog.get_by_role("button", name="Change").click()
    expect(said).to_contain_text("Nothing was changed.")


def test_a_question_goes_with_what_it_is_about(page: Page, site: Site) -> None:
    """Where a trial ends while one is asked whether it is to be stopped, there is nothing to be asked any more."""
    service = site.service
    with search(service, "asked", trials=2):
        page.goto("/experiments/owner~asked/trials/3")
        live(page)
        page.get_by_role("button", name="Stop").click()
        question = page.get_by_text("Stop this trial?")
        expect(question).to_be_visible()
        looks.end_trial(service, "asked", 3, 0.9)
        expect(question).to_have_count(0)
        expect(page.locator("#said")).to_have_text("It has ended meanwhile.")
        assert service.store.requests("asked") == []


def test_columns_that_are_shown_are_checked(page: Page) -> None:
    """The boxes say which columns there are, also after the page was narrowed; one is taken away by itself."""
    page.goto("/experiments/owner~many")
    page.get_by_role("link", name=re.compile("^failed")).click()
    expect(page).to_have_url(re.compile("state=failed"))
    page.get_by_text("Columns").click()
    boxes = page.locator("#columns input[name=column]")
    expect(boxes.first).to_be_checked()
    shown = boxes.count()
    assert page.locator("#columns input[name=column]:checked").count() == shown
    boxes.first.uncheck()
    page.locator("#columns").get_by_role("button", name="Show").click()
    expect(page.locator("#columns input[name=column]:checked")).to_have_count(shown - 1)


# A server that goes -----------------------------------------------------------------------------------------


def test_a_restart_heals_by_itself(page: Page, site: Site, troubles: Troubles) -> None:
    """While the server is away, the page says so; when it is back, it shows what has happened meanwhile."""
    troubles.expect("ERR_|Failed to load resource")
    with search(site.service, "restart", trials=2):
        page.goto("/experiments/owner~restart")
        live(page)
        site.stop()
        expect(page.locator("#connection")).to_have_text("connecting…")
        looks.end_trial(site.service, "restart", 3, 0.9997)
        site.start()
        expect(page.locator("main")).to_contain_text("0.9997")
        live(page)


def test_seven_tabs_share_one_stream(context_of: OpenContext, site: Site) -> None:
    """More tabs than a browser has connections to one host are all live, over one stream."""
    with search(site.service, "tabs", trials=2):
        context = context_of()
        before = site.asked.count("/api/v1/events")
        tabs = [context.new_page() for _ in range(7)]
        for tab in tabs:
            tab.goto("/experiments/owner~tabs")
            live(tab)
        assert site.asked.count("/api/v1/events") == before + 1
        looks.end_trial(site.service, "tabs", 3, 0.9996)
        for tab in tabs:
            tab.bring_to_front()
            expect(tab.locator("main")).to_contain_text("0.9996")
        for tab in tabs[:-1]:
            tab.close()
        looks.start_trial(site.service, "tabs", 4)
        expect(tabs[-1].locator("#t4")).to_be_attached()
