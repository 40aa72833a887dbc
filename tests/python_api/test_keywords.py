"""Keywords and parameters of `tunewell.search`: typed, and named when they are wrong."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import tunewell as tw
from tunewell.python_api.searching import AlgorithmName
from tunewell.python_api.wording import _INSTEAD
from tunewell.service.algorithms import list_algorithms
from tunewell.spec.errors import ArgumentError, SpecError, SpecErrors
from tunewell.spec.experiment import ExperimentSpec

#: Fields of a spec that no Python function has, or that `search` fills in.
OTHERS = {
    "code",
    "command",
    "data",
    "dataset",
    "environment",
    "finalists",
    "function_code",
    "metric_pattern",
    "network",
    "objective",
    "task",
    "weights",
    "worker_lease",
    "working_directory",
}


def f(x: float) -> float:
    """Return the parameter."""
    return x


def test_every_field_of_the_spec_is_a_keyword() -> None:
    """What a function's search can be given has a keyword, described, that autocomplete and mypy know."""
    keywords = inspect.signature(tw.search).parameters
    assert keywords.keys() >= ExperimentSpec.model_fields.keys() - OTHERS
    assert not OTHERS & keywords.keys()
    assert all(f"        {name}: " in (tw.search.__doc__ or "") for name in keywords)
    assert all(parameter.annotation not in ("Any", inspect.Parameter.empty) for parameter in keywords.values())
    assert set(get_args(AlgorithmName)) == {algorithm.name for algorithm in list_algorithms()}


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("direction", "goal"),
        ("n_trials", "max_trials"),
        ("timeout", "max_duration"),
        ("n_jobs", "max_concurrency"),
        ("sampler", "algorithm"),
        ("tuner", "algorithm"),
        ("max_trails", "max_trials"),
        ("Goal", "goal"),
    ],
)
def test_a_wrong_keyword_gets_the_near_one(keyword: str, meant: str, tmp_path: Path) -> None:
    """Words of other libraries and typos are refused with the keyword that is meant, before anything is recorded."""
    given: dict[str, Any] = {keyword: 3}
    with pytest.raises(SpecError, match=f"{keyword}: search.. has no such argument. Did you mean '{meant}'") as caught:
        tw.search(f, {"x": tw.uniform(0, 1)}, goal="minimize", home=tmp_path / "home", **given)
    assert not (tmp_path / "home").exists()
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2
    assert caught.value._render_traceback_() == [f"ArgumentError: {caught.value}"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_several_wrong_keywords_are_said_at_once(tmp_path: Path) -> None:
    """One that resembles nothing gets the list of all; those of other functions are refused, too."""
    given: dict[str, Any] = {"n_trials": 3, "zzz": 1}
    with pytest.raises(SpecErrors, match="The call has 2 errors") as caught:
        tw.search(f, {"x": [1, 2]}, home=tmp_path, **given)
    assert "Known: function, parameters, metric" in str(caught.value)
    with pytest.raises(SpecError, match="Did you mean 'home'"):
        tw.load("e", hme=tmp_path)  # type: ignore[arg-type]


def test_the_words_of_others_lead_to_keywords_that_there_are() -> None:
    """Whatever another library calls it, the answer is a keyword, and none of these words is one itself."""
    keywords = inspect.signature(tw.search).parameters.keys()
    assert set(_INSTEAD.values()) <= keywords
    assert not _INSTEAD.keys() & keywords


@pytest.mark.parametrize("declaration", [(0, 1), (1e-5, 1e-1, "log-uniform"), (16, 32, 64)])
def test_tuples_of_numbers_are_not_taken_for_choices(declaration: tuple[object, ...], tmp_path: Path) -> None:
    """A tuple that could be a range is refused with both remedies; lists, and tuples of texts, are choices."""
    with pytest.raises(SpecError, match=r"parameters.x: \(.*\) could be a range, or choices. .*tunewell.uniform"):
        tw.search(f, {"x": declaration}, goal="minimize", home=tmp_path / "home")
    assert not (tmp_path / "home").exists()
    result = tw.search(lambda x: len(x), {"x": ("a", "bc")}, goal="maximize", home=tmp_path, progress=False)
    assert result.best.parameters == {"x": "bc"}


@pytest.mark.parametrize(
    ("declaration", "remedy"),
    [
        (range(1, 5), r"tunewell\.integer\(1, 4\)"),
        (range(16, 65, 16), r"tunewell\.integer\(16, 64, step=16\)"),
        (np.linspace(0, 1, 3), r"array\.tolist\(\)"),
        ({"a", "b"}, "Write it as a list"),
    ],
)
def test_what_only_a_program_can_give_is_told_what_to_write(declaration: object, remedy: str, tmp_path: Path) -> None:
    """A range, an array or a set is refused with what to write instead of it."""
    with pytest.raises(SpecError, match=f"^parameters.x: .* is not a .*list. .*{remedy}"):
        tw.search(f, {"x": declaration}, goal="minimize", home=tmp_path / "home")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mypy_knows_the_keywords(tmp_path: Path) -> None:
    """`mypy --strict` passes a right program, and finds a misspelt keyword and a wrong value in a user's."""
    begin = 'import tunewell as tw\n\n\ndef f(x: float) -> float:\n    return x\n\n\nspace = {"x": tw.uniform(0, 1)}\n'
    (tmp_path / "right.py").write_text(begin + 'print(tw.search(f, space, goal="minimize", max_trials=3).best.value)\n')
    (tmp_path / "wrong.py").write_text(
        begin + 'tw.search(f, space, max_trails=3)\ntw.search(f, space, algorithm="bayes", max_trials="3")\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "right.py", "wrong.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(tw.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stdout.splitlines() if line.startswith(("right.py", "wrong.py"))]
    assert 'Unexpected keyword argument "max_trails"' in done.stdout, done.stdout + done.stderr
    assert 'Argument "algorithm"' in done.stdout and 'Argument "max_trials"' in done.stdout
    assert all(line.startswith("wrong.py") for line in ours)


def test_an_empty_address_names_no_cluster(tmp_path: Path) -> None:
    """It does not mean the cluster of this machine."""
    with pytest.raises(ArgumentError, match="'' is no address of a Ray cluster"):
        tw.search(abs, {"x": tw.uniform(0, 1)}, home=tmp_path / "home", scheduler="ray", ray="")
