"""What is on record about evaluations, trainings on all data and models, and what becomes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.children import results as entries
from tests.service.test_service import SPEC
from tunewell.service import on_record
from tunewell.service.following import result_of
from tunewell.service.repeats import to_repeat
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.service.types import JsonObject
from tunewell.service.uncertainty import uncertainty_of
from tunewell.spec.errors import ConflictError, DataError, JobFailed
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import JobState, TrialState
from tunewell.store.rows import AttemptEnd, JobEnd, ResultKind, ResultRow
from tunewell.tasks.command import CommandTask

FILES_ALONE = pytest.mark.one_database(
    "it is about files and what they say; that results on record are kept and read over each kind, others look at"
)

SEARCH: dict[str, Any] = {
    **SPEC,
    "command": [
        "sh",
        "-c",
        "mkdir {output_dir}/model; echo '{\"value\": '{x}'}' > {output_dir}/model/model.json; echo accuracy={x}",
    ],
    "initial": [{"x": 0.25}, {"x": 0.5}],
}
#: Identities of attempts.
OLD, NEW = "1" * 32, "2" * 32
FULL = {"sampling": 0.5, "finalists": "full"}


@pytest.fixture(autouse=True)
def _task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands can be evaluated and retrained, by the entries that a test gives."""
    jobs = {verb: f"{entries.__name__}:{verb}" for verb in ("evaluate", "retrain")}
    monkeypatch.setattr(CommandTask, "jobs", jobs)


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """A service on an empty home."""
    with Service(tmp_path / "home", database) as service:
        yield service


@pytest.fixture
def ran(service: Service) -> Service:
    """The service with a search that has run, of two trials, of which the second one is better."""
    service.submit(SEARCH)
    assert service.run("e", Given(follow_up=False))
    return service


def evaluate(service: Service) -> JsonObject:
    """Evaluate the best trials; return what the job has evaluated."""
    return result_of(service.carry_out(service.evaluate("e").id))


def retrain(service: Service, text: str, trial: int | None = None, output: Path | None = None) -> Path:
    """Train on all data, which leaves a model with this text; return where it is."""
    (service.home.folder / "next").write_text(text)
    job = service.carry_out(service.retrain("e", trial, output).id)
    return Path(result_of(job)["model"])


def values(service: Service) -> dict[int, float]:
    """Return what the evaluations on record say."""
    return {one.number: one.figures["val"]["accuracy"] for one in service.evaluations("e")}


@FILES_ALONE
def test_what_the_home_has_needs_no_cluster(ran: Service) -> None:
    """A search that ran on a cluster is evaluated and retrained where there is none: all of it lies in the home."""
    row = ran.store.experiment("e")
    with ran.store.transaction() as tx:
        tx.set_spec("e", {**row.spec, "scheduler": "ray"}, home=row.home)
    assert evaluate(ran) == {"trials": [1, 2]}
    assert (retrain(ran, "here") / "model.json").read_text() == "here"


# Evaluations ----------------------------------------------------------------------------------------------


def test_what_is_evaluated_is_not_evaluated_again(ran: Service) -> None:
    """Evaluations are on record with their figures; the next evaluation does those that are missing alone."""
    assert evaluate(ran) == {"trials": [1, 2]}
    assert values(ran) == {1: 0.25, 2: 0.5}
    assert ran.result("e").test == {1: -0.75, 2: -0.5}
    (one,) = ran.evaluations("e", trial=2)
    assert one.number == 2 and ran.evaluations("e", trial=7) == ()
    (brief,) = ran.evaluations("e", trial=2, details=False)
    assert brief.figures["val"] == {"accuracy": 0.5}
    assert [one.number for one in ran.evaluations("e", details=False)] == [1, 2]
    assert evaluate(ran) == {"trials": []}


def test_values_have_intervals_and_the_best_are_compared(ran: Service) -> None:
    """A result says how far chance moves the values, and which of the best can't be told apart from the first."""
    assert ran.result("e").uncertainty is None
    evaluate(ran)
    known = ran.result("e").uncertainty
    assert known is not None and (known.items, known.unit) == (40, "picture")
    assert known.in_full
    assert (known.compared, known.ties) == ((1,), ())  # 10 of 40 pictures are more than chance
    low, high = known.intervals[2]
    assert 0.3 < low < 0.5 < high < 0.7
    (one,) = ran.evaluations("e", trial=2, details=False)
    assert one.intervals["val"]["accuracy"] == (low, high)
    worse, better = ran.store.results("e", "evaluation")
    with ran.store.transaction() as tx:  # as if both models had said the same
        data = {**worse.data, "resampled": better.data["resampled"]}
        tx.add_result("e", "evaluation", 1, worse.attempt_identity, data, worse.file, worse.sha256)
    known = ran.result("e").uncertainty
    assert known is not None and known.ties == (1,)
    assert "Trial 1 is not to be told apart from the first on 40 validation pictures" in ran.report("e")


@FILES_ALONE
def test_an_interval_is_told_of_the_model_that_the_value_is_of_alone(ran: Service) -> None:
    """Where the best model has another figure than its trial has reported, nothing is said of chance."""
    evaluate(ran)
    _, best = ran.store.results("e", "evaluation")
    with ran.store.transaction() as tx:
        data = {**best.data, "figures": {"val": {"accuracy": 0.475}}}
        tx.add_result("e", "evaluation", 2, best.attempt_identity, data, best.file, best.sha256)
    assert ran.result("e").uncertainty is None


def test_what_was_measured_is_read_once_a_call(ran: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation holds thousands of numbers: no call of a verb reads them twice."""
    evaluate(ran)
    read: list[str] = []
    results = ran.store.results

    def counted(name: str, kind: ResultKind, *more: Any) -> list[ResultRow]:
        read.append(kind)
        return results(name, kind, *more)

    monkeypatch.setattr(ran.store, "results", counted)
    for call in (lambda: ran.result("e"), lambda: ran.overview("e"), lambda: ran.evaluations("e", details=False)):
        read.clear()
        call()
        assert read.count("evaluation") == 1


@FILES_ALONE
@pytest.mark.parametrize("content", ["", '{"val": {"accu', "\0" * 40, '{"val": {"accuracy": 1.0}}', None])
def test_a_damaged_evaluation_is_made_again(ran: Service, content: str | None) -> None:
    """A file that is lost, cut off or another than the recorded one counts as if it had never been."""
    evaluate(ran)
    (row,) = [row for row in ran.store.results("e", "evaluation") if row.trial == 2]
    path = ran.home.folder / (row.file or "")
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert values(ran) == {1: 0.25}
    assert evaluate(ran) == {"trials": [2]}
    assert values(ran) == {1: 0.25, 2: 0.5}


@FILES_ALONE
def test_results_move_with_their_home(ran: Service, tmp_path: Path, database: str) -> None:
    """Where files lie goes by the home, which may be moved."""
    evaluate(ran)
    retrain(ran, "old")
    ran.close()
    (tmp_path / "home").rename(tmp_path / "new")
    with Service(tmp_path / "new", database) as service:
        assert values(service) == {1: 0.25, 2: 0.5}
        found = on_record.find_model(service.store, service.home, "e")
        assert found.is_relative_to(tmp_path / "new")
        assert (found / "model.json").read_text() == "old"


def test_only_what_is_about_attempts_on_record_counts(ran: Service) -> None:
    """Evaluations, finalists and models of an earlier attempt at a trial are as if they were not there."""
    store, home = ran.store, ran.home
    model = retrain(ran, "of trial 1", 1)
    evaluate(ran)
    with store.transaction() as tx:
        tx.add_trial("e", 3, {"x": 0.75}, "random", 1.0, None)
        tx.start_attempt(AttemptKey("e", 3, 1), OLD)
        tx.finish_trial(AttemptKey("e", 3, 1), AttemptEnd(TrialState.STOPPED, value=0.75))
        copied = store.results("e", "evaluation")[0]
        tx.add_result("e", "evaluation", 3, OLD, copied.data, copied.file, copied.sha256)
        tx.add_result("e", "finalist", 3, OLD, {"sample_value": 0.75, "value": 0.7}, file=copied.file)
        tx.add_result("e", "model", 3, OLD, {}, copied.file, copied.sha256)
    assert [one.number for one in ran.finalists("e")] == [3]
    assert [row.trial for row in store.results("e", "model")] == [1, 3]
    with store.transaction() as tx:
        tx.retry_trial("e", 3)
        tx.start_attempt(AttemptKey("e", 3, 2), NEW)
        tx.finish_trial(AttemptKey("e", 3, 2), AttemptEnd(TrialState.STOPPED, value=0.75))
    assert values(ran).keys() == {1, 2}
    assert ran.finalists("e") == ()
    assert on_record.retrained_model(store, home, "e") == model


# Finalists ------------------------------------------------------------------------------------------------


def test_finalists_decide_who_is_the_best(service: Service, tmp_path: Path) -> None:
    """The best are trained on all data, each by a job of its own; then they are ranked, and evaluated, by that."""
    share = "$(awk 'BEGIN {print {sampling} < 1 ? {x} : 1 - {x}}')"
    command = SEARCH["command"][2].replace("{x}", share)
    service.submit({**SEARCH, **FULL, "command": ["sh", "-c", command]})
    assert service.run("e")
    assert [(one.number, one.sample_value, one.value) for one in service.finalists("e")] == [
        (1, 0.25, 0.75),
        (2, 0.5, 0.5),
    ]
    assert [trial.number for trial in on_record.ranked(service.store, service.store.experiment("e"))] == [1, 2]
    jobs = service.jobs(experiment="e").items
    assert [(job.kind, job.state) for job in jobs] == [
        (kind, JobState.SUCCEEDED) for kind in ("finalist", "finalist", "report", "evaluate", "finalists")
    ]
    assert values(service) == {1: 0.75, 2: 0.5}
    ended = {job.kind: job.ended_at for job in jobs[::-1]}
    assert ended["finalist"] <= ended["evaluate"] <= ended["report"]  # type: ignore[operator]
    assert "Trained on all data" in (service.home.experiment("e") / "report.html").read_text()
    known = on_record.best_model(service.store, service.home, service.store.experiment("e"))
    assert known is not None and '"value": 0.75' in (known / "model.json").read_text()


@FILES_ALONE
def test_no_gain_is_told_over_a_default_that_had_a_sample(service: Service) -> None:
    """Trained on all data, the best are not compared with a default trial that was not; with one that was, they are."""
    service.submit({**SEARCH, **FULL})
    assert service.run("e")
    store = service.store
    row = store.experiment("e")
    with store.transaction() as tx:
        for trial in store.results("e", "evaluation"):  # as if they had been measured on the test data, too
            data = {**trial.data, "resampled": dict.fromkeys(("val", "test"), trial.data["resampled"]["val"])}
            tx.add_result("e", "evaluation", trial.trial, trial.attempt_identity, data, trial.file, trial.sha256)
    default = store.trial("e", 1)
    known = uncertainty_of(store, row, default, on_record.evaluated(store, "e"))
    assert known is not None and known.gains.keys() == known.test_gains.keys() == {2}
    with store.transaction() as tx:  # as if it had not been among the finalists
        (finalist,) = [one for one in store.results("e", "finalist") if one.trial == 1]
        tx.add_result("e", "finalist", 1, OLD, finalist.data, finalist.file, finalist.sha256)
        (own,) = [one for one in store.results("e", "evaluation") if one.trial == 1]
        data = {**own.data, "trained_by": None}
        tx.add_result("e", "evaluation", 1, own.attempt_identity, data, own.file, own.sha256)
    known = uncertainty_of(store, row, default, on_record.evaluated(store, "e"))
    assert known is not None and 1 in known.intervals
    assert known.gains == known.test_gains == {}


def repeat(service: Service, seeds: int) -> JsonObject:
    """Have the best trials trained again; return how many trainings were missing."""
    return result_of(service.carry_out(service.repeat_finalists("e", seeds).id))


def test_the_best_are_trained_again_with_other_seeds(service: Service) -> None:
    """Each seed is a training of its own, told of in the environment; what was made is not made again."""
    value = "$(awk -v seed=$TUNEWELL_SEED 'BEGIN {print {x} + seed / 10}')"
    seeded = SEARCH["command"][2].replace("accuracy={x}", f"accuracy={value}")
    service.submit({**SEARCH, "seed": 1, "command": ["sh", "-c", seeded]})
    assert service.run("e", Given(follow_up=False))
    assert service.result("e").repeats == ()
    assert repeat(service, 2) == {"trainings": 4}
    first, second = service.result("e").repeats
    assert (first.number, first.values) == (2, pytest.approx({2: 0.7, 3: 0.8}))
    assert (first.mean, first.deviation) == (pytest.approx(0.75), pytest.approx(0.0707, abs=1e-3))
    assert (second.number, second.failed, second.unfinished) == (1, {}, 0)
    assert [trial.value for trial in service.result("e").top] == [0.6, 0.35], "the trials stay as they are"
    assert repeat(service, 3) == {"trainings": 2}
    assert service.result("e").repeats[0].values.keys() == {2, 3, 4}
    assert "Trained again with other seeds" in service.report("e")


def test_a_configuration_is_repeated_once(service: Service) -> None:
    """The parts of a training that was promoted are trained again as one, in full; so it is on all data."""
    promoted = {**SEARCH, "early_stopping": "data-promotion", "max_trials": 9}
    service.create(promoted)
    with service.store.transaction() as tx:
        for number, x, fidelity in ((1, 0.25, 1.0), (2, 0.5, 1 / 3), (3, 0.5, 1.0)):
            key = AttemptKey("e", number, 1)
            tx.add_trial("e", number, {"x": x}, "random", fidelity, None, 1.0)
            tx.start_attempt(key, f"{number}" * 32, 2.0)
            tx.finish_trial(key, AttemptEnd(TrialState.SUCCEEDED, value=x, now=3.0, seconds=1.0))
    row = service.store.experiment("e")
    asked = to_repeat(service.store, row, 2)
    assert [(one["trial"], one["seed"]) for one in asked] == [(3, 1), (1, 1), (3, 2), (1, 2)]
    assert [trial.number for trial in on_record.to_train(row, service.store.top("e"))] == [3, 1]


def test_one_training_is_not_repeated_twice(service: Service) -> None:
    """A training in full, and the parts of it that a promotion went on from, are one of the best; the first counts."""
    command = ["sh", "-c", "touch {checkpoint_dir}/it; echo accuracy={x}", "{epochs}", "{fidelity}"]
    parameters = {**SEARCH["parameters"], "epochs": [9]}
    promoted = {"early_stopping": "promotion", "max_trials": 5, "resumable": True, "parameters": parameters}
    service.submit({**SEARCH, **promoted, "command": command, "initial": [], "max_concurrency": 1})
    assert service.run("e", Given(follow_up=False))
    trials = service.trials("e").items
    different = {trial.parameters["x"] for trial in service.result("e").top}
    assert len(different) < len(trials), "some were promoted"
    assert repeat(service, 1) == {"trainings": len(different)}
    assert {trials[one.number - 1].parameters["x"] for one in service.result("e").repeats} == different
    assert repeat(service, 1) == {"trainings": 0}


def test_every_repeat_counts(ran: Service) -> None:
    """However many there are: none is done again, and all are told."""
    repeat(ran, 1)
    known = ran.store.jobs("e", "repeat")
    with ran.store.transaction() as tx:
        for seed in range(3, 123):
            job = tx.add_job("repeat", "e", {**known[0].arguments, "seed": seed}, "job 1")
            tx.end_waiting_job(job, JobEnd(JobState.SUCCEEDED, result={"value": 0.5}))
    assert {one.number: len(one.values) for one in ran.result("e").repeats}[known[0].arguments["trial"]] == 121
    assert repeat(ran, 1) == {"trainings": 0}


def test_a_repeat_that_fails_is_told_and_made_again(service: Service) -> None:
    """What failed with a seed stands beside what the others have reached; asked again, it is trained again."""
    failing = f"test ! -e {service.home.folder}/fail || test $TUNEWELL_SEED = 0 || exit 1; {SEARCH['command'][2]}"
    service.submit({**SEARCH, "initial": [{"x": 0.5}], "max_trials": 1, "command": ["sh", "-c", failing]})
    assert service.run("e", Given(follow_up=False))
    (service.home.folder / "fail").touch()
    assert repeat(service, 1) == {"trainings": 1}
    (one,) = service.result("e").repeats
    assert (one.values, one.mean, list(one.failed)) == ({}, None, [1])
    (service.home.folder / "fail").unlink()
    assert repeat(service, 1) == {"trainings": 1}
    (one,) = service.result("e").repeats
    assert (one.values, one.failed) == ({1: 0.5}, {})
    again, failed = service.jobs(experiment="e", kind="repeat").items
    with pytest.raises(ConflictError, match=f"job {again.id} is the same training"):
        service.retry_job(failed.id)


def test_every_repeat_counts_however_many_there_are(ran: Service) -> None:
    """With many seeds, all values are in the means, and none is asked for again."""
    assert repeat(ran, 1) == {"trainings": 2}
    made = {job.arguments["trial"]: job.arguments for job in ran.jobs(experiment="e", kind="repeat").items}
    with ran.store.transaction() as tx:
        for seed in range(2, 61):
            for number, arguments in made.items():
                job = tx.add_job("repeat", "e", {**arguments, "seed": seed})
                tx.end_waiting_job(job, JobEnd(JobState.SUCCEEDED, result={"value": number / 4}))
    best, other = ran.result("e").repeats
    assert (best.number, len(best.values), best.mean) == (2, 60, 0.5)
    assert (other.number, len(other.values), other.mean) == (1, 60, 0.25)
    assert repeat(ran, 60) == {"trainings": 0}


@FILES_ALONE
def test_a_training_on_all_data_makes_an_evaluation_stale(service: Service) -> None:
    """What was measured of the model on the sample is not taken for a measurement of the model on all data."""
    service.submit({**SEARCH, "sampling": 0.5, "command": [*SEARCH["command"], "{sampling}"]})
    assert service.run("e", Given(follow_up=False))
    evaluate(service)
    service.carry_out(service.train_finalists("e").id)
    trained = service.jobs(experiment="e", kind="finalist").items
    assert [job.state for job in trained] == [JobState.SUCCEEDED] * 2
    assert values(service) == {}
    assert service.result("e").test == {}
    assert evaluate(service) == {"trials": [1, 2]}
    assert values(service) == {1: 0.25, 2: 0.5}


# Models ---------------------------------------------------------------------------------------------------


@FILES_ALONE
def test_a_retraining_that_fails_leaves_the_model(ran: Service) -> None:
    """The older model stays the experiment's until a training has ended well; then the new one is."""
    old = retrain(ran, "old")
    (ran.home.folder / "fail").touch()
    with pytest.raises(JobFailed, match="It was too large"):
        retrain(ran, "half")
    assert on_record.find_model(ran.store, ran.home, "e") == old
    assert (old / "model.json").read_text() == "old"
    (ran.home.folder / "fail").unlink()
    new = retrain(ran, "new")
    assert on_record.find_model(ran.store, ran.home, "e") == new
    assert (new / "model.json").read_text() == "new"


@FILES_ALONE
def test_the_model_that_was_trained_last_is_used(ran: Service) -> None:
    """Whichever trials were trained again, and in whatever order, the last training counts."""
    for trial in (1, 2, 1):
        folder = retrain(ran, f"of {trial}", trial)
        assert on_record.find_model(ran.store, ran.home, "e") == folder


@FILES_ALONE
def test_a_damaged_model_is_refused(ran: Service) -> None:
    """A model that is another than the recorded one is not used as if it were that."""
    folder = retrain(ran, "whole")
    (folder / "model.json").write_text("damaged")
    with pytest.raises(DataError, match=r"model: this model is not what was recorded\. Train it again"):
        on_record.find_model(ran.store, ran.home, "e")
    again = retrain(ran, "whole again")
    assert on_record.find_model(ran.store, ran.home, "e") == again


@FILES_ALONE
def test_an_output_is_replaced_whole_or_not_at_all(ran: Service, tmp_path: Path) -> None:
    """The older model at `output` stays until the training has ended well, and nothing is left beside the new one."""
    output = tmp_path / "model"
    assert retrain(ran, "old", output=output) == output
    (ran.home.folder / "fail").touch()
    with pytest.raises(JobFailed):
        retrain(ran, "half", output=output)
    assert (output / "model.json").read_text() == "old"
    (ran.home.folder / "fail").unlink()
    retrain(ran, "new", output=output)
    assert (output / "model.json").read_text() == "new"
    assert not list(tmp_path.glob(".model*"))
    assert ran.trained_models("e")[0].kind == "best", "a model that was put elsewhere is not the experiment's"


@pytest.mark.parametrize(("name", "complaint"), [("thesis", "is there, and is no model"), ("file", "is there, and is")])
def test_what_is_no_model_is_never_overwritten(ran: Service, tmp_path: Path, name: str, complaint: str) -> None:
    """A file, or a folder with other things in it, is refused as the model's place before anything is trained."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(JobFailed, match=complaint):
        retrain(ran, "new", output=tmp_path / name)
    assert not (ran.home.job(1) / "1" / "job.json").exists(), "nothing was started"
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == (tmp_path / "file").read_text() == "mine"
