"""Lists that stay quick however large experiments are, and exports that are the same in parts as in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tests.service.test_service import SPEC
from tunewell.service.attempt_files import read_log
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store.rows import AttemptEnd


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """A service with two experiments, of which `e` has three trials."""
    with Service(tmp_path / "home", database) as service:
        for name in ("e", "f"):
            service.create({**SPEC, "name": name})
        with service.store.transaction() as tx:
            for number in (1, 2, 3):
                tx.add_trial("e", number, {"x": 0.5}, "random", 1.0, None, 1.0)
                tx.start_attempt(AttemptKey("e", number, 1), now=1.0)
                end = AttemptEnd(TrialState.SUCCEEDED, value=number / 3, now=2.0)
                tx.finish_trial(AttemptKey("e", number, 1), end)
        yield service


@contextmanager
def asked_statements() -> Iterator[list[str]]:
    """Give a list to which all that databases are asked in the block is added."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


def test_a_list_reads_no_trials(service: Service) -> None:
    """Counts, best trials, defaults and folders of a page of experiments come from one question to the database."""
    with Service(service.home.folder, service.store.url) as other, asked_statements() as asked:
        first, second = other.experiments().items
    assert second.best is not None and (second.best.number, second.trials[TrialState.SUCCEEDED]) == (3, 3)
    assert first.best is None
    assert len([statement for statement in asked if "FROM experiment" in statement]) == 1
    assert not [statement for statement in asked if "FROM trial" in statement]


def test_an_export_asks_for_a_page(service: Service) -> None:
    """The reports of all trials on a page come from one question, and so do the last metrics of many trials."""
    with asked_statements() as asked:
        assert len(service.export_trials("e", limit=3).items) == 3
    assert len([statement for statement in asked if "FROM report" in statement]) == 1
    with asked_statements() as asked:
        service.store.last_metrics("e", range(1, 500))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["e", "f"])
def test_an_export_in_parts_is_one_object(service: Service, name: str) -> None:
    """The parts make up the text that the whole object has, with trials or without."""
    text = "".join(service.export(name))
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_a_log_may_be_asked_for_from_anywhere(tmp_path: Path) -> None:
    """An offset or a limit beyond all files is no error."""
    log = tmp_path / "output.log"
    log.write_bytes(b"line\n")
    assert read_log(log, 0, 10**30, ended=True).data == b"line\n"
    assert (read_log(log, 10**30, 10, ended=True).data, read_log(log, 10**30, 10, ended=True).ended) == (b"", True)
