"""An experiment too large to be written trial by trial, made by the database itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.store.lives import create
from tunewell.store import Store

NAME = "large"
TRIALS = 100_000
#: The one trial with a cause that no other has.
RARE = 70_000

_NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TRIALS})"
_STATE = f"""CASE WHEN i > {TRIALS - 5} THEN 'waiting' WHEN i > {TRIALS - 10} THEN 'running'
WHEN i % 10 < 3 THEN 'failed' WHEN i % 10 = 3 THEN 'pruned' WHEN i % 10 = 4 THEN 'stopped' ELSE 'succeeded' END"""
_FILL = [
    f"""INSERT INTO trial (experiment_id, number, state, detail, attempt, parameters, origin, fidelity, created_at,
    cost_seconds) {_NUMBERS} SELECT 1, i, {_STATE}, '', 1, '{{"x":0.5,"optimizer":"adamw"}}', 'random',
    CASE WHEN i % 2 THEN 1.0 ELSE 0.25 END, i, 1.0 FROM n""",
    "UPDATE trial SET ended_order = number, ended_at = number WHERE state NOT IN ('waiting', 'running')",
    f"""UPDATE trial SET notes = '["a note"]', cause = CASE number WHEN {RARE} THEN 'timeout' ELSE 'crashed' END
    WHERE state = 'failed'""",
    "UPDATE trial SET value = number * 7919 % 50 WHERE state IN ('succeeded', 'pruned', 'stopped')",
    "UPDATE trial SET loss = -value WHERE state IN ('succeeded', 'stopped')",
    f"INSERT INTO report {_NUMBERS} SELECT 1, i, 1, s.column1, '{{\"loss\":0.5}}', i FROM n, (VALUES (1), (2)) s",
    f"""INSERT INTO event (experiment_id, time, kind, trial, attempt, data) {_NUMBERS}
    SELECT 1, i, k.column1, i, 1, '{{"state":"succeeded","identity":"a"}}' FROM n,
    (VALUES ('suggested'), ('started'), ('ended')) k""",
    "UPDATE experiment SET noted_trials = (SELECT count(*) FROM trial WHERE notes IS NOT NULL)",
    *(
        f"UPDATE experiment SET {state}_trials = (SELECT count(*) FROM trial WHERE state = '{state}')"
        for state in ("waiting", "running", "succeeded", "stopped", "pruned", "failed")
    ),
    "UPDATE experiment SET best_trial = 1",
]


def make(path: Path) -> None:
    """Make a SQLite database with the experiment NAME of TRIALS trials, each with two reports."""
    with Store(f"sqlite:///{path}") as store:
        create(store, NAME)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in _FILL:
            connection.execute(statement)
