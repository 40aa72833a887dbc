"""A service that was at work while it was backed up goes on from the backup as if nothing had been."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.postgres import Server
from tests.system.ledger import BREEDING, CONTROLLER, END_SECONDS, LEDGER, PATIENCE_SECONDS, TRIALS, Round, processes_of
from tunewell.service.upkeep.files import write_backup
from tunewell.service.upkeep.restoring import restore
from tunewell.spec.states import TrialState


class Busy(Round):
    """Searches, jobs and uploads that are at work while they are backed up, and go on from the backup."""

    def begin(self) -> None:
        """Have controllers at work, a search ended, another one half done, and a job about the first begun."""
        self._write()
        with self._service() as service:
            for search in TRIALS:
                service.create(json.loads((self.folder / f"{search}.yaml").read_text()))
        place = [str(self.home)] if self.database is None else [str(self.home), self.database]
        self._begin([sys.executable, "-c", CONTROLLER, *place])
        self._wait(lambda service: service.experiment(BREEDING).state.final)
        with self._service() as service:
            service.retrain(BREEDING)
        self._wait(lambda service: service.experiment(LEDGER).trials[TrialState.SUCCEEDED] >= 8)
        self._wait(lambda service: service.experiment(LEDGER).trials[TrialState.RUNNING] > 0)

    def end_all(self) -> None:
        """Kill everything that is at work."""
        for controller in self._controllers:
            controller.kill()
            controller.wait()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := {*processes_of(self.home), *self._supervised("supervisor"), *self._supervised("trial")}:
            for process in left:
                with suppress(psutil.Error):
                    psutil.Process(process).kill()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def go_on(self) -> None:
        """Run what is on record to its end, and the jobs that the check wants."""
        place = [str(self.home)] if self.database is None else [str(self.home), self.database]
        self._begin([sys.executable, "-c", CONTROLLER, *place])
        self._wait(lambda service: all(service.experiment(search).state.final for search in TRIALS))
        with self._service() as service:
            for search in TRIALS:
                if not any(job.kind == "retrain" for job in service.jobs(experiment=search).items):
                    service.retrain(search)
        self._wait(lambda service: not service.store.open_jobs())
        (self.home / "stop").touch()
        for controller in self._controllers:
            controller.wait(timeout=END_SECONDS)

    def forget_what_came_later(self) -> None:
        """Take out of the book what was done after the backup, which the restored home knows nothing of."""
        with self._service() as service:
            reached: dict[str, tuple[int, int]] = {}
            for search in TRIALS:
                for trial in service.store.iterate_trials(search):
                    folder = self.home / "experiments" / search / "trials" / str(trial.number)
                    reached[str([search, trial.number])] = trial.attempt, _step_in(folder)
            for job in service.store.jobs():
                reached[str(["job", job.id])] = job.attempt, _step_in(service.home.job(job.id))
        kept = [line for line in self._lines() if _is_known(line, reached)]
        self._book.write_text("".join(json.dumps(line) + "\n" for line in kept))


def _step_in(folder: Path) -> int:
    """Return the step of the newest checkpoint that attempts have left."""
    attempts = sorted((path for path in folder.glob("*/") if path.name.isdecimal()), key=lambda path: -int(path.name))
    states = (path / "checkpoint" / "state.json" for path in attempts)
    return next((int(json.loads(state.read_text())["step"]) for state in states if state.exists()), 0)


def _is_known(line: dict[str, Any], reached: dict[str, tuple[int, int]]) -> bool:
    attempt, step = reached.get(str(line["work"]), (0, -1))
    return bool(line["attempt"] <= attempt and line["step"] <= step)


def check(folder: Path, source: str | None, target: str | None) -> None:
    """Back a busy service up several times, and go on from one of the backups; its ledger is as it should be."""
    one = Busy(folder, database=source)
    one.begin()
    data = os.urandom(100_000)
    with one._service() as service:
        whole = service.create_upload("whole.zip", len(data), hashlib.sha256(data).hexdigest())
        service.put_part(whole.id, 0, [data])
        service.finish_upload(whole.id)
        part = service.create_upload("part.zip", len(data))

        def upload(line: str) -> None:
            del line
            told = service.upload(part.id).received_bytes
            if told < len(data):
                service.put_part(part.id, told, [data[told : told + 1000]])

        write_backup(service, folder / "b.tar", upload)
        write_backup(service, folder / "later.tar.gz")
    one.end_all()
    one.home.rename(folder / "before")
    done = restore(folder / "b.tar", one.home, target)
    assert done.running > 0
    again = Busy(folder, database=target)
    with again._service() as service:
        path = service.home.uploads / whole.id
        assert path.read_bytes() == data and [one.id for one in service.uploads()] == [whole.id]
    again.forget_what_came_later()
    again.go_on()
    assert again.check({}) == []


@pytest.mark.timeout(300)
def test_a_busy_service_goes_on_from_its_backup(tmp_path: Path) -> None:
    """Nothing is lost, doubled or changed of what was on record when the backup was made."""
    check(tmp_path, None, None)


@pytest.fixture
def databases(postgres: Server) -> Iterator[tuple[str, str]]:
    """URLs of two empty databases on a server."""
    with postgres.new_database() as one, postgres.new_database() as other:
        yield one, other


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["postgresql to postgresql", "sqlite to postgresql", "postgresql to sqlite"])
def test_from_one_kind_of_database_to_the_other(tmp_path: Path, databases: tuple[str, str], way: str) -> None:
    """The same, whatever the databases are."""
    source, target = (kind == "postgresql" for kind in way.split(" to "))
    check(tmp_path, databases[0] if source else None, databases[1] if target else None)
