"""Data sets: made of an upload, a content or an allowed folder; used by experiments; stored once."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.service.storage.archives import FILES, decent, tar_entry, tar_of, zip_of
from tests.service.storage.conftest import as_, sent
from tunewell.home.disk import remove
from tunewell.service.abroad import abroad
from tunewell.service.service import Service
from tunewell.service.storage.limits import BIN_SECONDS
from tunewell.service.storage.place import Place
from tunewell.service.storage.tidying import tidy
from tunewell.spec.errors import ConflictError, DataError, ForbiddenError, NotFoundError, SpecError, UserError
from tunewell.spec.states import ExperimentState, JobState
from tunewell.tasks.image_classification.digits import write_digits

SPEC: dict[str, Any] = {"name": "e", "task": "image-classification", "max_trials": 1}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small data set in an archive."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    write_digits(folder)
    chosen = [path for split in ("train", "val") for path in sorted(folder.glob(f"{split}/*/*"))[::20]]
    chosen = chosen or sorted(path for path in folder.rglob("*.png"))[::20]
    return tar_of(*((path.relative_to(folder).as_posix(), path.read_bytes()) for path in chosen))


def place_of(service: Service) -> Place:
    """Return what the modules of the verbs work with."""
    return Place(service.store, service.home, service._rights)


def test_a_data_set_of_an_upload(service: Service, ada: Service) -> None:
    """It lies in the home by its content, closed to writing; the upload is gone."""
    made = ada.add_dataset("d", upload=sent(ada, decent("zip")).id)
    assert (made.name, made.owner, made.source, made.visibility) == ("ada/d", "ada", "upload", "team")
    assert (made.files, made.size_bytes) == (len(FILES), sum(map(len, FILES.values())))
    folder = service.home.datasets / made.sha256
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(FILES)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    assert ada.uploads() == () and list(service.home.uploads.iterdir()) == []
    assert ada.dataset("d") == ada.dataset("ada/d") == made
    assert [path.name for path in service.home.datasets.iterdir()] == [made.sha256]


def test_the_same_content_is_stored_once(service: Service, ada: Service, bob: Service) -> None:
    """Whoever sends it, and in whatever archive; it goes with the last data set that is of it."""
    first = ada.add_dataset("a", upload=sent(ada, decent("zip")).id)
    second = bob.add_dataset("b", upload=sent(bob, decent("tar.gz")).id, visibility="private")
    assert first.sha256 == second.sha256
    assert [path.name for path in service.home.datasets.iterdir()] == [first.sha256]
    ada.delete_dataset("a", forever=True)
    assert (service.home.datasets / first.sha256).is_dir()
    bob.delete_dataset("b", forever=True)
    assert list(service.home.datasets.iterdir()) == []


def test_known_content_need_not_be_sent(ada: Service, bob: Service) -> None:
    """A content is found, and made a data set of, by those alone who may see a data set that is of it."""
    made = ada.add_dataset("a", upload=sent(ada, decent("zip")).id, visibility="private")
    assert ada.find_content(made.sha256).kind == "dataset"
    again = ada.add_dataset("again", content=made.sha256)
    assert again.sha256 == made.sha256
    ada.delete_dataset("again", forever=True)
    for unknown in (made.sha256, "0" * 64, "../../etc"):
        with pytest.raises(NotFoundError, match="The service has nothing with this content"):
            bob.find_content(unknown)
        with pytest.raises(NotFoundError, match="There is no data set with the content"):
            bob.add_dataset("b", content=unknown)


def test_an_evil_archive_leaves_the_upload_and_nothing_else(service: Service, ada: Service) -> None:
    """What is refused is told with the name of the file."""
    evil = tar_of((tar_entry("link", b"2", "/etc"), b""))
    upload = sent(ada, evil, "evil.tar")
    with pytest.raises(DataError, match=r"evil.tar: the entry 'link' is a link or a device"):
        ada.add_dataset("d", upload=upload.id)
    assert ada.datasets().items == () and list(service.home.datasets.iterdir()) == []
    assert ada.uploads() == (upload,)


def test_what_is_unpacked_counts(service: Service, ada: Service) -> None:
    """A quota holds for what comes out of an archive."""
    with service.store.transaction() as tx:
        tx.set_user("ada", {"quota": {"disk_bytes": 2000}})
    small = zip_of(("zeros", bytes(50_000)))
    assert len(small) < 1000
    with pytest.raises(DataError, match="unpacks to more than is taken"):
        ada.add_dataset("d", upload=sent(ada, small).id)
    fits = ada.add_dataset("fits", upload=sent(ada, zip_of(("zeros", bytes(1700)))).id)
    with pytest.raises(ConflictError, match="your quota has"):
        ada.add_dataset("again", content=fits.sha256)


def test_names_and_sources(ada: Service) -> None:
    """A wrong name, no source, two of them, and a name that is taken are told."""
    upload = sent(ada, decent("zip")).id
    for name in ("", "a b", "../x", "a/b/c", "x" * 200):
        with pytest.raises(UserError, match="no name for a data set"):
            ada.add_dataset(name, upload=upload)
    with pytest.raises(ForbiddenError, match="would belong to bob"):
        ada.add_dataset("bob/d", upload=upload)
    with pytest.raises(UserError, match="made of one thing"):
        ada.add_dataset("d")
    with pytest.raises(UserError, match="made of one thing"):
        ada.add_dataset("d", upload=upload, folder="/data")
    ada.add_dataset("d", upload=upload)
    with pytest.raises(ConflictError, match="exists already"):
        ada.add_dataset("d", upload=sent(ada, decent("zip")).id)


def test_the_same_key_does_it_once(ada: Service) -> None:
    """Asked again under a key, the answer is the same, although the upload is gone."""
    upload = sent(ada, decent("zip")).id
    first = ada.add_dataset("d", upload=upload, key="k")
    assert ada.add_dataset("d", upload=upload, key="k") == first
    ada.delete_dataset("d", key="x")
    ada.delete_dataset("d", key="x")
    ada.restore_dataset("d", key="y")
    ada.restore_dataset("d", key="y")


def test_who_sees_and_changes_it(service: Service, ada: Service, bob: Service) -> None:
    """A private one is its owner's and the administrators'; one of the team is changed by those alone, too."""
    private = ada.add_dataset("p", upload=sent(ada, decent("zip")).id, visibility="private")
    team = ada.add_dataset("t", upload=sent(ada, decent("tar")).id)
    root, viv = as_(service, "root"), as_(service, "viv")
    assert ada.datasets().items == root.datasets().items == service.datasets().items == (team, private)
    assert bob.datasets().items == viv.datasets().items == (team,)
    asked: list[Callable[[Service], object]] = [
        lambda verbs: verbs.dataset("ada/p"),
        lambda verbs: verbs.delete_dataset("ada/p"),
        lambda verbs: verbs.check_dataset("ada/p", "image-classification"),
    ]
    for verbs in (bob, viv):
        for ask in asked:
            with pytest.raises(NotFoundError, match=r"^There is no data set 'ada/p'"):
                ask(verbs)
        with pytest.raises(ForbiddenError):
            verbs.delete_dataset("ada/t")
    with pytest.raises(ForbiddenError):
        viv.add_dataset("v", content=team.sha256)
    root.delete_dataset("ada/p")
    assert bob.datasets(deleted=True).items == ()
    assert [one.name for one in ada.datasets(deleted=True).items] == ["ada/p"]


def test_lists_come_in_pages(ada: Service) -> None:
    """Newest first; by name and owner."""
    content = ada.add_dataset("d0", upload=sent(ada, decent("zip")).id).sha256
    for number in range(1, 5):
        ada.add_dataset(f"d{number}", content=content)
    first = ada.datasets(limit=3)
    assert [one.name for one in first.items] == ["ada/d4", "ada/d3", "ada/d2"]
    assert [one.name for one in ada.datasets(limit=3, cursor=first.next).items] == ["ada/d1", "ada/d0"]
    assert [one.name for one in ada.datasets(search="D3").items] == ["ada/d3"]
    assert ada.datasets(owner="bob").items == ()
    for name in ("nobody/x", "ada/d4", "d4"):  # whether there is one of a name is nobody's business
        with pytest.raises(SpecError, match="cursor"):
            ada.datasets(cursor=name)


def test_the_bin(service: Service, ada: Service) -> None:
    """A deleted data set can be restored for 30 days, and keeps its name; then it is gone with its content."""
    made = ada.add_dataset("d", upload=sent(ada, decent("zip")).id)
    ada.delete_dataset("d")
    with pytest.raises(NotFoundError):
        ada.dataset("d")
    with pytest.raises(ConflictError, match="it is in the bin"):
        ada.add_dataset("d", upload=sent(ada, decent("zip")).id)
    assert ada.restore_dataset("d") == made
    ada.delete_dataset("d")
    tidy(place_of(service), time.time() + BIN_SECONDS - 3600)
    assert len(ada.datasets(deleted=True).items) == 1
    tidy(place_of(service), time.time() + BIN_SECONDS + 3600)
    assert ada.datasets(deleted=True).items == () and list(service.home.datasets.iterdir()) == []


def test_an_experiment_uses_it(service: Service, ada: Service, bob: Service, digits: bytes) -> None:
    """A spec names it, the record says which content it was, and while it is used it can't be deleted."""
    made = ada.add_dataset("digits", upload=sent(ada, digits).id)
    spec = {**SPEC, "data": "dataset:digits"}
    assert ada.check(spec).findings
    assert ada.create(spec).name == "ada/e"
    found = ada.experiment("e")
    assert found.spec["data"] == "dataset:ada/digits" and found.spec["dataset"] is None
    assert found.dataset is not None and (found.dataset.name, found.dataset.sha256) == ("ada/digits", made.sha256)
    assert service.store.experiment("ada/e").spec["data"] == str((service.home.datasets / made.sha256).resolve())
    assert ada.create(spec).kind == "continued"
    assert bob.create({**SPEC, "name": "of-bob", "data": "dataset:ada/digits"}).kind == "new"
    assert (ada.clone("e").spec["data"], bob.clone("ada/e").spec["data"]) == ("dataset:digits", "dataset:ada/digits")
    assert bob.check(bob.clone("ada/e").spec).findings
    with service.store.transaction() as tx:
        tx.set_facts("bob/of-bob", {"visibility": "private"})
    for forever in (False, True):
        with pytest.raises(ConflictError, match="'ada/digits' is used by ada/e and 1 experiment of others") as refused:
            ada.delete_dataset("digits", forever=forever)
        assert refused.value.kind == "dataset-used" and refused.value.facts == {"experiments": ["ada/e"]}
    told = ada.dataset("digits")
    assert told == made.model_copy(update={"uses": 2, "used_by": ("ada/e",)})


def test_what_a_caller_may_not_see_cant_be_used(service: Service, ada: Service, bob: Service, digits: bytes) -> None:
    """A private data set of another, one in the bin, one that never was, and a path are refused."""
    ada.add_dataset("p", upload=sent(ada, digits).id, visibility="private")
    for name in ("ada/p", "nothing", "../../etc", ""):
        with pytest.raises(SpecError, match=f"^data: there is no data set '{name}'"):
            bob.create({**SPEC, "data": f"dataset:{name}"})
    ada.delete_dataset("p")
    with pytest.raises(SpecError, match=r"^data: there is no data set 'p'"):
        ada.create({**SPEC, "data": "dataset:p"})
    with pytest.raises(ForbiddenError, match="a path on the server"):
        ada.create({**SPEC, "data": str(service.home.datasets)})
    with pytest.raises(SpecError, match=r"^dataset: a service sets it"):
        ada.create({**SPEC, "data": "dataset:p", "dataset": "ada/p@0"})


def test_a_look_at_it(service: Service, ada: Service, digits: bytes) -> None:
    """What a look at every item finds is told with the data set, pictures that are bombs among it."""
    ada.add_dataset("digits", upload=sent(ada, digits).id)
    with pytest.raises(NotFoundError, match="Nobody has looked at data set 'ada/digits' yet"):
        ada.dataset_view("digits")
    job = ada.check_dataset("digits", "image-classification")
    told = ada.dataset("digits")
    assert (told.job, told.job_state, told.job_task) == (job.id, JobState.WAITING, "image-classification")
    assert told.findings is None
    done = service.carry_out(job.id)
    assert done.state is JobState.SUCCEEDED, done.detail
    assert ada.dataset("digits").findings
    assert ada.dataset("digits").job_state is JobState.SUCCEEDED


def test_what_a_look_has_found(service: Service, ada: Service, bob: Service, tmp_path: Path) -> None:
    """Splits, classes, broken and copied pictures, and samples as small pictures, for whoever sees the data set."""
    folder = tmp_path / "digits"
    write_digits(folder)
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*.png"))[::20]}
    train = next(path for path in files if "train" in path.parts)
    val = next(path for path in files if "val" in path.parts)
    files[val] = files[train]  # a copy
    files[train.with_name("broken.png")] = files[train][:50]
    entries = [(path.relative_to(folder).as_posix(), data) for path, data in files.items()]
    ada.add_dataset("digits", upload=sent(ada, tar_of(*entries)).id)
    service.carry_out(ada.check_dataset("digits", "image-classification").id)
    view = bob.dataset_view("ada/digits")
    assert (view.task, view.unit, view.counted, view.sizes) == ("image-classification", "picture", "picture", {})
    assert set(view.items) == {"train", "val", "test"}
    assert [sum(column) for column in zip(*view.counts.values(), strict=True)] == list(view.items.values())
    assert list(view.broken) == [train.with_name("broken.png").relative_to(folder).as_posix()]
    assert (view.broken_count, view.copies_count) == (1, 1)
    ((copy, original),) = view.copies
    assert copy.caption.startswith("val: ")
    assert original.caption.startswith("train: ")
    samples = [sample for samples in view.examples.values() for sample in samples]
    assert {sample.picture for sample in (*samples, copy, original)} <= set(range(1, 200))
    for sample in samples:
        assert sample.picture is not None
        with Image.open(BytesIO(b"".join(bob.dataset_sample("ada/digits", sample.picture)))) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) <= view.width
    for number in (0, -1, 10_000):
        with pytest.raises(NotFoundError, match=f"There is no sample {number}"):
            bob.dataset_sample("ada/digits", number)
    row = service.store.find_dataset("ada/digits")
    assert row is not None
    with service.store.transaction() as tx:
        tx.set_dataset(row.id, {"visibility": "private"})
    for ask in (lambda: bob.dataset_view("ada/digits"), lambda: bob.dataset_sample("ada/digits", 1)):
        with pytest.raises(NotFoundError, match="There is no data set"):
            ask()


def test_a_look_that_fails_says_why(service: Service, ada: Service, digits: bytes) -> None:
    """Data that the task can't read are told with the data set; there is nothing to be shown."""
    made = ada.add_dataset("digits", upload=sent(ada, digits).id)
    job = ada.check_dataset("digits", "image-classification")
    remove(service.home.datasets / made.sha256)
    service.carry_out(job.id)
    told = ada.dataset("digits")
    assert told.job_state is JobState.FAILED
    assert told.job_detail.startswith("ada/digits: it does not exist")
    assert told.findings is None
    with pytest.raises(NotFoundError, match="Nobody has looked"):
        ada.dataset_view("digits")


def test_what_is_wrong_with_it_names_the_data_set(ada: Service) -> None:
    """Where it lies in the home is nobody's business, nor how it is called there: checks and searches name it."""
    made = ada.add_dataset("odd", upload=sent(ada, tar_of(("dog/a.txt", b"no picture"))).id)
    spec = {**SPEC, "data": "dataset:odd"}
    for ask in (
        lambda: ada.check_dataset("odd", "image-classification"),
        lambda: ada.check(spec),
        lambda: ada.create(spec),
    ):
        with pytest.raises(UserError, match=r"ada/odd/dog: there are no pictures") as refused:
            ask()
        assert made.sha256 not in str(refused.value)


def test_what_a_search_says_names_the_data_set(service: Service, ada: Service, bob: Service, digits: bytes) -> None:
    """Its detail and its notes, and, for whoever is elsewhere, everything else; by a name that the caller sees."""
    made = ada.add_dataset("digits", upload=sent(ada, digits).id, visibility="private")
    bob.add_dataset("same", upload=sent(bob, digits).id)
    ada.create({**SPEC, "data": "dataset:digits"})
    folder = service.home.datasets / made.sha256
    with service.store.transaction() as tx:
        tx.set_experiment_state("ada/e", ExperimentState.CREATED, ExperimentState.RUNNING)
        detail, note = f"{folder}: it is broken.", f"Read from a/, the only folder in {folder}."
        tx.set_experiment_state("ada/e", ExperimentState.RUNNING, ExperimentState.FAILED, detail=detail)
        tx.add_notes("ada/e", [note])
        job = tx.add_job("check", arguments={"spec": {"task": "x", "data": str(folder)}}, caller="ada")
        other = tx.add_job("check", arguments={"spec": {"task": "x", "data": f"{folder}/a"}}, caller="bob")
    assert ada.experiment("e").detail == ada.experiments().items[0].detail == "ada/digits: it is broken."
    assert ada.experiment("e").notes == ("Read from a/, the only folder in ada/digits.",)
    for verbs, id, told in ((ada, job, "ada/digits"), (bob, other, "same/a")):
        elsewhere = abroad(verbs, service.home, verbs.dataset_of_content)
        assert elsewhere.job(id).arguments["spec"]["data"].removeprefix("bob/") == told


def test_a_data_set_of_which_nothing_can_be_read(service: Service, ada: Service) -> None:
    """What a check has found is told with it, and no search as that task begins on it; another task looks itself."""
    pictures = [(f"{split}/{name}/{n}.png", b"text") for split in ("train", "val") for name in "ab" for n in range(5)]
    ada.add_dataset("bad", upload=sent(ada, tar_of(*pictures)).id)
    service.carry_out(ada.check_dataset("bad", "image-classification").id)
    told, view = ada.dataset("bad"), ada.dataset_view("bad")
    assert (told.broken, told.unusable) == (20, "20 of 20 pictures can't be read")
    assert (view.unusable, view.items, view.broken_count) == (told.unusable, {"train": 0, "val": 0}, 20)
    spec = {**SPEC, "data": "dataset:bad"}
    for ask in (lambda: ada.check(spec), lambda: ada.create(spec)):
        with pytest.raises(SpecError, match=r"^data: ada/bad: 20 of 20 pictures can't be read\. Repair or remove"):
            ask()
    with pytest.raises(UserError, match=r"annotat"):
        ada.check({**spec, "task": "object-detection"})


def test_why_a_look_was_refused_stays(service: Service, ada: Service, digits: bytes) -> None:
    """With the task that can read it, until it is looked at again."""
    table = b"file,labels\n" + b"".join(b"%d.png,%s\n" % (n, b"red;blue" if n % 2 else b"red") for n in range(8))
    image = BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    pictures = [(f"{n}.png", image.getvalue() + bytes([n])) for n in range(8)]
    ada.add_dataset("tags", upload=sent(ada, tar_of(("labels.csv", table), *pictures)).id)
    with pytest.raises(DataError, match=r"(has|have) 2 labels"):
        ada.check_dataset("tags", "image-classification")
    told = ada.dataset("tags")
    assert (told.job, told.job_task, told.suggested_task) == (None, "image-classification", "multilabel-classification")
    assert told.unusable.startswith("ada/tags/") and "2 labels" in told.unusable
    job = ada.check_dataset("tags", "multilabel-classification").id
    told = ada.dataset("tags")
    assert (told.job, told.job_task, told.suggested_task, told.unusable) == (
        job,
        "multilabel-classification",
        None,
        "",
    )


def test_what_uses_it(service: Service, ada: Service, bob: Service, digits: bytes) -> None:
    """A data set tells how many experiments use it, and names those that the caller sees, those in the bin apart."""
    ada.add_dataset("digits", upload=sent(ada, digits).id)
    for name in ("first", "second", "third"):
        bob.create({**SPEC, "name": name, "data": "dataset:ada/digits"})
    bob.update("second", {"visibility": "private"})
    with service.store.transaction() as tx:
        tx.set_experiment_state("bob/third", ExperimentState.CREATED, ExperimentState.RUNNING)
        tx.set_experiment_state("bob/third", ExperimentState.RUNNING, ExperimentState.STOPPED)
    bob.delete("third")
    told = ada.dataset("digits")
    assert (told.uses, told.used_by, told.used_in_bin) == (3, ("bob/first",), ("bob/third",))
    with pytest.raises(ConflictError, match=r"used by bob/first, bob/third \(in the bin\) and 1 experiment of others"):
        ada.delete_dataset("digits")
    assert bob.dataset("ada/digits").used_by == ("bob/second", "bob/first")
    assert bob.datasets().items[0].used_by == ("bob/second", "bob/first")


# Folders --------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with data, beside the home."""
    folder = tmp_path / "data"
    (folder / "pets/cat").mkdir(parents=True)
    (folder / "pets/cat/1.png").write_bytes(b"cat")
    return folder


def test_a_data_set_of_an_allowed_folder(service: Service, ada: Service, data: Path) -> None:
    """A user names a folder in one that was allowed; it stays where it is."""
    service.allow_folder(data)
    assert ada.allowed_folders() == (str(data),)
    made = ada.add_dataset("pets", folder=str(data / "pets"))
    assert (made.source, made.folder, made.files, made.size_bytes) == ("folder", str(data / "pets"), 1, 3)
    (data / "pets/cat/2.png").write_bytes(b"cat")
    assert ada.add_dataset("more", folder=f"{data}/./pets/cat/..").sha256 != made.sha256
    ada.delete_dataset("pets", forever=True)
    assert (data / "pets/cat/1.png").exists()


def test_folders_that_are_not_allowed(service: Service, ada: Service, data: Path, tmp_path: Path) -> None:
    """Whether a folder is there can't be told from the refusal; links lead out of no folder."""
    service.allow_folder(data)
    (tmp_path / "data-of-others").mkdir()
    (data / "out").symlink_to(tmp_path / "data-of-others")
    (data / "circle").symlink_to(data / "circle")
    outside = ("/etc", "/nowhere", str(data / "../data-of-others"), str(data / "out"), str(data / "circle"), "pets")
    for folder in (*outside, str(data / "pets/cat/1.png"), f"{data}\0", str(tmp_path / "home")):
        for verbs in (ada, service):
            with pytest.raises(ForbiddenError, match=r"^folder: no data set can be made of it") as refused:
                verbs.add_dataset("d", folder=folder)
            assert "there" not in refused.value.what


def test_links_within_it(service: Service, ada: Service, data: Path, tmp_path: Path) -> None:
    """Links that stay inside are data; one that leads out, to a file or a folder, is told."""
    service.allow_folder(data)
    (data / "pets/cat/2.png").symlink_to(data / "pets/cat/1.png")
    ada.add_dataset("inside", folder=str(data / "pets"))
    (tmp_path / "secret").write_text("secret")
    for target in (tmp_path / "secret", Path("/etc"), tmp_path / "nowhere"):
        (data / "pets/link").symlink_to(target)
        with pytest.raises(DataError, match="leads out"):
            ada.add_dataset("outside", folder=str(data / "pets"))
        (data / "pets/link").unlink()


def test_it_is_checked_again_when_it_is_used(service: Service, ada: Service, data: Path, tmp_path: Path) -> None:
    """A folder that was withdrawn, or became a link to elsewhere, is used by no new experiment."""
    service.allow_folder(data)
    ada.add_dataset("pets", folder=str(data / "pets"))
    (data / "pets").rename(tmp_path / "moved")
    (data / "pets").symlink_to(tmp_path / "moved")
    spec = {**SPEC, "data": "dataset:pets"}
    with pytest.raises(ForbiddenError):
        ada.create(spec)
    (data / "pets").unlink()
    (tmp_path / "moved").rename(data / "pets")
    with pytest.raises(UserError) as other:  # of the data, that is
        ada.create(spec)
    assert not isinstance(other.value, ForbiddenError)
    service.withdraw_folder(data)
    with pytest.raises(ForbiddenError):
        ada.create(spec)


def test_who_allows_folders(service: Service, ada: Service, data: Path) -> None:
    """Only who is on the machine; and never one that holds what belongs to others."""
    for verbs in (ada, as_(service, "root")):
        with pytest.raises(ForbiddenError):
            verbs.allow_folder(data)
        with pytest.raises(ForbiddenError):
            verbs.withdraw_folder(data)
    for folder in (Path("/"), data.parent, service.home.folder, service.home.cache):
        folder.mkdir(exist_ok=True)
        with pytest.raises(UserError, match="the home lies in it, or it in the home"):
            service.allow_folder(folder)
    with pytest.raises(NotFoundError):
        service.allow_folder(data / "nowhere")
    with pytest.raises(NotFoundError):
        service.withdraw_folder(data)
    assert service.allowed_folders() == ()


def test_a_sample(ada: Service) -> None:
    """The service brings pictures along for a first search; what it does not have is said, with what it has."""
    made = ada.add_dataset("first", sample="digits", key="k")
    assert made.files == 1797 and ada.add_dataset("first", sample="digits", key="k") == made
    assert ada.check({"name": "e", "task": "image-classification", "network": "small-cnn", "data": "dataset:first"})
    with pytest.raises(UserError, match=r"no sample 'digit'.*digits"):
        ada.add_dataset("second", sample="digit")
