"""The verbs of the service where it decides itself: what is submitted, retried, retrained."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewell.service import models
from tunewell.service.jobs import JobFailed, job_launch, run_job
from tunewell.service.service import Service
from tunewell.service.submission import Fresh, make_plan, trial_budget
from tunewell.spec.errors import ConflictError, SpecError, UserError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import AttemptKey, Launch
from tunewell.spec.states import Cause, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.tasks.command import CommandTask
from tunewell.tasks.image_classification.digits import write_digits
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tasks.vision import memory_ranges
from tunewell.tasks.vision.gpus import Gpu

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "max_trials": 2,
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on an empty home."""
    with Service(tmp_path / "home") as service:
        yield service


def failed(service: Service, number: int) -> None:
    """Record a trial that has failed."""
    with service.store.transaction() as tx:
        tx.add_trial("e", number, {"x": 0.1}, "random", 1.0, None, 1.0)
        tx.start_attempt(AttemptKey("e", number, 1), now=1.0)
        tx.finish_trial(
            AttemptKey("e", number, 1), AttemptEnd(TrialState.FAILED, cause=Cause.CRASHED, detail="a bug", now=2.0)
        )


@pytest.mark.parametrize(("new", "expected"), [("never", ("e", "continued")), ("always", ("e-2", "new"))])
def test_a_name_that_another_process_takes_meanwhile(
    new: Fresh, expected: tuple[str, str], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who loses the race for a new name goes on with the winner's experiment, or takes the next free name."""
    service.submit(SPEC)
    known, unseen = service.store.find_experiment, [1, 2][: 2 if new == "always" else 1]
    monkeypatch.setattr(service.store, "find_experiment", lambda name: None if unseen and unseen.pop() else known(name))
    submission = service.submit(SPEC, new=new)
    assert (submission.name, submission.kind) == expected
    with pytest.raises(ConflictError, match="exists with another spec"):
        service.submit({**SPEC, "seed": 7})


def test_a_trial_named_twice_is_retried_once(service: Service) -> None:
    """Numbers are taken once each, in their order."""
    service.submit(SPEC)
    failed(service, 1)
    failed(service, 2)
    assert service.retry("e", [2, 1, 2]) == [2, 1]
    (request,) = service.store.requests("e")
    assert request.data == {"trials": [2, 1]}


def test_a_retried_search_that_was_killed_goes_on(service: Service) -> None:
    """While a trial waits to run again, the search is not called finished, although its state is final."""
    service.submit({**SPEC, "max_trials": 1})
    failed(service, 1)
    assert not service.run("e") or service.experiment("e").state.final
    assert service.submit({**SPEC, "max_trials": 1}).kind == "finished"
    with service.store.transaction() as tx:
        tx.retry_trial("e", 1, 3.0)
    assert service.submit({**SPEC, "max_trials": 1}).kind == "continued"


def test_without_max_trials_the_default_counts_again(service: Service) -> None:
    """A number that is taken out of the spec is not remembered."""
    service.submit(SPEC)
    row = service.experiment("e")
    assert trial_budget(parse_spec(row.spec), row) == 2
    service.submit({key: value for key, value in SPEC.items() if key != "max_trials"})
    row = service.experiment("e")
    assert trial_budget(parse_spec(row.spec), row) == 20


def test_a_search_goes_on_where_there_is_another_gpu(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU decided when the search began stays as it was, and is no change of the spec."""
    raw = {"name": "e", "task": "image-classification", "data": str(tmp_path), "network": "resnet18"}
    monkeypatch.setattr(ImageClassification, "check", lambda task, spec: [])
    monkeypatch.setattr(memory_ranges, "smallest_gpu", lambda: Gpu(80 << 30, bfloat16=True))
    service.submit(raw)
    space = service.experiment("e").space
    assert space["image_size"]["ordinal"][-1] == 288
    for gpu in (Gpu(2 << 30, bfloat16=False), None):
        monkeypatch.setattr(memory_ranges, "smallest_gpu", lambda gpu=gpu: gpu)
        assert service.submit({**raw, "max_trials": 30}).kind == "continued"
        assert service.experiment("e").space == space


@pytest.mark.parametrize("resources", [{"cpus": 4096}, {"gpus": 512}])
def test_more_than_the_machine_has_is_refused_at_once(service: Service, resources: dict[str, int]) -> None:
    """Resources that no trial can ever get are an error before anything is recorded."""
    (what,) = resources
    with pytest.raises(SpecError, match=rf"resources\.{what}: \d+ a trial, but this machine offers trials \d+"):
        service.submit({**SPEC, "resources": resources})
    assert service.experiments() == []


def test_rounds_in_epochs_give_the_length_of_a_training(tmp_path: Path) -> None:
    """Rounds times epochs a round are the epochs, if the spec gives none; if it gives others, that is an error."""
    write_digits(tmp_path / "data")
    algorithm = {"name": "evolutionary", "rounds": 7, "disturbance_interval": 3}
    raw = {"task": "image-classification", "data": str(tmp_path / "data"), "network": "small-cnn", "weights": "none"}
    raw |= {"name": "e", "algorithm": algorithm}
    plan = make_plan(raw)
    assert plan.space.default()["epochs"] == 21  # type: ignore[index]
    with pytest.raises(SpecError, match=r"disturbance_interval: 7 rounds of 3 epochs are 21 epochs, .* has 10"):
        make_plan({**raw, "parameters": {"epochs": 10}})


@pytest.mark.parametrize(
    ("fields", "at_once", "why"),
    [
        ({"max_concurrency": 6}, 2, r"this machine has 2 cores and each trial takes 1; `resources: {cpus: …}`"),
        ({"max_concurrency": 6, "resources": {"cpus": 0.25}}, 6, "as max_concurrency says"),
        ({"max_concurrency": 5, "resources": {"cpus": 0}}, 5, "as max_concurrency says"),
        ({"resources": {"cpus": 0.4}}, 5, r"each trial takes 0.4\."),
    ],
)
def test_what_bounds_the_trials_at_once_is_said(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fields: dict[str, Any], at_once: int, why: str
) -> None:
    """As many trials run as fit, fractions of cores counted, and a sentence says at the start why no more do."""
    monkeypatch.setattr("tunewell.schedulers.local.detect_cpus", lambda: 2)
    monkeypatch.setattr("tunewell.schedulers.local.detect_gpus", lambda: ())
    code = (
        "import os, time; here = os.environ['TUNEWELL_TRIAL']; open(here + '.run', 'w').close()\n"
        f"while len([n for n in os.listdir() if n.endswith('.run')]) < {at_once}: time.sleep(0.01)\n"
        "print('accuracy=' + os.environ['OMP_NUM_THREADS'])"
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    command = [sys.executable, "-c", code, "{x}"]
    spec = {**SPEC, "command": command, "working_directory": str(tmp_path), "max_trials": at_once, **fields}
    service.submit({**spec, "algorithm": "random"})
    said: list[str] = []
    assert service.run("e", tell=said.append)
    assert len(said) == 1
    assert re.match(rf"At most {at_once} trials at once.*{why}", said[0])
    assert [trial.value for trial in service.store.trials("e")] == [1.0] * at_once


def test_the_experiment_is_locked_while_it_is_prepared(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks during a long preparation finds the experiment running, and nobody else can run it."""
    service.submit(SPEC)
    seen: list[bool] = []
    prepare = CommandTask.prepare

    def look(*arguments: Any) -> list[str]:
        seen.append(service.is_running("e"))
        return prepare(*arguments)

    monkeypatch.setattr(CommandTask, "prepare", look)
    service.run("e")
    assert seen == [True]
    assert not service.is_running("e")


def test_what_is_tried_first_is_on_record(service: Service) -> None:
    """However many trials the search is later allowed, its first ones, those of a source among them, stay the same."""
    service.submit({**SPEC, "max_trials": 5})
    service.run("e")
    spec = {
        **SPEC,
        "name": "warm",
        "command": ["sh", "-c", "echo {fidelity} > {checkpoint_dir}/x; echo accuracy={x}"],
        "algorithm": "evolutionary",
        "warm_start": ["e"],
        "max_trials": 12,
    }
    service.submit(spec)
    recorded = service.experiment("warm").algorithm
    assert recorded["options"] == {"population_size": 4, "rounds": 3}
    assert len(recorded["initial"]) == 3
    for max_trials, made in ((8, 8), (20, 12)):
        service.submit({**spec, "max_trials": max_trials})
        assert service.run("warm")
        assert sum(service.result("warm").counts.values()) == made
    assert service.experiment("warm").algorithm == recorded
    trials = service.store.trials("warm")
    assert [trial.origin for trial in trials[:3]] == [origin for origin, _ in recorded["initial"]]
    assert [round(3 * trial.fidelity) for trial in trials] == [1] * 4 + [2] * 4 + [3] * 4
    assert "the population has been trained to the end" in service.experiment("warm").detail


def test_a_population_is_compared_with_a_default_that_was_trained_in_full(service: Service) -> None:
    """A first round is no full training: the default is what went on from it without a change, or nothing."""
    service.submit({**SPEC, "parameters": {"x": {"low": 0.0, "high": 1.0, "default": 0.5}}})
    rounds = [(0.5, None, 0.5, 0.1), (0.7, None, 0.5, 0.3), (0.5, 1, 1.0, 0.6), (0.8, 2, 1.0, 0.9)]
    found = []
    for number, (x, parent, fidelity, value) in enumerate(rounds, start=1):
        with service.store.transaction() as tx:
            tx.add_trial("e", number, {"x": x}, "default" if number == 1 else "random", fidelity, parent, 1.0)
            tx.start_attempt(AttemptKey("e", number, 1), now=1.0)
            tx.finish_trial(AttemptKey("e", number, 1), AttemptEnd(TrialState.SUCCEEDED, value=value, now=2.0))
        found.append(service.result("e").default)
    assert found[:2] == [None, None]
    assert [trial.number for trial in found[2:] if trial] == [3, 3]
    assert service.result("e").gain == pytest.approx(0.3)
    assert service.view("e").default_trial == 3


# Jobs -----------------------------------------------------------------------------------------------------


def test_jobs_that_begin_at_once_never_share_a_folder(service: Service) -> None:
    """Each gets a number of its own."""
    with ThreadPoolExecutor(8) as pool:
        launches = list(pool.map(lambda _: job_launch(service.home, "e", "predict", {}), range(40)))
    assert sorted(launch.key.attempt for launch in launches) == list(range(1, 41))


def test_foreign_folders_among_the_jobs_do_not_matter(service: Service) -> None:
    """Only what is named as jobs are named counts."""
    jobs = service.home.experiment("e") / "jobs"
    for name in ("notes", "2x-odd", "7-predict"):
        (jobs / name).mkdir(parents=True)
    assert job_launch(service.home, "e", "predict", {}).folder.name == "8-predict"


def test_a_terminated_job_ends_with_its_processes(service: Service) -> None:
    """SIGTERM ends the program of the job before it ends the caller."""
    launch = job_launch(service.home, "e", "retrain", {})
    launch = replace(launch, command=("sh", "-c", "echo $$ > pid; exec sleep 600"), working_directory=launch.folder)

    def terminate() -> None:
        while not (launch.folder / "pid").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()
    with pytest.raises(KeyboardInterrupt):
        run_job(launch)
    with pytest.raises(ProcessLookupError):
        os.kill(int((launch.folder / "pid").read_text()), 0)


# Retraining -----------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Launch], None]], None]:
    """Record a search over pictures with one trial; return a function that sets what its retraining does."""
    spec = {**SPEC, "task": "image-classification", "network": "small-cnn", "data": "/pictures"}
    del spec["command"]
    service.store.create_experiment("e", spec, {"x": 0.1}, {"name": "random", "max_trials": 1})
    with service.store.transaction() as tx:
        tx.add_trial("e", 1, {"x": 0.1}, "random", 1.0, None, 1.0)
        tx.start_attempt(AttemptKey("e", 1, 1), now=1.0)
        tx.finish_trial(AttemptKey("e", 1, 1), AttemptEnd(TrialState.SUCCEEDED, value=0.9, now=2.0))

    def set_training(train: Callable[[Launch], None]) -> None:
        def run(launch: Launch, on_report: Any) -> Path:
            train(launch)
            return launch.folder

        monkeypatch.setattr(models, "run_job", run)

    return set_training


def write_model(text: str) -> Callable[[Launch], None]:
    """Return a training that leaves a model with this text."""

    def train(launch: Launch) -> None:
        (launch.folder / "artifacts" / "model").mkdir()
        (launch.folder / "artifacts" / "model" / "model.json").write_text(text)

    return train


def test_a_model_is_replaced_by_a_whole_one_only(service: Service, pictures: Any) -> None:
    """The older model stays until a training has ended well; then the new one takes its place, nothing beside it."""
    pictures(write_model("old"))
    folder, _ = service.retrain("e")
    assert (folder / "model.json").read_text() == "old"

    def fail(launch: Launch) -> None:
        write_model("half")(launch)
        raise JobFailed("out of memory")

    pictures(fail)
    with pytest.raises(JobFailed):
        service.retrain("e")
    assert (folder / "model.json").read_text() == "old"
    pictures(write_model("new"))
    service.retrain("e")
    assert (folder / "model.json").read_text() == "new"
    assert not list(folder.parent.glob(".model*"))


def test_a_kill_while_a_model_is_replaced_loses_none(
    service: Service, pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the old model has left its place and the new one has not come, it comes at the next use."""
    pictures(write_model("old"))
    folder, _ = service.retrain("e")
    rename = Path.rename

    def killed_before_the_second(path: Path, target: Path) -> Path:
        if path.name == ".model.new":
            raise KeyboardInterrupt
        return rename(path, target)

    pictures(write_model("new"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", killed_before_the_second)
        service.retrain("e")
    assert not folder.exists()
    assert service.find_model("e") == folder
    assert (folder / "model.json").read_text() == "new"


def test_a_model_is_found_while_it_is_replaced(
    service: Service, pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for the model between the two renames puts the new one in its place; the retraining ends well."""
    pictures(write_model("old"))
    folder, _ = service.retrain("e")
    rename, found = Path.rename, []

    def looked_for(path: Path, target: Path) -> Path:
        if path.name == ".model.new" and not found:
            found.append(True)
            assert service.find_model("e") == folder
        return rename(path, target)

    pictures(write_model("new"))
    monkeypatch.setattr(Path, "rename", looked_for)
    service.retrain("e")
    assert found
    assert (folder / "model.json").read_text() == "new"
    assert not list(folder.parent.glob(".model*"))


def test_what_is_no_model_is_never_overwritten(service: Service, pictures: Any, tmp_path: Path) -> None:
    """A file, or a folder with other things in it, is refused as the model's place before the training."""
    pictures(lambda launch: pytest.fail("it was trained"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("thesis", "file"):
        with pytest.raises(SpecError, match=r"output: .* is there, and is no model"):
            service.retrain("e", output=tmp_path / name)
    with pytest.raises(SpecError, match=r"output: .* can't be written"):
        service.retrain("e", output=tmp_path / "file" / "model")


def test_one_retraining_at_a_time(service: Service, pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is told who is at it."""
    monkeypatch.setattr("tunewell.home.home.LOCK_SECONDS", 0.0)

    def again(launch: Launch) -> None:
        with pytest.raises(ConflictError, match=f"is being retrained by process {os.getpid()}"):
            service.retrain("e")
        write_model("first")(launch)

    pictures(again)
    folder, _ = service.retrain("e")
    assert (folder / "model.json").read_text() == "first"


@pytest.mark.parametrize(
    ("name", "complaint"), [("labels.txt", "is neither CSV nor JSON"), ("folder.csv", "is a folder")]
)
def test_where_predictions_go_is_checked_first(
    service: Service, pictures: Any, tmp_path: Path, name: str, complaint: str
) -> None:
    """An output that can't be written is an error before any picture is read."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SpecError, match=rf"output: .*{complaint}"):
        service.predict("e", [tmp_path], tmp_path / name)
    (tmp_path / "folder.csv" / "notes.txt").touch()
    with pytest.raises(SpecError, match=r"output: .* is there, and is no model"):
        service.export_model("e", tmp_path / "folder.csv")
    (tmp_path / "folder.csv" / "model.json").touch()
    with pytest.raises(SpecError, match=r"output: .* holds more than a model \(notes\.txt\)"):
        service.export_model("e", tmp_path / "folder.csv")
    assert (tmp_path / "folder.csv" / "notes.txt").exists()


def test_a_model_that_is_cut_off_is_told(service: Service, tmp_path: Path) -> None:
    """Half a `model.json` is no traceback, whatever is asked of the model."""
    (tmp_path / "model.json").write_text('{"task": "image-cl')
    for act in (
        lambda: service.predict(str(tmp_path), [tmp_path]),
        lambda: service.export_model(str(tmp_path), tmp_path / "out"),
    ):
        with pytest.raises(UserError, match=r"model\.json: it can't be read as the configuration of a model"):
            act()


# Warm start -----------------------------------------------------------------------------------------------


def succeeded(service: Service, name: str, values: dict[float, float]) -> None:
    """Record trials that have succeeded: x → value."""
    for number, (x, value) in enumerate(values.items(), 1):
        with service.store.transaction() as tx:
            tx.add_trial(name, number, {"x": x}, "random", 1.0, None, 1.0)
            tx.start_attempt(AttemptKey(name, number, 1), now=1.0)
            tx.finish_trial(AttemptKey(name, number, 1), AttemptEnd(TrialState.SUCCEEDED, value=value, now=2.0))


def test_sources_are_recorded_as_they_were(service: Service) -> None:
    """The record holds the source's trials, best first; what becomes of the source later changes nothing."""
    service.submit({**SPEC, "name": "earlier"})
    succeeded(service, "earlier", {0.1: 0.5, 0.2: 0.9, 0.3: 0.7})
    spec = {**SPEC, "max_trials": 12, "warm_start": "earlier"}
    service.submit(spec)
    (source,) = service.experiment("e").algorithm["sources"]
    assert source["name"] == "earlier"
    assert [trial[:2] for trial in source["trials"]] == [[2, {"x": 0.2}], [3, {"x": 0.3}], [1, {"x": 0.1}]]
    with service.store.transaction() as tx:
        tx.add_trial("earlier", 4, {"x": 0.9}, "random", 1.0, None, 3.0)
    assert service.submit(spec).kind == "continued"
    assert service.experiment("e").algorithm["sources"] == [source]
    service.run("e")
    origins = [trial.origin for trial in service.store.trials("e")]
    assert origins[:3] == [f"warm start: earlier, trial {number}" for number in (2, 1, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warm_start": ["earlyer"]}, "there is no experiment 'earlyer'. Did you mean 'earlier'?"),
        ({"warm_start": ["e"]}, "'e' is this search itself. Name an earlier one."),
        ({"warm_start": ["empty"]}, "'empty' has no finished trial. Name a search that has some."),
        (
            {"warm_start": ["earlier"], "command": "echo {z}", "parameters": {"z": [1, 2]}},
            "'earlier' has no parameter in common with this search (x there). "
            "Name a search over some of the same parameters.",
        ),
        (
            {"warm_start": ["earlier"], "parameters": {"x": ["a", "b"]}},
            "no trial of 'earlier' fits into this space: the values of x are others there. "
            "Name a search over some of the same values.",
        ),
    ],
)
def test_sources_that_do_not_help_are_refused(service: Service, changes: dict[str, Any], message: str) -> None:
    """Each case has its message; nothing is recorded."""
    service.submit({**SPEC, "name": "earlier"})
    service.submit({**SPEC, "name": "empty"})
    succeeded(service, "earlier", {0.1: 0.5})
    with pytest.raises(SpecError) as caught:
        service.submit({**SPEC, **changes})
    assert str(caught.value) == f"warm_start: {message}"
    assert service.store.find_experiment("e") is None


def test_a_single_trial_takes_the_best_parameters(service: Service) -> None:
    """It trains once, whatever becomes of the earlier search; constants are those of the new spec."""
    earlier = {**SPEC, "name": "earlier", "parameters": {**SPEC["parameters"], "k": 5}, "command": "echo {x} {k}"}
    service.submit(earlier)
    succeeded(service, "earlier", {0.1: 0.5, 0.2: 0.9, 0.3: 0.7})
    spec = {
        **SPEC,
        "command": ["sh", "-c", "echo accuracy={x}", "{k}"],
        "parameters": {**SPEC["parameters"], "k": 7},
        "parameters_from": "earlier",
        "max_trials": None,
    }
    service.submit(spec)
    service.run("e")
    (trial,) = service.store.trials("e")
    assert (trial.parameters, trial.origin) == ({"x": 0.2, "k": 7}, "best of earlier, trial 2")
    assert service.experiment("e").state.final
    assert service.submit(spec).kind == "finished"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters_from": "earlyer"}, "parameters_from: there is no experiment 'earlyer'. Did you mean 'earlier'?"),
        ({"parameters_from": "e"}, "parameters_from: 'e' is this search itself. Name an earlier one."),
        (
            {"parameters_from": "earlier"},
            "parameters_from: 'earlier' has no trial with a result. Name a search that has one.",
        ),
        (
            {"parameters_from": "earlier", "max_trials": 3},
            "max_trials: it is for searches, and `parameters_from` asks for a single trial. Drop one.",
        ),
    ],
)
def test_best_parameters_that_are_not_there_are_refused(
    service: Service, changes: dict[str, Any], message: str
) -> None:
    """Each case has its message; nothing is recorded."""
    service.submit({**SPEC, "name": "earlier"})
    with pytest.raises(SpecError) as caught:
        service.submit({**SPEC, "max_trials": None, **changes})
    assert str(caught.value) == message
    assert service.store.find_experiment("e") is None


def test_a_plan_says_what_it_did_not_look_up(service: Service) -> None:
    """Names of earlier experiments are checked at submission only, and the findings of a check say so."""
    del service
    plan = make_plan({**SPEC, "warm_start": ["earlier"]})
    assert plan.findings[-1] == "Earlier experiments, looked up when the search begins: 'earlier'."


@pytest.mark.parametrize(("cores", "chosen"), [(2, "bayesian"), (8, "random")])
def test_auto_goes_by_the_trials_that_fit(cores: int, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if all trials really run at once can none learn from another, whatever max_concurrency would allow."""
    monkeypatch.setattr("tunewell.schedulers.local.detect_cpus", lambda: cores)
    spec = {**SPEC, "algorithm": "auto", "max_trials": 4, "max_concurrency": 8}
    assert make_plan(spec).choice.name == chosen
