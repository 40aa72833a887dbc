"""`import tunewell as tw`, as a program or a notebook uses it."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunewell as tw
from tunewell.python_api.progress import Warnings
from tunewell.service.runs import Situation
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError, ConflictError, SpecError, SpecErrors, UserError
from tunewell.spec.states import ExperimentState


def test_public_names_can_be_imported() -> None:
    """Every name in __all__ is there, and the list is what users have been told."""
    assert all(getattr(tw, name) is not None for name in tw.__all__)
    assert {"search", "load", "report", "uniform", "loguniform", "integer", "choice", "ordinal", "Pruned"} <= set(
        tw.__all__
    )


def test_import_is_light() -> None:
    """Importing tunewell and its trial functions brings in nothing but the standard library."""
    code = (
        "import sys; import tunewell; tunewell.report; "
        "heavy = {'numpy', 'pydantic', 'sqlalchemy', 'torch', 'rich', 'typer', 'psutil'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_search_over_a_cheap_function(tmp_path: Path) -> None:
    """A returned number is the objective; best, top and trials are consistent with it."""
    result = tw.search(
        lambda x, n: x * n,
        {"x": tw.uniform(0, 1), "n": tw.integer(1, 5)},
        goal="maximize",
        max_trials=25,
        home=tmp_path,
        progress=False,
    )
    assert result.state is ExperimentState.COMPLETED
    trials = result.trials()
    assert len(trials) == 25
    assert all(trial["value"] == trial["parameters"]["x"] * trial["parameters"]["n"] for trial in trials)
    assert result.best.value == max(trial["value"] for trial in trials)
    assert [trial.value for trial in result.top(3)] == sorted((t["value"] for t in trials), reverse=True)[:3]


def test_none_is_a_choice(tmp_path: Path) -> None:
    """A function gets `None` where that is the value, and the result names it."""
    depths = [3, 5, None]
    result = tw.search(
        lambda depth: float(depth or 9), {"depth": tw.choice(depths)}, goal="maximize", home=tmp_path, progress=False
    )
    assert {trial["parameters"]["depth"]: trial["value"] for trial in result.trials()} == {3: 3.0, 5: 5.0, None: 9.0}
    assert result.best.parameters == {"depth": None}


def test_reports_are_kept_and_may_prune(tmp_path: Path) -> None:
    """`trial.report` records a curve; reaching the target ends the search at that report."""
    steps: list[int] = []

    def train(trial: tw.Trial, rate: float) -> None:
        for step in range(1, 11):
            steps.append(step)
            trial.report(accuracy=rate * step, step=step)

    result = tw.search(
        train,
        {"rate": [1.0]},
        metric="accuracy",
        target=3.0,
        home=tmp_path,
        progress=False,
    )
    assert result.state is ExperimentState.TARGET_REACHED
    assert result.best.value == 3.0
    assert steps == [1, 2, 3]


def test_functions_are_called_to_their_end(tmp_path: Path) -> None:
    """A function whose early values are bad is not ended, unless that is asked for."""

    def train(trial: tw.Trial, rate: float) -> None:
        for step in range(1, 10):
            trial.report(accuracy=rate * (1 - 0.7**step), step=step)

    rates = [{"rate": rate} for rate in (0.9, 0.91, 0.92, 0.93, 0.94, 0.1)]
    states = {
        rule: tw.search(
            train,
            {"rate": tw.uniform(0.0, 1.0)},
            metric="accuracy",
            initial=rates,
            max_trials=6,
            home=tmp_path / rule,
            progress=False,
            **fields,
        ).trials()[-1]["state"]
        for rule, fields in {"default": {}, "halving": {"early_stopping": "halving"}}.items()
    }
    assert states == {"default": "succeeded", "halving": "pruned"}


def test_exceptions_are_failures_and_the_search_goes_on(tmp_path: Path) -> None:
    """A function that raises for some values costs these trials only; the cause is on record."""

    def fragile(x: float) -> float:
        if x < 0.3:
            raise ValueError("too small")
        return x

    result = tw.search(
        fragile,
        {"x": tw.uniform(0, 1)},
        goal="minimize",
        max_trials=30,
        algorithm="random",
        home=tmp_path,
        progress=False,
    )
    failed = [trial for trial in result.trials() if trial["state"] == "failed"]
    assert failed
    assert all(trial["cause"] == "crashed" and "too small" in trial["detail"] for trial in failed)
    assert result.best.value >= 0.3


def test_processes_of_their_own(tmp_path: Path) -> None:
    """With several trials at once each runs in another process, closures included."""
    import os

    offset = 10

    def where(x: float) -> dict[str, float]:
        return {"objective": x + offset, "process": os.getpid()}

    result = tw.search(
        where,
        {"x": tw.uniform(0, 1)},
        goal="maximize",
        algorithm="random",
        max_trials=4,
        max_concurrency=2,
        home=tmp_path,
        progress=False,
    )
    processes = {trial["reports"][-1]["metrics"]["process"] for trial in result.trials()}
    assert len(processes) == 4
    assert os.getpid() not in processes
    assert result.best.value > offset


def test_unnamed_searches_begin_anew_and_named_ones_go_on(tmp_path: Path) -> None:
    """Running a cell twice gives two experiments; a named one is shown again instead."""

    def f(x: int) -> int:
        return x

    space = {"x": tw.integer(0, 100)}

    def again(**fields: object) -> tw.Result:
        return tw.search(f, space, goal="maximize", max_trials=3, home=tmp_path, progress=False, **fields)

    assert [again().name, again().name] == ["f", "f-2"]
    first = again(name="mine")
    assert again(name="mine").trials() == first.trials()
    assert len(again(name="mine", seed=0).trials()) == 3
    with pytest.raises(ConflictError, match="seed"):
        again(name="mine", seed=1)


def test_interrupted_search_goes_on(tmp_path: Path) -> None:
    """Ctrl-C inside the function ends the search in order; calling it again goes on with the same trials."""
    calls: list[int] = []

    def f(trial: tw.Trial, x: int) -> int:
        calls.append(trial.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return x

    def again() -> tw.Result:
        return tw.search(f, {"x": tw.integer(0, 100)}, goal="maximize", max_trials=5, home=tmp_path, progress=False)

    with pytest.raises(KeyboardInterrupt):
        again()
    result = again()
    assert result.name == "f"
    assert calls == [1, 2, 3, 3, 4, 5]
    assert [trial["state"] for trial in result.trials()] == ["succeeded"] * 5


def test_a_retried_search_without_a_name_goes_on(tmp_path: Path) -> None:
    """After `tunewell retry`, the same program runs the failed trials again, in the same experiment."""
    broken = [True]

    def f(trial: tw.Trial, x: int) -> int:
        if broken[0] and trial.number == 2:
            raise ValueError("a bug")
        return x

    def again(**fields: object) -> tw.Result:
        space = {"x": tw.integer(0, 100)}
        return tw.search(f, space, goal="maximize", max_trials=3, home=tmp_path, progress=False, **fields)

    def states(result: tw.Result) -> list[str]:
        return [trial["state"] for trial in result.trials()]

    assert states(again()) == ["succeeded", "failed", "succeeded"]
    with Service(tmp_path) as service:
        service.retry("f")
    broken[0] = False
    assert again(seed=1).name == "f-2"
    result = again()
    assert (result.name, states(result)) == ("f", ["succeeded"] * 3)
    assert again().name == "f-3"


def test_a_search_goes_on_where_its_home_was_moved(tmp_path: Path) -> None:
    """A program whose folder was moved finds its trials, with functions in this process and in others."""

    def f(x: int) -> int:
        return x

    def again(folder: Path, max_trials: int, **fields: object) -> list[dict[str, object]]:
        space = {"x": tw.integer(0, 100)}
        home = folder / ".tunewell"
        found = tw.search(
            f, space, goal="maximize", name="f", max_trials=max_trials, home=home, progress=False, **fields
        )
        return found.trials()

    (tmp_path / "old").mkdir()
    before = again(tmp_path / "old", 2)
    new = (tmp_path / "old").rename(tmp_path / "new")
    assert again(new, 2) == before
    assert again(new, 3)[:2] == before
    newer = new.rename(tmp_path / "newer")
    assert len(again(newer, 4, scheduler="local")) == 4


def test_a_search_that_is_being_run_is_left_alone(tmp_path: Path) -> None:
    """The same program without a name, started beside itself, begins a search of its own."""
    inner: list[str] = []

    def f(x: int) -> int:
        if not inner:
            inner.append("")
            inner[0] = again().name
        return x

    def again() -> tw.Result:
        space = {"x": tw.integer(0, 100)}
        return tw.search(f, space, goal="maximize", max_trials=2, home=tmp_path, progress=False)

    assert (again().name, inner) == ("f", ["f-2"])


def test_a_thread_may_search(tmp_path: Path) -> None:
    """Signal handlers are only for the main thread; a search elsewhere works all the same."""
    results: list[tw.Result] = []

    def work() -> None:
        results.append(
            tw.search(lambda x: x, {"x": [1, 2]}, goal="maximize", home=tmp_path, progress=False, name="thread")
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert results[0].best.value == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"parameters": {"y": tw.uniform(0, 1)}}, "parameters.y"),
        ({"parameters": {"x": tw.uniform(2, 1)}}, "parameters.x.low"),
        ({"parameters": {}}, "parameters"),
        ({"goal": None}, 'goal: it is missing. Write goal="maximize" or goal="minimize"'),
        ({"scheduler": "ray2"}, "scheduler"),
        ({"scheduler": "inline", "max_concurrency": 4}, "max_concurrency"),
        ({"max_trails": 3}, "max_trials"),
        ({"on_trial_end": 5}, "on_trial_end: 5 can't be called. Give a Python function."),
        ({"parameters": {"x": tw.choice(5)}}, "parameters.x.choices: 5 is not a list of values"),  # type: ignore[arg-type]
        ({"parameters": {"x": tw.choice({"a": 1})}}, "parameters.x.choices"),  # type: ignore[arg-type]
        ({"parameters": {"x": tw.choice([1], when=5)}}, "parameters.x.when: 5 is not a mapping"),  # type: ignore[arg-type]
        ({"target": "high"}, "^target: 'high' is a text"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, object], expected: str, tmp_path: Path) -> None:
    """A wrong argument is a SpecError that names the field, and nothing is recorded."""
    fields = {
        "parameters": {"x": tw.uniform(0, 1)},
        "goal": "maximize",
        "home": tmp_path,
        "progress": False,
        **arguments,
    }
    with pytest.raises(SpecError, match=expected):
        tw.search(lambda x: x, fields.pop("parameters"), **fields)  # type: ignore[arg-type]
    assert not (tmp_path / "experiments").exists()


def test_progress_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress names the best value at the end."""
    tw.search(lambda x: x, {"x": [1, 2, 3]}, goal="maximize", algorithm="grid", home=tmp_path)
    assert "completed" in capsys.readouterr().out


def test_report_and_plot(tmp_path: Path) -> None:
    """The result writes the HTML report and gives charts that notebooks show and files hold."""
    result = tw.search(lambda x: x, {"x": [1, 2, 3]}, goal="maximize", home=tmp_path, progress=False)
    assert result.report().read_text().startswith("<!DOCTYPE html>")
    plot = result.plot()
    assert plot is not None and plot._repr_svg_() == plot.svg
    assert plot.save(tmp_path / "history.svg").read_text().startswith("<svg ") and "<style>" in plot.svg
    assert result.plot("learning-curves") is None
    with pytest.raises(ArgumentError, match=r"path: 'history\.png' is no name for an SVG file. End it in \.svg"):
        plot.save(tmp_path / "history.png")
    assert not (tmp_path / "history.png").exists()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda home: tw.search(None, {"x": [1]}, home=home), "function: null can't be called"),  # type: ignore[arg-type]
        (lambda home: tw.search(abs, {"x": [1]}, home=5), "home: 5 is no path"),  # type: ignore[arg-type]
        (lambda home: tw.load(5, home), "name: 5 is no text"),  # type: ignore[arg-type]
        (lambda home: tw.load("kept", home).top(-1), "number: -1 is no number of trials. Give 0 or more"),
        (lambda home: tw.load("kept", home).report(5), "path: 5 is no path"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_are_named(call: Callable[[Path], object], expected: str, tmp_path: Path) -> None:
    """What a type checker would have found is an error that names the argument, and no crash further in."""
    tw.search(lambda x: x, {"x": [1, 2]}, goal="maximize", home=tmp_path, progress=False, name="kept")
    with pytest.raises(ArgumentError, match=expected):
        call(tmp_path)


def test_load_reads_what_is_recorded(tmp_path: Path) -> None:
    """`load` gives the result of an earlier search by its name."""
    result = tw.search(lambda x: x, {"x": [1, 2]}, goal="maximize", home=tmp_path, progress=False, name="kept")
    assert tw.load("kept", tmp_path).best == result.best


def test_what_people_say_of_searches(tmp_path: Path) -> None:
    """It is given with the search and changed afterwards; searches are found by it; it makes no other search."""

    def search(name: str | None = None, **said: Any) -> tw.Result:
        declared = {"x": tw.uniform(0, 1)}
        return tw.search(
            cube, declared, goal="minimize", max_trials=2, name=name, home=tmp_path, progress=False, **said
        )

    result = search("one", project="p", tags=["a"], description="first")
    assert search("one", project="p", tags="b").summary.tags == ("b",)  # shown again, not searched again
    assert [one.name for one in tw.experiments(project="p", tags="b", home=tmp_path)] == ["one"]
    result.update(tags=["c", "d"], description="It helps.")
    assert (result.tags, result.project, result.description) == (("c", "d"), "p", "It helps.")
    search("two", tags=["c"])
    assert [one.name for one in tw.experiments(tags=["c"], states=["completed"], home=tmp_path)] == ["two", "one"]
    assert tw.experiments(tags=["c", "e"], home=tmp_path) == tw.experiments(states=["failed"], home=tmp_path) == []
    assert tw.load("one", home=tmp_path).description == "It helps."
    with pytest.raises(SpecError, match="tags: the tag 'a,b' has a comma"):
        result.update(tags=["a,b"], project="other")
    assert tw.load("one", home=tmp_path).summary.project == "p"
    with pytest.raises(SpecError, match="states: 'complete' is none"):
        tw.experiments(states=["complete"], home=tmp_path)
    for wrong in ({"tags": 5}, {"tags": [5]}, {"search": 5}, {"project": 5}, {"owner": ["me"]}, {"states": 5}):
        with pytest.raises(SpecError, match=f"{next(iter(wrong))}: .* is no text"):
            tw.experiments(**wrong, home=tmp_path)
    with pytest.raises(SpecError, match="not valid Unicode"):
        tw.experiments(tags="\ud800", home=tmp_path)
    assert len(tw.experiments(states="completed", home=tmp_path)) == 2
    with pytest.raises(UserError, match="Did you mean 'description'"):
        search(notes="what")


def cube(x: float) -> float:
    """Return what there is to be minimized."""
    return x**3


def test_remedies_are_those_of_python(tmp_path: Path) -> None:
    """An error names the keyword to give, not an option of the command line; several of a spec come at once."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="`home=`") as caught:
        tw.search(lambda x: x, {"x": [1, 2]}, metric="loss", home=tmp_path / "file")
    assert "--home" not in str(caught.value)
    with pytest.raises(SpecErrors) as several:
        tw.search(lambda x: x, {"x": []}, metric="loss", home=tmp_path / "home", max_trials=0)
    assert [error.field for error in several.value.errors] == ["max_trials", "parameters.x"]


def test_a_search_without_progress_warns(caplog: pytest.LogCaptureFixture) -> None:
    """A search in Python that prints nothing logs what keeps it waiting, once."""
    warnings = Warnings()
    for problem in ("", "the server is gone.", "the server is gone.", ""):
        warnings.update(Situation(problem, False))
    assert [record.message for record in caplog.records] == ["waiting: the server is gone."]


def test_a_database_out_of_reach_is_a_short_error(tmp_path: Path) -> None:
    """Where the server can't be reached, a program ends with what is wrong, not with the driver's own errors."""
    with pytest.raises(UserError, match="can't be reached") as caught:
        tw.load("e", home=tmp_path, database="postgresql://nobody@127.0.0.1:1/nothing")
    assert len("".join(traceback.format_exception(caught.value)).splitlines()) < 20
