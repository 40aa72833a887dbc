"""Jobs: what becomes of those whose caller was killed."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.schedulers.children import entries
from tunewell.home.home import Home
from tunewell.schedulers import records
from tunewell.schedulers.local import LocalScheduler
from tunewell.service.jobs import JobFailed, job_launch, run_job
from tunewell.spec.launch import Event, Reported

ENTRIES = entries.__name__


def test_a_job_without_its_caller_is_ended_by_the_next(tmp_path: Path) -> None:
    """A training that lives on when its caller was killed does not take memory and GPU from the one that follows."""
    home, events = Home(tmp_path), list[Event]()
    forsaken = replace(job_launch(home, "e", "retrain", {}), entry=f"{ENTRIES}:report_until_pruned")
    with closing(LocalScheduler()) as scheduler:  # closed, it leaves its attempts alone, as a kill does
        scheduler.start(forsaken)
        while not any(isinstance(event, Reported) for event in events):
            scheduler.poll(events.append, 0.1)
    assert records.read_exit(forsaken.folder) is None
    following = replace(job_launch(home, "e", "retrain", {}), entry=f"{ENTRIES}:describe")
    assert (run_job(following) / "seen.json").exists()
    ended = records.read_exit(forsaken.folder)
    assert ended is not None
    assert ended.stopped


def test_jobs_of_others_are_left_alone(tmp_path: Path) -> None:
    """A job that somebody waits for goes on while another one runs, copies of its folder or not."""
    home = Home(tmp_path)
    waited_for = replace(job_launch(home, "e", "retrain", {}), entry=f"{ENTRIES}:report_until_pruned")
    other = replace(job_launch(home, "e", "predict", {}), entry=f"{ENTRIES}:describe")
    asked: list[bool] = []

    def use_meanwhile(report: object) -> None:
        if not asked:
            asked.append(True)
            for copy in ("1-retrain.bak", "1-retrain-copy", "\u0663-retrain"):
                shutil.copytree(waited_for.folder, waited_for.folder.with_name(copy))
            (waited_for.folder.parent / "7-retrain").write_text("a file")
            run_job(other)
            asked.append(records.read_exit(waited_for.folder) is None)
            records.write_stop(waited_for.folder, 0.0)

    with pytest.raises(JobFailed):
        run_job(waited_for, use_meanwhile)
    assert asked == [True, True]
