"""Python functions that are sent to a service."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest

import tunewell
from tests.server.serving import Serving, serving
from tunewell.client import Client
from tunewell.display import following
from tunewell.service.types import Trial
from tunewell.spec.errors import ConflictError, SpecError, UserError
from tunewell.spec.states import ExperimentState, TrialState

pytestmark = pytest.mark.timeout(300)

PARAMETERS = {"x": tunewell.uniform(-1, 1), "y": tunewell.uniform(-1, 1)}
LOSS = """
from their_numbers import square

OFFSET = 0.25

def loss(trial, x, y):
    trial.report(loss=square(x - OFFSET) + 1, step=1)
    return {"loss": square(x - OFFSET) + square(y), "number": trial.number}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service that takes functions."""
    with serving(tmp_path_factory.mktemp("functions") / "home", "--allow-functions") as one:
        yield one


@pytest.fixture(autouse=True)
def known(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's token is in the environment."""
    monkeypatch.setenv("TUNEWELL_SERVER", server.url)
    monkeypatch.setenv("TUNEWELL_TOKEN", server.token_file.read_text().strip())


@pytest.fixture
def loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A function of two modules that are nowhere else, one of which has been removed since."""
    (tmp_path / "their_loss.py").write_text(LOSS)
    (tmp_path / "their_numbers.py").write_text("def square(x):\n    return x * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("their_loss").loss
    for name in ("their_loss", "their_numbers"):
        del sys.modules[name]


def test_a_function_is_searched_over_there(
    server: Serving, loss: Callable[..., Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It takes its own modules with it, reports, and the same call gives the same search again."""
    result = tunewell.search(loss, PARAMETERS, metric="loss", server=server.url, max_trials=3, seed=1, name="sent")
    assert result.state is ExperimentState.COMPLETED and result.best.value >= 0
    rows = result.trials()
    assert [row["state"] for row in rows] == [TrialState.SUCCEEDED] * 3
    assert [report["step"] for report in rows[0]["reports"]] == [1, 2]
    assert len(result.top(2)) == 2 and result.plot() is not None
    assert result.report(tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    printed = capsys.readouterr().out
    assert "trial 3" in printed and "The search goes on if this is interrupted" in printed
    again = tunewell.search(loss, PARAMETERS, metric="loss", server=server.url, max_trials=3, seed=1, name="sent")
    assert again.best == result.best == tunewell.load("sent", server=server.url).best
    with Client(server.url) as client:
        spec = client.experiment("sent").spec
        assert spec["function"] == "their_loss:loss" and client.code(spec["code"]).files == 1


def test_callbacks_here_of_trials_there(server: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """Each trial that ends there is told here once; what it returned is judged and noted as here."""
    ended: list[Trial] = []
    better: list[Trial] = []

    def mixed(trial: tunewell.Trial, x: float) -> dict[str, Any] | None:
        return None if trial.number == 2 else {"objective": x, "model": "large"}

    def search(function: Callable[..., Any]) -> tunewell.Result:
        return tunewell.search(
            function,
            {"x": tunewell.uniform(0, 1)},
            goal="maximize",
            name="told",
            server=server.url,
            max_trials=3,
            progress=False,
            on_trial_end=ended.append,
            on_improvement=better.append,
        )

    result = search(mixed)
    by_number = {trial.number: trial for trial in ended}
    assert sorted(by_number) == [1, 2, 3] and len(ended) == 3
    assert by_number[2].cause == "no_metric" and "returned nothing (None)" in by_number[2].detail
    assert all("no numbers: model (str)" in " ".join(by_number[number].notes) for number in (1, 3))
    assert better[-1].number == result.best.number
    mixed.__code__ = (lambda trial, x: x).__code__
    with pytest.raises(ConflictError, match="the files of its program: others here"):
        search(mixed)
    assert not caplog.records


def test_a_search_is_left_and_followed_again(server: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a name, too: the same function and spec that has not ended is that search."""
    go = tmp_path / "go"

    def waits(x: float) -> float:
        import time

        while not go.exists():
            time.sleep(0.02)
        return x

    def search() -> tunewell.Result:
        parameters = {"x": tunewell.uniform(0, 1)}
        return tunewell.search(waits, parameters, server=server.url, max_trials=1, progress=False, goal="minimize")

    def leave(seconds: float) -> NoReturn:
        raise KeyboardInterrupt

    def let_it_end(seconds: float) -> None:
        go.touch()
        time.sleep(seconds)

    monkeypatch.setattr(following, "time", SimpleNamespace(sleep=leave, monotonic=time.monotonic))
    with pytest.raises(KeyboardInterrupt, match="'waits' goes on at"):
        search()
    monkeypatch.setattr(following, "time", SimpleNamespace(sleep=let_it_end, monotonic=time.monotonic))
    found = search()
    assert (found.name, found.state) == ("waits", ExperimentState.COMPLETED)
    with Client(server.url) as client:
        assert [one.name for one in client.experiments(search="waits").items] == ["waits"]


def test_what_goes_wrong_in_it_is_told(server: Serving) -> None:
    """As for one that runs here."""

    def breaks(x: float) -> float:
        raise ValueError(f"no number is as good as {x:.0f}")

    parameters = {"x": tunewell.uniform(0, 0.1)}
    result = tunewell.search(breaks, parameters, server=server.url, max_trials=1, goal="minimize", progress=False)
    assert result.trials()[0]["detail"] == "ValueError: no number is as good as 0"


def test_numbers_of_numpy_are_numbers(server: Serving) -> None:
    """As where the function is called here."""
    parameters = {"x": tunewell.choice([np.int64(1), np.int64(2)]), "y": tunewell.uniform(np.float32(0), np.float64(1))}
    result = tunewell.search(
        lambda x, y: x + y, parameters, server=server.url, max_trials=1, goal="minimize", name="numpy", progress=False
    )
    assert result.best.parameters["x"] in (1, 2)


def test_the_space_of_an_earlier_search_is_taken(server: Serving) -> None:
    """A single trial, as good as the best of another search, declares no parameters."""
    given: dict[str, Any] = {"server": server.url, "goal": "minimize", "progress": False}
    before = tunewell.search(lambda x: x, {"x": tunewell.uniform(0, 1)}, name="before", max_trials=2, **given)
    after = tunewell.search(lambda x: x, {}, name="after", parameters_from="before", **given)
    assert after.best.parameters == before.best.parameters


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"code": "0" * 64}, "code: search.. has no such argument"),
        ({"parameters": {"z": tunewell.uniform(0, 1)}}, "parameters.z: the function takes no argument of that name"),
        ({"function": 7}, "function: 7 can't be called"),
        ({"home": "here"}, "home: the server has its own"),
        ({"database": "postgresql://db/x"}, "database: the server has its own"),
        ({"scheduler": "inline"}, "scheduler: a server calls no function in this thread"),
        ({"working_directory": "/tmp"}, "working_directory: search.. has no such argument"),
    ],
)
def test_wrong_calls_are_refused(server: Serving, given: dict[str, Any], said: str) -> None:
    """Before anything is on record."""
    call: dict[str, Any] = {"function": lambda x: x, "parameters": {"x": tunewell.uniform(0, 1)}, "name": "wrong"}
    with pytest.raises(UserError, match=said):
        tunewell.search(**{**call, **given}, goal="minimize", server=server.url)
    with Client(server.url) as client:
        assert not client.experiments(search="wrong").items


def test_a_function_that_cannot_be_pickled_is_refused(server: Serving) -> None:
    """Named is what in it can't."""
    lock = threading.Lock()
    with pytest.raises(SpecError, match="because of 'lock'"):
        tunewell.search(lambda x: lock and x, {"x": tunewell.uniform(0, 1)}, goal="minimize", server=server.url)


def test_a_function_of_another_python_is_refused(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial could read it."""
    monkeypatch.setattr("tunewell.tasks.sent_function._FILE", "function-3.99.pkl")
    with pytest.raises(SpecError, match=r"it was sent by Python 3\.99, and the service has"):
        tunewell.search(lambda x: x, {"x": tunewell.uniform(0, 1)}, goal="minimize", server=server.url)


def test_a_service_takes_none_unless_it_was_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is in words of Python."""
    with serving(tmp_path / "home") as other:
        monkeypatch.setenv("TUNEWELL_TOKEN", other.token_file.read_text().strip())
        monkeypatch.setenv("TUNEWELL_SERVER", other.url)
        with pytest.raises(SpecError, match=r"takes no Python functions.*--allow-functions"):
            tunewell.search(lambda x: x, {"x": tunewell.uniform(0, 1)}, goal="minimize", server=other.url)
