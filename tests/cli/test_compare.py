"""Searches side by side, as the command tells them."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tunewell.service.service import Service

SPEC = {"command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "score", "goal": "maximize"}}


def test_searches_side_by_side(run: Run, tmp_path: Path) -> None:
    """`compare` shows what differs, and with `--all` everything; `--json` is the answer of the verb."""
    home = tmp_path / "home"
    with Service(home) as service:
        service.create({**SPEC, "name": "one", "max_trials": 7})
        service.create({**SPEC, "name": "two", "parameters": {"x": [1, 2, 3]}})
        known = service.compare(["one", "two"]).to_json()
    answer = run("compare", "one", "two", "--home", home)
    assert answer.code == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["max_trials", "7", "–"] in lines
    assert ["x", "1", "|", "2", "1", "|", "2", "|", "3"] in lines
    assert ["seed", "0", "0"] not in lines
    assert "A, B have not ended" in answer.out.splitlines()[0], "before what can't be compared is read"
    assert ["seed", "0", "0"] in [
        line.split() for line in run("compare", "one", "two", "--all", "--home", home).out.splitlines()
    ]
    assert run("compare", "one", "two", "--home", home, "--json").json == known
    refused = run("compare", "one", "--home", home)
    assert refused.code == 2
    assert "Name 2 to 5 searches" in refused.err and "--names" not in refused.err and "EXPERIMENT" in refused.err
