"""Trials from elsewhere: what becomes of them, and what is wrong with them."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tunewell.service.service import Service
from tunewell.service.types import Submission
from tunewell.spec.errors import ConflictError, DataError, UserError
from tunewell.spec.format import MOST_SECONDS
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import AttemptEnd

SPEC: dict[str, Any] = {
    "name": "old",
    "command": ["echo", "{lr}", "{opt}", "{momentum}"],
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {
        "lr": {"low": 0.001, "high": 1.0, "log": True},
        "opt": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 1.0, "when": {"opt": "sgd"}},
        "nesterov": [True, False],
        "layers": {"low": 1, "high": 4},
        "fixed": 3,
    },
}
HEADER = "lr,opt,momentum,nesterov,layers,loss"
GOOD = "0.1,adam,,True,2,0.5"


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """A service on an empty home."""
    with Service(tmp_path / "home", database) as service:
        yield service


def table(tmp_path: Path, *rows: str) -> Path:
    """Write a CSV file."""
    path = tmp_path / "trials.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def take(service: Service, spec: dict[str, Any], path: Path) -> Submission:
    """Import a CSV file."""
    return service.import_table(spec, path.read_bytes(), str(path))


def exported(service: Service, name: str) -> list[dict[str, Any]]:
    """Return the trials of an experiment as they are exported."""
    trials: list[dict[str, Any]] = json.loads("".join(service.export(name)))["trials"]
    return trials


def test_any_table_becomes_an_experiment(service: Service, tmp_path: Path) -> None:
    """Columns in any order, further ones ignored, constants filled in, inactive parameters dropped."""
    path = table(
        tmp_path, f"{HEADER},note", f'{GOOD},"good, but slow"', "1e-2,sgd,0.9,false,4.0,0.25,", "1,adam,7,TRUE,1,3,"
    )
    assert take(service, SPEC, path).name == "old"
    row = service.store.experiment("old")
    assert row.state is ExperimentState.COMPLETED
    assert row.detail == f"Imported from {path}."
    first, second, third = service.store.trials("old")
    assert first.parameters == {"lr": 0.1, "opt": "adam", "nesterov": True, "layers": 2, "fixed": 3}
    assert second.parameters == {
        "lr": 0.01, "opt": "sgd", "momentum": 0.9, "nesterov": False, "layers": 4, "fixed": 3
    }  # fmt: skip
    assert third.parameters == {"lr": 1.0, "opt": "adam", "nesterov": True, "layers": 1, "fixed": 3}
    assert (first.value, first.state, first.origin) == (0.5, TrialState.SUCCEEDED, "imported")
    best = service.result("old").best
    assert best is not None
    assert best.number == 2
    assert service.report("old")


@pytest.mark.parametrize("cell", ["null", "None", ""])
def test_null_in_a_table(service: Service, tmp_path: Path, cell: str) -> None:
    """Null is read as it is exported, and as other programs write it; conditions may name it."""
    spec = {
        **SPEC,
        "command": ["echo", "{depth}", "{leaves}"],
        "parameters": {"depth": [3, None], "leaves": {"low": 2, "high": 9, "when": {"depth": None}}},
    }
    take(service, spec, table(tmp_path, "depth,leaves,loss", "3,,1", f"{cell},7,0.5"))
    first, second = service.store.trials("old")
    assert first.parameters == {"depth": 3}
    assert second.parameters == {"depth": None, "leaves": 7}
    assert list(service.export("old", "csv"))[-1].endswith(",null,7\n")
    assert '<td class="short">null</td>' in service.report("old")


def test_an_export_comes_back_as_it_was(service: Service, tmp_path: Path) -> None:
    """States, causes, values, parameters, fidelities and costs are those of the exported trials."""
    service.submit({**SPEC, "name": "first"})
    complete = {"lr": 0.1, "opt": "adam", "nesterov": True, "layers": 2, "fixed": 3}
    ends = [
        (TrialState.SUCCEEDED, None, 0.5),
        (TrialState.FAILED, Cause.GPU_OOM, None),
        (TrialState.PRUNED, None, 0.9),
        (TrialState.STOPPED, None, None),
    ]
    with service.store.transaction() as tx:
        for number, (state, cause, value) in enumerate(ends, 1):
            tx.add_trial("first", number, {**complete, "lr": number / 10}, "model", 0.5, None, 1.0)
            tx.start_attempt(AttemptKey("first", number, 1), now=1.0)
            tx.finish_trial(AttemptKey("first", number, 1), AttemptEnd(state, cause=cause, value=value, now=4.0))
        tx.add_trial("first", 5, complete, "model", 1.0, None, 5.0)
    rows = "".join(service.export("first", "csv")).splitlines()
    take(service, SPEC, table(tmp_path, *rows))
    one, two = exported(service, "first"), exported(service, "old")
    assert len(two) == 4
    kept = ("number", "state", "cause", "value", "parameters", "fidelity", "cost_seconds")
    assert [[trial[key] for key in kept] for trial in two] == [
        [pytest.approx(trial[key]) if key == "cost_seconds" else trial[key] for key in kept] for trial in one[:4]
    ]


@pytest.mark.one_database("they are read before anything is recorded")
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HEADER], "there is no finished trial. Nothing was imported."),
        (["lr,opt,momentum,nesterov,layer,loss", GOOD], "there is no column 'layers'. Did you mean 'layer'?"),
        (["lr,opt,momentum,nesterov,layers,los", GOOD], "there is no column 'loss'. Did you mean 'los'?"),
        (
            [HEADER, GOOD, "5,adam,,True,2,0.5"],
            ", row 3, parameter 'lr': 5 is outside 0.001 … 1 (log). Have the spec's range hold it, or leave the",
        ),
        (
            [HEADER, "0.1,lion,,True,2,0.5"],
            ", row 2, parameter 'opt': 'lion' is outside sgd | adam. Add it to the spec's values, or leave the",
        ),
        (
            [HEADER, "0.1,sgd,,True,2,0.5"],
            ", row 2, parameter 'momentum': there is no value, but it is active here. Give one, or leave the",
        ),
        (
            [HEADER, "0.1,adam,,True,2.5,0.5"],
            ", row 2, parameter 'layers': 2.5 is no whole number in 1 … 4. Have the spec's range hold it, or leave the",
        ),
        (
            [HEADER, "0.1,adam,,True,2,nan"],
            ", row 2, column 'loss': 'nan' is no finite number. Give one, or drop the row.",
        ),
        ([HEADER, "0.1,adam,,True,2,"], ", row 2, column 'loss': there is no value. Give one, or drop the row."),
        ([HEADER, "0.1,adam"], ", row 2, column 'loss': there is no value. Give one, or drop the row."),
        ([HEADER, GOOD + ",1"], ", row 2: there are more values than columns. Put values with commas in quotes."),
        ([HEADER, '"0.1'], "it is no valid CSV (unexpected end of data). Fix it."),
        (
            [HEADER + ",state", GOOD + ",succeded"],
            ", row 2, column 'state': 'succeded' is none that there is. Did you mean 'succeeded'?",
        ),
        ([HEADER + ",fidelity", GOOD + ",2"], ", row 2, column 'fidelity': 2.0 is no share."),
        ([HEADER + ",cost_seconds", GOOD + ",-2"], ", row 2, column 'cost_seconds': -2.0 is negative."),
        ([HEADER + ",cost_seconds", GOOD + ",1e300"], ", row 2, column 'cost_seconds': 1e+300 is too long a time."),
        (
            [HEADER + ",cost_seconds", GOOD + "," + "9" * 400],
            f", row 2, column 'cost_seconds': '{'9' * 56}... is no finite number.",
        ),
        (
            [HEADER, "0.1,adam,,True,2," + "9" * 400],
            f", row 2, column 'loss': '{'9' * 56}... is no finite number.",
        ),
        ([HEADER, "0.1,adam,,True," + "9" * 400 + ",0.5"], ", row 2, parameter 'layers': "),
        ([HEADER, "9" * 400 + ",adam,,True,2,0.5"], ", row 2, parameter 'lr': "),
    ],
)
def test_bad_tables_are_refused_as_a_whole(service: Service, tmp_path: Path, rows: list[str], message: str) -> None:
    """The message names file, row, column, value and remedy; nothing is imported."""
    with pytest.raises(DataError) as caught:
        take(service, SPEC, table(tmp_path, *rows))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "trials.csv"))
    assert service.store.experiments() == []


def test_wrong_encodings_are_told(service: Service, tmp_path: Path) -> None:
    """What can't be read is no table."""
    (tmp_path / "cut.csv").write_bytes(b"\xff\xfel")
    with pytest.raises(DataError, match=r"not UTF-16.*Save it as CSV in UTF-8"):
        take(service, SPEC, tmp_path / "cut.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_other_programs(service: Service, tmp_path: Path, encoding: str) -> None:
    """A table of trials may be in any encoding that programs write."""
    (tmp_path / "old.csv").write_bytes(f"{HEADER},größe\n{GOOD},1\n".encode(encoding))
    take(service, SPEC, tmp_path / "old.csv")
    assert len(exported(service, SPEC["name"])) == 1


def test_imported_experiments_do_not_go_on_but_help(service: Service, tmp_path: Path) -> None:
    """They are neither continued, nor retried, nor imported into; a new search starts from them."""
    path = table(tmp_path, HEADER + ",state", GOOD + ",", "0.2,adam,,True,1,,failed")
    take(service, SPEC, path)
    for attempt in (
        lambda: take(service, SPEC, path),
        lambda: service.submit({**SPEC, "max_trials": 30}),
        lambda: service.retry("old"),
    ):
        with pytest.raises(ConflictError):
            attempt()
    service.submit({**SPEC, "name": "new", "warm_start": "old"})
    (source,) = service.store.experiment("new").algorithm["sources"]
    assert [trial[0] for trial in source["trials"]] == [1]


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """A study of Optuna in a file, and its URL as attribute `url`."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url, study_name="s", direction="minimize")

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 0.001, 1.0, log=True)
        opt = trial.suggest_categorical("opt", ["sgd", "adam"])
        momentum = trial.suggest_float("momentum", 0.0, 1.0) if opt == "sgd" else 0.0
        trial.suggest_categorical("nesterov", [True, False])
        trial.suggest_int("layers", 1, 4)
        trial.report(2.0, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise RuntimeError
        return float(lr + momentum)

    study.optimize(objective, n_trials=5, catch=RuntimeError)
    study.set_user_attr("url", url)
    return study


def test_studies_become_experiments(service: Service, study: Any) -> None:
    """Values, parameters, states and intermediate values are those of the study."""
    service.import_study(SPEC, study.user_attrs["url"])
    rows = service.store.trials("old")
    assert [row.state for row in rows] == ["succeeded", "pruned", "failed", "succeeded", "succeeded"]
    assert [row.value for row in rows] == [trial.value for trial in study.trials]
    assert [row.parameters for row in rows] == [{**trial.params, "fixed": 3} for trial in study.trials]
    assert service.store.curves("old", "loss")[1] == {1: 2.0}


def test_a_study_of_a_wrong_clock(service: Service, study: Any) -> None:
    """No trial takes longer than can be told, whatever its dates say."""
    wrong = study.trials[0]
    for start, end in ((datetime(1, 1, 2), datetime(9999, 1, 1)), (datetime(9999, 1, 1), datetime(1, 1, 2))):
        wrong.datetime_start, wrong.datetime_complete = start, end
        study.add_trial(wrong)
    service.import_study(SPEC, study.user_attrs["url"])
    assert [row.cost_seconds for row in service.store.trials("old")[-2:]] == [MOST_SECONDS, 0.0]
    assert service.trial("old", 6).start is not None


def test_null_in_a_study(service: Service, tmp_path: Path) -> None:
    """`None` among the choices of a study is null in the experiment; a spec without it is told to add it."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url, direction="minimize")
    for depth in (3, None):
        study.enqueue_trial({"depth": depth})
    study.optimize(lambda trial: float(trial.suggest_categorical("depth", [3, None]) or 1), n_trials=2)
    spec = {"name": "old", "command": ["echo", "{depth}"], "objective": SPEC["objective"]}
    outside = r", trial 1, parameter 'depth': null is outside 3 \| 5\. Add it to the spec's values"
    with pytest.raises(DataError, match=outside):
        service.import_study({**spec, "parameters": {"depth": [3, 5]}}, url)
    service.import_study({**spec, "parameters": {"depth": [3, 5, None]}}, url)
    assert [row.parameters["depth"] for row in service.store.trials("old")] == [3, None]
    service.submit({**spec, "name": "new", "parameters": {"depth": [3, 5]}, "max_trials": 2, "warm_start": "old"})
    assert [trial[0] for trial in service.store.experiment("new").algorithm["sources"][0]["trials"]] == [1]


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({}, "t", "there is no study 't'. Known: s."),
        ({"objective": {"metric": "loss", "goal": "maximize"}}, "s", "Write `goal: minimize` in the spec's objective."),
        (
            {"parameters": {**SPEC["parameters"], "lr": {"low": 10.0, "high": 20.0}}},
            None,
            ", trial 0, parameter 'lr': ",
        ),
    ],
)
def test_studies_that_do_not_fit_are_refused(
    service: Service, study: Any, changes: dict[str, Any], name: str | None, message: str
) -> None:
    """Each case has its message; nothing is imported."""
    with pytest.raises(UserError) as caught:
        service.import_study({**SPEC, **changes}, study.user_attrs["url"], name)
    assert message in str(caught.value)
    assert service.store.experiments() == []


def test_missing_storages_are_not_made(service: Service, tmp_path: Path) -> None:
    """A mistyped file name makes no new database."""
    pytest.importorskip("optuna")
    with pytest.raises(DataError, match="no such database file"):
        service.import_study(SPEC, f"sqlite:///{tmp_path}/other.db")
    assert not (tmp_path / "other.db").exists()


def test_a_foreign_database_is_left_as_it_is(service: Service, tmp_path: Path) -> None:
    """A database without studies is refused before Optuna makes its tables in it; a file that is none, too."""
    pytest.importorskip("optuna")
    database = service.home.folder / "tunewell.db"

    def tables() -> list[Any]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute("SELECT name FROM sqlite_master").fetchall()

    before = tables()
    with pytest.raises(DataError, match="there are no studies of Optuna in it"):
        service.import_study({**SPEC, "name": "imported"}, f"sqlite:///{database}")
    assert tables() == before
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at")
    with pytest.raises(DataError, match="it can't be read"):
        service.import_study({**SPEC, "name": "imported"}, f"sqlite:///{tmp_path / 'text.db'}")


def test_without_optuna_the_remedy_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna is needed for its own studies only."""
    real = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match="pip install optuna"):
        service.import_study(SPEC, "sqlite:///s.db")
