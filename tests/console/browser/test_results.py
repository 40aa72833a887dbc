"""From results to a model in use: evaluate, see mistakes, train on all data, download, try a picture of one's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser.conftest import OpenContext
from tests.console.browser.looking import check_looks, drop_picture
from tests.console.browser.site import Site
from tunewell.service.service import Service

PICTURES, OBJECTS = "/experiments/owner~digits/results", "/experiments/owner~scenes/results"
#: Longest wait for what is computed, in milliseconds.
COMPUTING = 150_000


@pytest.fixture(scope="module")
def site(harvest_home: Path) -> Iterator[Site]:
    """A server over a home with searches that have run, and a controller that does what is asked for."""
    with Service(harvest_home) as service:
        stop = threading.Event()
        controller = threading.Thread(target=service.run_all, args=(stop,))
        controller.start()
        one = Site(service)
        yield one
        one.stop()
        stop.set()
        controller.join()


def test_a_cell_of_the_matrix_shows_its_pictures(page: Page) -> None:
    """A click on a cell changes the evaluation alone and the address; Back closes it; so does the link."""
    page.goto(PICTURES)
    page.evaluate("document.body.dataset.untouched = 'yes'")
    page.get_by_role("link", name=": 3, said 3").click()
    pictures = page.locator("#pictures img")
    expect(pictures).to_have_count(8)
    assert "cell=3-3" in page.url
    assert pictures.first.evaluate("picture => picture.naturalWidth") > 0
    page.go_back()
    expect(pictures).to_have_count(0)
    page.go_forward()
    page.get_by_role("link", name="Close").click()
    expect(pictures).to_have_count(0)
    assert page.evaluate("document.body.dataset.untouched") == "yes"


def test_evaluations_are_made_while_one_looks_on(page: Page) -> None:
    """Without an evaluation there is a button; its job is followed, and the details come by themselves."""
    page.goto("/experiments/owner~labels/results")
    expect(page.locator("#classes")).to_have_count(0)
    page.get_by_role("button", name="Evaluate the best trials").click()
    expect(page.locator("#evaluation .work")).to_be_visible()
    expect(page.locator("#classes")).to_be_visible(timeout=COMPUTING)


def test_from_training_on_all_data_to_the_model(page: Page, tmp_path: Path) -> None:
    """A model is trained on all data with its progress shown, and downloaded as soon as it is there."""
    page.goto(PICTURES)
    panel = page.locator("#train")
    panel.get_by_role("button", name="Train").click()
    expect(panel.locator(".work")).to_be_visible()
    link = panel.get_by_role("link", name="download it")
    expect(link).to_be_visible(timeout=COMPUTING)
    expect(panel).to_contain_text("test accuracy")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename.endswith("digits-retrained.tar")
    download.value.save_as(tmp_path / "model.tar")
    assert (tmp_path / "model.tar").stat().st_size > 10_000


def test_a_dropped_picture_is_predicted(page: Page, site: Site) -> None:
    """A picture that is dropped on the page is sent, and stands there with the probability of what is said."""
    picture = min(Path(site.service.experiment("digits").spec["data"], "test", "3").iterdir())
    page.goto(PICTURES)
    page.locator("#try .drop").wait_for()
    drop_picture(page, "mine.png", picture.read_bytes())
    said = page.locator("#try .prediction")
    expect(said).to_contain_text("mine.png", timeout=COMPUTING)
    expect(said.locator("image")).to_be_visible()
    expect(said.locator(".said-so")).to_have_count(1)


def test_objects_are_boxed_over_a_chosen_picture(page: Page, site: Site) -> None:
    """A detector's page shows what is there beside what was found, and draws boxes over a picture that is chosen."""
    page.goto(OBJECTS)
    beside = page.locator("#drawn img")
    assert beside.count() == 3  # as many as there are in the test data
    assert beside.first.evaluate("picture => picture.naturalWidth > 2 * picture.naturalHeight")
    folder = Path(site.service.experiment("scenes").spec["data"], "images")
    page.locator("#try input[type=file]").set_input_files(min(folder.glob("test*.png")))
    said = page.locator("#try .prediction")
    expect(said).to_contain_text("test0.png", timeout=COMPUTING)
    predictions = b"".join(site.service.job_artifact(_latest(site), "predictions.json"))
    assert said.locator(".box").count() == len(json.loads(predictions)[0]["objects"])


def _latest(site: Site) -> int:
    return site.service.jobs(experiment="scenes", kind="predict").items[0].id


def test_the_slider_changes_the_figures(page: Page) -> None:
    """A threshold is chosen by the keyboard; figures and address follow, and the slider keeps the focus."""
    page.goto(OBJECTS)
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    expect(page.locator("output")).to_have_text("0.050")
    assert "threshold=0.05" in page.url
    slider.press("End")
    expect(page.locator("output")).to_have_text("0.950")
    expect(slider).to_be_focused()


def test_parameters_go_to_the_clipboard_or_are_selected(context_of: OpenContext) -> None:
    """Where there is a clipboard the button fills it; where there is none, the text is selected."""
    context = context_of(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(PICTURES)
    page.get_by_text("Python", exact=True).click()
    page.locator("#parameters .tab:visible button").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").splitlines()[1].startswith("parameters = {'learning_rate'")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("#parameters .tab:visible button").click()
    expect(page.locator("#said")).to_contain_text("It is selected")
    assert "learning_rate" in page.evaluate("getSelection().toString()")


@pytest.mark.parametrize("address", [f"{PICTURES}?cell=9-9", OBJECTS, "/experiments/owner~command/results"])
def test_looks(page: Page, address: str) -> None:
    """Nothing is wrong with the page in light, dark and narrow."""
    page.goto(address)
    check_looks(page)
