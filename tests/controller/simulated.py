"""A cluster that is simulated, and a clock that jumps over the time in which nobody computes.

The controller, its tuners and its store are the real ones, and so is the time that they take: it passes on the clock.
What is simulated is the trials and the nodes that they run on. Used by a short test and by `benchmarks/scale.py`.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from tunewell.schedulers.contract import LOST, Sink
from tunewell.spec.capacity import Capacity, Node
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Refused, Report, Reported, Started, WorkKey
from tunewell.spec.states import Cause

#: Time from the loss of a node until the scheduler knows of it, in seconds.
DETECTION_SECONDS = 10.0


class SimulatedClock:
    """Goes on as long as anybody computes, and jumps over the rest."""

    def __init__(self, passed: Callable[[], float] = time.perf_counter) -> None:
        """Begin now. `passed` measures what computing takes, in seconds."""
        self._passed = passed
        self._skipped = 0.0
        self._epoch = time.time() - passed()

    def monotonic(self) -> float:
        """Return the simulated time, in seconds."""
        return self._passed() + self._skipped

    def date(self) -> float:
        """Return it in seconds since the epoch."""
        return self._epoch + self.monotonic()

    def skip_to(self, moment: float) -> None:
        """Jump to a moment, unless it has passed."""
        self._skipped += max(0.0, moment - self.monotonic())


@dataclass(frozen=True, slots=True)
class Training:
    """What a trial does if nothing comes between."""

    #: How long after its start it makes each report.
    reports: Sequence[tuple[float, Report]]
    #: How long it runs, and how it ends then.
    seconds: float
    exit: Exit = field(default_factory=Exit)


#: Says what an attempt does, which goes on behind the given step of an earlier one.
Train = Callable[[Launch, int], Training]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes, and how they come and go."""

    nodes: int
    slots_per_node: int
    #: Mean time until a node is lost, and until it is back; None: none is.
    lifetime_seconds: float | None = None
    absence_seconds: float = 600.0
    #: Seed of the moments at which that is so.
    seed: int = 0


class Span(NamedTuple):
    """A time in which slots were there, or one was busy."""

    began: float
    ended: float
    slots: int = 1
    #: Whether what was done in it was lost.
    lost: bool = False


@dataclass(slots=True, eq=False)
class _Attempt:
    launch: Launch
    node: int
    began: float
    #: What is to come, with the moments at which it does.
    ahead: Iterator[tuple[float, Event]]
    told: list[Reported] = field(default_factory=list)


class SimulatedScheduler:
    """Trials that last as long as they are said to, on nodes that come and go.

    A trial whose node was lost goes on behind its last report. See `tunewell.schedulers.contract.Scheduler`.
    """

    needs_folder = False
    keeps_checkpoints = False
    host = ""

    def __init__(
        self, clock: SimulatedClock, cluster: Cluster, train: Train, computes: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin with all nodes there. `computes` says whether anybody computes just now, so that time must not jump."""
        self._clock, self._cluster, self._train, self._computes = clock, cluster, train, computes
        self._random = Random(cluster.seed)
        self._numbers = itertools.count()
        #: What is to happen, with its moment.
        self._agenda: list[tuple[float, int, Callable[[float, Sink], None]]] = []
        self._answers: deque[Event] = deque()
        self._alive: dict[WorkKey, _Attempt] = {}
        #: Experiment and trial → the last step that it has reported, where the trial was lost after it.
        self._reached: dict[tuple[str, int], int] = {}
        slots = cluster.slots_per_node
        self._nodes = [Node(f"node-{number}", slots, 0, (), slots, 0, ()) for number in range(cluster.nodes)]
        #: When each node came; None: it is away.
        self._since: list[float | None] = [clock.monotonic()] * cluster.nodes
        self._capacity: Capacity | None = None
        #: The times of nodes that have gone, and of attempts that have ended.
        self._past: list[Span] = []
        self._busy: list[Span] = []
        self.nodes_lost = 0
        #: Trials that have ended, and when a trial was first begun for the last time.
        self.ends, self.last_begun = 0, 0.0
        for number in range(cluster.nodes):
            self._plan_loss(number)

    # The scheduler ----------------------------------------------------------------------------------------

    def capacity(self) -> Capacity:
        """Return the nodes that are there, as far as is known."""
        if self._capacity is None:
            self._capacity = Capacity(tuple(node for node in self._nodes if node.cpus))
        return self._capacity

    def submit(self, launch: Launch) -> None:
        """Begin an attempt on the first node with a free slot."""
        place = next((place for place, node in enumerate(self._nodes) if node.free_cpus), None)
        if place is None:
            self._answers.append(Refused(launch.key, "all slots are taken"))
            return
        self._set_node(place, free_cpus=self._nodes[place].free_cpus - 1)
        now, trial = self._clock.monotonic(), _trial(launch.key)
        self.last_begun = now if launch.key.attempt == 1 else self.last_begun
        training = self._train(launch, self._reached.pop(trial, 0))
        attempt = self._alive[launch.key] = _Attempt(launch, place, now, self._events(launch.key, now, training))
        self._answers.append(Started(launch.key))
        if self._since[place] is None:  # it is gone, which nobody knows yet
            attempt.ahead = iter(())
        else:
            self._go_on(attempt)

    def preload(self, modules: tuple[str, ...]) -> None:
        """Need no hint."""

    def poll(self, sink: Sink, timeout: float) -> None:
        """Tell what has happened; if nothing has, let time pass: as it does while somebody computes, else at once."""
        now = self._clock.monotonic()
        moment = min(now + timeout, self._agenda[0][0] if self._agenda else now + timeout)
        if not self._answers and moment > now:
            if self._computes():
                time.sleep(moment - now)
            else:
                self._clock.skip_to(moment)
        now = self._clock.monotonic()
        while self._answers:
            sink(self._answers.popleft())
        while self._agenda and self._agenda[0][0] <= now:
            moment, _, happens = heapq.heappop(self._agenda)
            happens(moment, sink)

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """End an attempt at once."""
        attempt = self._alive.get(key)
        if attempt is not None and self._since[attempt.node] is not None:
            self._end(attempt, self._clock.monotonic(), Exit(stopped=True), self._answers.append)

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """Know the attempts that live; all else is lost."""
        for launch in launches:
            attempt = self._alive.get(launch.key)
            if attempt is None:
                self._answers.append(Ended(launch.key, Exit(Cause.NODE_LOST, LOST)))
            else:
                self._answers.extend([Started(launch.key), *attempt.told])

    def release(self, keys: Sequence[WorkKey]) -> None:
        """Tell no more of what has happened to these; they live on."""
        self._answers = deque(event for event in self._answers if event.key not in keys)

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""

    # What was used ----------------------------------------------------------------------------------------

    def slot_seconds(self, began: float, ended: float) -> tuple[float, float, float]:
        """Return how many slot-seconds there were from one moment to another, were busy, and were so in vain.

        What a lost attempt had not reported yet counts as in vain.
        """
        here = [Span(since, ended, self._cluster.slots_per_node) for since in self._since if since is not None]
        runs = [Span(attempt.began, ended) for attempt in self._alive.values()]
        lost = [span for span in self._busy if span.lost]
        busy = [*self._busy, *runs]
        return _within([*self._past, *here], began, ended), _within(busy, began, ended), _within(lost, began, ended)

    # What happens -----------------------------------------------------------------------------------------

    def _at(self, moment: float, happens: Callable[[float, Sink], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), happens))

    def _events(self, key: WorkKey, began: float, training: Training) -> Iterator[tuple[float, Event]]:
        date = self._clock.date() - self._clock.monotonic()
        for after, report in training.reports:
            if after >= training.seconds:
                break
            yield began + after, Reported(key, replace(report, time=date + began + after))
        yield began + training.seconds, Ended(key, training.exit)

    def _go_on(self, attempt: _Attempt) -> None:
        """Plan what an attempt does next."""
        upcoming = next(attempt.ahead, None)
        if upcoming is not None:
            event = upcoming[1]
            self._at(upcoming[0], lambda moment, sink: self._happen(attempt, event, moment, sink))

    def _happen(self, attempt: _Attempt, event: Event, moment: float, sink: Sink) -> None:
        is_gone = self._alive.get(attempt.launch.key) is not attempt or self._since[attempt.node] is None
        if is_gone:
            return
        if isinstance(event, Reported):
            attempt.told.append(event)
            self._go_on(attempt)
            sink(event)
        elif isinstance(event, Ended):
            self._end(attempt, moment, event.exit, sink)

    def _end(self, attempt: _Attempt, moment: float, exit_: Exit, sink: Sink) -> None:
        key, place = attempt.launch.key, attempt.node
        del self._alive[key]
        if self._since[place] is not None:
            self._set_node(place, free_cpus=self._nodes[place].free_cpus + 1)
        kept = moment
        if exit_.cause is Cause.NODE_LOST and isinstance(key, AttemptKey):
            last = attempt.told[-1].report if attempt.told else None
            self._reached[_trial(key)] = last.step if last is not None else 0
            kept = attempt.began if last is None else last.time - self._clock.date() + self._clock.monotonic()
            kept = min(max(kept, attempt.began), moment)
            self._busy.append(Span(kept, moment, lost=True))
        else:
            self.ends += 1
        self._busy.append(Span(attempt.began, kept))
        seconds, now = moment - attempt.began, self._clock.date()
        sink(Ended(key, replace(exit_, started_at=now - seconds, ended_at=now, duration_seconds=seconds)))

    def _plan_loss(self, place: int) -> None:
        mean = self._cluster.lifetime_seconds
        if mean is not None:
            moment = self._clock.monotonic() + self._random.expovariate(1 / mean)
            self._at(moment, lambda moment, sink: self._lose(place, moment))

    def _lose(self, place: int, moment: float) -> None:
        """Have a node go, which is known a while later."""
        since, self._since[place] = self._since[place], None
        if since is not None:
            self._past.append(Span(since, moment, self._cluster.slots_per_node))
        self.nodes_lost += 1
        absent = DETECTION_SECONDS + self._random.expovariate(1 / self._cluster.absence_seconds)
        self._at(moment + DETECTION_SECONDS, lambda _, sink: self._find_out(place, moment, sink))
        self._at(moment + absent, lambda moment, sink: self._come_back(place, moment))

    def _find_out(self, place: int, moment: float, sink: Sink) -> None:
        self._set_node(place, cpus=0, free_cpus=0)
        exit_ = Exit(Cause.NODE_LOST, f"{self._nodes[place].name} was lost")
        for attempt in [attempt for attempt in self._alive.values() if attempt.node == place]:
            self._end(attempt, max(attempt.began, moment), exit_, sink)  # what was begun since then never ran

    def _come_back(self, place: int, moment: float) -> None:
        slots = self._cluster.slots_per_node
        self._since[place] = moment
        self._set_node(place, cpus=slots, free_cpus=slots)
        self._plan_loss(place)

    def _set_node(self, place: int, **changes: float) -> None:
        self._nodes[place] = replace(self._nodes[place], **changes)  # type: ignore[arg-type]
        self._capacity = None


def _trial(key: WorkKey) -> tuple[str, int]:
    return (key.experiment, key.trial) if isinstance(key, AttemptKey) else ("", key.job)


def _within(spans: Iterable[Span], began: float, ended: float) -> float:
    return sum(max(0.0, min(span.ended, ended) - max(span.began, began)) * span.slots for span in spans)
