"""Adding a data set from a browser: chosen or dropped, packed on the way, cut and resumed, refused in words."""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console import looks
from tests.console.browser.conftest import OpenContext, Troubles
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site
from tests.server.serving import wait_until
from tunewell.spec.errors import NotFoundError

PARTS = "**/api/v1/uploads/*/parts/*"
LONG = "a folder/" + "with a very long name indeed " * 8 + "/ünï 🙂 picture.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures in two classes, one with a name that fits into no plain header; and what nobody means."""
    root = tmp_path / "hand signs"
    files = {**looks.classes(), f"train/cat/{LONG}": looks.classes()["train/cat/0.png"], ".DS_Store": b"no"}
    for path, data in {**files, "train/cat/._0.png": b"no", "train/dog/big.bin": bytes(3 << 20)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def wait_for(page: Page, condition: Callable[[], Any]) -> None:
    """Wait until something is so, and let the browser's events be heard meanwhile."""
    wait_until(lambda: page.wait_for_timeout(10) or condition())


def choose(page: Page, folder: Path) -> None:
    """Choose a folder on the page of data sets."""
    page.goto("/datasets")
    page.locator("[data-folder]").set_input_files(folder)


def contents(site: Site, name: str) -> dict[str, bytes]:
    """Return what a data set holds, by path."""
    place = site.service.home.datasets / site.service.dataset(name).sha256
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def meant(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder that are sent, by path."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if not Path(path).name.startswith(".")}


def test_a_folder_becomes_a_data_set(page: Page, site: Site, folder: Path, troubles: Troubles) -> None:
    """It is packed on its way, whatever its files are called; its page shows the check, and what it has found."""
    troubles.expect("404 .*/samples/")  # those that are not there yet when it is deleted
    choose(page, folder)
    name = page.get_by_label("Name").first
    expect(name).to_have_value("hand-signs")
    expect(page.locator("[data-what]")).to_contain_text("hand signs: 14 files, 3.")
    check_looks(page)
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("hand-signs")
    expect(page.locator("#said")).to_contain_text("hand-signs is added. It is being checked.")
    assert contents(site, "hand-signs") == meant(folder)
    assert site.service.uploads() == ()
    expect(page.get_by_text("Waiting to be checked")).to_be_visible()
    job = site.service.dataset("hand-signs").job
    assert job is not None
    looks.finish_check(site.service, job, "image-classification", looks.view_of_classes())
    expect(page.get_by_role("heading", name="Examples from train")).to_be_visible()
    expect(page.get_by_text("Waiting to be checked")).to_have_count(0)
    picture = page.locator(".sample img").first
    picture.scroll_into_view_if_needed()
    wait_for(page, lambda: picture.evaluate("image => image.naturalWidth") == 112)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Data sets")
    page.locator("#said").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="hand-signs")).to_be_visible()


def test_a_dropped_archive_is_sent_as_it_is(page: Page, site: Site) -> None:
    """Dropped anywhere on the page, it keeps its bytes; its name is proposed without its ending."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, content in looks.classes().items():
            archive.writestr(path, content)
    page.goto("/datasets")
    drop(page, "my pets.zip", data.getvalue())
    expect(page.get_by_label("Name").first).to_have_value("my-pets")
    page.get_by_label("Seen by").first.select_option("private")
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("my-pets")
    assert contents(site, "my-pets") == looks.classes()
    assert site.service.dataset("my-pets").visibility == "private"


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on a page."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt())], name));
          return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#add", kind, {"dataTransfer": transfer})


def test_it_goes_on_after_a_reload(page: Page, site: Site, folder: Path) -> None:
    """What has come before a reload is told, and not sent again when the same folder is chosen."""

    def cut(route: Route) -> None:
        if sizes and sum(sizes) > 1_000_000:
            return  # and no answer
        sizes.append(len(route.request.post_data_buffer or b""))
        route.continue_()

    sizes: list[int] = []
    page.route(PARTS, cut)
    choose(page, folder)
    page.get_by_label("Name").first.fill("resumed")
    page.get_by_role("button", name="Add", exact=True).first.click()
    wait_for(page, lambda: page.locator("[data-figures]").inner_text() and _received(site) == sum(sizes) > 1_000_000)
    page.on("dialog", lambda dialog: dialog.accept())  # "leave the page?"
    page.reload()
    expect(page.get_by_text("were sent.")).to_be_visible()
    expect(page.get_by_text("hand signs.tar")).to_be_visible()
    check_looks(page)
    came, sizes[:] = _received(site), []
    page.unroute(PARTS)
    page.on("request", lambda request: "/parts/" in request.url and sizes.append(int(request.url.rpartition("/")[2])))
    choose(page, folder)
    page.get_by_label("Name").first.fill("resumed")
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("resumed")
    assert sizes[0] == came
    assert contents(site, "resumed") == meant(folder)


def _received(site: Site) -> int:
    return sum(upload.received_bytes for upload in site.service.uploads())


def test_it_can_be_paused(page: Page, site: Site, folder: Path) -> None:
    """Pausing keeps what has come; going on sends the rest; cancelling forgets all of it."""
    held: list[Route] = []
    page.route(
        PARTS, lambda route: held.append(route) if route.request.url.rpartition("/")[2] != "0" else route.continue_()
    )
    choose(page, folder)
    page.get_by_label("Name").first.fill("paused-set")
    page.get_by_role("button", name="Add", exact=True).first.click()
    wait_for(page, lambda: held)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused. What was sent is kept for a day.")).to_be_visible()
    assert _received(site) == 256 << 10
    page.unroute(PARTS)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("paused-set")
    assert contents(site, "paused-set") == meant(folder)


def test_cancelling_forgets_it(page: Page, site: Site, folder: Path) -> None:
    """What has come of it is gone, and something else can be chosen."""
    page.route(PARTS, lambda route: None)
    choose(page, folder)
    page.get_by_label("Name").first.fill("cancelled")
    page.get_by_role("button", name="Add", exact=True).first.click()
    wait_for(page, lambda: site.service.uploads())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Drop a folder or an archive here")).to_be_visible()
    wait_for(page, lambda: not site.service.uploads())
    with pytest.raises(NotFoundError):
        site.service.dataset("cancelled")


def test_a_server_that_is_away_is_waited_for(page: Page, site: Site, folder: Path, troubles: Troubles) -> None:
    """While the service can't be reached, the page says so, and goes on by itself when it can."""
    troubles.expect("ERR_|Failed to load resource")
    away = False

    def answer(route: Route) -> None:
        nonlocal away
        if route.request.url.endswith("/parts/0") or away:
            route.continue_()
            return
        away = True
        site.stop()
        route.continue_()

    page.route(PARTS, answer)
    choose(page, folder)
    page.get_by_label("Name").first.fill("waited")
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_text("The service can't be reached. It goes on by itself.")).to_be_visible()
    site.start()
    expect(page.get_by_role("heading", level=1)).to_have_text("waited")
    assert contents(site, "waited") == meant(folder)


def test_what_is_refused_is_said_in_words(page: Page, site: Site, troubles: Troubles) -> None:
    """A name that is taken can be changed, and nothing is sent again; an evil or broken archive is forgotten."""
    troubles.expect("Failed to load resource")
    page.goto("/datasets")
    for name, data, words in (
        ("evil.tar", _evil(), "'../../evil.png' has a name with an empty part, '.' or '..'"),
        ("broken.zip", b"PK\x03\x04 and no more", "it is damaged, or no archive"),
        ("empty.zip", b"PK\5\6" + bytes(18), "it is empty: there is no file in it"),
        ("bomb.zip", _bomb(), "it unpacks to more than is taken"),
    ):
        drop(page, name, data)
        page.get_by_role("button", name="Add", exact=True).first.click()
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_text("Drop a folder or an archive here")).to_be_visible()
        wait_for(page, lambda: not site.service.uploads())
    drop(page, "pictures.tar", _tar({"train/cat/0.png": looks.classes()["train/cat/0.png"]}))
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("alert")).to_contain_text(
        "A data set named 'pictures' exists already. Choose another name."
    )
    check_looks(page)
    page.get_by_label("Name").first.fill("others")
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("others")
    expect(page.locator("#said")).to_contain_text("It can't be used as image classification")
    expect(page.get_by_role("heading", name="Can't be used as image classification")).to_be_visible()


def test_an_empty_folder(page: Page, tmp_path: Path) -> None:
    """It is said that nothing is in it, also by browsers that tell of it as of nothing that was chosen."""
    (tmp_path / "empty").mkdir()
    choose(page, tmp_path / "empty")
    expect(page.get_by_role("alert")).to_contain_text("There is nothing in it.")
    page.reload()
    page.locator("[data-folder]").dispatch_event("cancel")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was chosen, or the folder is empty.")


def test_pictures_for_a_model_are_no_data_sets(page: Page, site: Site) -> None:
    """What other pages send is not listed as unfinished, and does not stand for a data set that is chosen again."""
    upload = site.service.create_upload("cat.tar", 1, purpose="pictures")
    page.goto("/datasets")
    expect(page.get_by_role("heading", name="Add a data set")).to_be_visible()
    expect(page.get_by_text("cat.tar")).to_have_count(0)
    site.service.abandon_upload(upload.id)


def _tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in files.items():
            header = tarfile.TarInfo(path)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return data.getvalue()


def _evil() -> bytes:
    return _tar({"../../evil.png": b"x"})


def _bomb() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(80 << 20))
    return data.getvalue()


def test_the_list_goes_with_the_address(page: Page) -> None:
    """Filters change the list without a reload; Back takes them back."""
    page.goto("/datasets")
    page.get_by_role("searchbox").fill("objec")
    expect(page.get_by_role("link", name="pictures")).to_have_count(0)
    page.get_by_label("in the bin").check(force=True)
    expect(page.get_by_text("No data set matches")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="objects")).to_be_visible()


def test_files_can_be_chosen_by_keyboard(page: Page) -> None:
    """The buttons that open a choice of files are reached by the keyboard."""
    page.goto("/datasets")
    page.locator("[data-folder]").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.hasAttribute('data-archive')")


def test_without_scripts(context_of: OpenContext) -> None:
    """The pages are there all the same."""
    page = context_of(java_script_enabled=False).new_page()
    page.goto("/datasets")
    page.get_by_role("link", name="pictures").click()
    expect(page.get_by_role("heading", name="Pictures of each class")).to_be_visible()
