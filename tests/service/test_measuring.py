"""The process that measures a training: what it holds of the machine, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schedulers.bench import wait_until
from tests.service.children import measurements
from tunewell.schedulers import hardware
from tunewell.schedulers.claims import Claim, Claims
from tunewell.schedulers.processes import identity
from tunewell.service import measuring, measuring_process
from tunewell.spec.capacity import Capacity, Gpu
from tunewell.spec.launch import Resources
from tunewell.trial.files import FAILURE, read_json

ONE_GPU = Resources(cpus=1, gpus=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it is measured."""
    (tmp_path / "measured").mkdir()
    return tmp_path / "measured"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries can be imported by other processes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def entry(name: str) -> str:
    """Return an entry."""
    return f"{measurements.__name__}:{name}"


def test_what_gets_no_gpu_sees_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process sees: a trial may hold it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    measuring._run(folder, entry("seen"), Resources(), None)
    assert read_json(folder / "result.json") == {"gpus": ""}


def test_the_gpu_is_one_that_nobody_holds(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is claimed as a trial claims it, so no trial gets it meanwhile; where none is free there is none."""
    node = hardware.empty_node(4, 1 << 33, (Gpu("0"), Gpu("1")))
    monkeypatch.setattr(hardware, "machine", lambda: Capacity((node,)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    trial, path = Claims(tmp_path / "claims"), tmp_path / "claims"
    assert trial.take(lambda held: Claim(tmp_path / "trial", 1, 0, ("0",)))
    own = Claims(path)
    assert measuring_process._claim(own, folder, ONE_GPU) == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert {gpu for claim in Claims(path).held() for gpu in claim.gpus} == {"0", "1"}
    assert measuring_process._claim(Claims(path), tmp_path / "other", ONE_GPU) == "the machine is busy"


def test_a_busy_machine_measures_nothing(folder: Path, tmp_path: Path) -> None:
    """What was claimed is free again when the process has ended."""
    path, whole = tmp_path / "claims", Resources(cpus=hardware.machine().cpus)
    trial = Claims(path)
    assert trial.take(lambda held: Claim(tmp_path / "trial", whole.cpus))
    measuring._run(folder, entry("seen"), whole, path)
    failure = read_json(folder / FAILURE)
    assert failure is not None and failure["detail"] == "the machine is busy"
    trial.give_up(tmp_path / "trial")
    trial.sync()
    measuring._run(folder, entry("seen"), whole, path)
    assert read_json(folder / "result.json") is not None
    assert Claims(path).held() == ()


def test_it_ends_with_who_wanted_to_know(folder: Path, tmp_path: Path) -> None:
    """If that is killed, process and folder go, too."""
    program = (
        "import sys; from pathlib import Path; from tunewell.service import measuring; "
        "from tunewell.spec.launch import Resources; "
        "measuring._run(Path(sys.argv[1]), sys.argv[2], Resources(), None)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(folder), entry("endless")]) as parent:
        pid = wait_until(lambda: read_json(tmp_path / "pid.json"))["pid"]
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: identity(pid) is None)
    assert not folder.exists()


def test_it_has_a_time_of_its_own(folder: Path) -> None:
    """It ends after that, even if nobody ends it."""
    measuring.write_json(
        folder / measuring_process.ORDER,
        {"entry": entry("endless"), "resources": Resources().to_json(), "claims": None},
    )
    command = [sys.executable, "-m", measuring_process.__name__, str(folder), "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(60) == -signal.SIGALRM
