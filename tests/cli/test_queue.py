"""What waits, as commands tell it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tunewell.service.service import Service

SPEC = {"command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "score", "goal": "maximize"}}


def test_what_waits_is_told(run: Run, tmp_path: Path) -> None:
    """`queue` lists what waits with the reason, and `show` tells that of one."""
    home = tmp_path / "home"
    with Service(home) as service:
        service.create({**SPEC, "name": "slow"})
        service.create({**SPEC, "name": "long-" * 19})
    assert "long-" * 19 in run("list", "--home", home, COLUMNS="").out, "nobody cuts what is piped"
    told = "No controller runs what is on record here."
    answer = run("queue", "--home", home)
    assert answer.code == 0 and "slow" in answer.out and told in answer.out
    entry, _ = run("queue", "--home", home, "--json").json["entries"]
    assert (entry["experiment"], entry["owner"], entry["place"]) == ("slow", "owner", None)
    assert entry["waits_for"]["code"] == "no_controller"
    assert told in run("show", "slow", "--home", home).out
