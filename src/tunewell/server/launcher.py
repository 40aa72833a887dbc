"""The launcher: binds what the service listens on, starts its processes, and starts again what dies.

It does nothing else, so that nothing can go wrong in it. Its children are the web workers, which answer requests, the
controller, and the process that keeps models loaded. Each stands in a process group of its own, so that Ctrl-C reaches
the launcher alone. Sockets stay bound while who listens on them is away: who asks then waits, and is not refused.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from tunewell.home import address
from tunewell.server import figures
from tunewell.server.channel import REFUSED, Order
from tunewell.server.options import Options
from tunewell.server.sockets import bind
from tunewell.serving.sockets import listen, path_in
from tunewell.spec.errors import ServiceFailed, UserError

#: How often it is looked whether a child has died without its socket having told.
TICK_SECONDS = 0.5
#: Wait before a child is started again that died as it started: doubled with each time.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 10.0
#: A child that lived for so long was well.
WELL_SECONDS = 60.0
#: How often a child that was never at work may die at once before the launcher gives up.
MOST_FAILURES = 5
#: How long web workers may take to finish what they answer, with some time on top of their own limit.
STOP_SECONDS = 20.0

#: Names of the children that are no web workers.
_CONTROLLER, _MODELS = "controller", "models"

Tell = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process of the service, and those that stood in its place before."""

    name: str
    module: str
    process: subprocess.Popen[bytes] | None = None
    channel: socket.socket | None = None
    rest: bytes = b""
    #: Whether it is at work, and whether it ever was.
    ready: bool = False
    was_ready: bool = False
    begun_at: float = 0.0
    #: How often it has died without having been well.
    failures: int = 0
    #: When it is started, on the monotonic clock; None: it runs, or waits for the controller.
    restart_at: float | None = None
    #: What it told that it can't do.
    refused: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Launcher:
    """One service. `say` is told what people are to see once, `log` what happens."""

    options: Options
    say: Tell
    log: Callable[[], Tell]
    _children: list[Child] = field(default_factory=list)
    #: Those of the web workers, and that on which these ask for models.
    _sockets: list[socket.socket] = field(default_factory=list)
    _models: socket.socket | None = None
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _wake: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _signals: int = 0
    _stopped_at: float | None = None
    _announced: bool = False
    _noted: TextIO | None = None
    _facts: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends everything at once.

        Raises:
            UserError: the service can't be started as it was asked for.
            ServiceFailed: one of its processes dies again and again as it starts.
        """
        self.options.check()
        with ExitStack() as stack:
            self._sockets = bind(self.options.host, self.options.port)
            stack.callback(self._close)
            stack.enter_context(self._heeding_signals())
            self.options = replace(self.options, port=self._sockets[0].getsockname()[1])
            self._make_room_for_figures()
            names = [f"web-{number}" for number in range(1, self.options.workers + 1)]
            self._children = [Child(_CONTROLLER, "tunewell.server.controller")]
            self._children += [Child(name, "tunewell.server.worker") for name in names]
            self._models = listen(self._models_path)
            self._children.append(Child(_MODELS, "tunewell.server.models"))
            for child in self._first:
                self._start(child)
            if self.options.warning:
                self.say(f"WARNING: {self.options.warning}")
            while not self._is_over():
                self._look()

    # Children ---------------------------------------------------------------------------------------------

    @property
    def _first(self) -> Sequence[Child]:
        """Those without which there is no service: the others start when these can do what was asked for."""
        return self._children[:2]

    def _start(self, child: Child) -> None:
        ours, theirs = socket.socketpair()
        descriptors = [one.fileno() for one in self._heard_by(child)]
        with theirs:
            child.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tunewell.server.child", child.module, str(theirs.fileno())],
                pass_fds=[theirs.fileno(), *descriptors],
                env={**os.environ, figures.VARIABLE: str(self._figures)},
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        order = Order(child.name, self.options, tuple(descriptors), not child.was_ready, self.options.port)
        child.channel, child.rest, child.ready, child.restart_at, child.refused = ours, b"", False, None, None
        child.begun_at = time.monotonic()
        with suppress(OSError):  # it has died, which the socket tells
            ours.sendall(json.dumps(order.to_json()).encode() + b"\n")
        ours.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _heard_by(self, child: Child) -> Sequence[socket.socket]:
        """Return the sockets that a child listens on."""
        if child.name == _MODELS:
            return [self._models] if self._models is not None else []
        return self._sockets if child.name != _CONTROLLER else []

    def _look(self) -> None:
        """Wait for something to happen, and see to it."""
        due = [child.restart_at - time.monotonic() for child in self._children if child.restart_at is not None]
        for key, _ in self._selector.select(max(0.0, min(due, default=TICK_SECONDS))):
            if isinstance(key.data, Child):
                self._hear(key.data)
            else:
                with suppress(BlockingIOError):
                    self._wake[0].recv(512)
        self._obey()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._on_end(child, child.process.returncode)
            elif child.restart_at is not None and time.monotonic() >= child.restart_at and self._stopped_at is None:
                self._start(child)

    def _hear(self, child: Child) -> None:
        assert child.channel is not None
        try:
            data = child.channel.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, child.rest = (child.rest + data).split(b"\n")
        for message in map(json.loads, lines):
            if "refused" in message:
                child.refused = message["refused"]
            else:
                self._on_ready(child, message)
        if not data and child.process is not None:
            self._selector.unregister(child.channel)
            with suppress(subprocess.TimeoutExpired):  # it closed the socket and lives: nobody could end it later
                child.process.wait(timeout=1.0)
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()

    def _on_ready(self, child: Child, facts: dict[str, Any]) -> None:
        child.ready = child.was_ready = True
        self._facts |= facts
        if child.name == _CONTROLLER:
            for other in self._children:
                if other.process is None and other.restart_at is None:
                    other.restart_at = time.monotonic()
        if not self._announced and all(one.was_ready for one in self._first):
            self._announced = True
            self._noted = address.note(self.options.home, self.options.address)
            self.say(self._announcement())

    def _on_end(self, child: Child, code: int) -> None:
        """Decide what follows the end of a child."""
        assert child.process is not None and child.channel is not None
        if child.channel in self._watched():
            self._hear(child)  # its last words
        if child.channel in self._watched():
            self._selector.unregister(child.channel)
        child.channel.close()
        number, child.process, child.channel = child.process.pid, None, None
        figures.give_back(self._figures, number)
        if self._stopped_at is not None:
            return
        if child.refused is not None and not child.was_ready:
            raise _error(child.refused)
        well = child.ready and time.monotonic() - child.begun_at >= WELL_SECONDS
        child.failures = 1 if well else child.failures + 1
        if not child.was_ready and child.failures >= MOST_FAILURES:
            raise ServiceFailed(
                f"{child.name} has died {child.failures} times as it started ({describe(code)}); its last words are "
                "above."
            )
        again = child.failures - 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** (again - 1), LONGEST_WAIT_SECONDS) if again else 0.0
        child.restart_at = time.monotonic() + wait
        reason = child.refused["what"] if child.refused is not None else describe(code)
        self.log()(f"{child.name} (process {number}) has ended ({reason}); it is started again in {wait:g} s")

    def _watched(self) -> Sequence[Any]:
        return [key.fileobj for key in self._selector.get_map().values()]

    # The end ----------------------------------------------------------------------------------------------

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        def note(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._signals += 1

        for end in self._wake:
            end.setblocking(False)
        self._selector.register(self._wake[0], selectors.EVENT_READ)
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, note) for number in numbers}
        signal.set_wakeup_fd(self._wake[1].fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _obey(self) -> None:
        if not self._signals:
            return
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            trials = "running trials end, too" if self.options.stop_trials else "running trials live on"
            self.log()(f"stopping: {trials}; another signal ends this at once")
            self._send(signal.SIGTERM, [child for child in self._living() if child.name != _MODELS])
        elif {child.name for child in self._living()} == {_MODELS}:
            self._send(signal.SIGTERM, self._living())  # web workers have asked it to their end
        waited = time.monotonic() - self._stopped_at
        if self._signals > 1:
            self._send(signal.SIGKILL, self._living())
        elif waited > STOP_SECONDS:
            # A controller that has trials end takes the time that these may take.
            hanging = [child for child in self._living() if child.name != _CONTROLLER or not self.options.stop_trials]
            self._send(signal.SIGKILL, hanging)

    def _living(self) -> list[Child]:
        return [child for child in self._children if child.process is not None]

    def _send(self, number: signal.Signals, children: Sequence[Child]) -> None:
        for child in children:
            if child.process is not None:
                child.process.send_signal(number)

    def _is_over(self) -> bool:
        return self._stopped_at is not None and not self._living()

    def _close(self) -> None:
        """End whatever is left; after an orderly end, nothing is."""
        self._send(signal.SIGKILL, self._living())
        for child in self._living():
            if child.process is not None and child.channel is not None:
                child.process.wait()
                child.channel.close()
        for one in (*self._sockets, *self._wake, *([self._models] if self._models is not None else [])):
            one.close()
        if self._models is not None:
            self._models_path.unlink(missing_ok=True)
        self._selector.close()
        if self._noted is not None:
            address.forget(self.options.home, self._noted)
        shutil.rmtree(self._figures, ignore_errors=True)

    # What people see --------------------------------------------------------------------------------------

    def _announcement(self) -> str:
        link = self._facts.get("link")
        what = f"Tunewell serves {self.options.home.absolute()} at {self.options.address}"
        return f"{what} - sign in: {self.options.address}{link}" if link else what

    @property
    def _models_path(self) -> Path:
        return path_in(self.options.home, self.options.port)

    # Figures ----------------------------------------------------------------------------------------------

    @property
    def _figures(self) -> Path:
        """Folder in which all processes of this service count; a home may be served from several machines."""
        return self.options.home.absolute() / f"figures-{socket.gethostname()}-{self.options.port}"

    def _make_room_for_figures(self) -> None:
        shutil.rmtree(self._figures, ignore_errors=True)
        self.options.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._figures.mkdir(mode=0o700, exist_ok=True)


def describe(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return "it refused" if code == REFUSED else f"exit code {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}"
    return f"ended by signal {-code}"


def _error(parts: Mapping[str, Any]) -> UserError:
    return UserError(parts["what"], field=parts["field"], remedy=parts["remedy"], kind=parts["kind"], **parts["facts"])
