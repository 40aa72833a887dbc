"""What the end of a slot says of the attempt that it had."""

from __future__ import annotations

import time

from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError

from tunewell.spec.launch import Exit
from tunewell.spec.states import Cause

#: What Ray says of an actor that its memory monitor has ended.
_MEMORY = ("running low on memory", "memory pressure", "out of memory", "(OOM)")
#: What it says of one whose node is gone.
_NODE = ("node has died", "node died", "The node", "its node", "raylet")


def stopped() -> Exit:
    """Return the end of an attempt that was asked to end, and whose own word nobody has heard."""
    now = time.time()
    return Exit(stopped=True, started_at=now, ended_at=now, duration_seconds=0.0)


def lost(error: BaseException) -> Exit:
    """Return the end of an attempt whose slot is gone, by what Ray says of it."""
    text = " ".join(str(error).split())
    if isinstance(error, OutOfMemoryError) or any(word in text for word in _MEMORY):
        return Exit(Cause.HOST_OOM, "the memory of its node was full, and Ray ended it", ended_at=time.time())
    if isinstance(error, RayActorError):
        what = "its node is gone" if any(word in text for word in _NODE) else "its slot is gone"
        return Exit(Cause.NODE_LOST, f"{what}: {_essence(error, text)}", ended_at=time.time())
    return Exit(Cause.NODE_LOST, f"{type(error).__name__}: {text[:300]}", ended_at=time.time())


def _essence(error: RayActorError, text: str) -> str:
    """Return what is worth telling of a message, which begins with names and numbers of Ray's own."""
    if isinstance(error, ActorDiedError) and "ip: " in text:
        text = text.partition("ip: ")[2].partition(" ")[2]
    return text[:300]
