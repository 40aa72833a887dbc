"""What of a home may go, what stays, and that nothing is left half."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.store.lives import add as add_trial
from tests.store.lives import finish, run, start
from tunewell.home.keeping import keeping
from tunewell.home.removal import GARBAGE, REMOVED, finish_removals, note_garbage
from tunewell.schedulers.records import make_folder
from tunewell.service.service import Service
from tunewell.service.upkeep import collecting
from tunewell.service.upkeep.collecting import collect, keep_within
from tunewell.service.upkeep.garbage import DAY_SECONDS, KEPT_SECONDS, find_garbage
from tunewell.spec.errors import ConflictError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store.rows import JobEnd

COMPLETED, FAILED = ExperimentState.COMPLETED, TrialState.FAILED
SPEC: Mapping[str, Any] = {"name": "e", "command": ["true"], "objective": {"metric": "loss", "goal": "minimize"}}


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """An empty home."""
    with Service(tmp_path / "home", database) as service:
        service.home.create()
        yield service


def searched(service: Service, name: str = "e", ended: bool = True, **spec: Any) -> None:
    """Put a search on record whose trials 1 to 8 succeeded with that loss; the 9th failed, and the 10th runs."""
    store = service.store
    store.create_experiment(name, {**SPEC, "name": name, **spec}, {}, {"name": "random"})
    for number in range(1, 9):
        run(store, number, float(number), name=name)
    run(store, 9, None, name=name, state=FAILED, cause=Cause.CRASHED)
    add_trial(store, 10, name=name)
    start(store, 10, name=name)
    if ended:
        with store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
            tx.set_experiment_state(name, ExperimentState.RUNNING, COMPLETED)
    with service.home.lock(name):
        pass
    for trial in store.iterate_trials(name):
        write(service, name, trial.number, trial.attempt, trial.identity or "")


def write(service: Service, name: str, number: int, attempt: int, identity: str) -> Path:
    """Write what the attempt at a trial leaves."""
    folder = service.home.place(AttemptKey(name, number, attempt))
    make_folder(folder, identity)
    for part in ("checkpoint", "artifacts"):
        (folder / part).mkdir()
        (folder / part / "weights").write_bytes(os.urandom(10_000))
    (folder / "output.log").write_text("said")
    return folder


def found(service: Service, now: float | None = None) -> dict[str, list[str]]:
    """Return what may go, by kind, as paths in the home."""
    by_kind: dict[str, list[str]] = {}
    for piece in find_garbage(service.store, service.home, now):
        by_kind.setdefault(piece.kind, []).append(str(piece.folder.relative_to(service.home.folder)))
        assert piece.size_bytes > 0
    return by_kind


def files(service: Service) -> set[str]:
    """Return all files of experiments and jobs."""
    folder = service.home.folder
    shelves = (folder / "experiments", folder / "jobs")
    return {str(path.relative_to(folder)) for shelf in shelves for path in shelf.rglob("*") if path.is_file()}


def test_the_best_and_what_is_wanted_stay(service: Service) -> None:
    """Of an ended search, files of trials beyond the five best may go; logs, and what runs, stay."""
    searched(service)
    place = "experiments/e/trials/{}/1/{}"
    others = [6, 7, 8, 9]
    assert found(service) == {
        "checkpoints": [place.format(number, "checkpoint") for number in others],
        "artifacts": [place.format(number, "artifacts") for number in others],
    }
    before = files(service)
    done = service.collect_garbage()
    assert {one.kind: one.count for one in done.groups} == {"checkpoints": 4, "artifacts": 4}
    gone = {place.format(number, f"{part}/weights") for number in others for part in ("checkpoint", "artifacts")}
    assert before - files(service) == gone and not list((service.home.folder / REMOVED).iterdir())
    assert found(service) == {} and service.collect_garbage().size_bytes == 0
    (one,) = service.disk().collections
    assert (one.groups, one.by) == (done.groups, service.caller.name)


def test_what_an_open_search_may_go_on_from_stays(service: Service) -> None:
    """While a search has not ended, what failed may be retried, and others may go on from any checkpoint."""
    searched(service, "plain", ended=False)
    searched(service, "promoting", ended=False, early_stopping="promotion")
    kinds = found(service)
    trials = {path.split("/")[1] + path.split("/")[3] for path in kinds["checkpoints"]}
    assert trials == {"plain6", "plain7", "plain8"}
    assert len(kinds["artifacts"]) == 8


def test_parents_and_results_stay(service: Service) -> None:
    """The trial that one which failed goes on from keeps its checkpoint; one with a result on record keeps all."""
    searched(service)
    with service.store.transaction() as tx:
        tx.add_trial("e", 11, {"x": 1}, "random", 1.0, 7)
    start(service.store, 11, name="e")
    with service.store.transaction() as tx:
        tx.add_result("e", "evaluation", 8, None, {})
    assert [path.split("/")[3] for path in found(service)["checkpoints"]] == ["6", "9"]
    assert [path.split("/")[3] for path in found(service)["artifacts"]] == ["6", "7", "9"]


def test_earlier_attempts_go(service: Service) -> None:
    """Of an ended trial beyond the best the last attempt alone is kept, and other identities are not touched."""
    searched(service)
    with service.store.transaction() as tx:
        tx.retry_trial("e", 9)
        tx.start_attempt(AttemptKey("e", 9, 2), "f" * 32)
    write(service, "e", 9, 2, "f" * 32)
    assert all("/9/" not in path for paths in found(service).values() for path in paths)
    finish(service.store, 9, attempt=2, value=20.0, name="e")
    assert found(service)["attempts"] == ["experiments/e/trials/9/1"]
    make_folder(service.home.folder / "experiments/e/trials/9/1", "0" * 32)
    assert "attempts" not in found(service)


def test_jobs_of_long_ago(service: Service) -> None:
    """Files of jobs go after 30 days if their results are on record, or they failed; those that a result names stay."""
    searched(service)
    now, old = time.time(), time.time() - KEPT_SECONDS - 1
    kinds = ["report", "retrain", "predict", "predict", "probe"]
    for number, kind in enumerate(kinds, 1):
        with service.store.transaction() as tx:
            job = tx.add_job(kind, "e", {}, "ada", None, now=old)
            tx.start_job(job, 1, f"{number:032}", old, "host", None)
        state = JobState.FAILED if number == 4 else JobState.SUCCEEDED
        ended = now if number == 5 else old
        with service.store.transaction() as tx:
            tx.finish_job(job, 1, JobEnd(state, cause=Cause.CRASHED if number == 4 else None, now=ended))
            if kind == "retrain":
                tx.add_result("e", "model", 1, None, {}, f"jobs/{job}/1/artifacts/model", "ab" * 32, job)
        make_folder(service.home.job(job) / "1", f"{number:032}")
    assert found(service, now)["jobs"] == ["jobs/1/1", "jobs/4/1"]


def test_models_of_trainings_with_other_seeds(service: Service) -> None:
    """Their values alone are of use: once they have succeeded their models go; what they have said stays a while."""
    searched(service)
    now = time.time()
    for number, state in enumerate([JobState.SUCCEEDED, JobState.FAILED], 1):
        with service.store.transaction() as tx:
            job = tx.add_job("repeat", "e", {"trial": 1, "seed": number}, "ada", None, now=now - 60)
            tx.start_job(job, 1, f"{number:032}", now - 60, "host", None)
        with service.store.transaction() as tx:
            tx.finish_job(job, 1, JobEnd(state, result={"value": 0.5}, now=now - 30))
        folder = service.home.job(job) / "1"
        make_folder(folder, f"{number:032}")
        (folder / "output.log").write_text("said")
        for part in ("checkpoint", "artifacts"):
            (folder / part).mkdir()
            (folder / part / "weights").write_bytes(b"x" * 10_000)
    assert found(service, now)["jobs"] == ["jobs/1/1/artifacts", "jobs/1/1/checkpoint"]
    assert {one.kind: one.count for one in service.collect_garbage().groups}["jobs"] == 2
    assert (service.home.job(1) / "1" / "output.log").exists()
    assert found(service, now + KEPT_SECONDS)["jobs"] == ["jobs/1/1", "jobs/2/1"]


def test_the_bin_and_leftovers(service: Service) -> None:
    """After 30 days in the bin an experiment goes with its rows; what was left unfinished goes after a day."""
    searched(service)
    finish(service.store, 10, value=3.0, name="e")
    service.collect_garbage()
    left = service.home.folder / "experiments/e/trials/3/.next-abc"
    left.mkdir()
    (left / "file").write_text("x")
    assert "leftovers" not in found(service)
    assert found(service, time.time() + DAY_SECONDS + 1)["leftovers"] == ["experiments/e/trials/3/.next-abc"]
    with service.store.transaction() as tx:
        tx.set_facts("e", {"deleted_at": time.time() - KEPT_SECONDS + 60})
    assert found(service) == {}
    with service.store.transaction() as tx:
        tx.set_facts("e", {"deleted_at": time.time() - KEPT_SECONDS - 60})
    assert found(service) == {"bin": ["experiments/e"]}
    assert [(one.kind, one.count) for one in service.collect_garbage().groups] == [("bin", 1)]
    assert not files(service) and service.store.find_experiment("e") is None


def test_decoded_pictures(service: Service) -> None:
    """Those that an open search uses stay; where a job is at work all do."""
    searched(service, ended=False)
    for name in ("used", "unused"):
        folder = service.home.cache / "pictures" / name
        folder.mkdir(parents=True)
        (folder / "pixels.npy").write_text("x")
        os.utime(folder, (1, 1))
    task = service.home.folder / "experiments/e/task.json"
    task.write_text('{"pixels": {"32": "../../cache/pictures/used"}}')
    assert found(service)["cache"] == ["cache/pictures/unused"]
    with service.store.transaction() as tx:
        tx.add_job("check", None, {}, "ada", None)
    assert "cache" not in found(service)


def test_what_is_retried_meanwhile_stays(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that runs again between plan and removal loses nothing."""
    searched(service)
    pieces = find_garbage(service.store, service.home)
    with service.store.transaction() as tx:
        tx.retry_trial("e", 9)
    before = {path for path in files(service) if "/9/" in path}
    assert {one.kind: one.count for one in collect(service.store, service.home, "me", pieces)} == {
        "checkpoints": 3,
        "artifacts": 3,
    }
    assert before <= files(service)


def test_killed_in_between(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was moved away is removed by whoever comes next; nothing is there in part."""
    searched(service)

    def die(place: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(collecting, "remove", die)
    with pytest.raises(KeyboardInterrupt):
        collect(service.store, service.home, "me")
    monkeypatch.undo()
    assert not (service.home.folder / "experiments/e/trials/6/1/checkpoint").exists()
    assert list((service.home.folder / REMOVED).iterdir())
    assert not service.store.home_events(["collected"], 10)
    finish_removals(service.home, service.store)
    finish_removals(service.home, service.store)
    assert not list((service.home.folder / REMOVED).iterdir())
    (event,) = service.store.home_events(["collected"], 10)
    assert event.data["by"] == "me" and event.data["groups"][0]["count"] > 0


def test_killed_at_any_moment_of_the_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes after any number of kills finds what is left to be removed, and puts it on record once."""
    removed = service.home.folder / REMOVED
    taken = {name: getattr(os, name) for name in ("unlink", "rmdir")}
    deaths = 0
    for moment in range(30):
        left = moment

        def killed(name: str, path: Any, **more: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            taken[name](path, **more)

        run = removed / f"{GARBAGE}{moment}"
        for number in range(4):
            (run / f"{number:032}" / "0").mkdir(parents=True)
            (run / f"{number:032}" / "0" / "file").write_text("x")
        (run / "held").touch()
        note_garbage(run, {"by": "me", "groups": []})
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            for name in taken:
                patch.setattr(os, name, partial(killed, name))
            deaths += 1
            finish_removals(service.home, service.store)
            deaths -= 1
        finish_removals(service.home, service.store)
        assert not list(removed.iterdir())
        assert len(service.store.home_events(["collected"], 100)) == moment + 1
    assert 10 < deaths < 30


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_what_a_program_has_closed_goes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if whoever removes it was killed over it."""
    searched(service)
    closed = service.home.folder / "experiments/e/trials/6/1/artifacts/own"
    closed.mkdir()
    (closed / "file").write_text("x")
    closed.chmod(0)

    def die(place: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(collecting, "remove", die)
    with pytest.raises(KeyboardInterrupt):
        collect(service.store, service.home, "me")
    monkeypatch.undo()
    finish_removals(service.home, service.store)
    assert not list((service.home.folder / REMOVED).iterdir())


def test_a_full_disk_is_made_room_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be noted at first for want of room is on record in the end."""
    searched(service)
    folder = service.home.folder / "experiments/e/trials/6/1/checkpoint"

    def note(place: Path, data: dict[str, Any]) -> None:
        if len(list(place.glob("*/*"))):
            raise OSError(errno.ENOSPC, "No space left on device")
        note_garbage(place, data)

    monkeypatch.setattr(collecting, "note_garbage", note)
    gone = {one.kind: one.count for one in collect(service.store, service.home, "me")}
    assert gone == {"checkpoints": 4, "artifacts": 4} and not folder.exists()
    (event,) = service.store.home_events(["collected"], 10)
    assert {group["kind"]: group["count"] for group in event.data["groups"]} == gone


def test_what_is_being_removed_is_left_to_whoever_does_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that tidies up meanwhile takes nothing away, and puts nothing on record."""
    searched(service)
    discard = collecting.remove

    def tidy(place: Path) -> None:
        finish_removals(service.home, service.store)
        assert place.exists() and not service.store.home_events(["collected"], 10)
        discard(place)

    monkeypatch.setattr(collecting, "remove", tidy)
    assert collect(service.store, service.home, "me")
    assert len(service.store.home_events(["collected"], 10)) == 1


def test_the_budget_takes_no_more_than_it_must(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least valuable goes first, until there is room; what can't go is told."""
    monkeypatch.setattr(collecting, "_BATCH", 1)
    searched(service)
    taken = keep_within(service.store, service.home, 1 << 40)
    assert not service.store.home_events(["collected"], 1)
    assert keep_within(service.store, service.home, taken - 1) < taken
    (event,) = service.store.home_events(["collected"], 10)
    assert event.data["by"] == "the disk budget"
    assert [group["kind"] for group in event.data["groups"]] == ["checkpoints"]
    assert event.data["groups"][0]["count"] == 1
    left = keep_within(service.store, service.home, 10)
    assert left > 10 and found(service) == {}


def test_not_while_it_is_backed_up(service: Service) -> None:
    """A backup keeps everything in its place."""
    searched(service)
    before = files(service)
    with keeping(service.home.folder):
        with pytest.raises(ConflictError, match="a backup is being made"):
            service.collect_garbage()
        keep_within(service.store, service.home, 10)
    assert files(service) == before
