"""Models in processes of their own: warm, bounded, and each by itself in what goes wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.schedulers.bench import wait_until
from tests.serving.models import orders, write
from tunewell.serving.contract import Answer, Limits
from tunewell.serving.once import Once
from tunewell.serving.pool import Pool
from tunewell.spec.errors import BusyError, DataError, ModelError

LIMITS = Limits(models=2, queue=2, request_seconds=60.0, load_seconds=60.0)


def process_of(answer: Answer) -> int:
    """Return the number of the process that has answered."""
    return int(answer.predictions[0]["process"])


def is_gone(number: int) -> bool:
    """Whether there is no such process any more."""
    return not psutil.pid_exists(number)


def begun(go: Path) -> Callable[[], bool]:
    """Return whether a model waits for a file."""
    return Path(f"{go}.begun").exists


def test_a_model_stays_loaded(tmp_path: Path) -> None:
    """The second request finds the process of the first; the pool's end is the process's."""
    a = write(tmp_path, "a")
    with Pool(tmp_path, LIMITS) as pool:
        first = pool.ask(a, orders("say", "say", "say"))
        assert [one["file"] for one in first.predictions] == ["0.png", "1.png", "2.png"]
        assert {one["model"] for one in first.predictions} == {"a"} and first.seconds >= 0
        process = process_of(pool.ask(a, orders("say")))
        assert process == process_of(first) and pool.loaded == (a.sha256,)
    assert is_gone(process)


def test_what_cant_be_read_is_named(tmp_path: Path) -> None:
    """An error names the first item and the others; the model goes on."""
    a = write(tmp_path, "a")
    with Pool(tmp_path, LIMITS) as pool:
        with pytest.raises(DataError, match="it is bad") as told:
            pool.ask(a, orders("say", "bad", "bad"))
        assert told.value.field == "1.png" and "2.png" in told.value.what
        pool.ask(a, orders("say"))


def test_a_death_costs_one_request(tmp_path: Path) -> None:
    """Whoever asked learns of it; what others ask another model goes on, and the next request has a new process."""
    a, b, go = write(tmp_path, "a"), write(tmp_path, "b"), tmp_path / "go"
    with Pool(tmp_path, LIMITS) as pool, ThreadPoolExecutor() as threads:
        process = process_of(pool.ask(a, orders("say")))
        other, mine = (
            threads.submit(pool.ask, b, orders(f"wait {go}")),
            threads.submit(pool.ask, a, orders(f"wait {tmp_path / 'x'}")),
        )
        wait_until(begun(go))
        os.kill(process, signal.SIGKILL)
        with pytest.raises(ModelError) as told:
            mine.result(60)
        assert told.value.kind == "model-died"
        with pytest.raises(ModelError):
            pool.ask(a, orders("die"))
        assert process_of(pool.ask(a, orders("say"))) != process
        go.touch()
        assert other.result(60).predictions[0]["model"] == "b"


def test_a_death_between_requests_costs_none(tmp_path: Path) -> None:
    """A process that nobody waits for is started again unseen."""
    a = write(tmp_path, "a")
    with Pool(tmp_path, LIMITS) as pool:
        process = process_of(pool.ask(a, orders("say")))
        os.kill(process, signal.SIGKILL)
        known = pool._places[a.sha256].process
        assert known is not None
        wait_until(lambda: not known.lives)
        assert process_of(pool.ask(a, orders("say"))) != process


def test_a_model_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its time, whoever asked learns of it, and the next request has a new process."""
    a = write(tmp_path, "a")
    with Pool(tmp_path, replace(LIMITS, request_seconds=0.5)) as pool:
        with pytest.raises(ModelError) as told:
            pool.ask(a, orders(f"wait {tmp_path / 'never'}"))
        assert told.value.kind == "model-too-slow"
    with Pool(tmp_path, LIMITS) as pool:
        pool.ask(a, orders("say"))


def test_a_queue_is_bounded(tmp_path: Path) -> None:
    """Beyond so many requests to a model, the next one is refused at once; others wait for their turn."""
    a, go = write(tmp_path, "a"), tmp_path / "go"
    with Pool(tmp_path, LIMITS) as pool, ThreadPoolExecutor() as threads:
        first = threads.submit(pool.ask, a, orders(f"wait {go}"))
        wait_until(begun(go))
        second = threads.submit(pool.ask, a, orders("say"))
        wait_until(lambda: pool._places[a.sha256].asked == 2)
        with pytest.raises(BusyError):
            pool.ask(a, orders("say"))
        go.touch()
        assert process_of(first.result(60)) == process_of(second.result(60))


def test_who_has_waited_too_long_does_no_harm(tmp_path: Path) -> None:
    """A request whose turn does not come is refused; the process that works on another one goes on."""
    a, go = write(tmp_path, "a"), tmp_path / "go"
    with Pool(tmp_path, LIMITS) as pool, ThreadPoolExecutor() as threads:
        first = threads.submit(pool.ask, a, orders(f"wait {go}"))
        wait_until(begun(go))
        pool._limits = replace(LIMITS, request_seconds=0.1)
        with pytest.raises(BusyError, match="too long"):
            pool.ask(a, orders("say"))
        go.touch()
        assert first.result(60).predictions


def test_a_model_that_nobody_asks_is_unloaded(tmp_path: Path) -> None:
    """After its idle time the process is gone; the next request loads it again."""
    a, now = write(tmp_path, "a"), [1000.0]
    with Pool(tmp_path, replace(LIMITS, idle_seconds=300.0), clock=lambda: now[0]) as pool:
        process = process_of(pool.ask(a, orders("say")))
        now[0] += 299.0
        pool.tidy()
        assert pool.loaded == (a.sha256,)
        now[0] += 2.0
        pool.tidy()
        assert pool.loaded == () and is_gone(process)
        assert process_of(pool.ask(a, orders("say"))) != process


def test_the_one_used_longest_ago_makes_room(tmp_path: Path) -> None:
    """Of two that may be loaded, the third takes the place of the one used longest ago, and of none that is asked."""
    a, b, c, go = *(write(tmp_path, name) for name in "abc"), tmp_path / "go"
    with Pool(tmp_path, LIMITS) as pool, ThreadPoolExecutor() as threads:
        process = process_of(pool.ask(a, orders("say")))
        pool.ask(b, orders("say"))
        pool.ask(c, orders("say"))
        assert set(pool.loaded) == {b.sha256, c.sha256} and is_gone(process)
        waits = [threads.submit(pool.ask, one, orders(f"wait {go}{number}")) for number, one in enumerate((b, c))]
        for number in range(2):
            wait_until(begun(Path(f"{go}{number}")))
        with pytest.raises(BusyError):
            pool.ask(a, orders("say"))
        for number, wait in enumerate(waits):
            Path(f"{go}{number}").touch()
            wait.result(60)
        pool.ask(a, orders("say"))


def test_memory_is_bounded(tmp_path: Path) -> None:
    """What does not fit beside a model takes its place; what alone is too large is refused, and named as that."""
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    with Pool(tmp_path, LIMITS) as pool:
        process = process_of(pool.ask(a, orders("say")))
        taken = psutil.Process(process).memory_info().rss
        pool._limits = replace(LIMITS, memory_bytes=taken * 3 // 2)
        pool.ask(b, orders("say"))
        assert pool.loaded == (b.sha256,) and is_gone(process)
        pool._limits = replace(LIMITS, memory_bytes=taken // 2)
        with pytest.raises(DataError) as told:
            pool.ask(a, orders("say"))
        assert told.value.kind == "model-too-large"


def test_damaged_files_are_noticed(tmp_path: Path) -> None:
    """A model whose files are not what was published is not served, and neither is one whose files are gone."""
    a, b = write(tmp_path, "a"), write(tmp_path, "b")
    (tmp_path / a.sha256 / "name").write_text("another")
    (tmp_path / b.sha256).rename(tmp_path / "away")
    with Pool(tmp_path, LIMITS) as pool:
        for model in (a, b):
            with pytest.raises(DataError) as told:
                pool.ask(model, orders("say"))
            assert told.value.kind == "model-damaged"
        assert pool.loaded == ()


def test_without_a_service(tmp_path: Path) -> None:
    """A call starts the model's process, and ends it."""
    a = write(tmp_path, "a")
    assert is_gone(process_of(Once(tmp_path).ask(a, orders("say"))))
