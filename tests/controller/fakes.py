"""A scheduler, a task and tuners that do what a test says: real contracts, no processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from tests.schedulers.bench import wait_until
from tunewell.controller.controller import Controller
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.work import Work
from tunewell.home.home import Home
from tunewell.schedulers.contract import LOST, Sink
from tunewell.spec.capacity import Capacity, Node
from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import (
    AttemptKey,
    Ended,
    Event,
    Exit,
    Launch,
    Refused,
    Report,
    Reported,
    Started,
    WorkKey,
)
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import Cause
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store
from tunewell.tasks.contract import PlannedAttempt, Program
from tunewell.tuners.contract import Exhausted, Search, Suggestion, Tuner, Wait


class FakeScheduler:
    """Runs nothing; the test says what becomes of each attempt. Survives controllers, as processes do."""

    needs_folder = False
    keeps_checkpoints = True
    host = "fake"

    def __init__(self, slots: int = 2) -> None:
        """Have so many cores; no GPUs."""
        self.size = slots
        #: Whether answers are held back, as by a machine that is far away; the test may let them go later, or never.
        self.silent = False
        #: Whether there is no room for what is submitted, whatever `capacity` says: others were faster.
        self.crowded = False
        self.alive: dict[WorkKey, Launch] = {}
        self.started: list[WorkKey] = []
        self.stops: list[tuple[WorkKey, float | None]] = []
        self.events: list[Event] = []
        #: What there is to tell of attempts that ended while no controller ran.
        self.ended: dict[WorkKey, list[Event]] = {}

    def capacity(self) -> Capacity:
        """Return the cores, and what the attempts that live leave of them."""
        taken = sum(launch.resources.cpus for launch in self.alive.values())
        return Capacity((Node("fake", self.size, 0, (), self.size - taken, 0, ()),))

    def submit(self, launch: Launch) -> None:
        """Let the attempt live from now on."""
        assert launch.key not in self.started, "an attempt was started twice"
        if self.crowded:
            self.events.append(Refused(launch.key, "others were faster"))
            return
        assert self.capacity().free(launch.resources), "more trials than fit"
        self.alive[launch.key] = launch
        self.started.append(launch.key)
        self.events.append(Started(launch.key))

    def preload(self, modules: tuple[str, ...]) -> None:
        """Need no hint."""

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand out what has happened so far, unless the answers are held back."""
        while self.events and not self.silent:
            sink(self.events.pop(0))

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """End at once, as asked to."""
        self.stops.append((key, grace_seconds))
        if self.alive.pop(key, None):
            self.events.append(Ended(key, Exit(stopped=True)))

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Know the attempts that live, and those whose end nobody has heard of."""
        for launch in launches:
            lives, lost = launch.key in self.alive, Ended(launch.key, Exit(Cause.NODE_LOST, LOST))
            self.events += self.ended.pop(launch.key, [Started(launch.key) if lives else lost])

    def release(self, keys: Sequence[WorkKey]) -> None:
        """Tell no more of these; they live on."""
        self.events = [event for event in self.events if event.key not in keys]

    def close(self) -> None:
        """Let the attempts live on."""

    def report(self, trial: int, value: float, step: int = 1, metric: str = "accuracy") -> None:
        """Have the running attempt of a trial report."""
        self.events.append(Reported(self.key(trial), Report(step, {metric: value}, 0.0)))

    def end(self, trial: int, cause: Cause | None = None, detail: str = "") -> None:
        """Have the running attempt of a trial end."""
        key = self.key(trial)
        del self.alive[key]
        self.events.append(Ended(key, Exit(cause, detail, exit_code=0 if cause is None else 1)))

    def key(self, trial: int) -> AttemptKey:
        """Return the running attempt of a trial."""
        return next(key for key in self.alive if isinstance(key, AttemptKey) and key.trial == trial)


class FakeTask:
    """A command that is never run."""

    jobs: Mapping[str, str] = {}
    preload: tuple[str, ...] = ()

    #: Whether trials go on from checkpoints.
    checkpoints = True
    #: Epochs of a full training.
    epochs: int | None = None

    def resumable(self, spec: ExperimentSpec) -> bool:
        """Do as the test says."""
        return self.checkpoints

    def prepare(self, *arguments: object) -> list[str]:
        """Do nothing."""
        return []

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return any program."""
        return Program(command=("true",), epochs=self.epochs)

    def inputs(self, *arguments: object) -> tuple[Path, ...]:
        """Return nothing."""
        return ()


class ListTuner(Tuner):
    """Suggests what a list says: numbers become values of x, everything else is answered as it is."""

    name = "list"

    def __init__(self, space: SearchSpace, answers: list[Any], **hints: Any) -> None:
        """Take the answers, in order; after them nothing is left."""
        super().__init__(Search(space, "maximize", **hints))
        self.answers = answers
        self.judgement: Callable[[int, Mapping[int, float]], Literal["keep", "prune"]] = lambda n, c: "keep"
        self.limit: int | None = None

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Answer from the list."""
        if number > len(self.answers):
            return Exhausted()
        answer = self.answers[number - 1]
        if isinstance(answer, Suggestion | Wait | Exhausted):
            return answer
        return Suggestion(number, {"x": answer}, "list")

    judges = True

    def judge(self, number: int, curve: Mapping[int, float]) -> Literal["keep", "prune"]:
        """Do as the test says."""
        return self.judgement(number, curve)

    def concurrency(self) -> int | None:
        """Do as the test says."""
        return self.limit


@dataclass(frozen=True)
class FakeRecord:
    """What is on record about an experiment of a test, with the tuner that the test made."""

    spec: ExperimentSpec
    task: FakeTask
    space: SearchSpace
    algorithm: Mapping[str, Any]
    max_trials: int
    made: Tuner

    def tuner(self) -> Tuner:
        """Return the test's tuner."""
        return self.made


class Bench:
    """A store, a fake scheduler and a controller that can be thrown away and made again."""

    def __init__(self, folder: Path, slots: int = 2, database: str | None = None) -> None:
        """Begin in an empty folder, on an empty database; by default one in that folder."""
        home = Home(folder)
        home.create()
        self.store: Store = Store(database or home.database_url)
        self.home = Home(folder, self.store)
        self.scheduler = FakeScheduler(slots)
        self.kinds: dict[str, Any] = {}
        self.work = Work()
        #: Whether slow calls are made in the loop, so that each step is the same each time.
        self.waits = True
        self.now = 1000.0
        #: How far the clock is from the time that has passed, in seconds.
        self.clock_error = 0.0
        self.tuners: dict[str, Tuner] = {}
        self.controller = self._controller()

    def _controller(self) -> Controller:
        self.surroundings = Surroundings(
            self.store,
            self.home,
            self.kinds,
            self._load,  # type: ignore[arg-type]
            follow_up=False,
            waits=self.waits,
            clock=lambda: self.now + self.clock_error,
            monotonic=lambda: self.now,
        )
        return Controller(self.surroundings, self.work, self.scheduler)

    def _load(self, row: ExperimentRow) -> FakeRecord:
        spec, space = parse_spec(row.spec), parse_space(row.space)
        tuner = self.tuners.get(row.name) or ListTuner(space, list(range(100)))
        return FakeRecord(spec, FakeTask(), space, row.algorithm, spec.max_trials or 20, tuner)

    def create(
        self, name: str = "e", recorded: Mapping[str, Any] = MappingProxyType({"name": "list"}), **fields: Any
    ) -> ExperimentSpec:
        """Record an experiment over x with these fields of the spec; `recorded`: of its algorithm."""
        raw = {
            "name": name,
            "command": ["true"],
            "parameters": {"x": {"low": 0, "high": 1000}},
            "objective": {"metric": "accuracy"},
            **fields,
        }
        spec = parse_spec(raw)
        space = parse_space(raw["parameters"])
        algorithm = {**recorded, "max_trials": spec.max_trials or 20}
        self.store.create_experiment(name, spec.model_dump(mode="json"), declare(space), algorithm)
        return spec

    def add(self, name: str = "e", answers: list[Any] | None = None, **hints: Any) -> ListTuner:
        """Hand the experiment to the controller with a fresh tuner."""
        space = parse_space(self.store.experiment(name).space)
        tuner = self.tuners[name] = ListTuner(space, list(range(100)) if answers is None else answers, **hints)
        self.controller.take_experiment(name)
        return tuner

    def let_go_on(self, name: str = "e", retry: Sequence[int] = ()) -> None:
        """Have an ended experiment go on, and these of its trials run again."""
        with self.store.transaction() as tx:
            tx.let_go_on(name)
            if retry:
                tx.add_request(name, "retry", data={"trials": list(retry)})

    def step(self, times: int = 1) -> None:
        """Let the controller do so many rounds, a second each."""
        for _ in range(times):
            self.now += 1.0
            self.controller.step(timeout=0)

    def settle(self) -> None:
        """Let the controller go on until no slow call is under way, without time going by."""
        wait_until(self._is_settled)

    def _is_settled(self) -> bool:
        self.controller.step(timeout=0)
        return not self.surroundings.background.outstanding

    def crash(self) -> None:
        """Throw the controller away as SIGKILL would: nothing is recorded, its locks go."""
        self.controller.leave()
        self.controller = self._controller()
        self.scheduler.events.clear()
