"""Starting a search in a browser: pictures, and a program of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.browser.conftest import OpenContext, Troubles
from tests.console.browser.looking import check_looks
from tests.console.browser.site import Site
from tests.service.storage.archives import zip_of
from tunewell.service import estimating
from tunewell.service.measuring import Measured
from tunewell.service.service import Service
from tunewell.tasks.image_classification.digits import write_digits


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over a home with the data set `digits`."""
    folder = tmp_path_factory.mktemp("data")
    write_digits(folder / "digits")
    with Service(tmp_path_factory.mktemp("site") / "home") as service:
        service.allow_folder(folder)
        service.add_dataset("digits", folder=str(folder / "digits"))
        service.add_user("ada", {"role": "user", "run_code": True})
        one = Site(service)
        yield one
        one.stop()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The folder of a program."""
    folder = tmp_path / "program"
    (folder / "lib" / "__pycache__").mkdir(parents=True)
    (folder / "train.py").write_text("import sys\nprint('accuracy=' + sys.argv[2])\n")
    (folder / "lib" / ("a-name-that-is-longer-than-a-header-of-a-tar-has-room-for-" * 2)).write_text("ü")
    (folder / "lib" / "__pycache__" / "a.pyc").write_bytes(b"left out")
    return folder


def test_pictures(page: Page, site: Site) -> None:
    """What is typed is checked at once, at its field, without losing the focus; a draft survives a reload."""
    page.goto("/new")
    plan = page.locator(".plan")
    expect(plan).to_contain_text("the data set")
    page.get_by_label("Data set").select_option("dataset:digits")
    expect(plan).to_contain_text("Ready to start")
    expect(page.locator("#data")).to_contain_text("10 classes")
    trials = page.get_by_label("Trials", exact=True)
    trials.press_sequentially("many")
    expect(page.locator("[id='e-max_trials']")).to_contain_text("'many' is not a whole number")
    expect(trials).to_be_focused()
    trials.fill("3")
    expect(plan).to_contain_text("Ready to start")
    page.locator("#ranges summary").first.click()
    page.get_by_label("epochs, values").fill("1")
    expect(plan.locator(".snippet.yaml")).to_contain_text("epochs: 1")
    page.reload()
    expect(trials).to_have_value("3")
    expect(plan).to_contain_text("Ready to start")
    page.get_by_role("button", name="Start the search").click()
    page.wait_for_url("**/experiments/owner~digits-small-cnn")
    assert site.service.experiment("digits-small-cnn").spec["parameters"] == {"epochs": 1}
    page.goto("/new")
    expect(page.get_by_label("Trials", exact=True)).to_have_value("")


def test_the_time_is_estimated_beside_what_is_typed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed while steps are measured stays, and has the estimate in the end."""
    go, measured = Event(), Measured(10, 20, 1.0, 4.0)
    done: list[Measured] = []

    def measure(*_: object) -> Measured:
        assert go.wait(60)
        done.append(measured)
        return measured

    monkeypatch.setattr(estimating, "measure", measure)
    monkeypatch.setattr(estimating, "known", lambda *_: next(iter(done), None))
    page.goto("/new?data=dataset:digits")
    plan, trials = page.locator(".plan"), page.get_by_label("Trials", exact=True)
    plan.get_by_role("button", name="Estimate time").click()
    trials.fill("7")
    expect(plan).to_contain_text("7, ")
    go.set()
    expect(plan).to_contain_text("A trial in full takes about 4 min here")
    expect(plan).to_contain_text("All 7 trials take about")
    expect(trials).to_have_value("7")
    check_looks(page)


def test_what_was_filled_in_comes_back(page: Page) -> None:
    """From another mode, network or task, after a reload, too; what is shown there is what counts there."""
    page.goto("/new?data=dataset:digits")
    plan = page.locator(".plan")
    page.get_by_label("Trials", exact=True).fill("8")
    page.get_by_label("Target").fill("0.99")
    page.locator("#ranges summary").first.click()
    page.get_by_label("epochs, values").fill("4")
    page.get_by_label("learning_rate, to").fill("0.02")
    expect(plan.locator(".snippet.yaml")).to_contain_text("high: 0.02")
    page.get_by_text("By hand").click()
    expect(page.locator("#ranges")).to_contain_text("Values")
    expect(page.locator("tr.changed")).to_have_count(0)
    page.reload()
    expect(page.locator("#ranges")).to_contain_text("Values")
    page.get_by_text("Automatic search").click()
    expect(page.get_by_label("Trials", exact=True)).to_have_value("8")
    expect(page.get_by_label("Target")).to_have_value("0.99")
    expect(page.get_by_label("epochs, values")).to_have_value("4")
    page.get_by_text("Object detection").click()
    expect(page.get_by_label("epochs, values")).to_have_count(0)
    page.get_by_text("Image classification").click()
    expect(page.get_by_label("learning_rate, to")).to_have_value("0.02")
    page.locator("#network summary").first.click()
    page.get_by_text("resnet18", exact=True).click()
    expect(page.locator("#ranges-of-resnet18")).to_have_count(1)
    page.locator("#ranges summary").first.click()
    page.get_by_label("learning_rate, to").fill("0.05")
    page.get_by_text("small-cnn", exact=True).last.click()
    expect(page.get_by_label("learning_rate, to")).to_have_value("0.02")
    page.get_by_text("resnet18", exact=True).click()
    expect(page.get_by_label("learning_rate, to")).to_have_value("0.05")


def test_a_button_says_that_it_is_at_work(page: Page) -> None:
    """One that takes longer than a moment; then it is as it was."""
    waiting: list[Route] = []
    page.goto("/new?task=command&command=true&metric=loss")
    page.route("**/new", lambda route: waiting.append(route) if route.request.method == "POST" else route.fallback())
    button = page.locator("button[value=create]")
    button.click()
    expect(button).to_have_text("Working…")
    expect(button).to_be_disabled()
    waiting[0].fulfill(json={"detail": "No.", "remedy": ""})
    expect(button).to_have_text("Start the search")
    expect(button).to_be_enabled()
    page.goto("/")
    page.route("**/sample", lambda route: waiting.append(route))
    page.evaluate(
        """() => {
            const some = Object.assign(document.createElement("form"), { action: "/sample", id: "some" });
            some.dataset.act = "";
            some.append(Object.assign(document.createElement("button"), { textContent: "Some" }));
            document.querySelector("main").before(some);
        }"""
    )
    button = page.locator("#some button")
    button.click()
    expect(button).to_have_text("Working…")
    waiting[-1].fulfill(json={"said": "Done."})
    expect(button).to_have_text("Some")
    expect(button).to_be_enabled()


def test_what_is_missing_has_the_focus(page: Page, troubles: Troubles) -> None:
    """Whoever starts too early is led to the first field that lacks something, wherever it is folded away."""
    troubles.expect("status of 422")
    page.goto("/new")
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_label("Data set")).to_be_focused()
    page.goto("/new?data=dataset:digits&range.mixup.low=a")
    page.locator("#ranges summary").first.click()
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_label("mixup, from")).to_be_focused()


def test_copying_without_a_clipboard(page: Page) -> None:
    """Over plain HTTP there is none: then the text is selected."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto("/new?data=dataset:digits&name=n")
    page.get_by_text("Command line", exact=True).click()
    page.get_by_role("button", name="Copy", exact=True).last.click()
    expect(page.locator("#said")).to_contain_text("Selected")
    assert "tunewell search n.yaml" in page.evaluate("getSelection().toString()")


def test_a_program(page: Page, site: Site, program: Path, troubles: Troubles) -> None:
    """Its folder is sent by parts, and goes on where that broke off; its parameters are rows."""
    troubles.expect("ERR_FAILED|Failed to load resource")
    broken: list[str] = []

    def break_off_once(route: Route) -> None:
        if broken:
            route.continue_()
        else:
            broken.append(route.request.url)
            route.abort()

    page.route("**/parts/0", break_off_once)
    page.goto("/new")
    page.get_by_text("Own program").click()
    page.locator("[webkitdirectory]").set_input_files(program)
    expect(page.locator("#program")).to_contain_text("2 files")
    assert broken
    page.get_by_label("Start command").fill("python train.py --lr {lr}")
    expect(page.get_by_label("Name of lr")).to_have_value("lr")
    expect(page.locator(".plan")).to_contain_text("a range for lr")
    page.get_by_label("How lr is searched").select_option("log")
    page.get_by_label("lr, from").fill("1e-4")
    page.get_by_label("lr, to").fill("1e-1")
    page.get_by_label("Metric").fill("accuracy")
    expect(page.locator(".plan")).to_contain_text("Ready to start")
    page.get_by_role("button", name="Add a parameter").click()
    expect(page.get_by_label("Name of parameter 2")).to_be_focused()
    page.keyboard.type("extra")
    page.get_by_label("Start command").fill("python train.py --lr {lr} --extra ")
    page.get_by_role("button", name="{extra}").click()
    expect(page.get_by_label("Name of extra")).to_have_count(1)
    page.get_by_label("Start command").fill("python train.py --lr {lr}")
    page.get_by_role("button", name="Remove extra").click()
    expect(page.get_by_label("Name of extra")).to_have_count(0)
    page.get_by_role("button", name="Start the search").click()
    page.wait_for_url("**/experiments/owner~train")
    spec = site.service.experiment("train").spec
    assert spec["command"] == ["python", "train.py", "--lr", "{lr}"]
    assert spec["parameters"] == {"lr": {"low": 1e-4, "high": 1e-1, "log": True}}
    files = {file.path: file.size_bytes for file in site.service.code_files(spec["code"])}
    assert len(files) == 2 and files["train.py"] == len((program / "train.py").read_bytes())


def test_a_dropped_archive(page: Page) -> None:
    """It is taken as it is, wherever in the frame it is dropped; the command can be chosen among its programs."""
    page.goto("/new?task=command")
    archive = zip_of(("run.sh", b"echo accuracy=1"), ("train.py", b""))
    dropped = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "program.zip"));
            return transfer;
        }""",
        list(archive),
    )
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": dropped})
    expect(page.locator("#program")).to_contain_text("2 files")
    assert page.locator("#commands option").evaluate_all("all => all.map(one => one.value)") == [
        "sh run.sh",
        "python train.py",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "/new?data=dataset:owner/digits&algorithm=evolutionary",
        "/new?data=dataset:owner/digits&mode=hand&range.learning_rate.value=a&more=a",
        "/new?task=command&row.0.name=x&row.0.kind=values&row.1.name=&mode=existing",
    ],
)
def test_the_form_can_be_read_by_everybody(context_of: OpenContext, address: str) -> None:
    """With everything unfolded, nobody is shut out, and a phone need not be scrolled sideways."""
    page = context_of("ada").new_page()
    page.goto(address)
    for fold in page.locator("details:not([data-menu]):visible").all():
        fold.evaluate("fold => (fold.open = true)")
    check_looks(page)
