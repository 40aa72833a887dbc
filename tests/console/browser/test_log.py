"""Logs and the page of a trial in a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.console import trials
from tests.console.browser.conftest import PATIENCE, Troubles
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site
from tests.console.looks import MARKUP
from tests.console.serving import session_of
from tests.console.trials import BEST, FAILED, RUNNING
from tunewell.api.visits import COOKIE
from tunewell.service.service import Service
from tunewell.spec.states import TrialState
from tunewell.store.rows import AttemptEnd

HERE = "/experiments/owner~signs/trials"


@pytest.fixture
def signs(tmp_path: Path) -> Iterator[Site]:
    """A server over a home with a search that has a trial of each kind."""
    with Service(tmp_path / "home") as service:
        trials.fill(service)
        site = Site(service)
        yield site
        site.stop()


@pytest.fixture
def tab(signs: Site, chromium: Browser, troubles: Troubles) -> Iterator[Page]:
    """A tab of the administrator's browser."""
    context = chromium.new_context(base_url=signs.address, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.on("page", troubles.watch)
    context.add_cookies([{"name": COOKIE, "value": session_of(signs.service, "owner"), "url": signs.address}])
    yield context.new_page()
    context.close()


def lines(tab: Page) -> Locator:
    """Return the part of a log that is in the page."""
    return tab.locator(".log-lines")


def window(tab: Page) -> Locator:
    """Return what a log is looked at through."""
    return tab.get_by_role("region", name="Output")


def first_line(tab: Page) -> str:
    """Return the line at the top of the window."""
    found = tab.evaluate(
        """() => {
            const { left, top } = document.querySelector(".log-window").getBoundingClientRect();
            const { startContainer, startOffset } = document.caretRangeFromPoint(left + 14, top + 4);
            const before = document.createRange(), section = startContainer.parentElement.closest(".log-section");
            if (!section) return "";
            before.setStart(section, 0);
            before.setEnd(startContainer, startOffset);
            return section.textContent.slice(before.toString().lastIndexOf("\\n") + 1).split("\\n")[0];
        }"""
    )
    return str(found)


def line_number(tab: Page) -> int:
    """Return the number that the line at the top of the window has; 0 while nothing is drawn there."""
    return int([*first_line(tab).split(), "", "0"][1])


def line_behind(tab: Page, number: int) -> int:
    """Wait until the window has been scrolled behind a line; return the number of the line at its top."""
    for _ in range(PATIENCE // 50):
        if (now := line_number(tab)) > number:
            return now
        tab.wait_for_timeout(50)
    raise AssertionError(f"it stays at line {number}")


@pytest.mark.parametrize(
    ("printed", "shown", "looks"),
    [
        (MARKUP, MARKUP, {}),
        ("\x1b[31mred\x1b[0m plain", "red plain", {"red": "ink-red"}),
        ("\x1b[1;92ma\x1b[22mb\x1b[mc", "abc", {"a": "ink-green bold", "b": "ink-green"}),
        ("\x1b[38;5;196ma\x1b[38;5;21mb\x1b[39mc", "abc", {"a": "ink-red", "b": "ink-blue"}),
        ("\x1b[38;5;244ma\x1b[38;5;231mb\x1b[38;5;14mc", "abc", {"a": "ink-grey", "c": "ink-cyan"}),
        ("\x1b[38;2;200;30;180ma\x1b[38:2::20:160:40mb", "ab", {"a": "ink-magenta", "b": "ink-green"}),
        ("\x1b[48;5;226ma\x1b[44mb\x1b[49mc", "abc", {"a": "paper-yellow", "b": "paper-blue"}),
        ("\x1b[2;3;4;9ma\x1b[0;7mb\x1b[27mc", "abc", {"a": "dim italic underline strike", "b": "paper-plain"}),
        ("\x1b[35mover\nthe line\x1b[0m", "over\nthe line", {"over\nthe line": "ink-magenta"}),
        ("10 %\r\x1b[32m20\x1b[0m\n", "20 %\n", {"20": "ink-green"}),
        ("long text\rshort\x1b[K\nab\b\bc\n\x1b[2Kend\r\n", "short\ncb\nend\n", {}),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1b[?25l\x1b(Bc\x07\x00\x9b\x1b[5Ad\x1b[", "abcd", {}),
        ("tab\tand é 漢 🙂 \ufeff\u202e", "tab\tand é 漢 🙂 \ufeff\u202e", {}),
        ("\x1b[99999;38;5;999;mx\x1b[38my\x1b[;;;mz", "xyz", {}),
    ],
)
def test_what_a_program_printed(signs: Site, tab: Page, printed: str, shown: str, looks: dict[str, str]) -> None:
    """Colours and weights are shown, lines that were written over as a terminal leaves them, and all else as text."""
    trials.log(signs.service, BEST).write_bytes(printed.encode())
    tab.goto(f"{HERE}/{BEST}")
    expect(lines(tab).locator(".log-section")).not_to_be_empty()
    assert lines(tab).evaluate("(element) => element.textContent") == shown
    found = lines(tab).locator("span").evaluate_all("(all) => all.map((one) => [one.textContent, one.className])")
    assert dict(found) == looks
    assert lines(tab).locator("*:not(div, span)").count() == 0


def test_what_is_no_text(signs: Site, tab: Page) -> None:
    """Bytes that are no UTF-8 are shown as such, and nothing of the others is lost."""
    trials.log(signs.service, BEST).write_bytes(b"a\xff\xfeb\xe2\x82")
    tab.goto(f"{HERE}/{BEST}")
    expect(lines(tab)).to_have_text("a\ufffd\ufffdb\ufffd")


def test_a_log_is_followed(signs: Site, tab: Page) -> None:
    """What is printed appears at the end, unless one has gone back; what is selected stays; the end is known."""
    log = trials.log(signs.service, RUNNING)
    log.write_text("".join(f"line {number}\n" for number in range(200)))
    tab.goto(f"{HERE}/{RUNNING}")
    follow = tab.get_by_role("button", name="Follow")
    expect(lines(tab)).to_contain_text("line 199")
    expect(follow).to_have_attribute("aria-pressed", "true")
    window(tab).scroll_into_view_if_needed()
    tab.evaluate("getSelection().selectAllChildren(document.querySelector('.log-section'))")
    with log.open("a") as file:
        file.write("\x1b[31mone more\x1b[0m\n")
    expect(lines(tab).get_by_text("one more")).to_be_in_viewport()
    assert "line 150\nline 151" in tab.evaluate("getSelection().toString()")
    window(tab).press("Home")
    assert first_line(tab) == "line 0"
    expect(follow).to_have_attribute("aria-pressed", "false")
    with log.open("a") as file:
        file.write("unseen\n")
    expect(lines(tab)).to_contain_text("unseen")
    assert first_line(tab) == "line 0"
    follow.click()
    expect(lines(tab).get_by_text("one more")).to_be_in_viewport()
    trials.finish(signs.service, RUNNING, AttemptEnd(TrialState.SUCCEEDED, value=0.5))
    expect(tab.get_by_role("button", name="End")).to_be_visible()
    expect(tab.locator("h1")).to_contain_text("succeeded")


def test_the_log_of_another_attempt(signs: Site, tab: Page) -> None:
    """It is chosen in place; a new attempt brings its own by itself."""
    for attempt in (1, 2):
        trials.log(signs.service, FAILED, attempt).write_text(f"attempt {attempt}")
    tab.goto(f"{HERE}/{FAILED}")
    expect(lines(tab)).to_have_text("attempt 2")
    tab.get_by_role("navigation", name="Attempts").get_by_text("attempt 1").click()
    expect(lines(tab)).to_have_text("attempt 1")
    assert tab.url.endswith("?attempt=1#log")
    tab.go_back()
    expect(lines(tab)).to_have_text("attempt 2")
    with signs.service.store.transaction() as tx:
        tx.retry_trial(trials.NAME, FAILED)
    trials.start(signs.service, FAILED, 3)
    trials.log(signs.service, FAILED, 3).write_text("attempt 3")
    expect(lines(tab)).to_have_text("attempt 3")


def test_no_log_yet(signs: Site, tab: Page) -> None:
    """It is said, and appears when there is something."""
    tab.goto(f"{HERE}/{RUNNING}")
    expect(tab.get_by_text("Nothing has been printed yet.")).to_be_visible()
    trials.log(signs.service, RUNNING).write_text("first")
    expect(lines(tab)).to_have_text("first")


def test_a_server_that_is_away(signs: Site, tab: Page, troubles: Troubles) -> None:
    """It is said, and the log goes on when it is back."""
    troubles.expect("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_SOCKET")
    log = trials.log(signs.service, RUNNING)
    log.write_text("before\n")
    tab.goto(f"{HERE}/{RUNNING}")
    expect(lines(tab)).to_contain_text("before")
    signs.stop()
    expect(tab.get_by_text("The log can't be read just now.")).to_be_visible()
    log.write_text("before\nafter\n")
    signs.start()
    expect(lines(tab)).to_contain_text("after")


# Logs of any length ---------------------------------------------------------------------------------------


@pytest.fixture
def hundred(signs: Site) -> int:
    """Number of lines of a log of 100 MB, every thousandth of which has the word needle."""
    written = 0
    with trials.log(signs.service, BEST).open("wb") as file:
        while file.tell() < 100_000_000:
            numbers = range(written + 1, written + 1001)
            file.write("".join(map(line, numbers)).encode())
            written += len(numbers)
    return written


def line(number: int) -> str:
    """Return a line of that log."""
    word = "Needle" if number % 1000 == 0 else "x" * (number * 37 % 140)
    return f"line {number} of a long log: \x1b[32maccuracy\x1b[0m 0.{number} {word}\n"


def settle(tab: Page, what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(PATIENCE // 50):
        if what():
            return
        tab.wait_for_timeout(50)
    raise AssertionError("it did not come true")


def check_bounded(tab: Page) -> None:
    """Check that a page has few elements and little text, whatever it shows."""
    assert tab.evaluate("document.getElementsByTagName('*').length") < 3000
    assert lines(tab).evaluate("(element) => element.textContent.length") < 1_000_000


def test_a_log_of_a_hundred_megabytes(signs: Site, tab: Page, hundred: int) -> None:
    """It opens at its end; start, end and every place are shown at once; little of it is in the page."""
    tab.goto(f"{HERE}/{BEST}")
    expect(lines(tab)).to_contain_text(f"line {hundred} of")
    check_bounded(tab)
    tab.get_by_role("button", name="Start").click()
    expect(lines(tab)).to_contain_text("line 1 of")
    assert first_line(tab).startswith("line 1 of")
    check_bounded(tab)
    window(tab).hover()
    seen = [1]
    for _ in range(60):
        tab.mouse.wheel(0, 300)
        seen.append(line_behind(tab, seen[-1]))
    assert max(after - before for before, after in pairwise(seen)) < 40, seen
    check_bounded(tab)
    for _ in range(80):
        tab.mouse.wheel(0, -300)
    settle(tab, lambda: first_line(tab).startswith("line 1 of"))
    window(tab).evaluate("(one) => (one.scrollTop = one.scrollHeight / 2)")
    settle(tab, lambda: abs(line_number(tab) - hundred / 2) < hundred / 50)
    check_bounded(tab)
    window(tab).press("End")
    expect(lines(tab)).to_contain_text(f"line {hundred} of")


def test_a_hundred_megabytes_are_searched(signs: Site, tab: Page, hundred: int) -> None:
    """All matches are counted and gone through, in either direction, while the page does what else is asked of it."""
    tab.goto(f"{HERE}/{BEST}")
    expect(lines(tab)).to_contain_text(f"line {hundred} of")
    box = tab.get_by_role("searchbox", name="Search the log")
    box.fill("nothing like this")
    count = tab.locator("log-view output")
    expect(count).to_contain_text("0 so far")
    box.fill("NEEDLE")
    expect(count).to_contain_text("so far")
    tab.get_by_role("button", name="Light or dark").click()  # it works while the search goes on
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    assert "so far" in count.inner_text()
    total = hundred // 1000
    expect(count).to_have_text(f"{total} of {total}", timeout=6 * PATIENCE)
    check_bounded(tab)
    for press, rank in (("Shift+Enter", total - 1), ("Enter", total), ("Enter", 1), ("Enter", 2), ("Shift+Enter", 1)):
        box.press(press)
        expect(count).to_have_text(f"{rank} of {total}")
        expect(lines(tab)).to_contain_text(f"line {1000 * rank} of")
    marked = "[...CSS.highlights.get('log-current')].map((range) => range.toString())"
    settle(tab, lambda: tab.evaluate(marked) == ["Needle"])
    box.press("Escape")
    expect(count).to_be_empty()
    assert tab.evaluate("CSS.highlights.get('log-found').size + CSS.highlights.get('log-current').size") == 0


@pytest.mark.parametrize("end", ["", "\r", "\n"])
def test_a_line_without_end(signs: Site, tab: Page, end: str) -> None:
    """A line of megabytes, a progress bar that is one, and a million empty ones are looked at like any other log."""
    unit = f"progress é {end}" if end != "\n" else "\n"
    trials.log(signs.service, BEST).write_text("begin\n" + unit * 1_000_000 + "\nthe end\n", newline="")
    tab.goto(f"{HERE}/{BEST}")
    expect(lines(tab)).to_contain_text("the end")
    tab.get_by_role("button", name="Start").click()
    expect(lines(tab)).to_contain_text("begin")
    assert "\ufffd" not in lines(tab).inner_text()
    check_bounded(tab)


def test_growing_while_searched(signs: Site, tab: Page) -> None:
    """What is printed meanwhile is searched as well."""
    log = trials.log(signs.service, RUNNING)
    log.write_text("needle\n" * 3)
    tab.goto(f"{HERE}/{RUNNING}")
    tab.get_by_role("searchbox", name="Search the log").fill("needle")
    expect(tab.locator("log-view output")).to_have_text("3 of 3")
    with log.open("a") as file:
        file.write("x" * 50_000 + "\nneedle\nneed")
    expect(tab.locator("log-view output")).to_have_text("3 of 4")
    with log.open("a") as file:
        file.write("le\n")
    expect(tab.locator("log-view output")).to_have_text("3 of 5")


def test_the_whole_is_saved(signs: Site, tab: Page) -> None:
    """A click saves the log as it was printed, under a name that tells what it is; a file of the trial as well."""
    content = os.urandom(200_000)
    trials.log(signs.service, BEST).write_bytes(content)
    trials.leave(signs.service, BEST, "page.html", b"<script>alert(1)</script>")
    tab.goto(f"{HERE}/{BEST}")
    for name, file, expected in (
        ("Download", "signs-trial-2-attempt-1.log", content),
        ("page.html", "page.html", b"<script>alert(1)</script>"),
    ):
        with tab.expect_download() as found:
            tab.get_by_role("link", name=name, exact=True).click()
        assert found.value.suggested_filename == file
        assert Path(found.value.path()).read_bytes() == expected


# The page -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 6))
def test_everybody_can_read_it(signs: Site, tab: Page, number: int) -> None:
    """With all colours of a log, and whatever words, its page shuts nobody out, and fits on a phone."""
    if number < 5:
        colours = "".join(
            f"\x1b[{code}m colour {code} \x1b[0m" for code in (*range(1, 10), *range(30, 50), *range(90, 108))
        )
        trials.log(signs.service, number, 2 if number == FAILED else 1).write_text(
            f"{colours}\n{MARKUP}\n{'x' * 500}\n"
        )
        trials.leave(signs.service, BEST, f"{'long' * 30}.txt", b"")
    tab.goto(f"{HERE}/{number}")
    if number < 5:
        expect(lines(tab)).to_contain_text(MARKUP)
    assert tab.locator("main img").count() == 0
    check_looks(tab)


def test_a_trial_is_watched(signs: Site, tab: Page) -> None:
    """Reports, curves and the end appear by themselves; a curve that was chosen stays chosen."""
    tab.goto(f"{HERE}/{RUNNING}")
    trials.report(signs.service, RUNNING, {"accuracy": 0.8, "loss": 0.25})
    expect(tab.get_by_role("region", name="What it reached")).to_contain_text("0.8")
    tab.get_by_role("link", name="loss").click()
    expect(tab.locator("figcaption")).to_contain_text("loss over steps")
    trials.finish(signs.service, RUNNING, AttemptEnd(TrialState.SUCCEEDED, value=0.8))
    expect(tab.locator("h1")).to_contain_text("succeeded")
    expect(tab.locator("figcaption")).to_contain_text("loss over steps")
    expect(tab.get_by_role("button", name="Stop")).to_have_count(0)
