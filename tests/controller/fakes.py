"""A scheduler, a task and tuners that do what a test says: real contracts, no processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from tunewell.controller.controller import Controller
from tunewell.controller.trial_manager import Experiment
from tunewell.home.home import Home
from tunewell.schedulers.contract import Sink
from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Report, Reported, Resources
from tunewell.spec.space import SearchSpace
from tunewell.spec.states import Cause
from tunewell.store.store import Store
from tunewell.tasks.contract import Attempt, Program
from tunewell.tuners.contract import Exhausted, Search, Suggestion, Tuner, Wait


class FakeScheduler:
    """Runs nothing; the test says what becomes of each attempt. Survives controllers, as processes do."""

    needs_folder = False

    def __init__(self, slots: int = 2) -> None:
        """Have so many slots."""
        self.size = slots
        self.alive: dict[AttemptKey, Launch] = {}
        self.started: list[AttemptKey] = []
        self.stops: list[tuple[AttemptKey, float | None]] = []
        self.events: list[Event] = []
        self.adoptable: dict[AttemptKey, list[Event]] = {}

    def slots(self, resources: Resources) -> int:
        """Return the number of slots; no GPUs."""
        return 0 if resources.gpus else int(self.size // resources.cpus)

    def free(self, resources: Resources) -> int:
        """Return what is left."""
        return self.slots(resources) - len(self.alive)

    def start(self, launch: Launch) -> None:
        """Take note."""
        assert launch.key not in self.started, "an attempt was started twice"
        assert self.free(launch.resources) > 0, "more trials than slots"
        self.alive[launch.key] = launch
        self.started.append(launch.key)

    def poll(self, sink: Sink, timeout: float) -> None:
        """Hand out what the test has prepared."""
        while self.events:
            sink(self.events.pop(0))

    def stop(self, key: AttemptKey, grace_seconds: float | None = None) -> None:
        """End at once, as asked to."""
        self.stops.append((key, grace_seconds))
        if self.alive.pop(key, None):
            self.events.append(Ended(key, Exit(stopped=True)))

    def adopt(self, launch: Launch) -> Literal["alive", "ended", "unknown"]:
        """Know the attempts that live, and those whose end nobody has heard of."""
        if launch.key in self.adoptable:
            self.events += self.adoptable.pop(launch.key)
            return "ended"
        return "alive" if launch.key in self.alive else "unknown"

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
        return next(key for key in self.alive if key.trial == trial)


class FakeTask:
    """A command that is never run."""

    jobs: Mapping[str, str] = {}
    preload: tuple[str, ...] = ()

    def program(self, spec: ExperimentSpec, folder: Path, attempt: Attempt) -> Program:
        """Return any program."""
        return Program(command=("true",))


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

    def judge(self, number: int, curve: Mapping[int, float]) -> Literal["keep", "prune"]:
        """Do as the test says."""
        return self.judgement(number, curve)

    def concurrency(self) -> int | None:
        """Do as the test says."""
        return self.limit


class Bench:
    """A store, a fake scheduler and a controller that can be thrown away and made anew."""

    def __init__(self, folder: Path, slots: int = 2) -> None:
        """Begin in an empty folder."""
        self.home = Home(folder)
        self.home.create()
        self.store = Store(self.home.database_url)
        self.home = Home(folder, self.store)
        self.scheduler = FakeScheduler(slots)
        self.now = 1000.0
        #: How far the clock is from the time that has passed, in seconds.
        self.clock_error = 0.0
        self.tuners: dict[str, ListTuner] = {}
        self.controller = self._controller()

    def _controller(self) -> Controller:
        return Controller(self.store, self.home, clock=lambda: self.now + self.clock_error, monotonic=lambda: self.now)

    def create(self, name: str = "e", **fields: Any) -> ExperimentSpec:
        """Record an experiment over x with these fields of the spec."""
        raw = {
            "name": name,
            "command": ["true"],
            "parameters": {"x": {"low": 0, "high": 1000}},
            "objective": {"metric": "accuracy"},
            **fields,
        }
        spec = parse_spec(raw)
        space = parse_space(raw["parameters"])
        algorithm = {"name": "list", "max_trials": spec.max_trials or 20}
        self.store.create_experiment(name, spec.model_dump(mode="json"), declare(space), algorithm)
        return spec

    def add(self, name: str = "e", answers: list[Any] | None = None, **hints: Any) -> ListTuner:
        """Hand the experiment to the controller with a fresh tuner."""
        row = self.store.experiment(name)
        spec = parse_spec(row.spec)
        tuner = ListTuner(parse_space(row.space), list(range(100)) if answers is None else answers, **hints)
        self.tuners[name] = tuner
        experiment = Experiment(spec, FakeTask(), tuner, self.scheduler, self.home, Resources())  # type: ignore[arg-type]
        self.controller.add(experiment, spec.max_trials or 20)
        return tuner

    def step(self, times: int = 1) -> None:
        """Let the controller do so many rounds, a second each."""
        for _ in range(times):
            self.now += 1.0
            self.controller.step(timeout=0)

    def crash(self) -> None:
        """Throw the controller away as SIGKILL would: nothing is recorded, its lock goes."""
        for active in self.controller._active.values():
            active.lock.close()
        self.controller = self._controller()
        self.scheduler.events.clear()
