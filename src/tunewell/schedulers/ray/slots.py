"""The slots of a scheduler: made on the cluster, found again, used for one attempt after the other, ended."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
import ray._private.state
from ray.exceptions import ActorUnavailableError, RayActorError, RayError

from tunewell.schedulers.device_errors import DeviceErrors
from tunewell.schedulers.ray import ends
from tunewell.schedulers.ray.nodes import Holding, Nodes, why_other, why_unfit
from tunewell.schedulers.ray.slot import Slot, SlotFacts
from tunewell.spec.launch import Exit, Resources

#: How long a slot is kept that runs nothing.
IDLE_SECONDS = 10.0
#: How long Ray may take to count what an ended slot held as free.
SETTLE_SECONDS = 2.0
#: How long idle slots may take to end.
CLOSE_SECONDS = 5.0

#: Gives what an actor has answered, an error if it could not, None if there is no answer yet.
Take = Callable[[Any], Any]


@dataclass(slots=True, eq=False)
class SlotHandle:
    """A slot as the scheduler knows it."""

    #: The actor; None: it is gone.
    actor: Any
    name: str
    resources: Resources
    #: Ray's name for its node, once it has one.
    node: str | None = None
    #: Its GPUs, by names that are the same for all slots of a machine.
    devices: tuple[str, ...] = ()
    #: Answers that are waited for: what it is, and that it is there, with nothing left of its last attempt.
    facts: Any = None
    cleared: Any = None
    #: Since when it has no attempt, on the monotonic clock.
    idle_since: float = math.inf
    #: Why it could not begin, for people.
    problem: str = ""

    @property
    def ready(self) -> bool:
        """Whether an attempt can be brought to it."""
        return self.node is not None and self.cleared is None


class Slots:
    """All slots that the scheduler of this process has."""

    def __init__(
        self, nodes: Nodes, root: str, home: str, cache_bytes: int | None, environment: Mapping[str, Any]
    ) -> None:
        """Have none yet. See `RayScheduler` for the arguments."""
        self._nodes, self._root, self._home, self._cache_bytes = nodes, root, home, cache_bytes
        self._environment = dict(environment)
        self._slots: dict[str, SlotHandle] = {}
        self._device_errors = DeviceErrors()
        #: Slots that were ended, and when.
        self._dropped: list[tuple[SlotHandle, float]] = []

    def __contains__(self, slot: SlotHandle) -> bool:
        """Whether a slot is one of these, which it is no more once it is ended, or has failed."""
        return self._slots.get(slot.name) is slot

    def holdings(self, idle_too: bool = False) -> list[Holding]:
        """Return what slots hold; with `idle_too`, as if idle ones were busy."""
        held = [
            Holding(slot.node, slot.resources, idle_too or self._is_taken(slot), slot.devices)
            for slot in self._slots.values()
        ]
        # What was ended just now is free, although Ray may not say so yet.
        self._dropped = [(slot, at) for slot, at in self._dropped if time.monotonic() - at < SETTLE_SECONDS]
        return held + [Holding(slot.node, slot.resources, False) for slot, _ in self._dropped]

    def answers(self) -> list[Any]:
        """Return the answers of slots that are waited for."""
        return [one for slot in self._slots.values() for one in (slot.facts, slot.cleared) if one is not None]

    # For an attempt ---------------------------------------------------------------------------------------

    def get(self, resources: Resources) -> SlotHandle | None:
        """Return a slot for an attempt: an idle one, or one that is made; None: there is no room."""
        slot = next((slot for slot in self._idle() if slot.resources == resources), None)
        if slot is None:
            if not self._nodes.capacity(self.holdings()).free(resources):
                return None
            self._make_room(resources)
            slot = self._new(resources)
        elif slot.cleared is None:
            slot.cleared = slot.actor.facts.remote()  # is it still there?
        slot.idle_since = math.inf
        return slot

    def named(self, name: str, resources: Resources) -> SlotHandle:
        """Return a slot that another process may have made, without an actor if it is gone."""
        if name in self._slots:
            self._slots[name].idle_since = math.inf
            return self._slots[name]
        slot = SlotHandle(None, name, resources)
        if name:
            with suppress(ValueError):  # it is gone
                slot.actor = ray.get_actor(name)
                slot.facts = slot.actor.facts.remote()
                self._slots[name] = slot
        return slot

    def note_end(self, slot: SlotHandle, exit_: Exit) -> Exit:
        """Count errors of a slot's GPUs; return the end, which says so if the slot gets no attempts for a while."""
        return self._device_errors.take(slot.devices, exit_)

    def give_back(self, slot: SlotHandle, identity: str) -> None:
        """Have a slot remove what an attempt has left; then it is there for another one."""
        if slot in self:
            slot.cleared = slot.actor.forget.remote(identity)
            slot.idle_since = time.monotonic()

    def let_go(self, slot: SlotHandle) -> None:
        """Leave a slot to whoever has it."""
        if slot in self:
            del self._slots[slot.name]

    def kill(self, slot: SlotHandle) -> None:
        """End a slot, and with it what runs there."""
        if slot in self:
            del self._slots[slot.name]
            self._dropped.append((slot, time.monotonic()))
        if slot.actor is not None:
            with suppress(RayError, ValueError):
                ray.kill(slot.actor)
            self._nodes.clean(slot.node)

    def _idle(self) -> list[SlotHandle]:
        return [slot for slot in self._slots.values() if slot.idle_since < math.inf and not self._rests(slot)]

    def _is_taken(self, slot: SlotHandle) -> bool:
        return slot.idle_since == math.inf or self._rests(slot)

    def _rests(self, slot: SlotHandle) -> bool:
        """Whether a slot keeps GPUs that are left out for now, so that Ray gives them to nobody."""
        return not self._device_errors.left_out().isdisjoint(slot.devices)

    def _make_room(self, resources: Resources) -> None:
        """End idle slots that hold what an attempt needs, those first that have been idle for longest."""
        for slot in sorted(self._idle(), key=lambda slot: slot.idle_since):
            if self._nodes.capacity(self.holdings(idle_too=True)).free(resources):
                return
            self._end(slot)

    def _new(self, resources: Resources) -> SlotHandle:
        name = f"slot-{uuid.uuid4().hex}"
        options: dict[str, Any] = {
            "name": name,
            "lifetime": "detached",
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus,
            "memory": resources.memory_bytes,
            "accelerator_type": resources.gpu_type or None,
            "resources": dict(resources.custom),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 8,
            "runtime_env": self._environment,
        }
        unfit = self._nodes.unfit
        avoided = {"ray.io/node-id": f"!in({','.join(unfit)})"} if unfit else {}
        options["label_selector"] = {**dict(resources.labels), **avoided} or None
        class_: Any = ray.remote(Slot)
        actor = class_.options(**options).remote(self._root, self._home, resources, self._cache_bytes)
        slot = self._slots[name] = SlotHandle(actor, name, resources)
        slot.facts = actor.facts.remote()
        return slot

    # All of them ------------------------------------------------------------------------------------------

    def look_after(self, take: Take) -> None:
        """Take the answers of slots, and end those that have been idle for long enough, or could not begin."""
        now = time.monotonic()
        for slot in list(self._slots.values()):
            if slot.facts is not None and (found := take(slot.facts)) is not None:
                slot.facts = None
                self._on_facts(slot, found)
            if slot.cleared is not None and (found := take(slot.cleared)) is not None:
                slot.cleared = None
                if isinstance(found, RayError):
                    self.kill(slot)
            if slot in self and now - slot.idle_since > IDLE_SECONDS and not self._rests(slot):
                self._end(slot)

    def _on_facts(self, slot: SlotHandle, found: Any) -> None:
        if isinstance(found, ActorUnavailableError):
            slot.facts = slot.actor.facts.remote()
            return
        if isinstance(found, SlotFacts):
            slot.node, slot.problem = found.node, why_other(found.machine, found.version)
            slot.devices = tuple(f"{gpu} of {found.machine}" for gpu in found.gpus)
            if not slot.problem:
                self._nodes.forget()  # Ray may have counted it before we knew where it is
                return
        node = slot.node or _node_of(found)
        slot.problem = slot.problem or why_unfit(self._nodes.machine(node), found)
        if node is not None and slot.problem:
            self._nodes.avoid(node, slot.problem)
        slot.problem = slot.problem or ends.lost(found).detail
        self.kill(slot)

    def _end(self, slot: SlotHandle) -> None:
        """Have an idle slot end by itself, when it has removed what it has left."""
        if not slot.ready:
            self.kill(slot)
            return
        del self._slots[slot.name]
        self._dropped.append((slot, time.monotonic()))
        slot.actor.end.remote()

    def close(self) -> None:
        """End all slots that nothing was let go of."""
        slots = list(self._slots.values())
        ended = [slot.actor.end.remote() for slot in slots if slot.node is not None]
        if ended:
            with suppress(RayError):
                ray.wait(ended, num_returns=len(ended), timeout=CLOSE_SECONDS)
        for slot in slots:
            self.kill(slot)


def _node_of(error: object) -> str | None:
    """Return Ray's name for the node of an actor that an error is about, if it tells."""
    if not isinstance(error, RayActorError) or error.actor_id is None:
        return None
    state: Any = ray._private.state
    found = state.actors(error.actor_id) or {}
    return (found.get("Address") or {}).get("NodeID") or None
