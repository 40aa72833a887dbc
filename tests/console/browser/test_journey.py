"""One whole way over a real service, on real pictures: from the sign-in to a prediction, with all in between."""

from __future__ import annotations

import re
import shutil
import signal
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.browser.conftest import PATIENCE, Troubles
from tests.console.browser.looking import drop_picture
from tests.postgres import free_port
from tests.server.serving import serving
from tunewell.tasks.image_classification.digits import write_digits

#: Longest wait for what is computed, in milliseconds.
COMPUTING = 300_000
TRIALS = 6


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits of three classes, 100 of each to train on."""
    whole, few = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("pictures") / "digits"
    write_digits(whole / "digits")
    for split, number in (("train", 100), ("val", 20), ("test", 20)):
        for name in "017":
            (few / split / name).mkdir(parents=True)
            for picture in sorted((whole / "digits" / split / name).iterdir())[:number]:
                shutil.copy(picture, few / split / name)
    return few


@pytest.fixture
def browser(chromium: Browser, troubles: Troubles) -> Iterator[BrowserContext]:
    """A browser of somebody who was never here."""
    with chromium.new_context(viewport={"width": 1400, "height": 900}, locale="en-GB") as context:
        context.set_default_timeout(PATIENCE)
        context.on("page", troubles.watch)
        yield context


class House:
    """A home and the service over it, which can be started again at the same address."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._home, self._stack, self._port, self._starts = folder / "home", stack, free_port(), 0
        self._serve()

    def _serve(self) -> None:
        self._starts += 1
        service = serving(self._home, "--port", str(self._port), name=f"serve-{self._starts}")
        self.service = self._stack.enter_context(service)

    @property
    def link(self) -> str:
        """The address that the first start has told, which signs in once."""
        return next(word for word in self.service.out.read_text().split() if "sign-in?link=" in word)

    def restart(self, page: Page) -> None:
        """End the service as Ctrl-C does, start it again, and check that a page tells so and heals by itself."""
        assert self.service.end(signal.SIGINT) == 0
        expect(page.locator("#connection")).to_have_text("connecting…")
        self._serve()
        live(page)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A service over a new home."""
    with ExitStack() as stack:
        yield House(tmp_path, stack)


def live(page: Page) -> None:
    """Wait until a page hears of changes."""
    expect(page.locator("#connection")).to_have_text("live", timeout=COMPUTING)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_the_sign_in_to_a_prediction(
    browser: BrowserContext, house: House, digits: Path, tmp_path: Path, troubles: Troubles
) -> None:
    """Add pictures, search, watch in two tabs, steer, brush, restart the service twice, train, predict, download."""
    troubles.expect("ERR_|Failed to load resource")
    page = browser.new_page()
    page.goto(house.link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
    start_search(page, digits)
    pause_and_resume(page)
    other = browser.new_page()
    other.goto(page.url)
    stop_a_trial(page)
    house.restart(page)
    ended = re.compile(rf"trials ended\s*{TRIALS} of {TRIALS}")
    for tab in (page, other):
        expect(tab.locator(".hero")).to_contain_text(ended, timeout=COMPUTING)
    other.close()
    brush_and_go_back(page)
    page.get_by_role("link", name="Results").click()
    train = page.locator("#train")
    train.get_by_role("button", name="Train").click(timeout=COMPUTING)
    expect(train.locator(".work")).to_be_visible()
    house.restart(page)
    link = train.get_by_role("link", name="download it")
    expect(link).to_be_visible(timeout=COMPUTING)
    with page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "model.tar")
    with tarfile.open(tmp_path / "model.tar") as model:
        assert any(name.endswith("weights.safetensors") for name in model.getnames())
    predict(page, min((digits / "test" / "7").iterdir()))


def start_search(page: Page, digits: Path) -> None:
    """Add a folder of pictures, and start a search over it."""
    page.goto(f"{page.url}datasets")
    page.locator("[data-folder]").set_input_files(digits)
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("heading", name="Examples from train")).to_be_visible(timeout=COMPUTING)
    page.get_by_role("link", name="Search on this").click()
    page.get_by_label("Trials", exact=True).fill(str(TRIALS))
    expect(page.locator(".plan")).to_contain_text(re.compile(f"{TRIALS}, . at once"))
    page.get_by_role("button", name="Start the search").click()
    expect(page.locator("#trials tbody tr[id]").first).to_be_visible(timeout=COMPUTING)
    live(page)


def pause_and_resume(page: Page) -> None:
    """Let the search rest, and go on."""
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("paused", timeout=COMPUTING)
    page.locator("#main").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("running", timeout=COMPUTING)


def stop_a_trial(page: Page) -> None:
    """Stop a trial that runs, and see in the table that it was."""
    link = page.locator(".runs a").first
    expect(link).to_be_visible(timeout=COMPUTING)
    number = link.inner_text().removeprefix("trial ")
    link.click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("stopped", timeout=COMPUTING)
    page.wait_for_load_state()
    page.go_back()
    expect(page.locator(f"#t{number}")).to_contain_text("stopped", timeout=COMPUTING)


def brush_and_go_back(page: Page) -> None:
    """Choose trials on an axis, and let go of them by the Back button."""
    reach = page.get_by_role("slider", name=re.compile("Range of learning_rate"))
    reach.focus()
    for _ in range(6):
        page.keyboard.press("ArrowUp")
    heading = page.locator("#trials header")
    expect(heading).to_contain_text(re.compile(rf"[0-{TRIALS - 1}] of {TRIALS} match"))
    page.reload()
    expect(heading).to_contain_text("match")
    page.get_by_role("link", name="Show all").first.click()
    expect(heading).not_to_contain_text("match")
    page.go_back()
    expect(heading).to_contain_text("match")


def predict(page: Page, picture: Path) -> None:
    """Drop a picture on the page, and read what the model says."""
    drop_picture(page, "seven.png", picture.read_bytes())
    said = page.locator("#try .prediction")
    expect(said).to_contain_text("seven.png", timeout=COMPUTING)
    expect(said.locator(".said-so")).to_contain_text("7")
