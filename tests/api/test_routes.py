"""Every route, once at least."""

from __future__ import annotations

import io
import json
import re
import tarfile
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from tests.api.serving import SECRET, SPEC, add_model, add_trial, client_of, end, served
from tunewell.service import types
from tunewell.service.service import Service
from tunewell.service.types import Page
from tunewell.spec.states import TrialState

TRIAL = "/experiments/e/trials/1"
#: Operation → address and the type of the answer, of what is read of an experiment that has run.
READS: dict[str, tuple[str, Any]] = {
    "experiments": ("/experiments?state=completed&search=e", Page[types.ExperimentSummary]),
    "experiment": ("/experiments/e", types.Experiment),
    "result": ("/experiments/e/result", types.SearchResult),
    "top": ("/experiments/e/top?number=2", Page[types.TrialResult]),
    "overview": ("/experiments/e/overview", types.Overview),
    "export_trials": ("/experiments/e/export/trials", Page[types.ExportedTrial]),
    "chart": ("/experiments/e/charts/slice?of=x", types.Chart),
    "importances": ("/experiments/e/importances", Page[types.ParameterImportance]),
    "evaluations": ("/experiments/e/evaluations", Page[types.Evaluation]),
    "finalists": ("/experiments/e/finalists", Page[types.Finalist]),
    "trained_models": ("/experiments/e/models", Page[types.TrainedModel]),
    "workers": ("/experiments/e/workers", Page[types.Worker]),
    "trials": ("/experiments/e/trials?sort=-value&in.x=0..1&state=succeeded", types.TrialPage),
    "trial": (TRIAL, types.TrialDetails),
    "reports": (f"{TRIAL}/reports", Page[types.Report]),
    "artifacts": (f"{TRIAL}/artifacts", Page[types.Artifact]),
    "log": (f"{TRIAL}/log", types.LogPart),
    "jobs": ("/jobs?experiment=owner~e&kind=evaluate", Page[types.Job]),
    "job": ("/jobs/1", types.Job),
    "job_log": ("/jobs/1/log", types.LogPart),
    "job_artifacts": ("/jobs/1/artifacts", Page[types.Artifact]),
    "tasks": ("/tasks", Page[types.Task]),
    "network": ("/networks/resnet18", types.Network),
    "network_of_task": ("/tasks/image-classification/networks/resnet18", types.Network),
    "algorithms": ("/algorithms", Page[types.Algorithm]),
    "about": ("/about", types.About),
    "resources": ("/resources", types.Capacity),
    "queue": ("/queue", types.Queue),
    "experiments_in_bin": ("/bin?owner=owner", Page[types.ExperimentSummary]),
    "me": ("/me", types.Me),
    "usage": ("/usage?month=2026-03", Page[types.UserUsage]),
    "users": ("/users", Page[types.User]),
    "user": ("/users/owner", types.User),
    "tokens": ("/tokens", Page[types.Token]),
    "audit": ("/audit?caller=owner&verb=create", Page[types.AuditEntry]),
    "audited_verbs": ("/audit/verbs", Page[str]),
    "uploads": ("/uploads", Page[types.Upload]),
    "datasets": ("/datasets?search=d", Page[types.DataSet]),
    "models": ("/models?search=d", Page[types.Model]),
    "allowed_folders": ("/allowed-folders", Page[str]),
    "channels": ("/channels", Page[types.Channel]),
    "allowed_hosts": ("/allowed-hosts", Page[types.AllowedHost]),
    "changes": ("/events", types.Changes),
    "events": ("/experiments/e/events", Page[types.Event]),
}
#: Operation → address of a file, and its media type.
FILES = {
    "artifact": (f"{TRIAL}/artifacts/number", "application/octet-stream"),
    "export": ("/experiments/e/export?format=csv", "text/csv"),
    "report": ("/experiments/e/report", "text/html"),
}
#: Operation → address, body, status: of what is asked for about an experiment that has not begun.
COMMANDS: dict[str, tuple[str, Any, int]] = {
    "create": ("/experiments", {**SPEC, "name": "new"}, 201),
    "stop": ("/experiments/e/stop", None, 202),
    "pause": ("/experiments/e/pause", None, 202),
    "resume": ("/experiments/paused/resume", None, 202),
    "retry": ("/experiments/e/retry", {"trials": [2]}, 202),
    "stop_trial": ("/experiments/e/trials/1/stop", None, 202),
    "retry_trial": ("/experiments/e/trials/2/retry", None, 202),
    "probe": ("/experiments/e/probe", None, 202),
    "train_finalists": ("/experiments/e/finalists", None, 202),
    "evaluate": ("/experiments/e/evaluate", None, 202),
    "repeat_finalists": ("/experiments/e/repeats", {"seeds": 2}, 202),
    "retrain": ("/experiments/e/retrain", {"trial": 3}, 202),
    "write_report": ("/experiments/e/report", None, 200),
    "stop_job": ("/jobs/1/stop", None, 202),
    "retry_job": ("/jobs/2/retry", None, 202),
    "restore": ("/experiments/gone/restore", None, 200),
    "add_trial": ("/experiments/paused/trials", {"parameters": {"x": 0.25}}, 202),
    "clone": ("/experiments/e/clone", {"changes": {"max_trials": 7}}, 200),
    "export_model": ("/experiments/modelled/export-model", None, 202),
    "import_table": ("/imports", {"spec": {**SPEC, "name": "old"}, "table": "x,accuracy\n0.5,0.9\n"}, 201),
}
#: Those that are tested by themselves, below or in the module of their own: what they need is not here.
ELSEWHERE = {
    "compare",
    "evaluate_model",
    "update",
    "check_data",
    "job_artifact",
    "delete",
    "purge",
    "predict",
    "trained_model_files",
}
OF_STORAGE = {
    *("create_upload", "upload", "put_part", "finish_upload", "abandon_upload"),
    *("add_code", "code", "code_files", "find_content"),
    *("add_dataset", "dataset", "check_dataset", "delete_dataset", "restore_dataset"),
    *("dataset_view", "dataset_sample"),
}
OF_NOTIFICATIONS = {
    *("channel", "add_channel", "change_channel", "remove_channel", "confirm_channel", "test_channel"),
    *("deliveries", "redeliver", "allow_host", "withdraw_host"),
}
OF_MODELS = {
    *("publish", "model", "model_versions", "model_version", "model_files", "change_model", "change_model_version"),
    *("use_model_version", "delete_model_version", "delete_model", "restore_model", "predict_now"),
    *("predict_with_version", "predict_upload_with_version", "export_version", "evaluate_version"),
}
OF_PEOPLE = {"add_user", "change_user", "sign_in_link", "create_token", "revoke_token"}
OF_WORKERS = {"add_reports", "suggest", "heartbeat", "add_log", "complete"}
OF_UPKEEP = {"backup", "disk", "change_disk", "garbage", "collect_garbage"}
OF_SERVICE = {"healthz", "readyz", "figures"}


def test_every_route_is_tested(ran: TestClient) -> None:
    """A new route is a new line in one of the tables."""
    document = ran.get("http://testserver/openapi.json").json()
    operations = {one["operationId"] for item in document["paths"].values() for one in item.values()}
    elsewhere = ELSEWHERE | OF_STORAGE | OF_MODELS | OF_NOTIFICATIONS | OF_PEOPLE | OF_WORKERS | OF_UPKEEP | OF_SERVICE
    assert operations == {*READS, *FILES, *COMMANDS} | elsewhere


@pytest.mark.parametrize("operation", READS)
def test_reading(ran: TestClient, ran_service: Service, operation: str) -> None:
    """What a verb gives comes as JSON, without any secret, and without where the home is."""
    address, kind = READS[operation]
    answer = ran.get(address, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    TypeAdapter(kind).validate_json(answer.text)
    assert SECRET not in answer.text and str(ran_service.home.folder) not in answer.text
    full = address.replace("/experiments/e", "/experiments/owner~e")
    if operation not in ("resources", "overview", "me"):  # which change by themselves
        assert ran.get(full, headers={"Accept": "application/json"}).json() == answer.json()


@pytest.mark.parametrize("operation", FILES)
def test_reading_files(ran: TestClient, ran_service: Service, operation: str) -> None:
    """What users' programs have written can do nothing in a browser; nothing tells where the home is."""
    address, media_type = FILES[operation]
    answer = ran.get(address)
    assert answer.status_code == 200 and answer.content
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert SECRET not in answer.text and str(ran_service.home.folder) not in answer.text
    if operation != "report":
        assert answer.headers["content-disposition"].startswith("attachment")


@pytest.fixture
def begun(service: Service) -> TestClient:
    """An app with a trial that runs, one that failed, one with a value, and what there is to be asked for."""
    add_trial(service, 1, TrialState.RUNNING)
    add_trial(service, 2, TrialState.FAILED)
    add_trial(service, 3, TrialState.SUCCEEDED, 0.9)
    service.create({**SPEC, "name": "paused"})
    service.pause("paused")
    service.evaluate("e")
    service.stop_job(service.probe("e").id)
    for name in ("gone", "modelled"):
        service.create({**SPEC, "name": name})
        end(service, name)
    service.delete("gone")
    add_model(service, "modelled")
    return client_of(service)


@pytest.mark.parametrize("operation", COMMANDS)
def test_commanding(begun: TestClient, service: Service, operation: str) -> None:
    """What is asked for twice with one key is done once, and answered as before; a viewer asks for nothing.

    No answer tells where the home is.
    """
    address, body, status = COMMANDS[operation]
    if operation not in ("create", "import_table", "clone"):
        others = re.sub("/experiments/(?=[a-z])", "/experiments/owner~", address)
        refused = begun.post(others, json=body, headers={"As": "eve"})
        assert refused.status_code == 403, refused.text
    first = begun.post(address, json=body, headers={"Idempotency-Key": "k"})
    assert first.status_code == status, first.text
    assert str(service.home.folder) not in first.text
    version = begun.get("/events", headers={"Accept": "application/json"}).json()["version"]
    again = begun.post(address, json=body, headers={"Idempotency-Key": "k"})
    assert again.status_code == status and again.json() == first.json()
    assert begun.get("/events", headers={"Accept": "application/json"}).json()["version"] == version


def test_the_bin(begun: TestClient) -> None:
    """What is deleted can be had back, or removed for good; a key has each done once."""
    assert begun.delete("/experiments/e").status_code == 409  # it has not ended
    assert begun.delete("/experiments/owner~modelled", headers={"As": "ada"}).status_code == 403
    for _ in range(2):
        assert begun.delete("/experiments/modelled", headers={"Idempotency-Key": "k"}).status_code == 204
    assert [one["name"] for one in begun.get("/bin").json()["items"]] == ["modelled", "gone"]
    assert [one["name"] for one in begun.get("/bin?search=gon").json()["items"]] == ["gone"]
    assert begun.get("/experiments/modelled").status_code == 404
    for _ in range(2):
        assert begun.delete("/bin/modelled", headers={"Idempotency-Key": "l"}).status_code == 204
    assert begun.delete("/bin/modelled").status_code == 404
    assert begun.post("/experiments/modelled/restore").status_code == 404


def test_the_files_of_a_model(begun: TestClient) -> None:
    """They come as one archive; who only looks gets none."""
    answer = begun.get("/experiments/modelled/models/best/files")
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''modelled-best.tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert sorted(archive.getnames()) == ["model.json", "parts/weights"]
        weights = archive.extractfile("parts/weights")
        assert weights is not None and weights.read() == bytes(100_000)
    assert begun.get("/experiments/modelled/models/retrained/files").status_code == 404
    assert begun.get("/experiments/modelled/models/worst/files").status_code == 422
    assert begun.get("/experiments/owner~modelled/models/best/files", headers={"As": "ada"}).status_code == 200
    assert begun.get("/experiments/owner~modelled/models/best/files", headers={"As": "eve"}).status_code == 403


def test_a_chart_is_a_picture_where_that_is_asked_for(ran: TestClient) -> None:
    """By `Accept`, a chart comes as a file with its styles within; one that there is not stays a sentence."""
    answer = ran.get("/experiments/e/charts/history", headers={"Accept": "image/svg+xml"})
    assert answer.headers["content-type"] == "image/svg+xml" and "sandbox" in answer.headers["content-security-policy"]
    assert answer.text.startswith("<svg ") and "<style>" in answer.text
    assert "<style>" not in ran.get("/experiments/e/charts/history").json()["svg"]
    none = ran.get("/experiments/e/charts/learning-curves", headers={"Accept": "image/svg+xml"})
    assert none.json()["svg"] is None and none.json()["caption"]


def test_predicting(begun: TestClient, service: Service) -> None:
    """Pictures come as an upload; a path on the server can't be named."""
    upload = service.create_upload("a.png", 3)
    service.put_part(upload.id, 0, [b"abc"])
    service.finish_upload(upload.id)
    answer = begun.post("/experiments/modelled/predict", json={"upload": upload.id})
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    assert answer.json()["arguments"]["directory"] == f"inputs/{upload.id}"
    assert str(service.home.folder) not in answer.text
    assert begun.post("/experiments/modelled/predict", json={"upload": "0" * 32}).status_code == 404
    assert begun.post("/experiments/modelled/predict", json={"inputs": ["/etc/passwd"]}).status_code == 422


def test_jobs_tell_where_they_are(begun: TestClient) -> None:
    """What is accepted can be followed; so can what was created."""
    answer = begun.post("/experiments/e/retrain")
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    assert begun.get(f"http://testserver{answer.headers['location']}").json() == answer.json()
    assert answer.json()["arguments"]["trial"] == 3
    made = begun.post("/experiments", json={**SPEC, "name": "mine"}, headers={"As": "ada"})
    assert made.json() == {"name": "ada/mine", "kind": "new", "notes": []}
    assert made.headers["location"] == "/api/v1/experiments/ada~mine"
    for caller in ("owner", "ada", "eve"):
        found = begun.get(f"http://testserver{made.headers['location']}", headers={"As": caller})
        assert found.json()["name"] == "ada/mine"


def test_data_checks(api: TestClient) -> None:
    """Only built-in tasks know their data; paths on the server can't be named from elsewhere."""
    answer = api.post("/data-checks", json=SPEC)
    assert (answer.status_code, answer.json()["field"]) == (422, "task")
    answer = api.post("/data-checks", json={"name": "d", "task": "image-classification", "data": "/etc"})
    assert (answer.status_code, answer.json()["field"]) == (403, "data")
    assert answer.json()["remedy"] == "Name a data set of the service, as dataset:NAME"


def test_files_of_jobs(ran: TestClient) -> None:
    """A file that a job has not left is none."""
    assert ran.get("/jobs/1/artifacts/nothing").status_code == 404
    assert ran.get("/jobs/1/artifacts/%2e%2e%2fjob.json").status_code == 404


def test_an_export_is_whole(ran: TestClient) -> None:
    """The file of an export holds every trial."""
    answer = ran.get("/experiments/e/export")
    assert [trial["number"] for trial in json.loads(answer.text)["trials"]] == [1, 2, 3]
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''e.json"


@pytest.mark.parametrize(
    "path",
    [
        "/experiments",
        "/experiments/e",
        "/experiments/e/report",
        "/experiments/e/export",
        "/experiments/e/trials/1/log",
        "/experiments/e/trials/1/artifacts/number",
        "/experiments/e/trials/1000",
    ],
)
def test_head_tells_what_get_would(ran: TestClient, path: str) -> None:
    """The same status and headers, and no content."""
    full, head = ran.get(path), ran.head(path)
    assert (head.status_code, head.headers, head.content) == (full.status_code, full.headers, b"")


def test_head_of_what_can_only_be_changed(ran: TestClient) -> None:
    """Where there is nothing to be read there is no head of it either."""
    answer = ran.head("/experiments/e/stop")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert ran.delete("/jobs").headers["allow"] == "GET, HEAD"


def test_the_head_of_a_stream_is_all_there_is_of_it(service: Service) -> None:
    """No stream goes on for whoever asks for its head alone."""
    with served(service) as client:
        answer = client.head("/events")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        assert client.get("/me").status_code == 200
