"""The kill loop over workers: all who have part in a search are hit, workers with what they run and their service.

Two searches whose trials go on from each other's checkpoints are trained by `tunewell worker` processes that share a
folder. Hit are workers (killed, or stopped for longer than a lease, so that they wake up to find their trials with
others), programs and their supervisors, web workers, the controller, and the whole service.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.postgres import free_port
from tests.system.ledger import (
    END_SECONDS,
    TRIALS,
    Victim,
    check_locks,
    check_trial,
    exported,
    leftovers,
)
from tests.system.served_ledger import ServedRound
from tunewell.home.home import Home
from tunewell.schedulers.claims import Claims
from tunewell.schedulers.processes import is_alive
from tunewell.schedulers.records import Process
from tunewell.service.service import Service
from tunewell.spec.states import JobState, TrialState

#: How many workers each search has, and how long one need not be heard from.
WORKERS, LEASE_SECONDS = 2, 5
WORKER_VICTIMS: tuple[Victim, ...] = (
    *("launcher", "worker", "controller", "client", "sleeper", "supervisor", "trial"),
)


@dataclass
class WorkersRound(ServedRound):
    """Searches that workers train."""

    #: Worker → its process.
    _workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    #: Those that stand still, and until when.
    _sleeping: dict[str, float] = field(default_factory=dict, init=False)

    @property
    def victims(self) -> Sequence[Victim]:
        """All that can be hit."""
        return WORKER_VICTIMS

    def _serve(self, generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        with self._service() as service:
            self._token = service.create_token("kill loop").secret
        self._port = free_port()
        serve = [sys.executable, "-m", "tunewell", "serve", "--home", str(self.home), "--port", str(self._port)]
        self._begin([*serve, "--workers", "2"])
        try:
            with self._client() as client:
                for search in TRIALS:
                    client.create(self._shipped(search))
                for search in TRIALS:
                    for number in range(WORKERS):
                        self._start_worker(f"{search}-{number}")
                with self._asking():
                    self._kill_some(generator, kills, victims)
                    self._wake_all()
                    self._wait_for(lambda: all(client.experiment(search).state.final for search in TRIALS))
                    self._wait_for(lambda: not client.jobs(states=(JobState.WAITING, JobState.RUNNING)).items)
                for name, worker in self._workers.items():
                    if worker.wait(timeout=END_SECONDS) != 0:
                        self._wrong.append(f"worker {name} ended with exit code {worker.returncode}")
        finally:
            self._wake_all()
            for worker in self._workers.values():
                worker.kill()
                worker.wait()
            self._end()

    def _shipped(self, search: str) -> dict[str, object]:
        spec: dict[str, object] = json.loads((self.folder / f"{search}.yaml").read_text())
        del spec["working_directory"], spec["max_concurrency"]
        return {**spec, "scheduler": "workers", "worker_lease": f"{LEASE_SECONDS}s"}

    def _start_worker(self, name: str) -> None:
        """Start a worker, or start it again."""
        search = name.rpartition("-")[0]
        command = [sys.executable, "-m", "tunewell", "worker", f"http://127.0.0.1:{self._port}", search, "--id", name]
        with (self.folder / "workers.log").open("ab") as log:
            self._workers[name] = subprocess.Popen(
                [*command, "--folder", str(self.home / "of-workers")],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "TUNEWELL_TOKEN": self._token, "WORKER": name},
            )

    def _hit(self, victim: Victim, generator: random.Random) -> bool:
        self._wake_some()
        if victim not in ("client", "sleeper"):
            return super()._hit(victim, generator)
        awake = [name for name, one in self._workers.items() if one.poll() is None and name not in self._sleeping]
        if not awake:
            return False
        name = generator.choice(awake)
        if victim == "sleeper":
            self._workers[name].send_signal(signal.SIGSTOP)
            self._sleeping[name] = time.monotonic() + 2 * LEASE_SECONDS
        else:
            self._workers[name].kill()
            self._workers[name].wait()
            self._start_worker(name)
        return True

    def _wake_some(self) -> None:
        for name, until in list(self._sleeping.items()):
            if time.monotonic() > until:
                self._workers[name].send_signal(signal.SIGCONT)
                del self._sleeping[name]

    def _wake_all(self) -> None:
        while self._sleeping:
            self._wake_some()
            time.sleep(0.1)

    def _supervised(self, victim: Victim) -> Iterator[int]:
        for path in self.home.glob("of-workers/*/trials/*/*/supervisor.json"):
            with suppress(ValueError, OSError):
                record = json.loads(path.read_text())
                if is_alive(Process(**record[victim])):
                    yield record[victim]["pid"]

    # The check --------------------------------------------------------------------------------------------

    def check(self, suggested: Mapping[int, Any]) -> list[str]:
        """Return what is wrong with the ledger after all has ended; empty if nothing is.

        An attempt may have several runs, and one that was lost may have gone on beside its successor until its worker
        woke up: so the book tells less than that of trials here, and the record has to be right all the same.
        """
        wrong = list(self._wrong)
        own = self.suggested()
        differ = [number for number, parameters in own.items() if suggested.get(number, parameters) != parameters]
        if differ:
            wrong.append(f"an uninterrupted search suggests others than trials {differ}")
        lines = self._lines()
        with Service(self.home, access="write") as service:
            for search in TRIALS:
                wrong += [f"{search}: {problem}" for problem in self._check_search(service, search, lines)]
            wrong += [
                f"job {job.id} ({job.kind}) is {job.state} ({job.detail})"
                for job in service.store.jobs()
                if job.state is not JobState.SUCCEEDED
            ]
            wrong += check_locks(service)
        wrong += [f"process {process} is left over" for process in leftovers(self.home)]
        wrong += [f"{claim.folder} still holds a claim" for claim in Claims(Home(self.home).claims).held()]
        if (self.home / "set-aside").exists():
            wrong.append("something was set aside")
        return wrong

    def _check_search(self, service: Service, search: str, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        trials = exported(service, search)
        if [trial["number"] for trial in trials] != list(range(1, TRIALS[search] + 1)):
            yield f"numbers are not 1 to {TRIALS[search]}: {[trial['number'] for trial in trials]}"
            return
        events = Counter((event.kind, event.trial) for event in service.store.events(search, limit=10**6))
        for trial in trials:
            number = trial["number"]
            own = [line for line in lines if line["work"] == [search, number]]
            # What was done is looked at by its results alone; see above.
            for problem in check_trial(search, trial, own, trials, with_book=False):
                yield f"trial {number}: {problem}"
            told = {kind: events[kind, number] for kind in ("suggested", "started", "ended")}
            if told != {"suggested": 1, "started": trial["attempts"], "ended": 1}:
                yield f"trial {number} has {trial['attempts']} attempts and these events: {told}"
            had = {attempt: set() for attempt in range(1, trial["attempts"] + 1)}  # type: ignore[var-annotated]
            for line in own:
                had.setdefault(line["attempt"], set()).add(line["worker"])
            wrong = {attempt: names for attempt, names in had.items() if len(names) > 1}
            if wrong or max(had) > trial["attempts"]:
                yield f"trial {number}: attempts were had by {had}, {trial['attempts']} are on record"
        best = max(trial["value"] or 0 for trial in trials if trial["fidelity"] == 1)
        found = service.result(search).best
        if found is None or found.value != best:
            yield f"best is {found}, recorded is {best}"
        running = service.store.trials(search, states=(TrialState.RUNNING, TrialState.WAITING))
        if running:
            yield f"trials {[trial.number for trial in running]} have not ended"
