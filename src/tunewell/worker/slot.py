"""A slot of a worker: asks for one trial after the other, has its program run, and tells what comes of it."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from tunewell.client.client import Client
from tunewell.client.connection import Connection
from tunewell.controller.attempts import attempt_environment, limits_of
from tunewell.display.wording import parameters_text
from tunewell.schedulers import processes
from tunewell.service.types import SuggestedTrial, Suggestion, WorkerCause
from tunewell.spec.errors import UserError
from tunewell.spec.launch import AttemptKey, Ended, Exit, Launch, Refused, Reported, Resources
from tunewell.spec.states import Cause
from tunewell.tasks.command import program_of
from tunewell.tasks.contract import PlannedAttempt
from tunewell.trial import files
from tunewell.worker.courier import Courier
from tunewell.worker.desk import Desk, Line
from tunewell.worker.planning import Plan

#: How often what there is to tell is told.
TELL_SECONDS = 0.5
#: How long one request waits for a trial, and how long one tries to reach the service.
ASK_SECONDS, PATIENCE_SECONDS = 20.0, 3.0


class Slot(threading.Thread):
    """Works in a thread of its own: asking and telling take as long as the service is away."""

    def __init__(self, name: str, client: Client, plan: Plan, desk: Desk) -> None:
        """Call itself `name`; do what `plan` says, at the desk."""
        super().__init__(name=name, daemon=True)
        self._client, self._plan, self._desk = client, plan, desk
        #: Whether it has nothing, and just waits for an answer.
        self.is_asking = False
        #: Why it can't go on.
        self.error: UserError | None = None

    def run(self) -> None:
        """Work until the search has ended, or the worker is to end."""
        try:
            while not self._desk.interrupted:
                self.is_asking = True
                asked = self._desk.tried(self._ask)
                self.is_asking = False
                if asked is not None and asked.kind == "ended":
                    self._desk.say(f"{self.name}: {asked.detail}")
                    return
                if asked is not None and asked.trial is not None:
                    self._train(asked.trial)
        except UserError as error:
            self.error = error
            self._desk.interrupt()

    def _ask(self) -> Suggestion:
        return self._client.suggest(self._plan.spec.name, self.name, wait=ASK_SECONDS)

    def _train(self, trial: SuggestedTrial) -> None:
        """Run a program for an attempt, to its end and until the service knows of it."""
        connection = Connection(self._client.server, trial.credential, PATIENCE_SECONDS)
        with Client.over(connection) as client:
            try:
                folder, is_whole = self._plan.folders.prepare(trial)
            except OSError as error:
                cause: WorkerCause = "disk_full" if error.errno in files.NO_ROOM else "node_lost"
                self._fail(Courier(client, trial, Path(), ""), cause, f"it could not be started: {error}")
                return
            courier = Courier(client, trial, folder, f"{trial.attempt}-{folder.name}")
            if not is_whole:
                missing = f"Trial {trial.resume_from} has left nothing here in its checkpoint folder to go on from."
                self._fail(courier, "data_error", missing)
                return
            launch = self._launch(trial, folder)
            self._desk.say(f"{self.name}: trial {trial.number} begins  {parameters_text(trial.parameters)}")
            exit_ = self._follow(launch, self._desk.start(launch), courier)
            self._desk.say(f"{self.name}: trial {trial.number} {_told(exit_, courier)}")

    def _fail(self, courier: Courier, cause: WorkerCause, message: str) -> None:
        self._desk.say(f"{self.name}: {message}")
        while self._desk.tried(lambda: courier.fail(cause, message)) is None:
            if self._desk.farewell_is_over:
                return

    def _launch(self, trial: SuggestedTrial, folder: Path) -> Launch:
        spec = self._plan.spec
        key = AttemptKey(trial.experiment, trial.number, trial.attempt)
        attempt = PlannedAttempt(key, folder, trial.parameters, trial.fidelity, trial.sampling)
        assert spec.command is not None and spec.working_directory is not None
        program = program_of(spec.command, attempt, spec.working_directory, spec.metric_pattern)
        return Launch(
            key=key,
            folder=folder,
            identity=f"{trial.number}-{folder.name}",
            command=program.command,
            environment={**attempt_environment(spec, attempt), **program.environment},
            working_directory=program.working_directory,
            parameters=trial.parameters,
            resources=Resources(cpus=self._desk.cores / len(self._plan.slots)),
            limits=limits_of(spec),
            metric_pattern=program.metric_pattern,
            metric=spec.objective.metric,
            ends_with=(os.getpid(), processes.identity(os.getpid()) or ""),
        )

    def _follow(self, launch: Launch, line: Line, courier: Courier) -> Exit:
        """Tell what comes of a program until it has ended and all is told; have it end where it is to."""
        exit_, handed_back, asked = None, False, 0
        while True:
            exit_ = _drain(line, courier) or exit_
            if exit_ is None and self._desk.interrupts > asked:
                asked, handed_back = self._desk.interrupts, True
                self._desk.stop(launch.key, None if asked == 1 else 0.0)
            elif exit_ is None and (courier.should_stop or courier.is_over) and not asked:
                asked = 1
                self._desk.stop(launch.key)
            arrived = self._desk.tried(courier.carry)
            if exit_ is not None and arrived:
                end, back = exit_, handed_back and exit_.stopped
                if self._desk.tried(lambda: courier.complete(end, back)):  # noqa: B023 - called at once
                    return end
            if exit_ is not None and self._desk.farewell_is_over:
                return exit_


def _drain(line: Line, courier: Courier) -> Exit | None:
    """Take what has happened to a program; return how it has ended, if it has."""
    try:
        event = line.get(timeout=TELL_SECONDS)
        while True:
            if isinstance(event, Reported):
                courier.add(event.report)
            elif isinstance(event, Ended):
                return event.exit
            elif isinstance(event, Refused):
                return Exit(Cause.NODE_LOST, f"it was not started: {event.reason}")
            event = line.get_nowait()
    except queue.Empty:
        return None


def _told(exit_: Exit, courier: Courier) -> str:
    """Return how a run has ended, for people."""
    if courier.is_over:
        return "was taken back by the service"
    if exit_.stopped:
        return "was stopped"
    return "has ended" if exit_.cause is None else f"has failed ({exit_.cause}: {exit_.detail})"
