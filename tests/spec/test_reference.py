"""The reference of the spec is made of the code, and true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from docs.generate_spec import PAGE, page
from ruamel.yaml import YAML

import tunewell
from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.tasks.catalogue import TASKS, complete_spec, task_for

SOURCE = Path(tunewell.__file__).parent
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
DECLARATIONS = re.findall(r"^\| (`.*?) \| ", page().partition("## Parameters")[2].partition("## ")[0], re.MULTILINE)


def load(text: str) -> Any:
    """Return what YAML holds."""
    return YAML(typ="safe", pure=True).load(text)


def test_the_reference_is_up_to_date() -> None:
    """`docs/spec.md` is what the generator writes; if not, run `.venv/bin/python docs/generate_spec.py`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_field_is_in_the_reference() -> None:
    """Each field of the spec has its row."""
    assert [name for name in ExperimentSpec.model_fields if f"| `{name}` |" not in page()] == []


def test_every_variable_is_in_the_reference() -> None:
    """Each variable that a trial finds in its environment has its row."""
    sources = (SOURCE / "controller" / "attempts.py", SOURCE / "schedulers" / "child.py")
    names = {name for path in sources for name in re.findall(r"\bTUNEWELL_[A-Z]+(?:_[A-Z]+)*", path.read_text())}
    assert len(names) > 10
    assert [name for name in names - {"TUNEWELL_JOB"} if f"| `{name}" not in page()] == []


def test_what_metrics_need_is_in_the_reference() -> None:
    """A metric that some data do not have says so."""
    text = " ".join(page().split())
    assert "`top_5_accuracy` (maximize; needs more than 10 classes)" in text
    for name in TASKS:
        task: Any = task_for({"task": name})
        assert all(
            f"`{metric}` (" in text and f"; needs {what})" in text for metric, what in task.needs_of_metrics.items()
        )


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_right(example: str) -> None:
    """Each example in the reference is a spec that is accepted."""
    spec = parse_spec(complete_spec({"name": "example", **load(example)}))
    assert len(task_for(spec).space(spec, Capacity(()))) > 0


@pytest.mark.parametrize("cell", DECLARATIONS)
def test_declarations_are_right(cell: str) -> None:
    """Each declaration in the reference is accepted."""
    for declaration in re.findall(r"`([^`]+)`", cell):
        raw = {"name": "a", "command": ["x"], "objective": "loss", "parameters": {"x": load(declaration)}}
        spec = parse_spec(raw)
        assert task_for(spec).space(spec, Capacity(())).names == ("x",)


def test_there_are_examples() -> None:
    """The two tests above look at something."""
    assert len(EXAMPLES) == 2
    assert len(DECLARATIONS) == 7
    assert Path(__file__).parents[2] / "docs" / "spec.md" == PAGE
