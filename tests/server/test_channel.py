"""How a process of the service notices that its launcher is gone."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tunewell.server.channel import ORPHANED, Order
from tunewell.server.options import Options

#: Tells the launcher something, says that it has, and would live on.
CHILD = """
import sys, time
from tunewell.server.channel import Channel
channel = Channel(int(sys.argv[1]))
channel.order()
channel.tell(ready=True)
print("told", flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("read", [True, False], ids=["read", "not read"])
def test_a_child_ends_with_its_launcher(tmp_path: Path, read: bool) -> None:
    """Whether or not the launcher has read what it was told before it dies."""
    ours, theirs = socket.socketpair()
    order = Order("web-1", Options(tmp_path), (), True, 0)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdout=subprocess.PIPE
    )
    with child, ours:
        theirs.close()
        try:
            ours.sendall(json.dumps(order.to_json()).encode() + b"\n")
            assert child.stdout is not None and child.stdout.readline() == b"told\n"
            if read:
                assert ours.recv(1000)
            ours.close()
            assert child.wait(30) == ORPHANED
        finally:
            child.kill()
