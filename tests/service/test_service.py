"""The verbs of the service where it decides itself: what is submitted, retried, retrained."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.service.children import preparations
from tunewell.controller.loading import trial_budget
from tunewell.schedulers import hardware
from tunewell.service import submission
from tunewell.service.runs import Given, Situation
from tunewell.service.service import Service
from tunewell.service.submission import make_plan
from tunewell.service.verbs import Fresh
from tunewell.service.views import experiment_view
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.errors import ConflictError, SpecError, UserError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.tasks.command import CommandTask
from tunewell.tasks.image_classification.digits import write_digits
from tunewell.tasks.image_classification.task import ImageClassification
from tunewell.tuners import catalogue

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["sh", "-c", "echo accuracy={x}"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "max_trials": 2,
}


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """A service on an empty home."""
    with Service(tmp_path / "home", database) as service:
        yield service


def failed(service: Service, number: int) -> None:
    """Record a trial that has failed."""
    with service.store.transaction() as tx:
        tx.add_trial("e", number, {"x": 0.1}, "random", 1.0, None, 1.0)
        tx.start_attempt(AttemptKey("e", number, 1), now=1.0)
        tx.finish_trial(
            AttemptKey("e", number, 1), AttemptEnd(TrialState.FAILED, cause=Cause.CRASHED, detail="a bug", now=2.0)
        )


def of_cores(cores: int) -> Capacity:
    """Return a machine that has nothing but cores and memory."""
    return Capacity((hardware.empty_node(cores, 1 << 36, ()),))


@pytest.mark.parametrize(("new", "expected"), [("never", ("e", "continued")), ("always", ("e-2", "new"))])
def test_a_name_that_another_process_takes_meanwhile(
    new: Fresh, expected: tuple[str, str], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who loses the race for a new name goes on with the winner's experiment, or takes the next free name."""
    service.submit(SPEC)
    known, unseen = service.store.find_experiment, [1]
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
    assert service.retry("e", [2, 1, 2]) == (2, 1)
    (request,) = service.store.requests("e")
    assert request.data == {"trials": [2, 1]}


def test_a_retried_search_that_was_killed_goes_on(service: Service) -> None:
    """While a trial waits to run again, the search is not called finished, although its state is final."""
    service.submit({**SPEC, "max_trials": 1})
    failed(service, 1)
    assert not service.run("e") or service.store.experiment("e").state.final
    assert service.submit({**SPEC, "max_trials": 1}).kind == "finished"
    with service.store.transaction() as tx:
        tx.retry_trial("e", 1, 3.0)
    assert service.submit({**SPEC, "max_trials": 1}).kind == "continued"


def test_without_max_trials_the_default_counts_again(service: Service) -> None:
    """A number that is taken out of the spec is not remembered."""
    service.submit(SPEC)
    row = service.store.experiment("e")
    assert trial_budget(parse_spec(row.spec), row) == 2
    service.submit({key: value for key, value in SPEC.items() if key != "max_trials"})
    row = service.store.experiment("e")
    assert trial_budget(parse_spec(row.spec), row) == 20


def test_a_search_goes_on_where_there_is_another_gpu(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU decided when the search began stays as it was, and is no change of the spec."""
    raw = {"name": "e", "task": "image-classification", "data": str(tmp_path), "network": "resnet18"}
    monkeypatch.setattr(ImageClassification, "check", lambda task, spec: [])
    large, small = (Gpu("0", memory_bytes=gib << 30, compute_capability=(9, 0)) for gib in (80, 2))
    machines = [Capacity((Node("here", 8, 1 << 36, gpus, 8, 1 << 36, ()),)) for gpus in ((large,), (small,), ())]
    monkeypatch.setattr(hardware, "machine", lambda: machines[0])
    service.submit(raw)
    space = service.store.experiment("e").space
    assert space["image_size"]["ordinal"][-1] == 288
    for other in machines[1:]:
        monkeypatch.setattr(hardware, "machine", lambda other=other: other)
        assert service.submit({**raw, "max_trials": 30}).kind == "continued"
        assert service.store.experiment("e").space == space


@pytest.mark.parametrize("resources", [{"cpus": 4096}, {"gpus": 512}])
def test_more_than_the_machine_has_is_refused_at_once(service: Service, resources: dict[str, int]) -> None:
    """Resources that no trial can ever get are an error before anything is recorded."""
    (what,) = resources
    with pytest.raises(SpecError, match=rf"resources\.{what}: \d+ a trial, but this machine offers trials \d+"):
        service.submit({**SPEC, "resources": resources})
    assert service.store.experiments() == []


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


@pytest.mark.one_database("it is planned before anything is recorded")
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
    monkeypatch.setattr(hardware, "machine", lambda: of_cores(2))
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
    monkeypatch.setattr(CommandTask, "jobs", {"prepare": f"{preparations.__name__}:wait"})
    service.submit(SPEC)
    seen: list[bool] = []

    def look(situation: Situation) -> None:
        del situation
        (job,) = service.jobs(experiment="e", kind="prepare").items or [None]
        if job is not None and job.state is JobState.RUNNING and not seen:
            seen.append(service.home.is_running("e"))
            with pytest.raises(ConflictError, match=f"is being run by process {os.getpid()}"):
                service.check_idle("e")
            (service.home.job(job.id) / "1" / "go").touch()

    assert service.run("e", on_step=look)
    assert seen == [True]
    assert not service.home.is_running("e")


@pytest.mark.one_database("it is planned before anything is recorded")
def test_a_grid_has_what_is_to_be_tried(service: Service, tmp_path: Path) -> None:
    """A linear probe comes second in searches over a pretrained network, but not in grids: it would take a place."""
    write_digits(tmp_path / "digits")
    spec = {"task": "image-classification", "data": str(tmp_path / "digits"), "network": "resnet18"}
    for algorithm in ("random", "grid"):
        service.create({**spec, "name": algorithm, "algorithm": algorithm})
    initial = [service.store.experiment(name).algorithm["initial"] for name in ("random", "grid")]
    assert [[origin for origin, _ in one] for one in initial] == [["default", "linear probe"], ["default"]]


@pytest.mark.one_database("it is planned before anything is recorded")
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
    recorded = service.store.experiment("warm").algorithm
    assert recorded["options"] == {"population_size": 4, "rounds": 3}
    assert len(recorded["initial"]) == 3
    for max_trials, made in ((8, 8), (20, 12)):
        service.submit({**spec, "max_trials": max_trials})
        assert service.run("warm")
        assert sum(service.result("warm").trials.values()) == made
    assert service.store.experiment("warm").algorithm == recorded
    trials = service.store.trials("warm")
    assert [trial.origin for trial in trials[:3]] == [origin for origin, _ in recorded["initial"]]
    assert [round(3 * trial.fidelity) for trial in trials] == [1] * 4 + [2] * 4 + [3] * 4
    assert "the population has been trained to the end" in service.store.experiment("warm").detail


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
    assert experiment_view(service.store, service.home, "e").default_trial == 3


def test_a_spec_is_resolved_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the spec to the end of the search, one task completes it, and one choice of the algorithm is made."""
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        known = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return known(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    for module in (submission, catalogue):
        counted(module, "choose")
    for method in ("complete", "space", "check"):
        counted(CommandTask, method)
    service.submit({**SPEC, "algorithm": "auto"})
    assert service.run("e")
    assert calls == {"choose": 1, "complete": 1, "space": 1, "check": 1}


def test_a_data_set_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of a data set to choose a network serves the check of the spec, too."""
    write_digits(tmp_path / "data")
    read, folders = ImageClassification.read, list[Path]()

    def note(task: ImageClassification, data: Path, seed: int) -> Any:
        folders.append(data)
        return read(task, data, seed)

    monkeypatch.setattr(ImageClassification, "read", note)
    make_plan({"name": "e", "task": "image-classification", "data": str(tmp_path / "data"), "weights": "none"})
    assert len(folders) == 1


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
    (source,) = service.store.experiment("e").algorithm["sources"]
    assert source["name"] == "earlier"
    assert [trial[:2] for trial in source["trials"]] == [[2, {"x": 0.2}], [3, {"x": 0.3}], [1, {"x": 0.1}]]
    with service.store.transaction() as tx:
        tx.add_trial("earlier", 4, {"x": 0.9}, "random", 1.0, None, 3.0)
    assert service.submit(spec).kind == "continued"
    assert service.store.experiment("e").algorithm["sources"] == [source]
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
    assert service.store.experiment("e").state.final
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
    monkeypatch.setattr(hardware, "machine", lambda: of_cores(cores))
    spec = {**SPEC, "algorithm": "auto", "max_trials": 4, "max_concurrency": 8}
    assert make_plan(spec).choice.name == chosen


def test_a_search_that_has_ended_runs_what_is_retried(service: Service, tmp_path: Path) -> None:
    """Failed trials of a search that has ended run again, in one call, although it has all of its trials."""
    command = ["sh", "-c", f"[ -e {tmp_path / 'repaired'} ] && echo accuracy={{x}}"]
    service.submit({**SPEC, "command": command, "algorithm": "random", "max_failed_trials": 10})
    assert service.run("e", Given(follow_up=False))
    (tmp_path / "repaired").touch()
    assert service.retry("e") == (1, 2)
    assert service.run("e", Given(follow_up=False))
    assert [(trial.state, trial.attempt) for trial in service.store.trials("e")] == [(TrialState.SUCCEEDED, 2)] * 2


def test_a_broken_preparation_ends_the_search_until_it_is_repaired(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails with the sentence of the task, before its first trial; the same spec goes on after the repair."""
    monkeypatch.setattr(CommandTask, "jobs", {"prepare": f"{preparations.__name__}:check"})
    service.submit(SPEC)
    (service.home.folder / "broken").touch()
    with pytest.raises(UserError, match=r"^pictures: 3 of 7 can't be read\. Repair them\.$"):
        service.run("e")
    assert service.store.trials("e") == []
    assert service.store.experiment("e").state is ExperimentState.FAILED
    (service.home.folder / "broken").unlink()
    assert service.submit(SPEC).kind == "continued"
    assert service.run("e", Given(follow_up=False))
    assert [trial.state for trial in service.store.trials("e")] == [TrialState.SUCCEEDED] * 2


def test_without_follow_up_there_are_no_jobs(service: Service) -> None:
    """What follows a search can be left out."""
    service.submit(SPEC)
    assert service.run("e", Given(follow_up=False))
    assert service.jobs(experiment="e").items == ()


def test_an_interrupted_follow_up_is_finished_later(service: Service) -> None:
    """Interrupted after its last trial, a search says that it was; what follows it waits, and is done once."""
    service.submit(SPEC)

    def interrupt(situation: Situation) -> None:
        if service.jobs(experiment="e", kind="report").items and not situation.interrupted:
            signal.raise_signal(signal.SIGINT)

    assert not service.run("e", on_step=interrupt)
    (job,) = service.jobs(experiment="e").items
    assert (job.kind, job.state) == ("report", JobState.WAITING)
    assert service.submit(SPEC).kind == "finished"
    assert service.run_follow_up("e")
    (job,) = service.jobs(experiment="e").items
    assert (job.kind, job.state) == ("report", JobState.SUCCEEDED)
    assert service.experiment("e").report is not None


def test_two_searches_at_once_share_the_cores(
    service: Service, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches of one home, each with a controller of its own, together never run more trials than there are cores."""
    monkeypatch.setattr(hardware, "machine", lambda: of_cores(2))
    code = f"cd {tmp_path}; mkdir running/$$; ls running | wc -l >> seen; sleep 0.1; rmdir running/$$; echo accuracy=1"
    (tmp_path / "running").mkdir()
    names = ("e", "f")
    for name in names:
        service.submit({**SPEC, "name": name, "command": ["sh", "-c", code], "max_trials": 5, "algorithm": "random"})

    def run(name: str) -> bool:
        with Service(tmp_path / "home", database) as own:
            return own.run(name, Given(follow_up=False))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, names)) == [True, True]
    seen = list(map(int, (tmp_path / "seen").read_text().split()))
    assert len(seen) == 10
    assert max(seen) == 2
