"""An experiment too large to be written trial by trial, made by the database itself."""

from __future__ import annotations

import sqlalchemy

from tests.store.lives import add, create
from tunewell.store import Store

NAME = "large"
TRIALS = 2**15
#: The one trial with a cause that no other has.
RARE = 21_000

_NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TRIALS - 1})"
_COMMON = """experiment_id, number, detail, attempt, parameters, origin, fidelity, created_at, cost_seconds, state,
ended_at, ended_order"""
_COMMON_VALUES = """1, i, '', 1, '{"x":0.5,"optimizer":"adamw"}', 'random', CASE WHEN i % 2 = 1 THEN 1.0 ELSE 0.25 END,
i, 1.0, state, CASE WHEN state IN ('waiting', 'running') THEN NULL ELSE i END,
CASE WHEN state IN ('waiting', 'running') THEN NULL ELSE i END"""
_STATES = f"""(SELECT i, CASE WHEN i > {TRIALS - 5} THEN 'waiting' WHEN i > {TRIALS - 10} THEN 'running'
WHEN i % 10 < 3 THEN 'failed' WHEN i % 10 = 3 THEN 'pruned' WHEN i % 10 = 4 THEN 'stopped' ELSE 'succeeded' END AS state
FROM n) s"""
#: Each row is written once, as it is in the end: PostgreSQL would have to step over what it was before.
_FILL = [
    f"""INSERT INTO trial ({_COMMON}, notes, cause) {_NUMBERS}
    SELECT {_COMMON_VALUES}, '["a note"]', CASE i WHEN {RARE} THEN 'timeout' ELSE 'crashed' END
    FROM {_STATES} WHERE state = 'failed'""",
    f"""INSERT INTO trial ({_COMMON}, value, loss) {_NUMBERS}
    SELECT {_COMMON_VALUES}, CASE WHEN state IN ('succeeded', 'pruned', 'stopped') THEN i * 7919 % 50 END,
    CASE WHEN state IN ('succeeded', 'stopped') THEN -(i * 7919 % 50) END
    FROM {_STATES} WHERE state <> 'failed'""",
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


def make(url: str) -> None:
    """Write the experiment NAME of TRIALS trials, each with two reports, into an empty database."""
    with Store(url) as store:
        create(store, NAME)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in _FILL:
            connection.exec_driver_sql(statement.replace("%", "%%") if engine.name == "postgresql" else statement)
    engine.dispose()
    with Store(url) as store:  # which notes that there are twice as many as when it noted that last
        add(store, TRIALS, name=NAME)
