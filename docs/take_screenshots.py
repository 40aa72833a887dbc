"""Takes the pictures of the console in `docs/screenshots/`: a first search, as `console.md` tells of it, in a browser.

./dev screenshots
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tunewell.tasks.image_classification.digits import write_digits

FOLDER = Path(__file__).parent / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Longest waits, in milliseconds: for the console, and for what is computed.
PATIENCE, COMPUTING = 30_000, 900_000
WIDTH, HEIGHT = 1280, 860


def main() -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the window, in pixels")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they go")
    options = parser.parse_args()
    if CHROMIUM is None:
        print("There is no Chromium. On Debian: apt-get install chromium", file=sys.stderr)
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, serving(Path(place) / "home") as link, sync_playwright() as playwright:
        pictures = Path(place) / "digits"
        write_digits(pictures)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(
            viewport={"width": options.width, "height": HEIGHT}, color_scheme="dark" if options.dark else "light"
        )
        context.set_default_timeout(PATIENCE)
        Journey(context.new_page(), options.folder).make(link, pictures)
        browser.close()
    return 0


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Run a service over a new home; give the link that signs its administrator in."""
    command = [sys.executable, "-m", "tunewell", "serve", "--home", str(home), "--port", "0", "--stop-trials"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"http://\S+/sign-in\?link=\S+", line)
            if found:
                break
        assert found is not None
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)


class Journey:
    """From the first sign-in to the prediction for a picture of one's own."""

    def __init__(self, page: Page, folder: Path) -> None:
        """Go there in this tab, and put the pictures into this folder."""
        self.page, self._folder = page, folder

    def make(self, link: str, pictures: Path) -> None:
        """Go from page to page."""
        page = self.page
        page.goto(link)
        self.take("sign-in")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Start the first search").wait_for()
        self.take("first")
        page.goto(page.url + "datasets")
        page.locator("[data-folder]").set_input_files(pictures)
        page.get_by_role("button", name="Add", exact=True).first.click()
        page.get_by_role("heading", name="Examples from train").wait_for(timeout=COMPUTING)
        self.take("data-set")
        page.get_by_role("link", name="Search on this").click()
        page.get_by_label("Trials", exact=True).fill("16")
        page.locator(".plan").get_by_text(re.compile("^16, . at once")).wait_for()
        self.take("new-search", height=1240)
        page.get_by_role("button", name="Start the search").click()
        page.locator("#trials tbody tr").nth(6).wait_for(timeout=COMPUTING)
        self.take("search", height=1560)
        page.locator(".runs a").first.click()
        page.locator("#curve svg.chart").wait_for(timeout=COMPUTING)
        self.take("trial", height=1240)
        page.go_back()
        page.get_by_role("link", name="Results").wait_for(timeout=COMPUTING)
        page.get_by_role("link", name="Results").first.click()
        page.get_by_role("link", name="said 3").first.wait_for(timeout=COMPUTING)
        page.get_by_role("link", name=": 8, said").last.click()
        self.take("results", height=1900)
        train = page.locator("#train")
        train.get_by_role("button", name="Train").click()
        train.get_by_role("link", name="download it").wait_for(timeout=COMPUTING)
        page.locator("#try input[type=file]").set_input_files(min((pictures / "test" / "7").iterdir()))
        page.locator("#try .prediction image").wait_for(timeout=COMPUTING)
        page.get_by_text("ago").first.wait_for()
        self.take("prediction", of="#try")
        page.goto(page.url.partition("/experiments")[0])
        page.locator(".strip").wait_for()
        self.take("experiments", height=400)

    def take(self, name: str, height: int = HEIGHT, of: str = "") -> None:
        """Take a picture of the window, made so high, or of a part of the page."""
        file, size = self._folder / f"{name}.png", self.page.viewport_size
        assert size is not None
        self.page.locator("#said:empty").wait_for(state="attached")
        self.page.set_viewport_size({**size, "height": height})
        self.page.evaluate("scrollTo(0, 0)")
        self.page.wait_for_timeout(500)
        if of:
            self.page.locator(of).screenshot(path=file)
        else:
            self.page.screenshot(path=file)
        self.page.set_viewport_size({**size, "height": HEIGHT})
        with Image.open(file) as picture:  # few colours are as good to look at, and a third of the bytes
            picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
        print(file.name)


if __name__ == "__main__":
    sys.exit(main())
