"""A result in programs and notebooks, and what becomes of what a function returns."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import tunewell as tw
from tunewell.python_api.progress import is_notebook
from tunewell.service.service import Service


def searched(home: Path, function: Any, **fields: Any) -> tw.Result:
    """Search over one parameter with two values."""
    arguments = {"goal": "maximize", "home": home, "progress": False, **fields}
    return tw.search(function, {"x": [1, 2]}, **arguments)


@pytest.mark.parametrize("scheduler", ["inline", "local"])
def test_a_function_that_returns_nothing_is_told_to_return(scheduler: Any, tmp_path: Path) -> None:
    """A forgotten `return` is the cause that its trials have, however they run."""

    def forgetful(x: int) -> None:
        str(x)

    trials = searched(tmp_path, forgetful, scheduler=scheduler).trials()
    assert {trial["cause"] for trial in trials} == {"no_metric"}
    assert all(
        "returned nothing (None)" in t["detail"] and "return the value of 'objective'" in t["detail"] for t in trials
    )


@pytest.mark.parametrize("scheduler", ["inline", "local"])
def test_what_is_no_number_is_left_out_with_a_note(scheduler: Any, tmp_path: Path) -> None:
    """Of a mapping the numbers are metrics; a note on the trial names the rest."""

    def mixed(x: int) -> dict[str, Any]:
        return {"objective": x, "seconds": 0.5, "model": object(), "path": "a/b"}

    for trial in searched(tmp_path, mixed, scheduler=scheduler).trials():
        assert trial["state"] == "succeeded"
        assert trial["reports"][-1]["metrics"] == {"objective": trial["parameters"]["x"], "seconds": 0.5}
        assert trial["notes"] == [
            "Left out of what the function returned, as they are no numbers: model (object), path (str)."
        ]


def test_an_objective_that_is_no_number_is_a_failure(tmp_path: Path) -> None:
    """The objective is never left out: its trial fails, and says why."""
    (first, second) = searched(tmp_path, lambda x: {"objective": "much", "seconds": 1}).trials()
    assert "metric 'objective' is no number but str: 'much'" in first["detail"]
    assert second["state"] == "failed"


def test_changed_code_is_noted(tmp_path: Path) -> None:
    """A search that goes on with other code says so; one that has ended says that it was reached with the old code."""
    source = "def train(x):\n    '''Doc.'''\n    return x + {}\n"

    def again(number: int, **fields: Any) -> tw.Result:
        found: dict[str, Any] = {"__name__": "program"}
        exec(source.format(number), found)
        space = {"x": tw.integer(0, 100)}
        return tw.search(found["train"], space, goal="maximize", name="kept", home=tmp_path, progress=False, **fields)

    assert again(1, max_trials=2).summary.notes == ()
    assert again(1, max_trials=3).summary.notes == ()
    (note,) = again(2, max_trials=4).summary.notes
    assert "code was changed when 3 trials had ended" in note
    assert again(2, max_trials=5).summary.notes == (note,)


def test_other_code_than_that_of_a_result_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who has changed a function, and is shown the old result under its name, is told so each time."""
    searched(tmp_path, lambda x: x, name="kept")
    assert not caplog.records
    for _ in range(2):
        caplog.clear()
        assert searched(tmp_path, lambda x: -x, name="kept").best.value == 2
        assert "the earlier code" in caplog.text


def test_data_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data frame has a row a trial, and the columns of the CSV export before those of metrics."""
    made: list[SimpleNamespace] = []

    def frame(rows: list[dict[str, Any]], columns: list[str]) -> SimpleNamespace:
        made.append(SimpleNamespace(rows=rows, columns=columns))
        return made[-1]

    pandas = ModuleType("pandas")
    pandas.DataFrame = frame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)

    def pick(x: int) -> dict[str, float]:
        if x == 1:
            raise ValueError
        return {"objective": x, "loss": -x}

    result = searched(tmp_path, pick)
    table = result.to_dataframe()
    with Service(tmp_path) as service:
        (header, *_) = csv.reader("".join(service.export(result.name, "csv")).splitlines())
    assert table.columns == [*header, "metric:objective", "metric:loss"]
    best = table.rows[result.best.number - 1]
    assert (best["state"], best["value"], best["parameter:x"], best["metric:loss"]) == ("succeeded", 2.0, 2, -2.0)
    assert best["start"].tzinfo is not None
    (failed,) = [row for row in table.rows if row["state"] == "failed"]
    assert failed["cause"] == "crashed" and "metric:objective" not in failed


def test_without_pandas_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no pandas learns how to get it."""
    result = searched(tmp_path, lambda x: x)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_dataframe()


def test_a_notebook_shows_a_result(tmp_path: Path) -> None:
    """It is a small table of the best trials, without colours of its own; names of users are no markup."""
    result = tw.search(
        lambda **values: 1.5,
        {"x": ["<b>&"], "y": [1, 2]},
        metric="<i>",
        goal="maximize",
        home=tmp_path,
        progress=False,
    )
    html = result._repr_html_()
    assert "<th" in html and "&lt;i&gt;" in html and "&lt;b&gt;&amp;" in html and "1.5" in html
    assert "<i>" not in html and "color" not in html.replace("color: inherit", "") and len(html) < 3000


def test_a_search_without_a_result_says_why(tmp_path: Path) -> None:
    """Who asks for the best trial of a search that failed is told what went wrong, and so is a notebook."""

    def divide(x: int) -> float:
        return x / 0

    result = searched(tmp_path, divide)
    why = "2 trials failed (crashed), such as trial 1: ZeroDivisionError: division by zero"
    with pytest.raises(ValueError, match=re.escape(f"no trial of 'divide' has a result. {why}")):
        _ = result.best
    assert why in result._repr_html_()


class Shell:
    """What IPython is in a notebook, as far as a search asks it: cells whose output can be changed."""

    kernel = object()

    def __init__(self) -> None:
        """Have no output yet."""
        self.shown: list[str] = []

    def display(self, shown: Any, display_id: bool) -> Shell:
        """Show something, and return by what it is changed."""
        assert display_id
        self.update(shown)
        return self

    def update(self, shown: Any) -> None:
        """Show something else in its place."""
        self.shown.append(shown._repr_html_())


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A notebook."""
    shell = Shell()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.display = shell.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shell


def test_a_bar_in_notebooks(notebook: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a notebook a bar takes the place of lines: from nothing to all trials, what is best, what has failed."""
    assert is_notebook()

    def pick(x: int) -> float:
        if x == 1:
            raise ValueError("<too small>")
        return x

    searched(tmp_path, pick, progress=True)
    first, *_, last = notebook.shown
    assert re.search(r'<progress max="2" value="0"', first) and "no result yet" in first
    assert re.search(r'<progress max="2" value="2"', last) and "best objective 2" in last and "completed" in last
    assert "&lt;too small&gt;" in last and "color" not in last
    assert capsys.readouterr().out == ""
    searched(tmp_path, pick, progress=False)
    assert notebook.shown[-1] is last


def test_elsewhere_there_is_no_notebook() -> None:
    """A program, and IPython in a terminal, get lines."""
    assert not is_notebook()
