"""What a controller prints."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tunewell.cli.controller_lines import ControllerLines
from tunewell.service.runs import Situation
from tunewell.spec.errors import UserError


def test_each_line_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What it serves comes first; what it has, can't have and waits for is told when that changes, and not again."""
    lines = ControllerLines(Path("/home"), "postgresql://me:***@server/db")
    elsewhere = UserError("experiment 'b' has work running on host x", remedy="…", kind="work-elsewhere", host="x")
    outage = Situation("the server is gone.", False, absent=True, experiments=("a",), refused=(elsewhere,))
    lines.tell("Nothing on record runs on host y.")
    for run in (
        Situation("", False),
        Situation("", False, experiments=("a",), refused=(elsewhere,)),
        outage,
        outage,
        Situation("", False, experiments=("a",), refused=(elsewhere,)),
        Situation("the disk is full.", False),
        Situation("", False, experiments=("c",), refused=(elsewhere,)),
    ):
        lines.update(run)
    assert capsys.readouterr().out.splitlines() == [
        "note: Nothing on record runs on host y.",
        f"Running what is recorded in /home (database postgresql://me:***@server/db) on host {socket.gethostname()}. "
        "Ctrl-C ends this; trials live on.",
        "taken over: experiment 'a'",
        "waiting: experiment 'b' has work running on host x. Start a controller there or, if that machine is gone for "
        "good, one with --lost-host x.",
        "waiting: the server is gone.",
        "The database is reached again.",
        "waiting: the disk is full.",
        "taken over: experiment 'c'",
        "going on",
    ]
