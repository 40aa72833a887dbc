"""What is to be known of a search is told when it begins, not when it has ended."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.service.children import preparations
from tests.service.test_service import SPEC
from tunewell.cli import search
from tunewell.display import live
from tunewell.service.service import Service
from tunewell.tasks.command import CommandTask


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "plain lines"])
def test_notes_come_before_the_first_trial(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each note is told once, before any trial is."""
    monkeypatch.setattr(CommandTask, "jobs", {"prepare": f"{preparations.__name__}:notes"})
    monkeypatch.setattr(live, "UPDATE_SECONDS", 0.0)
    text = io.StringIO()
    with Service(tmp_path / "home") as service:
        service.submit(SPEC)
        console = Console(file=text, force_terminal=terminal, markup=False, color_system=None, width=100)
        assert search._run(service, "e", console, details=False)
    told = text.getvalue() if terminal else capsys.readouterr().out
    assert told.count("Note: 3 pictures are left out.") == told.count("Note: [dim] is no markup.") == 1
    first_trial = told.index("/2 trials") if terminal else told.index("trial 1/2")
    assert told.index("Note: 3 pictures are left out.") < told.index("Note: [dim]") < first_trial
