"""What every kind of task promises, run over each of them: built-in ones, one over tables, commands, functions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.task_cases import CASES, Case
from tests.schedulers.bench import Bench
from tests.tasks.table_regression import registered
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.spec.declaration import declare
from tunewell.spec.errors import ConflictError, UserError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import AttemptKey, Exit, Launch, Report
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks.catalogue import TASKS
from tunewell.tasks.contract import PlannedAttempt, Task

#: The first trial of a kind imports PyTorch.
_PATIENCE_SECONDS = 120.0
_NOWHERE = Capacity(())
_GIB = 1 << 30
_GPU = Gpu("0", memory_bytes=24 * _GIB, compute_capability=(9, 0))
_WITH_GPU = Capacity((Node("here", 8, 64 * _GIB, (_GPU,), 8, 64 * _GIB, ("0",)),))


@pytest.fixture(autouse=True, scope="module")
def task_over_tables() -> Iterator[None]:
    """The task that is not about pictures is among the built-in ones."""
    with registered():
        yield


@dataclass
class Life:
    """An experiment over a kind of task, prepared, with a trial of half the training and one that goes on from it."""

    case: Case
    #: Where data or program lie.
    place: Path
    bench: Bench
    #: Its trials and jobs have numbers from here on.
    first: int
    task: Task
    spec: ExperimentSpec
    space: SearchSpace
    #: The experiment's folder, and the cache.
    folder: Path
    cache: Path
    #: What `prepare` returned.
    notes: list[str]

    def parameters(self) -> Configuration:
        """Return the default configuration."""
        default = self.space.default()
        assert default is not None
        return default

    def launch(self, number: int, fidelity: float) -> Launch:
        """Return the launch of an attempt as the controller makes it."""
        number += self.first
        folder = self.bench.folder / str(number) / "1"
        attempt = PlannedAttempt(AttemptKey("bench", number, 1), folder, self.parameters(), fidelity)
        program = self.task.program(self.spec, self.folder, attempt)
        launch = self.bench.launch(
            number,
            self.parameters(),
            command=program.command,
            entry=program.entry,
            preload=program.preload,
            environment={
                "TUNEWELL_METRIC": self.spec.objective.metric,
                "TUNEWELL_GOAL": self.spec.objective.goal,
                "TUNEWELL_FIDELITY": repr(fidelity),
                **program.environment,
            },
            working_directory=program.working_directory,
            metric_pattern=program.metric_pattern,
            metric=self.spec.objective.metric,
        )
        for part in ("artifacts", "checkpoint"):
            (folder / part).mkdir()
        return launch

    def run(self, launch: Launch) -> tuple[Exit, list[Report]]:
        """Run an attempt to its end under its supervisor; return how it ended, and its reports."""
        self.bench.start(launch)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (ended := self.bench.exit_of(launch)) is None:
            assert time.monotonic() < deadline, "waited in vain"
            self.bench.poll(1.0)
        return ended, self.bench.reports_of(launch)

    def job(self, number: int, kind: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[Report]]:
        """Run a job to its end under its supervisor; return its result and its reports."""
        launch = self.bench.launch(self.first + number, entry=self.task.jobs[kind], preload=self.task.preload)
        (launch.folder / "job.json").write_text(json.dumps(arguments))
        (launch.folder / "parameters.json").write_text(json.dumps(self.parameters()))
        ended, reports = self.run(launch)
        assert ended.cause is None, f"{ended.detail}\n{(launch.folder / 'output.log').read_text()}"
        return json.loads((launch.folder / "result.json").read_text()), reports


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    """One kind of task after the other."""
    return CASES[request.param]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """One scheduler for all kinds: those that import the same libraries have them imported once."""
    scheduler = Bench(tmp_path_factory.mktemp("bench")).scheduler
    yield scheduler
    scheduler.close()


@pytest.fixture(scope="module")
def life(case: Case, scheduler: Scheduler, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """An experiment, prepared."""
    place = tmp_path_factory.mktemp("data")
    raw = case.raw(place)
    task, home = case.task(raw), tmp_path_factory.mktemp("home")
    spec = parse_spec(task.complete(raw))
    space = task.space(spec, _NOWHERE)
    bench = Bench(home / "trials", scheduler)
    notes = task.prepare(spec, space, home / "e", home / "cache", lambda what, done, total: None)
    first = 100 * list(CASES.values()).index(case)
    return Life(case, place, bench, first, task, spec, space, home / "e", home / "cache", notes)


@pytest.fixture(scope="module")
def trained(life: Life) -> tuple[Exit, list[Report], Path]:
    """How a trial of half the training ended, its reports and its folder."""
    launch = life.launch(1, 0.5)
    return (*life.run(launch), launch.folder)


def _content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return what lies in a folder: file → time of its last change, and content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_every_kind_is_here() -> None:
    """No built-in task is left out."""
    assert set(CASES) == {*TASKS, "command", "function"}


def test_a_spec_is_completed_once(case: Case, tmp_path: Path) -> None:
    """What the task fills in makes the spec valid, overrides nothing, and completing again changes nothing."""
    raw = case.raw(tmp_path)
    before = json.dumps(raw)
    completed = case.task(raw).complete(raw)
    assert json.dumps(raw) == before
    assert completed.items() >= raw.items()
    assert case.task(raw).complete(completed) == completed
    assert parse_spec(completed).objective.metric


def test_networks_are_declared_whole(case: Case, tmp_path: Path) -> None:
    """Each network has a name, a description, a complete default and a source of each of its parameters."""
    task = case.task(case.raw(tmp_path))
    assert bool(task.networks) == bool(task.default_network)
    for name, network in task.networks.items():
        assert name == network.name and network.description
        default = network.space.default()
        assert default is not None and network.space.check(default) == default
        assert set(network.sources) == set(network.space.names)


def test_texts_on_parameters_say_whether_they_are_searched(case: Case, tmp_path: Path) -> None:
    """What is called "not searched by default" has one value; of a flag that is searched, the default is told so."""
    for network in case.task(case.raw(tmp_path)).networks.values():
        for name, source in network.sources.items():
            text, parameter = source.lower(), network.space[name]
            assert "off by default" not in text and "on by default" not in text, name
            if "not searched by default" in text:
                assert parameter.size == 1, name
            elif set(parameter.values(3)) == {False, True}:
                default = "on" if network.space.default()[name] else "off"
                assert text.startswith(f"default: {default}") and "both searched" in text, name


@pytest.mark.parametrize("capacity", [_NOWHERE, _WITH_GPU], ids=["no GPU", "a GPU"])
def test_the_default_is_inside_the_space(case: Case, capacity: Capacity, tmp_path: Path) -> None:
    """Whatever the machine, the default configuration is one of the space, and what the spec says is in it."""
    raw = case.raw(tmp_path)
    spec = parse_spec(case.task(raw).complete(raw))
    space = case.task(raw).space(spec, capacity)
    default = space.default()
    assert default is not None and space.check(default) == default
    assert set(spec.parameters) <= set(space.names)
    assert case.task(raw).space(spec, capacity) == space


def test_a_check_finds_what_is_there(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound data and programs are told about in sentences; nothing is started, nothing written."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a check starts nothing")

    raw = case.raw(tmp_path)
    task, spec = case.task(raw), parse_spec(case.task(raw).complete(raw))
    before = _content(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "fork", refuse)
    findings = task.check(spec)
    assert all(finding and "\n" not in finding for finding in findings)
    assert _content(tmp_path) == before


def test_a_check_refuses_what_can_not_run(case: Case, tmp_path: Path) -> None:
    """It is one error, in one line, for the user."""
    raw = case.raw(tmp_path, spoilt=True)
    with pytest.raises(UserError) as caught:
        case.task(raw).check(parse_spec(case.task(raw).complete(raw)))
    assert str(caught.value) and "\n" not in str(caught.value)


def test_a_view_counts_what_is_there(life: Life) -> None:
    """A task that knows its data counts the items of each split and shows some; progress ends with the whole."""
    steps: list[tuple[str, int, int]] = []
    view = life.task.view(life.spec, lambda *step: steps.append(step))
    assert (view is None) == (life.case.change is None)
    if view is not None:
        assert view.summary.unit and view.summary.items["train"] > 0
        assert any(view.examples.values()) and not view.broken
        assert all(len(counts) == len(view.summary.items) for counts in view.summary.counts.values())
        assert steps and all(0 <= done <= total for _, done, total in steps)


def test_preparing_again_changes_nothing(life: Life) -> None:
    """It says the same, in any process, and leaves the experiment's folder and the cache as they are."""
    before = {**_content(life.folder), **_content(life.cache)}
    again = life.case.task(life.spec.model_dump())
    assert again.prepare(life.spec, life.space, life.folder, life.cache, lambda *step: None) == life.notes
    after = {**_content(life.folder), **_content(life.cache)}
    assert {path: content for path, (_, content) in after.items()} == {p: content for p, (_, content) in before.items()}
    again.check_same(life.spec, life.folder)


def test_programs_follow_from_their_arguments(life: Life) -> None:
    """The same attempt has the same program, whoever asks."""
    attempt = PlannedAttempt(AttemptKey("case", 3, 1), life.folder / "trials" / "3" / "1", life.parameters(), 0.5)
    program = life.task.program(life.spec, life.folder, attempt)
    assert (program.command is None) != (program.entry is None)
    other = life.case.task(life.spec.model_dump())
    assert other.program(life.spec, life.folder, attempt) == program


def test_a_trial_reports_the_objective(life: Life, trained: tuple[Exit, list[Report], Path]) -> None:
    """With the default parameters a trial runs under its supervisor, reports, and ends well."""
    ended, reports, folder = trained
    assert ended.cause is None, f"{ended.detail}\n{(folder / 'output.log').read_text()}"
    assert [report.step for report in reports] == [1]
    assert life.spec.objective.metric in reports[-1].metrics


def test_a_trial_goes_on_from_a_checkpoint(life: Life, trained: tuple[Exit, list[Report], Path]) -> None:
    """What half the training left is not learned again: only the other half is."""
    assert life.task.resumable(life.spec)
    _, _, before = trained
    launch = life.launch(2, 1.0)
    shutil.copytree(before / "checkpoint", launch.folder / "checkpoint", dirs_exist_ok=True)
    ended, reports = life.run(launch)
    assert ended.cause is None, ended.detail
    steps = [report.step for report in reports if life.spec.objective.metric in report.metrics]
    assert steps in ([2], [1, 2]), "what was restored may be reported first"


def test_declared_jobs_run(life: Life, trained: tuple[Exit, list[Report], Path], tmp_path: Path) -> None:
    """Each job that the task declares runs in a process, and leaves a result."""
    _, _, attempt = trained
    model, task_file = str(attempt / "artifacts" / "model"), str(life.folder / "task.json")
    spec = json.loads(life.spec.model_dump_json())
    used = {"model": model, "inputs": [str(life.place / "data")], "directory": "/", "output": None}
    arguments: dict[str, dict[str, Any]] = {
        "prepare": {
            "spec": spec,
            "space": declare(life.space),
            "folder": str(tmp_path / "e"),
            "cache": str(tmp_path / "cache"),
        },
        "measure": {"spec": spec, "seconds": 1.0},
        "evaluate": {"task_file": task_file, "trials": [{"number": 1, "folder": str(attempt)}]},
        "evaluate-model": {"model": model, "data": str(life.place / "data"), "split": None, "task_file": None},
        "retrain": {
            "task_file": task_file,
            "schedule": [{"fidelity": 0.5, "parameters": life.parameters()}],
            "splits": ["train", "val"],
            "trial": 1,
            "model": model,
        },
        "predict": {**used, "drawn": None},
        "draw": {**used, "drawn": str(tmp_path / "drawn")},
        "export-model": {"model": model, "task_file": task_file, "search": None, "figures": {}},
    }
    assert set(life.task.jobs) <= set(arguments)
    results = {}
    for number, kind in enumerate(life.task.jobs, start=10):
        results[kind], reports = life.job(number, kind, arguments[kind])
        if kind in ("prepare", "evaluate", "predict", "draw"):
            assert reports and all(0 < share <= 1 for report in reports for share in report.metrics.values())
            assert 1 in reports[-1].metrics.values()
    if "prepare" in results:
        assert results["prepare"] == {"notes": life.notes}
        assert (tmp_path / "e" / "task.json").exists()
    if "evaluate" in results:
        measured = results["evaluate"]["trials"]["1"]["val"]
        assert measured[life.spec.objective.metric] == pytest.approx(
            trained[1][-1].metrics[life.spec.objective.metric], abs=1e-6
        )


def test_changed_data_are_told(life: Life) -> None:
    """Data that are not those of before are refused, before a trial and when the spec is submitted again."""
    if life.case.change is None:
        life.task.check_same(life.spec, life.folder)
        return
    life.case.change(life.place)
    with pytest.raises(ConflictError):
        life.task.check_same(life.spec, life.folder)
    with pytest.raises(ConflictError):
        life.task.prepare(life.spec, life.space, life.folder, life.cache, lambda *step: None)
