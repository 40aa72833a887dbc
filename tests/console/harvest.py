"""Small searches over real pictures that have run and were evaluated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tunewell.service.runs import Given
from tunewell.service.service import Service
from tunewell.tasks.image_classification.digits import write_digits

#: A class, and the name of a picture, that would do something if a page took them for markup; no slash is in names.
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
#: What the digits' trials are like.
DIGITS: dict[str, Any] = {"epochs": 2, "image_size": 32}


def harvest(folder: Path) -> None:
    """Make a home in a folder, with the searches `digits`, `scenes`, `labels` (not evaluated) and `command`."""
    write_digits(folder / "digits")
    _write_labels(folder / "labels", folder / "digits")
    _make_hostile(folder / "digits")
    write_coco(folder / "scenes", make_scenes({"train": 8, "val": 4, "test": 3}))
    with Service(folder / "home") as service:
        for name, role in (("ada", "user"), ("vic", "viewer")):
            service.add_user(name, {"role": role, "run_code": role == "user"})
        for spec in _specs(folder):
            service.create(spec)
            service.update(spec["name"], {"visibility": "team"})
            assert service.run(spec["name"], Given(follow_up=False))
        for name in ("digits", "scenes"):
            job = service.carry_out(service.evaluate(name).id)
            assert job.state == "succeeded", job.detail


def _specs(folder: Path) -> list[dict[str, Any]]:
    digits = {
        "name": "digits",
        "task": "image-classification",
        "network": "small-cnn",
        "weights": "none",
        "data": str(folder / "digits"),
        "parameters": DIGITS,
        "algorithm": "random",
        "max_trials": 2,
    }
    scenes = {
        "name": "scenes",
        "task": "object-detection",
        "network": "faster-rcnn-lite0",
        "weights": "none",
        "data": str(folder / "scenes"),
        "parameters": {"epochs": 2, "image_size": [64, 48]},
        "max_trials": 1,
    }
    command = {
        "name": "command",
        "command": ["sh", "-c", "echo accuracy={x}; echo > {output_dir}/'<b>model'", "{kind}"],
        "parameters": {"x": {"low": 0.0, "high": 1.0, "default": 0.25}, "kind": {"choices": [HOSTILE]}},
        "objective": {"metric": "accuracy"},
        "algorithm": "random",
        "max_trials": 3,
    }
    labels = {
        **digits,
        "name": "labels",
        "task": "multilabel-classification",
        "data": str(folder / "labels"),
        "max_trials": 1,
    }
    return [digits, scenes, labels, command]


def _write_labels(folder: Path, digits: Path) -> None:
    """Write some of the digits as pictures with several labels each, and a table of these."""
    folder.mkdir()
    rows = ["file,labels"]
    for number in range(10):
        for path in sorted((digits / "train" / str(number)).iterdir())[:12]:
            shutil.copy(path, folder)
            labels = [name for name, is_so in (("odd", number % 2), ("small", number < 5)) if is_so]
            rows.append(f"{path.name},{'|'.join(labels)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def _make_hostile(digits: Path) -> None:
    """Give a class, and a picture in it, names that must show as text."""
    for split in ("train", "val", "test"):
        (digits / split / "9").rename(digits / split / HOSTILE)
        first = min((digits / split / HOSTILE).iterdir())
        first.rename(first.with_name(f"{HOSTILE}.png"))
