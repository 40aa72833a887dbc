"""What the verbs on published models promise, wherever they are carried out."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.contracts.test_verbs_contract import IMPLEMENTATIONS, Bench
from tests.service.published import CLASSES, SPEC, add_pictures, add_trial, picture
from tunewell.client.shipping import send_file
from tunewell.service.paging import every
from tunewell.service.types import Caller, Picture
from tunewell.serving.contract import Limits
from tunewell.serving.pool import Pool
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, ForbiddenError, NotFoundError, SpecError
from tunewell.store.transaction import Transaction

ADA = Caller(name="ada", role="user", run_code=True, local=True)
BOB = Caller(name="bob", role="user", local=True)


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, with the experiment `e` and models of its trials 1 (better) and 2."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        bench.verbs.create(SPEC)
        add_trial(bench.service, 1, 0.9)
        add_trial(bench.service, 2, 0.8)
        yield bench


def test_publishing(bench: Bench) -> None:
    """Versions are numbered, tell where they come from, and the last one is current; the same key publishes once."""
    verbs = bench.verbs
    first = verbs.publish("e", "signs", note="the first", key="k")
    assert verbs.publish("e", "signs", note="the first", key="k") == first
    assert (first.model, first.number, first.is_current, first.trial, first.value) == ("signs", 1, True, 1, 0.9)
    assert (first.note, first.publisher, first.experiment) == ("the first", "owner", "e")
    assert first.classes == CLASSES and first.validation == {"accuracy": 0.1, "loss": 1.0} and not first.retrained
    second = verbs.publish("e", "signs", trial=2)
    assert (second.number, second.trial, second.parameters["learning_rate"]) == (2, 2, 0.002)
    model = verbs.model("signs")
    assert (model.current, model.latest, model.visibility) == (second, 2, "team")
    assert [one.number for one in every(lambda c: verbs.model_versions("signs", cursor=c, limit=1))] == [2, 1]
    assert verbs.model_version("signs", 1).is_current is False
    assert verbs.models().items == (model,) and verbs.models(search="other").items == ()
    assert verbs.publish("e").model == "e"


def test_choosing_and_rolling_back(bench: Bench) -> None:
    """Any version can be the current one; its number stays whatever follows."""
    verbs = bench.verbs
    for trial in (1, 2):
        verbs.publish("e", "signs", trial=trial)
    before = verbs.changes().version
    assert verbs.use_model_version("signs", 1, key="back").current.number == 1
    assert verbs.model("signs").current == verbs.model_version("signs", 1)
    assert [(one.kind, one.name) for one in verbs.changes(before).items] == [("model", "signs")]
    with pytest.raises(NotFoundError, match="version 3"):
        verbs.use_model_version("signs", 3)
    assert verbs.change_model_version("signs", 1, note="better on nights").note == "better on nights"
    assert verbs.publish("e", "signs").number == 3


def test_files(bench: Bench) -> None:
    """What is downloaded is what the trial has left; a damaged file is told, and never given."""
    verbs = bench.verbs
    version = verbs.publish("e", "signs")
    with tarfile.open(fileobj=io.BytesIO(b"".join(verbs.model_files("signs")))) as archive:
        names = archive.getnames()
        weights = archive.extractfile("weights.safetensors")
        assert names == ["model.json", "weights.safetensors"]
        assert weights is not None and weights.read() == bytes([1]) * 1000
    assert (version.files, version.size_bytes > 1000) == (2, True)
    place = bench.service.home.models / version.sha256
    damage(place / "weights.safetensors")
    with pytest.raises(DataError) as told:
        list(verbs.model_files("signs", 1))
    assert told.value.kind == "model-damaged"
    with pytest.raises(DataError) as told:
        verbs.predict_now("signs", [picture()])
    assert told.value.kind == "model-damaged"
    verbs.publish("e", "signs")
    assert list(verbs.model_files("signs", 1)), "publishing it again repairs it"


def damage(file: Path) -> None:
    """Change a byte of a file."""
    file.chmod(0o600)
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def test_a_version_outlives_its_experiment(bench: Bench) -> None:
    """When the experiment is deleted for good, its versions are whole; the same content lies there once."""
    verbs = bench.verbs
    version = verbs.publish("e", "signs")
    assert verbs.publish("e", "other").sha256 == version.sha256
    assert [path.name for path in bench.service.home.models.iterdir()] == [version.sha256]
    bench.end()
    verbs.delete("e")
    verbs.purge("e")
    assert list(verbs.model_files("signs")) and verbs.model("signs").current.value == 0.9
    verbs.delete_model("other", forever=True)
    assert list(verbs.model_files("signs")), "another model needs the files"
    verbs.delete_model("signs", forever=True)
    assert list(bench.service.home.models.iterdir()) == []


def test_the_bin(bench: Bench) -> None:
    """A deleted model is in the bin, with its name taken, until it is restored or gone."""
    verbs = bench.verbs
    verbs.publish("e", "signs")
    for _ in range(2):
        verbs.delete_model("signs", key="delete")
    assert verbs.models().items == () and [one.name for one in verbs.models(deleted=True).items] == ["signs"]
    with pytest.raises(NotFoundError):
        verbs.model("signs")
    with pytest.raises(ConflictError, match="in the bin"):
        verbs.publish("e", "signs")
    assert verbs.restore_model("signs", key="restore").current.number == 1
    assert verbs.publish("e", "signs").number == 2
    verbs.delete_model("signs", forever=True)
    with pytest.raises(NotFoundError):
        verbs.restore_model("signs")


def test_deleting_a_version(bench: Bench) -> None:
    """It is gone for good, with files that no other needs; its number is nobody's again, and the current one stays."""
    verbs = bench.verbs
    first = verbs.publish("e", "signs")
    second = verbs.publish("e", "signs", trial=2)
    verbs.publish("e", "other")
    with pytest.raises(ConflictError, match="is the current one") as told:
        verbs.delete_model_version("signs", 2)
    assert told.value.kind == "current-version" and verbs.model_version("signs", 2) == second
    for _ in range(2):
        verbs.delete_model_version("signs", 1, key="delete")
    with pytest.raises(NotFoundError):
        verbs.model_version("signs", 1)
    assert list(verbs.model_files("other")), "another model needs the files"
    assert [one.number for one in every(lambda cursor: verbs.model_versions("signs", cursor=cursor))] == [2]
    assert verbs.publish("e", "signs").number == 3
    verbs.delete_model_version("signs", 2)
    assert [path.name for path in bench.service.home.models.iterdir()] == [first.sha256]


def between(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> None:
    """Have something happen between the first look of the next verb and its transaction."""
    begun, calls = bench.service.store.transaction, [call]

    @contextmanager
    def transaction() -> Iterator[Transaction]:
        while calls:
            calls.pop()()
        with begun() as tx:
            yield tx

    monkeypatch.setattr(bench.service.store, "transaction", transaction)


@pytest.mark.in_process
def test_versions_that_go_while_they_are_changed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is deleted at the same moment becomes no current one, and nothing else is said of it."""
    verbs = bench.verbs
    for trial in (1, 2, 1, 2, 1, 2):
        verbs.publish("e", "signs", trial=trial)
    changes: dict[int, Callable[[], object]] = {
        1: lambda: verbs.use_model_version("signs", 1),
        2: lambda: verbs.change_model_version("signs", 2, note="good"),
        3: lambda: verbs.delete_model_version("signs", 3),
        4: lambda: verbs.evaluate_model("model:signs@4", "dataset:autumn"),
        5: lambda: verbs.export_model("model:signs@5"),
    }
    add_pictures(verbs, "autumn")
    for number, change in changes.items():
        between(bench, monkeypatch, partial(verbs.delete_model_version, "signs", number))
        with pytest.raises(NotFoundError, match="version"):
            change()
    assert verbs.model("signs").current.number == 6 and verbs.jobs().items == ()
    between(bench, monkeypatch, partial(verbs.delete_dataset, "autumn"))
    with pytest.raises(NotFoundError, match="no data set 'autumn'"):
        verbs.evaluate_model("e", "dataset:autumn")
    assert verbs.jobs().items == ()


def test_a_number_that_is_no_versions_tells_what_there_is(bench: Bench) -> None:
    """Whether it was deleted, or never given; and which one is current."""
    verbs = bench.verbs
    for trial in (1, 2):
        verbs.publish("e", "signs", trial=trial)
    verbs.use_model_version("signs", 1)
    verbs.delete_model_version("signs", 2)
    for number, remedy in ((2, "It was deleted; the current one is 1"), (3, "The current one is 1")):
        with pytest.raises(NotFoundError, match=f"version {number}") as told:
            verbs.model_version("signs", number)
        assert told.value.remedy == remedy


@pytest.mark.parametrize("kind", ["predict", "export-model", "evaluate-model"])
def test_versions_stay_under_jobs_that_work_with_them(bench: Bench, kind: str) -> None:
    """Neither a version nor the whole model goes for good until a job with it has ended; other versions do."""
    verbs, store = bench.verbs, bench.service.store
    for trial in (1, 2, 1, 2):
        verbs.publish("e", "signs", trial=trial)
    with store.transaction() as tx:
        job = tx.add_job(kind, None, {"model": "model:signs@2", "dataset": ""}, "owner")
        for _ in range(101):
            tx.add_job(kind, None, {"model": "model:others@2", "dataset": ""}, "owner")
    verbs.delete_model_version("signs", 1)
    for delete in (
        lambda: verbs.delete_model_version("signs", 2),
        lambda: verbs.delete_model("signs", forever=True),
    ):
        with pytest.raises(ConflictError, match="a job works with version 2") as told:
            delete()
        assert told.value.kind == "model-used"
    assert list(verbs.model_files("signs", 2))
    verbs.stop_job(job)
    verbs.delete_model_version("signs", 2)
    with pytest.raises(NotFoundError, match="version 2"):
        verbs.retry_job(job)
    assert verbs.job(job).state == "stopped"
    verbs.delete_model("signs", forever=True)


def test_what_is_refused(bench: Bench) -> None:
    """Each wrong thing is named, and nothing is half done."""
    verbs = bench.verbs
    shutil.rmtree(add_trial(bench.service, 3, 0.1))
    with pytest.raises(NotFoundError, match="no model"):
        verbs.publish("e", "signs", trial=3)
    with pytest.raises(NotFoundError, match="trial 9"):
        verbs.publish("e", "signs", trial=9)
    with pytest.raises(ArgumentError, match="no name for a model"):
        verbs.publish("e", "a b")
    with pytest.raises(ArgumentError, match="characters"):
        verbs.publish("e", "signs", note="x" * 5000)
    with pytest.raises(SpecError):
        verbs.publish("e", "signs", visibility="all")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        verbs.publish("nothing", "signs")
    with pytest.raises(NotFoundError, match="no model"):
        verbs.predict("model:signs", upload="0" * 32)
    assert verbs.models().items == ()
    verbs.publish("e", "signs")
    for pictures in ([], [picture()] * 33, [Picture(name="a.png", content=b"")]):
        with pytest.raises(ArgumentError):
            verbs.predict_now("signs", pictures)


def test_handing_over_a_trials_own_model(bench: Bench) -> None:
    """A trial's own model can be handed over; there must be such a trial, and only experiments have any."""
    verbs = bench.verbs
    job = verbs.export_model("e", trial=2)
    assert (job.kind, job.experiment, job.arguments["trial"]) == ("export-model", "e", 2)
    assert verbs.export_model("e").id != job.id == verbs.export_model("e", trial=2).id
    with pytest.raises(NotFoundError, match="trial 9"):
        verbs.export_model("e", trial=9)
    verbs.publish("e", "signs")
    with pytest.raises(ArgumentError, match="have no trials"):
        verbs.export_model("model:signs", trial=2)


def test_asking_a_trials_own_model(bench: Bench) -> None:
    """A prediction is of the model of the trial that is named; there must be such a trial, and experiments alone do."""
    verbs, service = bench.verbs, bench.service
    upload = send_file(service, "cat.png", io.BytesIO(picture().content), "pictures")
    job = verbs.predict("e", upload=upload, trial=2)
    assert (job.kind, job.experiment, job.arguments["trial"]) == ("predict", "e", 2)
    assert verbs.predict("e", upload=upload).arguments["trial"] is None
    with pytest.raises(NotFoundError, match="trial 9"):
        verbs.predict("e", upload=upload, trial=9)
    verbs.publish("e", "signs")
    with pytest.raises(ArgumentError, match="have no trials"):
        verbs.predict("model:signs", upload=upload, trial=2)


def test_measuring_a_model_on_other_data(bench: Bench) -> None:
    """The job is about the model and the data set that were named, once each; what is not there is told at once."""
    verbs, service = bench.verbs, bench.service
    add_pictures(service, "autumn")
    job = verbs.evaluate_model("e", "dataset:autumn", trial=2, split="val")
    assert (job.kind, job.experiment) == ("evaluate-model", "e")
    assert job.arguments["dataset"].startswith("autumn@")
    assert (job.arguments["trial"], job.arguments["split"]) == (2, "val")
    assert verbs.evaluate_model("e", "dataset:autumn", trial=2, split="val").id == job.id
    with service.store.transaction() as tx:
        for _ in range(101):
            tx.add_job("evaluate-model", None, {"model": "/m", "dataset": "winter@0"}, "owner")
    with pytest.raises(ConflictError, match="being measured"):
        service.delete_dataset("autumn")
    verbs.publish("e", "signs")
    about = verbs.evaluate_model("model:signs", "dataset:autumn", key="k")
    assert (about.experiment, about.arguments["model"]) == (None, "model:signs@1")
    assert verbs.evaluate_model("model:signs", "dataset:autumn", key="k") == about
    for model, data in (("e", "dataset:winter"), ("e", "nowhere"), ("none", "dataset:autumn")):
        with pytest.raises((NotFoundError, SpecError)):
            verbs.evaluate_model(model, data)
    with pytest.raises(NotFoundError):
        verbs.evaluate_model("e", "dataset:autumn", trial=9)
    with pytest.raises(SpecError, match="split"):
        verbs.evaluate_model("e", "dataset:autumn", split="rest")  # type: ignore[arg-type]


def test_measurements_of_a_model_are_found_among_others(bench: Bench) -> None:
    """However many jobs came after them, those about a model are listed by it; nobody learns of a model from that."""
    verbs, service = bench.verbs, bench.service
    add_pictures(service, "autumn")
    verbs.publish("e", "signs")
    job = verbs.evaluate_model("model:signs", "dataset:autumn")
    with service.store.transaction() as tx:
        for number in range(101):
            tx.add_job("evaluate-model", None, {"model": f"model:others@{number + 1}", "dataset": ""}, "owner")
    assert [one.id for one in verbs.jobs(model="signs", limit=5).items] == [job.id]
    assert [one.id for one in verbs.jobs(model="owner/signs", kind="evaluate-model", caller="owner").items] == [job.id]
    assert verbs.jobs(model="signs", kind="predict").items == verbs.jobs(model="signs", caller="bob").items == ()
    arrange_users(bench)
    service.change_model("signs", visibility="private")
    for unknown in ("owner/signs", "owner/none"):
        with pytest.raises(NotFoundError, match=f"no model '{unknown}'"):
            bench.as_caller(BOB).jobs(model=unknown)


def test_measurements_are_their_callers_alone(bench: Bench) -> None:
    """Who sees an experiment measures its model on data of their own, of which its owner learns nothing."""
    arrange_users(bench)
    ada, bob = bench.as_caller(ADA), bench.as_caller(BOB)
    add_pictures(bench.service.as_caller(BOB), "mine", visibility="private")
    ada.create({**SPEC, "name": "shared", "visibility": "team"})
    add_trial(bench.service, 1, 0.5, "ada/shared")
    job = bob.evaluate_model("ada/shared", "dataset:mine")
    assert bob.job(job.id).id == job.id
    with pytest.raises(NotFoundError):
        ada.job(job.id)
    assert job.id not in [one.id for one in ada.jobs().items]
    with pytest.raises(NotFoundError, match="bob/mine"):
        ada.evaluate_model("shared", "dataset:bob/mine")


def test_a_measurement_is_done_again_on_what_its_caller_still_sees(bench: Bench) -> None:
    """A job that failed does not wait again where its data set or model has become somebody else's secret."""
    arrange_users(bench)
    bob, service = bench.as_caller(BOB), bench.service
    add_pictures(service.as_caller(ADA), "ours")
    service.create({**SPEC, "name": "shared"})
    add_trial(service, 1, 0.5, "shared")
    service.publish("shared", "signs")
    job = bob.evaluate_model("model:owner/signs", "dataset:ada/ours")
    bob.stop_job(job.id)
    assert bob.retry_job(job.id).state == "waiting"
    bob.stop_job(job.id)
    service.change_model("signs", visibility="private")
    with pytest.raises(NotFoundError, match="no model"):
        bob.retry_job(job.id)
    service.change_model("signs", visibility="team")
    with service.store.transaction() as tx:
        tx.set_dataset(service.store.datasets(1)[0].id, {"visibility": "private"})
    for caller in (bob, bench.verbs):
        with pytest.raises(NotFoundError, match="no data set"):
            caller.retry_job(job.id)
    assert bob.job(job.id).state == "stopped"


def test_owners_and_visibility(bench: Bench) -> None:
    """Others see a team's model and use it; they change nothing, and learn nothing of a private one."""
    arrange_users(bench)
    ada, bob = bench.as_caller(ADA), bench.as_caller(BOB)
    ada.create({**SPEC, "name": "mine", "visibility": "team"})
    add_trial(bench.service, 1, 0.5, "ada/mine")
    assert bob.publish("ada/mine", "copy").model == "bob/copy"
    assert ada.publish("mine").model == "ada/mine"
    assert bob.model("ada/mine").owner == "ada"
    for forbidden in (
        lambda: bob.publish("ada/mine", "ada/mine"),
        lambda: bob.use_model_version("ada/mine", 1),
        lambda: bob.delete_model("ada/mine"),
    ):
        with pytest.raises(ForbiddenError):
            forbidden()
    assert ada.change_model("mine", visibility="private").visibility == "private"
    with pytest.raises(NotFoundError):
        bob.model("ada/mine")
    assert [one.name for one in bob.models().items] == ["bob/copy"]
    assert "ada/mine" not in [one.name for one in bob.changes().items if one.kind == "model"]
    for hidden in (
        lambda: bob.export_model("model:ada/mine"),
        lambda: bob.predict_now("ada/mine", [picture()]),
        lambda: bob.model_files("ada/mine", 1),
    ):
        with pytest.raises(NotFoundError, match="no model"):
            hidden()
    with pytest.raises(ConflictError) as told:
        ada.publish("mine", visibility="team")
    assert told.value.kind == "seen-by-others"


def test_a_private_experiment_leaks_nowhere(bench: Bench) -> None:
    """Its models are private unless the opposite is said, with a name; and then they don't tell where they are from."""
    arrange_users(bench)
    ada, bob = bench.as_caller(ADA), bench.as_caller(BOB)
    ada.create({**SPEC, "name": "hush", "visibility": "private"})
    add_trial(bench.service, 1, 0.5, "ada/hush")
    assert ada.publish("hush", "secret").experiment == "ada/hush"
    assert ada.model("secret").visibility == "private"
    with pytest.raises(ArgumentError) as told:
        ada.publish("hush", visibility="team")
    assert told.value.kind == "private-name"
    ada.publish("hush")
    with pytest.raises(ConflictError) as refused:
        ada.change_model("hush", visibility="team")
    assert refused.value.kind == "private-name"
    ada.publish("hush", "open", visibility="team")
    seen = bob.model("ada/open")
    assert seen.current.experiment is None and "hush" not in seen.model_dump_json()
    assert "hush" not in bob.models().model_dump_json() + bob.model_versions("ada/open").model_dump_json()
    with pytest.raises(ArgumentError) as told:
        ada.publish("hush", "open")
    assert told.value.kind == "private-experiment"
    ada.update("hush", {"visibility": "team"})
    assert bob.model("ada/open").current.experiment == "ada/hush"
    ada.publish("hush", "open")
    bench.end("ada/hush")
    ada.delete("hush")
    ada.purge("hush")
    assert bob.model("ada/open").current.experiment is None
    assert ada.model("open").current.experiment == "ada/hush"


def test_many_publish_at_once(bench: Bench) -> None:
    """Each gets a number of its own; asked under one key, a thing is published once."""
    verbs = bench.verbs
    with ThreadPoolExecutor(6) as pool:
        numbers = [one.number for one in pool.map(lambda _: verbs.publish("e", "signs"), range(6))]
        assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
        first, *others = pool.map(lambda _: verbs.publish("e", "signs", key="once"), range(6))
    assert others == [first] * 5 and verbs.model("signs").latest == 7


def test_what_is_stored_counts(bench: Bench) -> None:
    """A user whose quota has no room publishes nothing."""
    arrange_users(bench)
    ada = bench.as_caller(ADA)
    bench.service.change_user("ada", {"quota": {"disk_bytes": 1500}})
    ada.publish("owner/e", "one")
    with pytest.raises(ConflictError) as told:
        ada.publish("owner/e", "one", trial=2)
    assert told.value.kind == "quota-exceeded" and ada.model("one").latest == 1


def test_asking_at_once(bench: Bench) -> None:
    """The answer is, to the last digit, that of a job over the same picture; what can't be read is named."""
    verbs, service = bench.verbs, bench.service
    model = add_trial(service, 3, 0.95, real=True)
    verbs.publish("e", "signs")
    with Pool(service.home.models, Limits()) as service.asks:
        one = picture(1, "one.png")
        now = verbs.predict_now("signs", [one, picture(2, "two.png")])
        assert (now.model, now.version, [each["file"] for each in now.predictions]) == (
            "signs",
            1,
            ["one.png", "two.png"],
        )
        with pytest.raises(DataError, match="it is no picture") as told:
            verbs.predict_now("signs", [one, Picture(name="broken.png", content=b"nothing")], number=1)
        assert told.value.field == "broken.png"
        alone = verbs.predict_now("signs", [one]).predictions
        every = verbs.predict_now("signs", [one], probabilities=True).predictions[0]
        assert set(every["probabilities"]) == set(verbs.model_version("signs", 1).classes)
        assert {name: value for name, value in every.items() if name != "probabilities"} == alone[0]
        for threshold, problem in ((0.5, "likeliest label"), (0.0, "above 0"), (1.5, "above 0")):
            with pytest.raises(ArgumentError, match=problem) as refused:
                verbs.predict_now("signs", [one], threshold=threshold)
            assert refused.value.field == "threshold"
    place = model.parent / "one.png"
    place.write_bytes(one.content)
    job = service.carry_out(service.predict("model:signs@1", [place]).id)
    assert job.state == "succeeded", job.detail
    (predicted,) = json.loads(b"".join(service.job_artifact(job.id, "predictions.json")))
    assert {**predicted, "file": "one.png"} == alone[0]


def arrange_users(bench: Bench) -> None:
    """Add ada and bob."""
    for caller in (ADA, BOB):
        bench.service.add_user(caller.name, {"role": caller.role, "run_code": caller.run_code})
