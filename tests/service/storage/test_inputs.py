"""Pictures that are sent to be predicted."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.service.storage.archives import tar_entry, tar_of
from tests.service.storage.conftest import sent
from tunewell.service.service import Service
from tunewell.service.storage.limits import PICTURES_SECONDS
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, ForbiddenError, NotFoundError
from tunewell.spec.states import JobState


@pytest.fixture
def model(service: Service, monkeypatch: pytest.MonkeyPatch) -> str:
    """An experiment whose model can be asked for; nothing is predicted with it."""
    spec = {
        "name": "ada/e",
        "command": ["true"],
        "parameters": {"x": [1, 2]},
        "objective": "accuracy",
        "max_trials": 1,
    }
    service.create(spec)
    monkeypatch.setattr("tunewell.service.job_verbs.find_model", lambda *arguments: Path("/model"))
    return "ada/e"


def picture() -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


def inputs_of(service: Service, id: int) -> dict[str, Any]:
    """Return what a job is to predict."""
    asked = service.store.job(id).arguments
    return {"inputs": asked["inputs"], "directory": Path(asked["directory"])}


def test_an_archive_of_pictures(service: Service, ada: Service, model: str) -> None:
    """It is unpacked once, however often it is asked for, and the job finds the pictures by their own names."""
    upload = sent(ada, tar_of(("a/1.png", picture()), ("2.png", picture())), "pictures.tar")
    job = ada.predict(model, upload=upload.id, key="k")
    assert ada.predict(model, upload=upload.id, key="k") == job == ada.predict(model, upload=upload.id)
    asked = inputs_of(service, job.id)
    folder = service.home.inputs / upload.id
    assert asked == {"inputs": ["."], "directory": folder}
    assert sorted(path.name for path in folder.rglob("*.png")) == ["1.png", "2.png"]
    assert job.state is JobState.WAITING


def test_a_single_picture(service: Service, ada: Service, model: str) -> None:
    """It keeps its name."""
    upload = sent(ada, picture(), "cat.png")
    folder = inputs_of(service, ada.predict(model, upload=upload.id).id)["directory"]
    assert [path.name for path in folder.iterdir()] == ["cat.png"]


def test_what_is_refused(service: Service, ada: Service, bob: Service, model: str) -> None:
    """Paths of the server, both or neither, another user's upload, one that is not whole, and an evil archive."""
    upload = sent(ada, picture(), "cat.png")
    for paths in ({"inputs": [Path("/etc")]}, {"upload": upload.id, "output": Path("/x.csv")}):
        with pytest.raises(ForbiddenError, match="a path on the server"):
            ada.predict(model, **paths)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="Name one of the two"):
        ada.predict(model)
    with pytest.raises(ArgumentError, match="Name one of the two"):
        service.predict(model, [Path("a.png")], upload=upload.id)
    with pytest.raises(NotFoundError, match="There is no upload"):
        bob.predict(model, upload=upload.id)
    with pytest.raises(ConflictError, match="is not finished"):
        ada.predict(model, upload=ada.create_upload("a.png", 5).id)
    evil = sent(ada, tar_of((tar_entry("link", b"2", "/etc"), b"")), "evil.tar")
    with pytest.raises(DataError, match="is a link"):
        ada.predict(model, upload=evil.id)
    assert not (service.home.inputs / evil.id).exists()


def test_they_stay_while_they_are_needed(service: Service, ada: Service, model: str) -> None:
    """Pictures, and the upload that they came by, go an hour later, but not under a job that waits."""
    jobs = {}
    for name in ("waits.png", "ended.png"):
        upload = sent(ada, picture(), name)
        jobs[name] = ada.predict(model, upload=upload.id).id
    ada.stop_job(jobs["ended.png"])
    with service.store.transaction() as tx:
        for _ in range(101):  # however many jobs have come since
            tx.add_job("predict", None, {"inputs": ["."], "directory": "/elsewhere"}, "owner")
    service.tidy()
    assert len(ada.uploads()) == 2  # it may be asked for again
    for folder in service.home.inputs.iterdir():
        old = time.time() - PICTURES_SECONDS - 60
        os.utime(folder, (old, old))
    service.tidy()
    assert [path.name for path in service.home.inputs.rglob("*.png")] == ["waits.png"]
    assert [upload.name for upload in ada.uploads()] == ["waits.png"]
    assert [path.name for path in service.home.uploads.iterdir()] == [upload.id for upload in ada.uploads()]


def test_pictures_that_are_asked_for_again_stay(service: Service, ada: Service, model: str) -> None:
    """The hour begins anew."""
    upload = sent(ada, picture(), "cat.png")
    ada.stop_job(ada.predict(model, upload=upload.id).id)
    old = time.time() - PICTURES_SECONDS - 60
    os.utime(service.home.inputs / upload.id, (old, old))
    ada.stop_job(ada.predict(model, upload=upload.id).id)
    service.tidy()
    assert [one.id for one in ada.uploads()] == [upload.id]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("no.zip", b"no archive", r"^no\.zip: it is no archive\. Send a zip"),
        ("no.tar.gz", b"no archive", r"^no\.tar\.gz: it is no archive\. Send a zip"),
        (
            "empty.zip",
            b"PK\5\6" + bytes(18),
            r"^empty\.zip: it is empty: there is no file in it\. Send one with files in it",
        ),
        ("empty.tar", bytes(10240), r"^empty\.tar: it is empty: there is no file in it\. Send one with files in it"),
    ],
)
def test_archives_without_pictures(ada: Service, model: str, name: str, data: bytes, told: str) -> None:
    """It is said by their name, and before a job begins."""
    with pytest.raises(DataError, match=told):
        ada.predict(model, upload=sent(ada, data, name).id)


def test_bombs_among_the_pictures(tmp_path: Path) -> None:
    """A picture with more pixels than memory is told as such, and not decoded."""
    from tunewell.tasks.vision.pictures import load_pixels
    from tunewell.tasks.vision.predicting import load_each

    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    assert bomb.stat().st_size < 100_000
    loaded, problems = load_each([bomb], lambda path: load_pixels(path, 8))
    assert not loaded and "pixels" in problems[bomb]
