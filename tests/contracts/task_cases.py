"""Every kind of task with data, or a program, that is as small as can be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contracts import functions
from tests.tasks.image_classification.squares import write_squares
from tests.tasks.image_classification.trained import write_pictures
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tests.tasks.table_regression import NAME as TABLE
from tests.tasks.table_regression import write_table
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.contract import Task

_SCENES = {"train": 4, "val": 2, "test": 1}
_TRAINS = """
import json, os, pathlib, sys
folder, fidelity, rate = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
state = folder / "epoch.json"
epoch = json.loads(state.read_text()) if state.exists() else 0
while epoch < round(2 * fidelity):
    epoch += 1
    state.write_text(json.dumps(epoch))
    print(f"epoch {epoch} accuracy={rate * epoch}", flush=True)
"""


@dataclass(frozen=True)
class Case:
    """One kind of task."""

    #: Puts data or a program into a folder and returns what a spec says of it.
    write: Callable[[Path], dict[str, Any]]
    #: Changes what a spec says of it so that the check must refuse it.
    spoil: Callable[[Path], dict[str, Any]]
    #: Puts other data in the place of those of before; None: the task knows of none.
    change: Callable[[Path], object] | None = None
    #: What else the spec says.
    fields: Mapping[str, Any] = field(default_factory=dict)

    def task(self, raw: Mapping[str, Any]) -> Task:
        """Return the task that a spec means, with its function where it is one."""
        name = str(raw.get("function")).rpartition(":")[2]
        return task_for(raw, getattr(functions, name, None))

    def raw(self, folder: Path, spoilt: bool = False) -> dict[str, Any]:
        """Return a raw spec, its data or program in `folder`."""
        return {"name": "case", **self.fields, **self.write(folder), **(self.spoil(folder) if spoilt else {})}


def _picture_case(
    task: str, network: str, side: int, write: Callable[[Path], Path], rewrite: Callable[[Path], object]
) -> Case:
    return Case(
        write=lambda folder: {"data": str(write(folder / "data"))},
        spoil=lambda folder: {"data": str(_empty(folder / "empty"))},
        change=lambda folder: rewrite(folder / "data"),
        fields={
            "task": task,
            "network": network,
            "weights": "none",
            "parameters": {"image_size": side, "epochs": 2, "batch_size": 4},
        },
    )


def _write_program(folder: Path) -> dict[str, Any]:
    script = folder / "train.py"
    script.write_text(_TRAINS)
    command = [sys.executable, str(script), "{checkpoint_dir}", "{fidelity}", "{rate}"]
    return {"command": command, "working_directory": str(folder)}


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _replace_one(folder: Path) -> None:
    """Replace the first picture by another one."""
    pictures = sorted(folder.rglob("*.png"))
    pictures[0].write_bytes(pictures[-1].read_bytes())


_SEARCHED = {"objective": "accuracy", "parameters": {"rate": {"low": 0.1, "high": 0.4, "default": 0.2}}}

CASES: Mapping[str, Case] = {
    "image-classification": _picture_case(
        "image-classification",
        "small-cnn",
        32,
        lambda folder: write_pictures(folder, {"train": 20, "val": 10, "test": 10}),
        lambda folder: _replace_one(folder),
    ),
    "multilabel-classification": _picture_case(
        "multilabel-classification",
        "small-cnn",
        32,
        lambda folder: write_squares(folder, 40),
        lambda folder: _replace_one(folder),
    ),
    "object-detection": _picture_case(
        "object-detection",
        "faster-rcnn-lite0",
        64,
        lambda folder: write_coco(folder, make_scenes(_SCENES)),
        lambda folder: _replace_one(folder),
    ),
    "instance-segmentation": _picture_case(
        "instance-segmentation",
        "mask-rcnn-lite0",
        64,
        lambda folder: write_coco(folder, make_scenes(_SCENES)),
        lambda folder: _replace_one(folder),
    ),
    TABLE: Case(
        write=lambda folder: {"data": str(write_table(folder / "table.csv"))},
        spoil=lambda folder: {"data": str(folder / "nowhere.csv")},
        change=lambda folder: write_table(folder / "table.csv", seed=1),
        fields={"task": TABLE, "parameters": {"epochs": 2}},
    ),
    "command": Case(
        write=_write_program,
        spoil=lambda folder: {"command": [sys.executable, str(folder / "nowhere.py"), "{rate}"]},
        fields=_SEARCHED,
    ),
    "function": Case(
        write=lambda folder: {"function": f"{functions.__name__}:trains"},
        spoil=lambda folder: {"function": f"{functions.__name__}:trains_something_else"},
        fields={**_SEARCHED, "resumable": True},
    ),
}
