"""The page of a trial, and that of a job."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.console import trials
from tests.console.looks import MARKUP
from tests.console.markup import Document, parse
from tests.console.serving import ACTS, SENDS, browser
from tests.console.trials import BEST, DEFAULT, FAILED, RUNNING, WAITING
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import JobState
from tunewell.store.rows import JobEnd

HERE = "/experiments/owner~signs/trials"


@pytest.fixture
def signs(service: Service) -> TestClient:
    """The browser of the administrator, in a home with a search that has a trial of each kind."""
    trials.fill(service)
    return browser(service, "owner")


def shown(client: TestClient, address: str) -> Document:
    """Return a page; what is in one element is apart from what is in the next."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text.replace("<wbr>", "").replace("<", " <"))


def told(page: Document) -> str:
    """Return the text of a page, its spaces made one."""
    return " ".join(page.text.split())


def section(page: Document, name: str) -> str:
    """Return the text of a section, its spaces made one."""
    return " ".join(page.one("section", aria_label=name).text.split())


def test_what_a_trial_reached(signs: TestClient) -> None:
    """Its value stands beside the best and the default, with what lies between."""
    page = shown(signs, f"{HERE}/{DEFAULT}")
    text = section(page, "What it reached")
    assert "0.7 accuracy" in text and "against the best −0.2 from 0.9" in text and "the default" in text
    assert "256 MiB" in text
    text = section(shown(signs, f"{HERE}/{BEST}"), "What it reached")
    assert "0.9 accuracy" in text and "the best" in text and "against the default +0.2 from 0.7" in text


def test_parameters_beside_others(signs: TestClient) -> None:
    """Each parameter has the value of the trial, the default and the best one; what differs is marked."""
    page = shown(signs, f"{HERE}/{FAILED}")
    assert "learning_rate 0.02 0.001 0.02" in section(page, "Parameters")
    marked = [cell.text.strip() for cell in page.all("td", **{"class": "n other"})]
    assert marked == ["0.001", MARKUP]


def test_defaults_that_were_not_tried(service: Service, administrator: TestClient) -> None:
    """Where no trial was one of the default configuration, what the space declares is shown."""
    service.create(trials.SPEC)
    trials.add(service, 1, {"learning_rate": 2e-2, "optimizer": "sgd"}, "random")
    assert "learning_rate 0.02 0.001" in section(shown(administrator, f"{HERE}/1"), "Parameters")


def test_why_and_from_where(signs: TestClient) -> None:
    """Why it was proposed is told, and the trials whose checkpoints led to it are linked."""
    page = shown(signs, f"{HERE}/{RUNNING}")
    text = " ".join(page.text.split())
    assert "Goes on from trial 2 → this one" in text
    assert "went on" in text or "goes on" in text
    assert f"{HERE}/{BEST}" in page.addresses


def test_metrics_and_their_curves(signs: TestClient) -> None:
    """All metrics have their latest value, and the one that is chosen its curve beside that of the best trial."""
    page = shown(signs, f"{HERE}/{DEFAULT}")
    assert "accuracy 0.7 4 0.9" in section(page, "Metrics") and "loss 0.5 4 –" in section(page, "Metrics")
    assert "accuracy over steps. The line behind it is trial 2, the best one." in section(page, "Metrics")
    page = shown(signs, f"{HERE}/{DEFAULT}?metric=loss")
    assert (
        "loss over steps" in section(page, "Metrics") and page.one("tr", aria_current="true").text.strip()[:4] == "loss"
    )
    assert "Nothing has been reported yet." in shown(signs, f"{HERE}/{WAITING}").text


def test_a_metric_that_was_not_finite(service: Service, signs: TestClient) -> None:
    """It is told as that, and the curve leaves it out."""
    trials.report(service, RUNNING, {"accuracy": 0.4, "loss": float("nan")})
    page = shown(signs, f"{HERE}/{RUNNING}?metric=loss")
    assert "loss not finite 4" in section(page, "Metrics") and "It has not been reported." in section(page, "Metrics")
    assert "0.4 accuracy so far, step 4" in section(page, "What it reached")


def test_of_many_reports_the_latest_values_are_shown(service: Service, signs: TestClient) -> None:
    """A metric that was in one of the last reports only, has its value there."""
    reports = [Report(step, {"accuracy": step / 4000}, 0.0) for step in range(10, 2010)]
    reports[-2] = Report(2008, {"accuracy": 0.5, "rare": 0.75}, 0.0)
    with service.store.transaction() as tx:
        tx.add_reports(AttemptKey(trials.NAME, RUNNING, 1), reports)
    text = section(shown(signs, f"{HERE}/{RUNNING}"), "Metrics")
    assert "rare 0.75 2008" in text and "accuracy 0.5022 2009" in text


def test_attempts_with_causes_and_remedies(signs: TestClient) -> None:
    """Each attempt has its state, cause and exit code; a cause stands in words, with what to do about it."""
    page = shown(signs, f"{HERE}/{FAILED}")
    text = section(page, "Attempts")
    assert "1 lost" in text and "The machine was lost. The machine went away." in text
    assert "2 failed – 1" in text and "Out of GPU memory." in text and "batch size" in text
    assert "Out of GPU memory." in section(page, "Why it failed") and f"note {MARKUP}" in page.text


def test_what_has_happened(signs: TestClient) -> None:
    """Its life is told in sentences, in order."""
    text = section(shown(signs, f"{HERE}/{FAILED}"), "What has happened")
    order = ["Proposed.", "Attempt 1 started.", "Attempt 1 was lost", "Attempt 2 started.", "Attempt 2 failed"]
    places = [text.index(one) for one in order]
    assert places == sorted(places)


def test_the_way_to_other_trials(signs: TestClient) -> None:
    """There is a way back, and to the trials before and behind, as far as there are any."""
    first, last = shown(signs, f"{HERE}/1"), shown(signs, f"{HERE}/{WAITING}")
    assert first.one("a", rel="next").attributes["href"] == f"{HERE}/2"
    assert last.one("a", rel="prev").attributes["href"] == f"{HERE}/4"
    assert not list(first.all("a", rel="prev")) and not list(last.all("a", rel="next"))
    assert "/experiments/owner~signs" in first.addresses


def test_what_can_be_done_with_a_trial(service: Service, signs: TestClient) -> None:
    """One that goes on can be stopped, one that failed retried, and nothing else is offered."""
    actions = {
        number: {a for a in shown(signs, f"{HERE}/{number}").addresses if "/trials/" in a and a[-1].isalpha()}
        for number in range(1, 6)
    }
    assert actions[DEFAULT] == actions[BEST] == set()
    assert actions[FAILED] == {f"{HERE}/{FAILED}/retry"}
    assert actions[RUNNING] == {f"{HERE}/{RUNNING}/stop"}
    answer = signs.post(f"{HERE}/{FAILED}/retry", headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/{FAILED}")
    (request,) = service.store.requests("signs")
    assert (request.verb, request.data["trials"]) == ("retry", [FAILED])


def test_the_end_of_a_log_without_scripts(service: Service, signs: TestClient) -> None:
    """It is plain text: without escape codes, what was written over left out, markup as it was printed."""
    text = f"first\n\x1b[1;31mred\x1b[0m {MARKUP}\n10 %\r20 %\r\n\x1b]0;title\x07\x1b[?25hend\n"
    trials.log(service, BEST).write_text("x" * 100_000 + "\n" + text, newline="")
    page = parse(signs.get(f"{HERE}/{BEST}").text)
    text = page.one("pre").text
    assert text.endswith(f"x\nfirst\nred {MARKUP}\n20 %\nend\n") and 60_000 < len(text) < 66_000
    assert not list(page.all("img"))


def test_a_log_is_read_where_rest_has_it(service: Service, signs: TestClient) -> None:
    """The page says where the log of the attempt is, which is chosen by a link."""
    trials.log(service, FAILED, 1).write_bytes(b"one")
    trials.log(service, FAILED, 2).write_bytes(b"two")
    for address, text in ((f"{HERE}/{FAILED}", "two"), (f"{HERE}/{FAILED}?attempt=1", "one")):
        page = shown(signs, address)
        (log,) = page.all("log-view")
        assert signs.get(log.attributes["data-address"]).text == text
        assert "?attempt=1#log" in page.addresses
    assert signs.get(f"{HERE}/{FAILED}?attempt=3").status_code == 404
    assert not list(shown(signs, f"{HERE}/{WAITING}").all("log-view"))


def test_files_are_saved_and_not_shown(service: Service, signs: TestClient) -> None:
    """Each file is listed with its size, and sent as an attachment that no browser takes for a page."""
    name = f"a {MARKUP.replace('/', '')}?#%.html"
    trials.leave(service, BEST, f"plots/{name}", b"<script>alert(1)</script>")
    page = shown(signs, f"{HERE}/{BEST}")
    assert "1 file, 25 B" in section(page, "Files") and f"plots/{name}" in page.text
    (address,) = (one for one in page.addresses if "/artifacts/" in one)
    answer = signs.get(address)
    assert answer.content == b"<script>alert(1)</script>"
    assert (
        answer.headers["content-disposition"].startswith("attachment")
        and "sandbox" in answer.headers["content-security-policy"]
    )


def test_nothing_of_others_is_markup(signs: TestClient) -> None:
    """Names, choices, reasons, details and metrics are shown as they were written."""
    for number in range(1, 6):
        page = shown(signs, f"{HERE}/{number}?metric={MARKUP}")
        assert not list(page.all("img")) and not list(page.all("b", onerror="alert(1)"))
    assert MARKUP in shown(signs, f"{HERE}/{FAILED}").text


def test_no_such_trial(signs: TestClient) -> None:
    """It is told on a page."""
    answer = signs.get(f"{HERE}/77")
    assert answer.status_code == 404 and "has no trial 77" in parse(answer.text).text


# Jobs -----------------------------------------------------------------------------------------------------


def test_a_job(service: Service, signs: TestClient) -> None:
    """It says what it is about and how it ended, what came out, what it printed and left."""
    job = service.retrain("signs")
    page = shown(signs, f"/jobs/{job.id}")
    assert "Training on all data" in page.text and "It has not been started yet." in page.text
    assert "/experiments/owner~signs" in page.addresses
    service.carry_out(job.id)
    page = shown(signs, f"/jobs/{job.id}")
    assert f"Training on all data {service.job(job.id).state}" in told(page) and "What came out" in told(page)
    (log,) = page.all("log-view")
    assert signs.get(log.attributes["data-address"]).status_code == 200


def test_a_job_is_stopped_and_retried(service: Service, signs: TestClient) -> None:
    """Both are done by a button, with a script or without."""
    id = service.evaluate("signs").id
    assert signs.post(f"/jobs/{id}/stop", headers=ACTS).json()["said"] == f"Job {id} is being stopped."
    assert service.job(id).state == "stopped"
    assert signs.post(f"/jobs/{id}/retry", headers=SENDS).headers["location"] == f"/jobs/{id}"
    assert service.job(id).state == "waiting"


def test_what_a_job_found_out(service: Service, signs: TestClient) -> None:
    """Its result stands in a table, as text."""
    id = service.evaluate("signs").id
    with service.store.transaction() as tx:
        tx.end_waiting_job(id, JobEnd(JobState.SUCCEEDED, result={"is_model": True, "metrics": {MARKUP: 0.51234567}}))
    page = shown(signs, f"/jobs/{id}")
    assert "is model yes" in told(page) and f"metrics: {MARKUP} 0.5123" in told(page)


def test_no_such_job(signs: TestClient) -> None:
    """It is told on a page."""
    assert signs.get("/jobs/77").status_code == 404


def test_what_workers_do_not_send_has_no_place(searches: Service) -> None:
    """Where a trial is trained elsewhere, neither log nor files nor what a machine would tell stand there empty."""
    full = browser(searches, "owner")
    page = full.get("/experiments/workers/trials/1").text
    assert "gpu-7" in page
    for absent in ('aria-label="Log"', 'aria-label="Files"', "exit code", "most memory"):
        assert absent not in page
    assert 'aria-label="Each parameter and the result"' not in full.get("/experiments/waiting").text
