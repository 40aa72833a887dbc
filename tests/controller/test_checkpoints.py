"""What a copied checkpoint holds, and what becomes of one that can't be copied."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.controller.fakes import Bench
from tunewell.controller import checkpoints, staging, trial_manager
from tunewell.controller.checkpoints import copy_checkpoint
from tunewell.spec.states import Cause, TrialState


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint folder, beside a folder with something else."""
    (tmp_path / "1" / "checkpoint" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "1" / "artifacts").mkdir()
    (tmp_path / "1" / "artifacts" / "best.pt").write_text("best")
    (tmp_path / "1" / "checkpoint" / "sub" / "epoch3.pt").write_text("weights")
    return tmp_path / "1" / "checkpoint"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to copy to."""
    (tmp_path / "2").mkdir()
    return tmp_path / "2" / "checkpoint"


def test_files_and_folders(source: Path, target: Path) -> None:
    """Files are copied with their modes and times, folders also where they are empty."""
    file = source / "sub" / "epoch3.pt"
    file.chmod(0o700)
    os.utime(file, (1000, 1000))
    copy_checkpoint(source, target)
    copy = target / "sub" / "epoch3.pt"
    assert copy.read_text() == "weights"
    assert (copy.stat().st_mode & 0o777, copy.stat().st_mtime) == (0o700, 1000)
    assert (target / "sub" / "deep").is_dir()


@pytest.mark.parametrize(
    ("says", "leads_to"),
    [
        ("sub/epoch3.pt", "2/checkpoint/sub/epoch3.pt"),
        ("{source}/sub/epoch3.pt", "2/checkpoint/sub/epoch3.pt"),
        ("sub", "2/checkpoint/sub"),
        ("../artifacts/best.pt", "1/artifacts/best.pt"),
        ("{source}/../artifacts/best.pt", "1/artifacts/best.pt"),
    ],
)
def test_links_stay_links(source: Path, target: Path, tmp_path: Path, says: str, leads_to: str) -> None:
    """A link within the checkpoint leads to the copy of what it led to; any other one to what it led to."""
    (source / "last").symlink_to(says.format(source=source))
    copy_checkpoint(source, target)
    assert (target / "last").is_symlink()
    assert (target / "last").resolve() == (tmp_path / leads_to).resolve()


def test_links_that_lead_nowhere_or_round(source: Path, target: Path) -> None:
    """A dangling link and one to the folder that it is in are copied like all others."""
    (source / "gone").symlink_to("nothing.pt")
    (source / "sub" / "up").symlink_to("..")
    copy_checkpoint(source, target)
    assert (target / "gone").readlink() == Path("nothing.pt")
    assert (target / "sub" / "up").resolve() == target


def test_what_holds_nothing_is_left_out(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes and sockets neither hold the copy up nor make it fail."""
    os.mkfifo(source / "pipe")
    monkeypatch.chdir(source)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        copy_checkpoint(source, target)
    assert sorted(path.name for path in target.iterdir()) == ["sub"]


class Lost:
    """A search whose first trial was lost with a checkpoint."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        """Run the trial until it is lost, the next step being the one that starts it again."""
        self.bench = Bench(folder)
        self.bench.scheduler.needs_folder = True
        self.bench.create(max_trials=1, max_attempts=2, **fields)
        self.bench.add()
        self.bench.step()
        self.trials = self.folder.parent
        for name in ("a.bin", "b.bin"):
            (self.folder / "checkpoint" / name).write_text("weights")
        self.bench.scheduler.end(1, Cause.KILLED)

    @property
    def folder(self) -> Path:
        """The folder of the running attempt."""
        return self.bench.scheduler.alive[self.bench.scheduler.key(1)].folder


def fail_after_the_first(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have the copying of a checkpoint fail after its first file."""
    copied: list[object] = []

    def copy(source: Path, target: Path) -> None:
        if copied:
            raise error
        copied.append(target)
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(checkpoints.shutil, "copy2", copy)


def test_a_copy_that_fails_costs_no_attempt(tmp_path: Path) -> None:
    """While a checkpoint can't be copied its trial waits and the problem is shown; then it goes on, no attempt lost."""
    lost = Lost(tmp_path)
    bench = lost.bench
    with pytest.MonkeyPatch.context() as patch:
        fail_after_the_first(patch, OSError(28, "No space left on device", "/a/b.bin"))
        bench.step(10)
        assert bench.store.trial("e", 1).state is TrialState.WAITING
        assert bench.controller.problem == "Trial 1 can't be started: No space left on device (/a/b.bin)"
        assert sorted(path.name for path in lost.trials.iterdir()) == ["1"]
    bench.step(int(trial_manager.LONGEST_RETRY_SECONDS))
    assert bench.store.trial("e", 1).attempt == 2
    assert sorted(path.name for path in (lost.folder / "checkpoint").iterdir()) == ["a.bin", "b.bin"]
    assert bench.controller.problem == ""
    assert "No space left on device" in " ".join(bench.store.experiment("e").notes)
    bench.scheduler.report(1, 0.5)
    bench.scheduler.end(1)
    bench.step()
    assert bench.store.trial("e", 1).state is TrialState.SUCCEEDED
    bench.store.close()


def test_a_cut_copy_is_never_gone_on_from(tmp_path: Path) -> None:
    """A controller that is killed while it copies has begun nothing: the next one copies again for the same attempt."""
    lost = Lost(tmp_path)
    bench = lost.bench
    with pytest.MonkeyPatch.context() as patch:
        fail_after_the_first(patch, KeyboardInterrupt())  # as a kill: nothing is tidied up
        with pytest.raises(KeyboardInterrupt):
            bench.step()
        assert list(lost.trials.glob(".*/checkpoint/*"))
    bench.crash()
    bench.add()
    bench.step(2)  # the loss was not on record yet
    assert bench.store.trial("e", 1).attempt == 2
    assert sorted(path.name for path in (lost.folder / "checkpoint").iterdir()) == ["a.bin", "b.bin"]
    assert sorted(path.name for path in lost.trials.iterdir()) == ["1", "2"]
    bench.store.close()


def test_a_full_disk_does_not_have_all_trials_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that can't be started keep their places: no more of them are made than run at once."""
    bench = Bench(tmp_path, slots=2)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=20)
    bench.add()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging, "prepare_folder", full)
    bench.step(20)
    assert len(bench.store.trials("e")) == 2
    assert not bench.scheduler.started
    bench.store.close()
