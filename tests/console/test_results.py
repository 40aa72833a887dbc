"""The page of results, as people of every role see it: of pictures, of a command, without a result, during work."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.harvest import HOSTILE
from tests.console.markup import Document, parse
from tests.console.serving import ACTS, SENDS, browser
from tunewell.service.service import Service
from tunewell.spec import format
from tunewell.spec.states import Cause, JobState
from tunewell.store.rows import JobEnd

PICTURES = "/experiments/owner~digits/results"
OBJECTS = "/experiments/owner~scenes/results"


@pytest.fixture(scope="module")
def harvest(harvest_home: Path) -> Iterator[Service]:
    """A home with searches that have run."""
    with Service(harvest_home) as service:
        yield service


@pytest.fixture(scope="module")
def owner(harvest: Service) -> TestClient:
    """The browser of who owns them."""
    return browser(harvest, "owner")


def read(client: TestClient, address: str) -> Document:
    """Return a page that is there."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def actions(page: Document) -> set[str]:
    """Return what the forms of a page have done."""
    return {one.attributes["action"].rpartition("/")[2] for one in page.all("form", method="post")} - {
        "theme",
        "sign-out",
    }


def names_in(archive: bytes) -> list[str]:
    """Return the names of the files in a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


def test_the_best_stand_side_by_side_with_gains_and_their_uncertainty(owner: TestClient, harvest: Service) -> None:
    """A page names best and default, splits with their sizes, intervals, and whether the best can be told apart."""
    result = harvest.result("digits")
    assert result.best is not None and result.default is not None
    page = read(owner, PICTURES)
    assert "Validation, 270 pictures" in page.text and "Test, 270 pictures" in page.text
    assert {one.attributes["href"] for one in page.all("a")} >= {
        f"/experiments/owner~digits/trials/{trial.number}" for trial in result.top
    }
    assert "In small: 95 % intervals, by resampling the pictures" in page.text
    known = result.uncertainty
    assert known is not None and known.items == 270 and len(known.compared) == 1
    assert ("tie with 1" in page.text) == bool(known.ties)
    assert ("not to be told apart from the first on 270" in page.text) == bool(known.ties)
    low, high = known.intervals[result.best.number]
    assert format.rounded(low, (low, high)) in page.text
    for name in ("accuracy", "learning_rate"):
        assert name in page.text


def test_a_cell_leads_to_its_pictures(owner: TestClient) -> None:
    """Each filled cell of the matrix is a link; behind it are pictures of that cell alone."""
    page = read(owner, PICTURES)
    cells = [one.attributes for one in page.all("a") if "cell=" in one.attributes.get("href", "")]
    address = next(cell["href"] for cell in cells if "cell=3-3" in cell["href"])
    shown = read(owner, PICTURES + address.partition("#")[0])
    assert "3, rightly" in shown.text
    known = {one.attributes["src"] for one in page.all("img")}
    pictures = [src for one in shown.all("img") if (src := one.attributes["src"]) not in known]
    assert len(pictures) == 8 and all(src.startswith("data:image/jpeg;base64,") for src in pictures)
    assert "8 on record" in shown.text
    lacking = read(owner, PICTURES + "?cell=77-1&trial=99&split=none&sort=size&threshold=x")
    assert "on record" not in lacking.text


def test_classes_are_sorted_as_the_address_says(owner: TestClient) -> None:
    """A click on a heading sorts by it, another one turns the order round."""

    def column(order: str) -> list[float]:
        html = owner.get(f"{PICTURES}?sort={order}").text
        table = html[html.index('id="classes"') :]
        rows = re.findall(r"<tr><td>.*?</tr>", table[: table.index("</table>")], re.S)
        return [float(re.findall(r'<td class="n">([0-9.]+)</td>', row)[1]) for row in rows]

    assert column("recall") == sorted(column("recall"))
    assert column("-recall") == sorted(column("recall"), reverse=True)
    assert len(column("recall")) == 10


def test_a_threshold_has_figures_of_its_own(owner: TestClient) -> None:
    """The slider of a detector is a plain form; a threshold that all detections pass finds most, a high one least."""
    page = read(owner, OBJECTS)
    slider = page.one("input", type="range")
    assert (slider.attributes["min"], slider.attributes["max"]) == ("0.05", "0.95")
    chosen = read(owner, f"{OBJECTS}?threshold=0.31")
    assert chosen.one("input", type="range").attributes["value"] == "0.3"
    assert "The model's own" in chosen.text


def test_objects_are_shown_beside_the_truth(owner: TestClient) -> None:
    """A detector's page has pictures with what is marked beside what was found, and worst mistakes as pictures."""
    page = read(owner, OBJECTS)
    assert "What is there, and what was found" in page.text
    assert page.one("input", name="threshold", type="number").attributes["placeholder"] == "the model's own"
    shown = [one for one in page.all("img") if "beside it what was found" in one.attributes["alt"]]
    assert shown and all(one.attributes["src"].startswith("data:image/jpeg") for one in shown)


def test_markup_in_names_shows_as_text(owner: TestClient) -> None:
    """Classes, pictures, choices and files may be called anything."""
    for address in (PICTURES, f"{PICTURES}?cell=9-9", f"{PICTURES}?cell=9-9&split=val", "/experiments/command/results"):
        answer = owner.get(address)
        page = parse(answer.text)
        assert HOSTILE in page.text or any(
            HOSTILE in value for one in page.elements for value in one.attributes.values()
        )
        assert not [one for one in page.elements if one.attributes.get("src") == "x" or one.tag in ("b ", "style")]
        assert not [one for one in page.elements if any(name.startswith("on") for name in one.attributes)]
    assert HOSTILE in read(owner, f"{PICTURES}?cell=9-9").text


def test_a_command_has_what_makes_sense_for_it(owner: TestClient, harvest: Service) -> None:
    """There is neither evaluation nor prediction nor model of a command, but its files, its call, and a training."""
    page = read(owner, "/experiments/command/results")
    assert actions(page) == {"retrain", "repeat"} and "TUNEWELL_SEED" in page.text
    for absent in ("Detailed evaluation", "own picture", "hand over", "validation"):
        assert absent not in page.text
    best = harvest.result("command").best
    assert best is not None
    assert f"echo accuracy={best.parameters['x']}" in page.text
    files = [one.attributes["href"] for one in page.all("a") if "/artifacts/" in one.attributes.get("href", "")]
    assert files and owner.get(files[0], headers={"accept": "*/*"}).content == b"\n"


def test_who_looks_gets_no_buttons_but_the_reason(harvest: Service) -> None:
    """A viewer evaluates, trains, predicts and downloads nothing, and is told so."""
    page = read(browser(harvest, "vic"), PICTURES)
    assert actions(page) == set()
    assert "You may look at things here, and change nothing." in page.text
    assert not [one for one in page.all("a") if "/models/" in one.attributes.get("href", "")]


def test_another_user_uses_the_model_and_commands_nothing(harvest: Service) -> None:
    """Whoever sees a search may use its model; only its owner has it trained."""
    page = read(browser(harvest, "ada"), "/experiments/owner~digits/results")
    assert {"predict-picture", "export-model"} <= actions(page)
    assert not {"retrain", "evaluate", "repeat"} & actions(page)
    assert "belongs to owner" in page.text


def test_parts_are_sent_once(owner: TestClient) -> None:
    """A page that is shown already gets the parts that differ: after a click on a cell, the evaluation alone."""
    have = read(owner, PICTURES).stamps
    answer = owner.get(f"{PICTURES}?cell=3-3", headers={"x-have": ",".join(have.values())}).json()
    assert set(answer["parts"]) <= {"results-evaluation", "results-parameters"}
    assert "results-evaluation" in answer["parts"]


def test_models_are_downloaded_and_handed_over(owner: TestClient, harvest: Service) -> None:
    """The best model is a tar; the folder to hand over is one, too, once it was written, with the network as ONNX."""
    links = [
        one.attributes["href"]
        for one in read(owner, PICTURES).all("a")
        if "/models/best" in one.attributes.get("href", "")
    ]
    assert "model.json" in names_in(owner.get(links[0]).content)
    assert owner.get("/experiments/digits/results/hand-over.tar").status_code == 404
    owner.post("/experiments/digits/export-model", headers=SENDS)
    job = harvest.jobs(experiment="digits", kind="export-model").items[0]
    assert f"/jobs/{job.id}/stop" in {one.attributes.get("action") for one in read(owner, PICTURES).all("form")}
    assert harvest.carry_out(job.id).state == "succeeded"
    page = read(owner, PICTURES)
    link = next(
        one.attributes["href"] for one in page.all("a") if one.attributes.get("href", "").endswith("hand-over.tar")
    )
    names = names_in(owner.get(link).content)
    assert any(name.endswith(".onnx") for name in names)
    assert {name.split("/")[0] for name in names} == {"digits-model"}


def test_a_model_is_measured_on_a_data_set(owner: TestClient, harvest: Service) -> None:
    """A form asks for it; the page of the job has the figures beside those of the search, charts and mistakes."""
    folder = Path(harvest.experiment("digits").spec["data"])
    harvest.allow_folder(folder)
    harvest.add_dataset("again", folder=str(folder))
    trial = harvest.result("digits").best
    assert trial is not None
    answer = owner.post(
        "/experiments/digits/evaluate-model", data={"data": "again", "trial": str(trial.number)}, headers=SENDS
    )
    (job,) = harvest.jobs(experiment="digits", kind="evaluate-model").items
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}")
    done = harvest.carry_out(job.id)
    assert done.state == "succeeded" and done.result is not None, done.detail
    page = read(owner, f"/jobs/{job.id}")
    assert "Measured on" in page.text and "Confusion matrix" in page.text and "Worst mistakes" in page.text
    heads = [one.text for one in page.all("th")]
    assert {"new data", "validation", "test", "accuracy"} <= set(heads)
    figures = done.result["figures"]
    assert figures["val"]["accuracy"] == trial.value and done.result["splits"] == {"test": 270}
    assert figures["new"]["accuracy"] == pytest.approx(figures["test"]["accuracy"])
    new, val, test = (format.within(figures[of]["loss"], done.result["intervals"][of]["loss"]) for of in figures)
    assert "(" in new and {new, val, test} <= {one.text for one in page.all("td")}, "each value with its interval"
    assert "In parentheses: 95 % intervals, by resampling the pictures." in page.text
    assert "intervals: new" not in page.text, "they are not told as raw numbers, too"
    for file in ("evaluation.html", "evaluation.json"):
        content = b"".join(harvest.job_artifact(job.id, file))
        assert b"test/" in content and str(folder).encode() not in content, "pictures are named as from the data set"


def test_a_picture_is_predicted_without_scripts(owner: TestClient, harvest: Service) -> None:
    """A plain form sends a picture; the page shows it with the probabilities of the likeliest classes."""
    path = next(Path(harvest.experiment("digits").spec["data"], "test", "3").iterdir())
    files = {"picture": (f"{HOSTILE}.png", path.read_bytes(), "image/png")}
    answer = owner.post("/experiments/digits/predict-picture", files=files, headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/owner~digits/results#try")
    job = harvest.jobs(experiment="digits", kind="predict").items[0]
    assert f"job:{job.id}" in owner.get(PICTURES).text
    assert harvest.carry_out(job.id).state == "succeeded"
    page = read(owner, PICTURES)
    small = page.one("image").attributes["href"]
    shown = owner.get(small)
    assert (shown.headers["content-type"], shown.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert HOSTILE in page.text
    assert not list(page.all("image", src="x"))
    assert owner.get(small.rpartition("/")[0] + "/999").status_code == 404


def test_all_probabilities_of_a_trials_model(owner: TestClient, harvest: Service) -> None:
    """Where the box asks for them, the page shows the probabilities of all classes, and whose model has said so."""
    box = read(owner, PICTURES)
    assert next(box.all("input", name="probabilities")).attributes["type"] == "checkbox"
    number = harvest.result("digits").top[1].number
    path = next(Path(harvest.experiment("digits").spec["data"], "test", "3").iterdir())
    files = {"picture": ("3.png", path.read_bytes(), "image/png")}
    asked = {"trial": str(number), "probabilities": "true"}
    owner.post("/experiments/digits/predict-picture", files=files, data=asked, headers=SENDS)
    job = harvest.jobs(experiment="digits", kind="predict").items[0]
    done = harvest.carry_out(job.id)
    assert done.result is not None and done.result["trial"] == number
    page = read(owner, PICTURES)
    assert f"Trial {number} has said this." in page.text
    probabilities = re.findall(r"^\d\.\d{3}$", "\n".join(one.text for one in page.all("span")), re.MULTILINE)
    assert len(probabilities) == 10


@pytest.fixture
def evaluation(service: Service, harvest: Service) -> tuple[Service, TestClient, int]:
    """A search over pictures with results, whose evaluation waits: home, browser, job."""
    known = {field: harvest.experiment("digits").spec[field] for field in ("task", "network", "data", "weights")}
    service.create({"name": "s", "max_trials": 3, **known})
    looks.trials(service, "s", 3)
    return service, browser(service, "owner"), service.evaluate("s").id


def test_work_is_followed_to_its_end(evaluation: tuple[Service, TestClient, int]) -> None:
    """While it waits and runs it can be stopped, its progress is told; when it has failed, why, and how to go on."""
    service, client, job = evaluation
    place = "/experiments/s/results"
    waiting = read(client, place)
    assert f"/jobs/{job}/stop" in waiting.addresses and "Waiting for its turn" in waiting.text
    assert "evaluate" not in actions(waiting)
    with service.store.transaction() as tx:
        tx.start_job(job, 1, "identity")
        tx.report_job(job, {"step": 1.0, "evaluating trials": 0.5}, attempt=1)
    running = read(client, place)
    assert running.one("progress").attributes["value"] == "0.5" and "evaluating trials" in running.text
    with service.store.transaction() as tx:
        tx.finish_job(job, 1, JobEnd(JobState.FAILED, cause=Cause.DATA_ERROR, detail=looks.MARKUP))
    failed = read(client, place)
    assert looks.MARKUP in failed.text and f"/jobs/{job}/retry" in failed.addresses
    assert client.post(f"/jobs/{job}/retry", headers=ACTS).status_code == 200
    assert client.post(f"/jobs/{job}/stop", headers=ACTS).status_code == 200
    assert "It was stopped" in read(client, place).text


def test_buttons_ask_for_work(evaluation: tuple[Service, TestClient, int]) -> None:
    """Each form leads back to the page, or tells a script what is done; what can't be meant is a problem."""
    service, client, job = evaluation
    service.stop_job(job)
    place = "/experiments/s"
    answer = client.post(f"{place}/evaluate", headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/owner~s/results#evaluation")
    assert client.post(f"{place}/retrain", data={"trial": "2"}, headers=ACTS).json().keys() == {"said"}
    assert service.jobs(experiment="s", kind="retrain").items[0].arguments["trial"] == 2
    assert client.post(f"{place}/repeat", data={"seeds": "4"}, headers=ACTS).json().keys() == {"said"}
    assert service.jobs(experiment="s", kind="repeats").items[0].arguments == {"seeds": 4}
    assert client.post(f"{place}/repeat", data={"seeds": "0"}, headers=ACTS).status_code == 422
    assert client.post(f"{place}/retrain", data={"trial": "99"}, headers=ACTS).status_code == 404
    assert client.post(f"{place}/predict", data={"upload": "0" * 32}, headers=ACTS).status_code == 404


def test_a_function_is_to_be_called(service: Service, administrator: TestClient) -> None:
    """A search over a Python function has no button for a training, but the parameters to call it with."""
    objective = {"metric": "y", "goal": "minimize"}
    service.submit({"name": "f", "parameters": {"x": {"low": 0.0, "high": 1.0}}, "objective": objective}, square)
    looks.trials(service, "f", 1)
    page = read(administrator, "/experiments/f/results")
    assert actions(page) == set() and "call it with the parameters" in page.text


def test_what_workers_have_trained_is_trained_where_they_are(service: Service, administrator: TestClient) -> None:
    """A search whose trials workers train has no button for a training."""
    service.create(looks.spec("w", scheduler="workers", command=None))
    looks.trials(service, "w", 1)
    page = read(administrator, "/experiments/w/results")
    assert not actions(page) & {"retrain", "repeat"} and "where the workers are" in page.text


def square(x: float) -> float:
    """Return what is to be optimised."""
    return x * x


def test_a_report_is_shown_in_a_sandbox(owner: TestClient) -> None:
    """Its own scripts run where they reach nothing of this service."""
    link = next(one.attributes["href"] for one in read(owner, PICTURES).all("a") if one.text == "Report")
    policy = owner.get(link).headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy


def test_without_a_result_a_page_says_so(service: Service, administrator: TestClient) -> None:
    """A search that has just begun, and one that ended without a result, lead back to the trials."""
    service.create(looks.spec("new"))
    page = read(administrator, "/experiments/new/results")
    assert "No result yet" in page.text and actions(page) == set()
    looks.end(service, "new")
    assert "No result yet" not in read(administrator, "/experiments/new/results").text


def test_there_are_no_results_of_what_is_not_seen(harvest: Service, owner: TestClient) -> None:
    """A search that does not exist has no page, and nobody is asked for anything."""
    assert owner.get("/experiments/none/results").status_code == 404
    harvest.update("command", {"visibility": "private"})
    try:
        assert browser(harvest, "ada").get("/experiments/owner~command/results").status_code == 404
    finally:
        harvest.update("command", {"visibility": "team"})
