"""The models that are loaded: each when it is asked, until nobody asks it any more or others need its room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tunewell.serving.contract import Answer, Item, Limits, Published
from tunewell.serving.process import ModelProcess
from tunewell.spec.errors import BusyError, DataError
from tunewell.spec.format import size
from tunewell.tasks.contract import AS_TRAINED, Answering

#: How often it is looked whether a model is idle, or takes more memory than it did.
LOOK_SECONDS = 1.0
Clock = Callable[[], float]


@dataclass(slots=True)
class _Place:
    """One model's: its process, if it is loaded, and who waits for it."""

    model: Published
    #: Held by who starts, asks or ends the process.
    turn: threading.Lock = field(default_factory=threading.Lock)
    process: ModelProcess | None = None
    #: How many requests wait or are being answered.
    asked: int = 0
    #: On the monotonic clock.
    used_at: float = 0.0
    memory_bytes: int = 0


class Pool:
    """Loaded models within limits. Any thread may ask. Use it as a context manager."""

    def __init__(self, models: Path, limits: Limits, clock: Clock = time.monotonic) -> None:
        """Take the folder of all models."""
        self._models, self._limits, self._clock = models, limits, clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._closed = threading.Event()
        self._tidier = threading.Thread(target=self._tidy_until_closed, name="idle models", daemon=True)
        self._tidier.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._closed.set()
        self._tidier.join()
        with self._lock:
            places, self._places = list(self._places.values()), {}
        for place in places:
            if place.process is not None:
                place.process.close()

    @property
    def loaded(self) -> tuple[str, ...]:
        """Checksums of the models that have a place: they are loaded, or being loaded."""
        with self._lock:
            return tuple(self._places)

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for an answer."""
        with self._lock:
            return any(place.asked for place in self._places.values())

    def ask(self, model: Published, items: Sequence[Item], answering: Answering = AS_TRAINED) -> Answer:
        """Return what a model says of items; see `Asks.ask`. It is loaded first if it is not."""
        with self._place(model) as place, self._turn(place):
            if place.process is not None and not place.process.lives:
                place.process.close()
                place.process = None
            if place.process is None:
                place.process = ModelProcess(self._models, model, self._limits)
                self._weigh(place)
            try:
                # From now on, however long it has waited: a model must not be ended for what others have asked.
                return place.process.ask(items, answering, time.monotonic() + self._limits.request_seconds)
            finally:
                if not place.process.lives:
                    place.process = None

    @contextmanager
    def _place(self, model: Published) -> Iterator[_Place]:
        """Give the place of a model, in which it stays as long as the block lasts."""
        place, going = self._taken(model)
        self._end(going)
        try:
            yield place
        finally:
            with self._lock:
                place.asked -= 1
                place.used_at = self._clock()
                if place.process is None and not place.asked:
                    self._places.pop(model.sha256, None)

    def _taken(self, model: Published) -> tuple[_Place, list[_Place]]:
        """Return the place of a model, and those that it takes from others."""
        with self._lock:
            place, going = self._places.get(model.sha256), []
            if place is None:
                if len(self._places) >= self._limits.models:
                    going.append(self._longest_idle())
                place = self._places[model.sha256] = _Place(model)
            if place.asked >= self._limits.queue:
                raise _busy(f"{place.asked} requests to this model are not at their end")
            place.asked += 1
        return place, going

    def _longest_idle(self) -> _Place:
        """Take away the place that was used longest ago, of those that nobody asks; the lock is held."""
        idle = [place for place in self._places.values() if not place.asked]
        if not idle:
            raise _busy(f"{len(self._places)} other models are being asked, as many as are loaded at once")
        oldest = min(idle, key=lambda place: place.used_at)
        del self._places[oldest.model.sha256]
        return oldest

    @contextmanager
    def _turn(self, place: _Place) -> Iterator[None]:
        """Wait for a model's process to be free, as long as a request may take."""
        loading = self._limits.load_seconds if place.process is None else 0.0
        if not place.turn.acquire(timeout=self._limits.request_seconds + loading):
            raise _busy("others ask this model, and it took them too long")
        try:
            yield
        finally:
            place.turn.release()

    def _weigh(self, place: _Place) -> None:
        """Note how much memory a model takes that has been loaded; make room for it at others' cost.

        Raises:
            DataError: it alone takes more than there is for all.
            BusyError: those that are being asked leave it no room.
        """
        assert place.process is not None
        place.memory_bytes = place.process.memory_bytes
        try:
            if place.memory_bytes > self._limits.memory_bytes:
                raise DataError(
                    f"this model takes {size(place.memory_bytes)} of memory, and {size(self._limits.memory_bytes)} "
                    "are there for models that are asked at once",
                    remedy="Use it in a job: for those, this limit does not hold",
                    kind="model-too-large",
                )
            self._make_room()
        except BaseException:
            place.process.close()
            place.process = None
            raise

    def _make_room(self) -> None:
        """Unload what was used longest ago until all that are loaded fit into the memory that there is for them."""
        going = []
        try:
            with self._lock:
                while sum(place.memory_bytes for place in self._places.values()) > self._limits.memory_bytes:
                    going.append(self._longest_idle())
        finally:
            self._end(going)

    def _end(self, places: Sequence[_Place]) -> None:
        """End the processes of places that were taken away, which nobody asks any more."""
        for place in places:
            if place.process is not None:
                place.process.close()

    def _tidy_until_closed(self) -> None:
        while not self._closed.wait(min(LOOK_SECONDS, self._limits.idle_seconds / 2)):
            self.tidy()

    def tidy(self) -> None:
        """Unload models that nobody has asked for long, whose processes have died, or for which there is no room."""
        with self._lock:
            oldest = self._clock() - self._limits.idle_seconds
            going = [
                place
                for place in self._places.values()
                if not place.asked and (place.used_at <= oldest or place.process is None or not place.process.lives)
            ]
            for place in going:
                del self._places[place.model.sha256]
            for place in self._places.values():
                process = place.process  # whoever has its turn may set it meanwhile
                if process is not None:
                    place.memory_bytes = process.memory_bytes
        self._end(going)
        with suppress(BusyError):  # what is being asked stays, and is looked at again
            self._make_room()


def _busy(why: str) -> BusyError:
    return BusyError(why, remedy="Try again in a second", kind="model-busy")
