"""Fork servers: preloading, fresh processes, failures of the fork server itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from tests.schedulers.bench import Bench, has_ended, with_environment
from tunewell.spec.launch import Launch, Resources
from tunewell.spec.states import Cause

ENTRIES = "tests.schedulers.children.entries"


def seen_by(bench: Bench, number: int, **fields: Any) -> dict[str, Any]:
    """Run the entry that describes its surroundings; return what it has seen."""
    launch = with_environment(bench.launch(number, entry=f"{ENTRIES}:describe", **fields), TUNEWELL_FIDELITY="0.25")
    assert bench.run(launch).cause is None, (launch.folder / "output.log").read_text()
    return dict(json.loads((launch.folder / "seen.json").read_text()))


def test_entry_surroundings(bench: Bench) -> None:
    """An entry runs in its own group, directory and environment, with only its own files open and no signal blocked."""
    seen = seen_by(bench, 1, parameters={"x": 0.5}, preload=("colorsys",), resources=Resources(cpus=2))
    launch = bench.launch(1)
    assert seen["parameters"] == {"x": 0.5} and seen["fidelity"] == 0.25
    assert seen["directory"] == str(bench.folder)
    assert seen["group"] == seen["pid"] != seen["session"]
    assert seen["session"] == bench.supervisor_of(launch)["supervisor"]["pid"]
    assert seen["blocked"] == []
    assert seen["descriptors"] == ["/dev/null", *[bench.supervisor_of(launch)["output"]] * 2]
    assert seen["environment"]["TUNEWELL_TRIAL"] == "1"
    assert "colorsys" in seen["modules"]
    expected = os.environ.get("NUMEXPR_NUM_THREADS", "2")
    assert seen["environment"]["NUMEXPR_NUM_THREADS"] == expected


def test_no_state_from_trial_to_trial(bench: Bench) -> None:
    """Neither globals nor the environment nor the random state of one trial reach the next."""
    seen = [seen_by(bench, number, preload=(ENTRIES, "numpy")) for number in (1, 2, 3)]
    assert [one["state"] for one in seen] == [["called"]] * 3
    assert all("LEAK" not in one["environment"] for one in seen)
    assert len({one["random"] for one in seen}) == len({one["numpy"] for one in seen}) == 3


def test_preload_is_shared(bench: Bench) -> None:
    """Each distinct set of preloaded modules has one fork server, whatever the number of trials."""
    for number in (1, 2, 3, 4):
        bench.run(bench.launch(number, entry=f"{ENTRIES}:describe", preload=("colorsys",) if number % 2 else ()))
    running = [p for p in psutil.Process().children() if "tunewell.schedulers.fork_server" in p.cmdline()]
    assert len(running) == 2


def test_import_path_is_passed_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that only this process's import path leads to can be an entry."""
    (bench.folder / "hidden_module.py").write_text("def run(folder): print('found', __file__)\n")
    monkeypatch.setattr(sys, "path", [str(bench.folder), *sys.path])
    launch = bench.launch(entry="hidden_module:run")
    assert bench.run(launch).cause is None
    assert "found" in (launch.folder / "output.log").read_text()


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("import os; os._exit(9)", "ended with code 9 while importing broken_module"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_preload_that_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch, source: str, detail: str) -> None:
    """A module that can't be preloaded is a crash that says so, for each attempt; mended, it works again."""
    module = bench.folder / "broken_module.py"
    module.write_text(source)
    monkeypatch.setattr(sys, "path", [str(bench.folder), *sys.path])

    def launch(number: int) -> Launch:
        return bench.launch(number, entry=f"{ENTRIES}:describe", preload=("broken_module",))

    for started in [bench.start(launch(number)) for number in (1, 2)]:
        exit_ = bench.finish(started)
        assert exit_.cause is Cause.CRASHED
        assert detail in exit_.detail and "broken_module" in exit_.detail
    module.write_text("answer = 42\n")
    assert bench.run(launch(3)).cause is None


def test_stop_while_preloading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that is stopped before its fork server is ready never begins."""
    gate = bench.folder / "gate"
    (bench.folder / "slow_module.py").write_text(
        f"import time, pathlib\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.setattr(sys, "path", [str(bench.folder), *sys.path])
    launch = bench.start(bench.launch(entry=f"{ENTRIES}:describe", preload=("slow_module",)))
    bench.poll()
    bench.scheduler.stop(launch.key)
    gate.touch()
    assert bench.finish(launch).stopped
    assert not (launch.folder / "seen.json").exists()


def test_stop_while_the_fork_server_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt whose fork server never gets ready can be stopped, and will not begin should it be ready after all."""
    gate = bench.folder / "gate"
    (bench.folder / "slow_module.py").write_text(
        f"import time, pathlib\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.setattr(sys, "path", [str(bench.folder), *sys.path])
    monkeypatch.setattr("tunewell.schedulers.local.OVERDUE_SECONDS", 0.1)
    late = bench.start(bench.launch(1, entry=f"{ENTRIES}:describe", preload=("slow_module",)))
    bench.scheduler.stop(late.key, 0.0)
    assert bench.finish(late).cause is Cause.KILLED
    gate.touch()
    bench.run(bench.launch(2, entry=f"{ENTRIES}:describe", preload=("slow_module",)))
    assert not (late.folder / "seen.json").exists()


def test_sigterm_in_an_entry(bench: Bench) -> None:
    """A stopped entry can clean up: SIGTERM comes as an exception."""
    launch = bench.start(bench.launch(entry=f"{ENTRIES}:wait"))
    bench.wait_for_output(launch)
    bench.scheduler.stop(launch.key)
    assert bench.finish(launch).stopped
    assert "leaving because of Pruned" in (launch.folder / "output.log").read_text()


def test_forked_children_are_swept(bench: Bench) -> None:
    """A child that an entry forked, and that left the session, goes with the entry."""
    launch = bench.start(bench.launch(entry=f"{ENTRIES}:fork_and_wait"))
    bench.wait_for_output(launch)
    log = bench.wait_for_output(launch, "child")
    bench.scheduler.stop(launch.key)
    bench.finish(launch)
    assert has_ended(int(log.partition("child ")[2].split()[0]))


def test_torch_after_the_fork(bench: Bench) -> None:
    """An entry forked from a process that has torch loaded can use it with several threads, and seeds differ."""
    pytest.importorskip("torch")
    (bench.folder / "uses_torch.py").write_text(
        "import torch\n"
        "def run(folder):\n"
        "    x = torch.randn(8, 3, 64, 64)\n"
        "    torch.nn.functional.conv2d(x, torch.randn(16, 3, 3, 3)).sum()\n"
        "    print(torch.get_num_threads(), float(x[0, 0, 0, 0]))\n"
    )
    results = []
    path = sys.path[:]
    sys.path.insert(0, str(bench.folder))
    try:
        for number in (1, 2):
            launch = bench.launch(number, entry="uses_torch:run", preload=("torch",), resources=Resources(cpus=2))
            assert bench.run(launch).cause is None
            results.append((launch.folder / "output.log").read_text().split())
    finally:
        sys.path[:] = path
    assert [threads for threads, _ in results] == ["2", "2"]
    assert results[0] != results[1]


def test_command_fork_server_is_light() -> None:
    """What the fork server of commands imports has nothing heavy in it: every fork would copy it."""
    program = "import tunewell.schedulers.fork_server, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "pydantic", "sqlalchemy", "asyncio", "rich"} & set(loaded)
