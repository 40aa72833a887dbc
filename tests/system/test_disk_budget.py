"""A search whose trials leave more than the home may take up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewell.service.service import Service

SPEC = {
    "name": "e",
    "command": [
        "sh",
        "-c",
        "head -c 8000000 /dev/zero > {output_dir}/model; sleep 0.2; echo score=$TUNEWELL_TRIAL; echo {x}",
    ],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "score", "goal": "maximize"},
    "algorithm": "random",
    "max_trials": 16,
    "max_concurrency": 2,
    "seed": 1,
}


@pytest.mark.timeout(200)
def test_it_goes_on_within_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of all but the five best go by themselves while it runs, which is on record; the search comes to its end.

    Were they not removed, it would wait for ever: there is room for half of them.
    """
    monkeypatch.setattr("tunewell.controller.disk.COUNT_SECONDS", 0.1)
    monkeypatch.setattr("tunewell.controller.disk.COUNT_SHARE", 0.0)
    with Service(tmp_path / "home") as service:
        service.submit(SPEC)
        service.change_disk({"budget_bytes": service.disk().taken_bytes + 64_000_000})
        assert service.run("e")
        best = {trial.number for trial in service.top("e")}
        assert best == {12, 13, 14, 15, 16}
        left = {int(path.parts[-4]) for path in (tmp_path / "home").glob("experiments/e/trials/*/*/artifacts/model")}
        assert best <= left and len(left) < 10
        collections = service.disk().collections
        assert collections and all(one.by == "the disk budget" for one in collections)
        assert {group.kind for one in collections for group in one.groups} == {"artifacts"}
