"""A look at every picture of a data set."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.object_detection.scenes import make_scenes, write_coco

from tunewell.reports.data_page import render
from tunewell.service.data_page import write_data_page
from tunewell.service.submission import make_plan
from tunewell.spec.errors import SpecError
from tunewell.tasks.data_view import DataView


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Two classes of pictures; one picture is broken, one is in train and in val."""
    generator = np.random.default_rng(0)
    for split, number in (("train", 8), ("val", 3)):
        for name in ("red & blue", "<b>green</b>"):
            folder = tmp_path / "data" / split / name.replace("/", "")
            folder.mkdir(parents=True)
            for place in range(number):
                pixels = generator.integers(0, 256, (40, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{place}.png")
    data = tmp_path / "data"
    (data / "val" / "red & blue" / "0.png").write_bytes((data / "train" / "red & blue" / "5.png").read_bytes())
    (data / "train" / "red & blue" / "0.png").write_text("no picture")
    return data


def view(spec: dict[str, Any]) -> DataView:
    """Return what the task of a spec sees."""
    plan = make_plan({"name": "e", **spec})
    found = plan.task.view(plan.spec, lambda what, done, total: None)
    assert found is not None
    return found


def test_broken_and_copied_pictures_are_shown(colours: Path, tmp_path: Path) -> None:
    """Though a search would allow them, the page tells of each, and names can't change the page."""
    found = view({"task": "image-classification", "data": str(colours)})
    assert found.summary.items == {"train": 15, "val": 6}
    assert found.broken == {"train/red & blue/0.png": "it is no picture, or damaged"}
    [(copy, original)] = found.copies
    assert (copy.caption, original.caption) == ("val: val/red & blue/0.png", "train: train/red & blue/5.png")
    assert copy.image == original.image
    assert [len(pictures) for pictures in found.examples.values()] == [6, 6]
    captions = [picture.caption for pictures in found.examples.values() for picture in pictures]
    assert "train/red & blue/0.png" not in captions
    page = render(found)
    assert "Pictures that can't be read: 1" in page
    assert "Pictures that are in train and in another split: 1" in page
    assert "red &amp; blue" in page and "<b>" not in page.split("<body>")[1]
    assert page.count("<img") == 14
    assert "&#" not in page.split("</style>")[0]


def test_a_data_set_of_which_nothing_is_left(colours: Path) -> None:
    """What can't be read is counted with no split and no class, and it is said that no search can use the rest."""
    assert not view({"task": "image-classification", "data": str(colours)}).unusable
    pictures = sorted(colours.rglob("*.png"))
    for path in pictures:
        path.write_text("no picture")
    found = view({"task": "image-classification", "data": str(colours)})
    assert found.summary.items == {"train": 0, "val": 0}
    assert [list(numbers) for numbers in found.summary.counts.values()] == [[0, 0], [0, 0]]
    assert found.unusable == "22 of 22 pictures can't be read"
    assert "Searches can't use this data set: 22 of 22 pictures can't be read." in html.unescape(render(found))


@pytest.mark.parametrize("task", ["object-detection", "instance-segmentation"])
def test_objects_are_drawn(task: str, tmp_path: Path) -> None:
    """Examples of each class have their marks; a sound data set is said to be sound."""
    data = write_coco(tmp_path / "data", make_scenes({"train": 8, "val": 3}))
    found = view({"task": task, "data": str(data), "weights": "none"})
    assert found.summary.counted == "object"
    assert not found.broken and not found.copied
    assert all(pictures and len(set(pictures)) == len(pictures) for pictures in found.examples.values())
    page = render(found)
    assert "Every picture can be read." in page
    assert "No picture in train is repeated in another split." in page
    assert json.dumps(found.summary.items) == '{"train": 8, "val": 3}'


def test_pictures_with_several_labels_name_them(tmp_path: Path) -> None:
    """They are examples of each label, behind those that were not shown before, and their captions tell all labels."""
    rows = ["image,labels,split"]
    for place in range(8):
        labels, split = ("a" if place == 0 else "b|a" if place < 7 else "b"), "train"
        rows.append(f"{place}.png,{labels},{split}")
        Image.fromarray(np.full((8, 8, 3), 30 * place, dtype=np.uint8)).save(tmp_path / f"{place}.png")
    rows += ["8.png,a,val", "9.png,b,val"]
    for place in (8, 9):
        Image.fromarray(np.full((8, 8), 5 * place, dtype=np.uint8)).save(tmp_path / f"{place}.png")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = view({"task": "multilabel-classification", "data": str(tmp_path), "network": "small-cnn"})
    captions = {name: [picture.caption for picture in pictures] for name, pictures in found.examples.items()}
    assert captions["a"] == ["0.png", *(f"{place}.png (a, b)" for place in range(1, 6))]
    assert captions["b"] == [*(f"{place}.png (a, b)" for place in (1, 2, 3, 4, 6)), "7.png"]


def test_what_has_no_pictures(tmp_path: Path) -> None:
    """A command's data are its own matter, and a page that can't be written is told."""
    raw: dict[str, Any] = {"name": "e", "command": ["true", "{x}"], "parameters": {"x": [1, 2]}, "objective": "loss"}
    with pytest.raises(SpecError, match=r"^pictures: only built-in tasks know their data"):
        write_data_page(make_plan(raw), tmp_path / "page.html")


def test_a_page_that_cannot_be_written(colours: Path, tmp_path: Path) -> None:
    """It is an error that names the place."""
    plan = make_plan({"name": "e", "task": "image-classification", "data": str(colours)})
    with pytest.raises(SpecError, match=r"^pictures: .*nowhere/page\.html can't be written"):
        write_data_page(plan, tmp_path / "nowhere" / "page.html")
