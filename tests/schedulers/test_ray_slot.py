"""What a slot tells of its attempt: no cluster is needed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.schedulers.bench import IDENTITY, wait_until
from tunewell.schedulers import records
from tunewell.schedulers.contract import Sink
from tunewell.schedulers.ray import slot as slots
from tunewell.schedulers.ray.slot import Known, Look, Slot
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Resources, Started, WorkKey
from tunewell.trial import files

NOTHING = {name: Known(0, b"") for name in slots.GROWING}


class HeldBack:
    """A scheduler whose attempts run at once, and which tells of them what a test has it tell."""

    def __init__(self, **_arguments: object) -> None:
        """Tell nothing."""
        self.events: list[Event] = []
        self.submitted = threading.Event()

    def submit(self, launch: Launch) -> None:
        """Have the attempt report."""
        report = {"step": 1, "metrics": {"score": 1.0}, "time": 0.0}
        (launch.folder / files.REPORTS).write_text(json.dumps(report) + "\n")
        self.submitted.set()

    def stop(self, _key: WorkKey, _grace_seconds: float) -> None:
        """Have the thread of the slot do nothing more: it lives as long as its process, which is a test's."""
        threading.Event().wait()

    def poll(self, sink: Sink, timeout: float) -> None:
        """Tell what is to be told."""
        threading.Event().wait(timeout)
        while self.events:
            sink(self.events.pop(0))


@pytest.fixture
def scheduler() -> HeldBack:
    """The slot's."""
    return HeldBack()


@pytest.fixture
def slot(scheduler: HeldBack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slot]:
    """A slot in this process."""
    context = SimpleNamespace(get_node_id=lambda: "node", current_actor=None)
    monkeypatch.setattr(slots, "ray", SimpleNamespace(get_runtime_context=lambda: context, get_gpu_ids=list))
    monkeypatch.setattr(slots, "LocalScheduler", lambda **_arguments: scheduler)
    slot = Slot(str(tmp_path / "nodes"), "home", Resources(), None)
    yield slot
    slot.stop(IDENTITY, 0.0)


@pytest.mark.parametrize("answer", ["starts", "ends"])
def test_started_comes_first(slot: Slot, scheduler: HeldBack, tmp_path: Path, answer: str) -> None:
    """What an attempt reports before its start is known is told with its start, or with its end, not before."""
    launch = Launch(AttemptKey("bench", 1, 1), tmp_path / "home" / "1", IDENTITY, command=("true",))
    slot.prepare({}, "1")
    records.make_folder(tmp_path / "nodes" / "home" / "node" / "1", IDENTITY)
    assert slot.submit(launch, (str(tmp_path / "home"),))
    assert scheduler.submitted.wait(30)
    assert slot.look(IDENTITY, NOTHING, None, 0.0) == Look(known=True)
    scheduler.events.append(Started(launch.key) if answer == "starts" else Ended(launch.key, Exit()))
    look = wait_until(lambda: (look := slot.look(IDENTITY, NOTHING, None, 0.0)).new and look)
    assert (look.started, list(look.new), look.exit) == (answer == "starts", [files.REPORTS], None)
    if answer == "starts":
        scheduler.events.append(Ended(launch.key, Exit()))
    offset, data = look.new[files.REPORTS]
    known = {**NOTHING, files.REPORTS: Known(offset + len(data), data)}
    assert wait_until(lambda: slot.look(IDENTITY, known, None, 0.0).exit) == Exit()
