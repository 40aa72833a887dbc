"""What is done on each node before anything runs there, in a task that takes nothing of it.

It tells whether attempts can run there at all, and removes what attempts have left whose slots are gone.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tunewell.schedulers import hardware
from tunewell.schedulers.ray.node_folder import sweep
from tunewell.spec.capacity import Gpu


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a node says of itself."""

    version: str
    #: The machine's own name.
    machine: str
    gpus: tuple[Gpu, ...]
    #: Attempts whose processes were about to end.
    left: int


def greet(root: str, home: str, node: str, living: Sequence[str]) -> Greeting:
    """Remove what is left over on the node where this is called, and say what it is.

    Args:
        root: folder for everything that slots write on a machine.
        home: identity of the home.
        node: Ray's name for this node.
        living: its names for all nodes of the cluster.
    """
    left = sweep(Path(root) / home, node, living)
    return Greeting(version("tunewell"), socket.gethostname(), hardware.detect_gpus({}), left)
