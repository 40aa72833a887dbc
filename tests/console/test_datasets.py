"""The pages about data sets: what they show, and what they have done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.markup import Document, parse
from tests.console.serving import ACTS, SENDS, browser
from tests.service.storage.archives import tar_of
from tunewell.service.service import Service
from tunewell.spec.states import JobState


def page(one: TestClient, address: str) -> Document:
    """Return a page that is there."""
    answer = one.get(address)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def sent(service: Service, data: bytes, name: str = "some.tar") -> str:
    """Send a file as the administrator, and return the id of the finished upload."""
    upload = service.create_upload(name, len(data))
    service.put_part(upload.id, 0, [data])
    return service.finish_upload(upload.id).id


PICTURES = tar_of(*looks.classes().items())


# The list ---------------------------------------------------------------------------------------------------


def test_the_list(searches: Service) -> None:
    """Name, size, owner, what was found, and a private one for its owner and administrators alone."""
    text = page(browser(searches, "owner"), "/datasets").text
    for words in ("pictures", "Pictures: 47 train, 23 val; 2 can't be read", "Not checked yet.", "The check failed."):
        assert words in text
    assert "ada/hidden" in text
    assert "ada/hidden" in page(browser(searches, "ada"), "/datasets").text
    assert "ada/hidden" not in page(browser(searches, "vic"), "/datasets").text


def test_the_list_can_be_narrowed(searches: Service) -> None:
    """By a name and an owner, in the address; a filter leads to the whole list."""
    one = browser(searches, "owner")
    assert "objects" not in page(one, "/datasets?search=pict").text
    narrowed = page(one, "/datasets?owner=ada")
    assert "objects" not in narrowed.text
    assert "?" in narrowed.addresses
    assert "No data set matches" in page(one, "/datasets?search=nothing").text
    assert "The bin is empty" in page(one, "/datasets?bin=yes").text


def test_an_empty_home(administrator: TestClient, viewer: TestClient) -> None:
    """Where there is nothing, the page says what a data set is; who only looks is not asked for one."""
    assert "No data set yet" in page(administrator, "/datasets").text
    assert "tunewell datasets add NAME FOLDER --server http://127.0.0.1:8700/" in page(administrator, "/datasets").text
    assert "Add a data set" not in page(viewer, "/datasets").text


def test_more_than_a_page(service: Service, administrator: TestClient) -> None:
    """A long list is told in pages, which lead to each other."""
    id = sent(service, tar_of(("a.txt", b"a")))
    content = service.add_dataset("d00", upload=id).sha256
    for number in range(1, 27):
        service.add_dataset(f"d{number:02}", content=content)
    first = page(administrator, "/datasets")
    (older,) = (address for address in first.addresses if "cursor=" in address)
    assert "d26" in first.text and "d01" not in first.text
    assert "d01" in page(administrator, f"/datasets{older}").text


# Adding -----------------------------------------------------------------------------------------------------


def test_an_upload_becomes_a_data_set_that_is_checked(service: Service, administrator: TestClient) -> None:
    """A script is told where to look; the check is on record."""
    form = {"name": "new", "task": "image-classification", "visibility": "private", "upload": sent(service, PICTURES)}
    answer = administrator.post("/datasets", data=form, headers=ACTS).json()
    assert answer["then"] == "/datasets/owner~new"
    assert answer["said"] == "new is added. It is being checked."
    made = service.dataset("new")
    assert (made.visibility, made.job_state, made.job_task) == ("private", JobState.WAITING, "image-classification")
    assert administrator.post("/datasets", data=form, headers=ACTS).json() == answer  # the first one may be lost
    assert service.dataset("new").job == made.job
    again = administrator.post("/datasets", data=form | {"upload": "0" * 32}, headers=ACTS)
    assert (again.status_code, again.json()["field"]) == (409, "name")


def test_data_that_no_task_reads_are_added_all_the_same(service: Service, administrator: TestClient) -> None:
    """It is said what is wrong, by the data set's name; the page goes on saying so, and offers another check."""
    form = {"name": "odd", "task": "image-classification", "upload": sent(service, tar_of(("dog/a.txt", b"a")))}
    said = administrator.post("/datasets", data=form, headers=ACTS).json()["said"]
    told = "odd/dog: there are no pictures in its class folders."
    assert said.startswith(f"odd is added. It can't be used as image classification: {told}")
    shown = page(administrator, "/datasets/odd")
    for words in ("Can't be used as image classification", told, "Check again"):
        assert words in shown.text
    assert "Not checked yet" not in shown.text
    assert "Search on this" not in shown.text
    assert "Searches can't use it as image classification." in page(administrator, "/datasets").text


def test_labels_of_another_task(service: Service, administrator: TestClient, viewer: TestClient) -> None:
    """Where another task can read the data, the page says why this one can't, and offers that one."""
    table = b"file,labels\n" + b"".join(b"%d.png,red;blue\n" % number for number in range(4))
    pictures = [(f"{number}.png", data) for number, data in enumerate(looks.classes().values())][:4]
    upload = sent(service, tar_of(("labels.csv", table), *pictures))
    form = {"name": "tags", "task": "image-classification", "upload": upload}
    administrator.post("/datasets", data=form, headers=ACTS)
    shown = page(administrator, "/datasets/tags")
    assert "Can't be used as image classification" in shown.text
    assert "2 labels" in shown.text
    assert "Check as multilabel classification" in shown.text
    (chosen,) = (option.attributes["value"] for option in shown.all("option") if "selected" in option.attributes)
    assert chosen == "multilabel-classification"
    assert "2 labels" in page(viewer, "/datasets/owner~tags").text
    administrator.post("/datasets/tags/check", data={"task": chosen}, headers=ACTS)
    shown = page(administrator, "/datasets/tags")
    assert "Waiting to be checked" in shown.text
    assert "2 labels" not in shown.text


def test_a_data_set_of_which_nothing_can_be_read(service: Service, administrator: TestClient) -> None:
    """Its page, the list and the form of a new search say so, and no search is offered."""
    looks.add_dataset(service, "bad", {"a.txt": b"made up"})
    view = replace(
        looks.view_of_classes(), unusable="20 of 20 pictures can't be read", examples={}, copies=(), copied=0
    )
    counts = dict.fromkeys(view.summary.counts, (0, 0))
    view = replace(view, summary=replace(view.summary, items={"train": 0, "val": 0}, counts=counts))
    looks.checked(service, "bad", "image-classification", view)
    shown = page(administrator, "/datasets/bad").text
    assert "Searches can't use this data set" in shown
    assert "20 of 20 pictures can't be read. Repair or remove" in " ".join(shown.split())
    assert "Search on this" not in shown
    assert "Searches leave them out" not in shown
    assert "Searches can't use it as image classification." in page(administrator, "/datasets").text
    form = page(administrator, "/new?data=dataset%3Abad&task=image-classification").text
    assert "20 of 20 pictures can't be read. Repair or remove" in " ".join(form.split())
    assert "Ready to start" not in form


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tar_of(("../../escaped.png", b"x")), "'..'"),
        (tar_of(("/etc/passwd", b"x")), "absolute"),
        (b"no archive at all", "it is no archive"),
        (PICTURES[:5000], "damaged"),
    ],
    ids=["traversal", "absolute", "none", "cut"],
)
def test_evil_archives_are_refused_in_words(
    service: Service, administrator: TestClient, data: bytes, words: str
) -> None:
    """A script gets the reason, and a person without scripts a page with it; nothing is added."""
    form = {"name": "evil", "task": "image-classification", "upload": sent(service, data)}
    answer = administrator.post("/datasets", data=form, headers=ACTS)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    shown = administrator.post("/datasets", data=form, headers=SENDS)
    assert (shown.status_code, words in parse(shown.text).text) == (422, True)
    assert service.datasets().items == ()


def test_a_folder_of_the_machine(service: Service, administrator: TestClient, user: TestClient, tmp_path: Path) -> None:
    """Where one is allowed, any user makes a data set of one in it, without scripts too; of no other folder."""
    assert "datasets allow FOLDER" in page(administrator, "/datasets").text
    folder = tmp_path / "allowed" / "pets"
    for path, data in looks.classes().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    service.allow_folder(folder.parent)
    assert str(folder.parent) in page(user, "/datasets").text
    form = {"name": "pets", "task": "image-classification", "folder": str(folder)}
    answer = user.post("/datasets", data=form, headers=SENDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/datasets/ada~pets")
    assert str(folder) in page(user, "/datasets/pets").text
    refused = user.post("/datasets", data=form | {"name": "etc", "folder": "/etc"}, headers=ACTS)
    assert refused.status_code == 403
    assert "no data set can be made of it" in refused.json()["detail"]


def test_unfinished_uploads_are_their_users_alone(
    service: Service, administrator: TestClient, user: TestClient
) -> None:
    """They are told with how far they are, and can be forgotten; nobody else sees them."""
    upload = service.create_upload("half.tar", 2048, purpose="dataset")
    for name, purpose in (("cat.png", "pictures"), ("program.zip", "code"), ("something.bin", None)):
        service.create_upload(name, 1, purpose=purpose)
    service.put_part(upload.id, 0, [bytes(1024)])
    assert "half.tar" in page(administrator, "/datasets").text
    assert "1 KiB of 2 KiB" in page(administrator, "/datasets").text
    for name in ("cat.png", "program.zip", "something.bin"):
        assert name not in page(administrator, "/datasets").text
    assert "half.tar" not in page(administrator, "/datasets?bin=yes").text
    assert "half.tar" not in page(user, "/datasets").text
    user.post(f"/datasets/uploads/{upload.id}/abandon", headers=ACTS)
    assert service.upload(upload.id).received_bytes == 1024
    for _ in range(2):
        assert administrator.post(f"/datasets/uploads/{upload.id}/abandon", headers=ACTS).status_code == 200
    assert "half.tar" not in {one.name for one in service.uploads()}


def test_whoever_looks_adds_and_changes_nothing(service: Service, viewer: TestClient) -> None:
    """Who may look only has no buttons, and is refused."""
    service.add_dataset("d", upload=sent(service, PICTURES))
    shown = page(viewer, "/datasets/owner~d")
    assert not [form for form in shown.all("form") if form.attributes["action"].startswith("/datasets")]
    form = {"name": "new", "task": "image-classification", "folder": "/etc"}
    for address in ("/datasets", "/datasets/owner~d/check", "/datasets/owner~d/delete", "/datasets/owner~d/restore"):
        assert viewer.post(address, data=form, headers=ACTS).status_code in (403, 404)
    assert (service.dataset("d").job, service.dataset("d").deleted_at) == (None, None)


# One data set -----------------------------------------------------------------------------------------------


def test_what_a_check_has_found(searches: Service) -> None:
    """Splits, classes with bars, broken and copied pictures, samples: for whoever sees the data set."""
    shown = page(browser(searches, "vic"), "/datasets/owner~pictures")
    for words in (
        "can't be read",
        "Searches leave them out",
        "train/dog/broken.png",
        "image file is truncated",
        "in train and in another split",
    ):
        assert words in shown.text
    assert looks.MARKUP in shown.text
    assert "6 times as many pictures as the smallest" in shown.text
    bars = [bar.attributes["width"] for bar in shown.all("rect") if "class" not in bar.attributes]
    assert bars == ["100.0", "54.17", "25.0", "16.67"]
    pictures = {image.attributes["src"] for image in shown.all("img")}
    assert len(pictures) == 22
    vic, nobody = browser(searches, "vic"), browser(searches, None)
    for address in pictures:
        answer = vic.get(address)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8\xff")
        assert nobody.get(address, headers={"accept": "image/*"}).status_code == 401


def test_a_private_data_set_of_others_does_not_exist(searches: Service) -> None:
    """Nor does anything below it."""
    for address in ("/datasets/ada~{}", "/api/v1/datasets/ada~{}/view", "/api/v1/datasets/ada~{}/samples/1"):
        hidden, unknown = (browser(searches, "vic").get(address.format(name)) for name in ("hidden", "sesame"))
        assert (hidden.status_code, unknown.status_code) == (404, 404)
        assert hidden.text.replace("ada/hidden", "ada/sesame") == unknown.text


def test_objects_are_told_by_their_size(searches: Service) -> None:
    """A data set with boxes shows how large they are, and examples with the boxes drawn in."""
    shown = page(browser(searches, "owner"), "/datasets/owner~objects")
    assert "Size of the objects" in shown.text
    assert "16 to 32 %" in shown.text
    assert "Objects of each class" in shown.text


def test_a_search_begins_here(searches: Service) -> None:
    """The button leads to the form with this data set and its task in it, by the caller's name; who looks has none."""

    def leads(name: str, address: str) -> list[str]:
        return [one for one in page(browser(searches, name), address).addresses if "/new?" in one]

    asked = "&task=image-classification"
    assert leads("owner", "/datasets/owner~pictures") == [f"/new?data=dataset%3Apictures{asked}"]
    assert leads("ada", "/datasets/owner~pictures") == [f"/new?data=dataset%3Aowner%2Fpictures{asked}"]
    assert leads("ada", "/datasets/hidden") == ["/new?data=dataset%3Ahidden"]
    assert leads("vic", "/datasets/owner~pictures") == []


def test_a_check_is_followed(service: Service, administrator: TestClient, viewer: TestClient) -> None:
    """While it is under way, the page says so; at its end the parts that differ are sent, empty ones too."""
    service.add_dataset("d", upload=sent(service, PICTURES))
    answer = administrator.post("/datasets/d/check", data={"task": "image-classification"}, headers=ACTS)
    assert answer.json()["said"] == "d is being checked."
    job = service.dataset("d").job
    assert job is not None
    shown = page(administrator, "/datasets/d")
    for reader in (page(viewer, "/datasets/owner~d"), shown):
        assert "Waiting to be checked" in reader.text
    assert shown.one("body").attributes["data-follows"] == f'["job:{job}"]'
    looks.finish_check(service, job, "image-classification", looks.view_of_classes())
    news = administrator.get("/datasets/d", headers={"x-have": ",".join(shown.stamps.values())}).json()
    assert set(news["parts"]) == {"dataset-check", "dataset-found"}
    assert "a very rare bird" in news["parts"]["dataset-found"]
    assert news["follows"] == [f"job:{job}"]


def test_a_check_that_failed_says_why(searches: Service) -> None:
    """And can be tried again, as another task."""
    shown = page(browser(searches, "owner"), "/datasets/owner~lost")
    assert "The check as image classification failed" in shown.text
    assert f"{looks.MARKUP}: it does not exist." in shown.text
    assert "Check again" in shown.text


def test_deleting_can_be_undone(service: Service, administrator: TestClient) -> None:
    """A deleted data set is in the bin, from which the answer and the list there take it back."""
    service.add_dataset("d", upload=sent(service, PICTURES))
    answer = administrator.post("/datasets/d/delete", headers=ACTS).json()
    assert answer == {
        "said": "d is in the bin, for 30 days.",
        "undo": {"address": "/datasets/owner~d/restore", "label": "Undo"},
        "then": "/datasets",
    }
    assert administrator.get("/datasets/d").status_code == 404
    assert page(administrator, "/datasets?bin=yes").one("form", action="/datasets/owner~d/restore")
    assert administrator.post(answer["undo"]["address"], headers=ACTS).json()["said"] == "d is back."
    assert page(administrator, "/datasets/d")
    without_scripts = administrator.post("/datasets/d/delete", headers=SENDS)
    assert (without_scripts.status_code, without_scripts.headers["location"]) == (303, "/datasets")


def test_one_that_is_used_says_by_what(service: Service, administrator: TestClient, user: TestClient) -> None:
    """Whoever may not see an experiment is told how many there are, and nobody is offered to delete the data set."""
    service.add_dataset("d", upload=sent(service, PICTURES))
    service.create({"name": "used", "task": "image-classification", "data": "dataset:d", "max_trials": 1})
    assert "used" in page(user, "/datasets/owner~d").text
    service.update("used", {"visibility": "private"})
    shown = page(administrator, "/datasets/d")
    assert "/experiments/owner~used" in shown.addresses
    assert "/datasets/owner~d/delete" not in shown.addresses
    assert "Used by 1 experiment" in " ".join(page(user, "/datasets/owner~d").text.split())
    refused = administrator.post("/datasets/d/delete", headers=ACTS)
    assert (refused.status_code, refused.json()["kind"]) == (409, "dataset-used")


def test_one_that_an_experiment_in_the_bin_uses(
    service: Service, administrator: TestClient, viewer: TestClient
) -> None:
    """That one is named, and can be removed for good from here; then the data set can be deleted."""
    service.add_dataset("d", upload=sent(service, PICTURES))
    service.create({"name": "used", "task": "image-classification", "data": "dataset:d", "max_trials": 1})
    looks.end(service, "used")
    service.delete("used")
    words = "Used by 1 experiment: used (in the bin). To delete this data set, delete that experiment for good first."
    shown = page(administrator, "/datasets/d")
    assert words in " ".join(shown.text.split())
    assert "/?state=in+the+bin&search=used" in shown.addresses
    address = "/experiments/owner~used/purge"
    assert "Delete used for good" in shown.text
    seen = page(viewer, "/datasets/owner~d").text
    assert "used (in the bin)" in seen and "for good" not in seen
    assert viewer.post(address, headers=ACTS).status_code == 403
    answer = administrator.post(address, headers=ACTS).json()
    assert answer["said"] == "used is deleted for good."
    assert "/datasets/owner~d/delete" in page(administrator, "/datasets/d").addresses


def test_the_data_set_of_the_sample_is_checked(service: Service, administrator: TestClient) -> None:
    """Once, as any other that is added."""
    for _ in range(2):
        assert administrator.post("/sample", headers=ACTS).status_code == 200
        assert service.dataset("digits").job_task == "image-classification"
        assert len(service.jobs(kind="check").items) == 1
