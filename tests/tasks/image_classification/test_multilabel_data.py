"""Pictures with several labels: layouts, division, notes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.manifest import MultilabelManifest, load_manifest
from tunewell.tasks.image_classification.multilabel_data import read_multilabel


def write(folder: Path, *names: str, content: str | None = None) -> Path:
    """Write files whose content is their own last name, or the same in all."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or path.name)
    return folder


def table(folder: Path, labels: list[str], same: int = 0) -> Path:
    """Write a table of pictures with these labels, the first `same` of which are copies of one another."""
    for index in range(len(labels)):
        write(folder, f"{index:03}.png", content="the same" if index < same else f"picture {index}")
    rows = "".join(f"{index:03}.png,{label}\n" for index, label in enumerate(labels))
    (folder / "labels.csv").write_text("file,labels\n" + rows)
    return folder


def test_folders_of_tags(tmp_path: Path) -> None:
    """A picture has the tags in whose folders it lies under the same name, in each split."""
    write(tmp_path, "train/red/1.png", "train/red/deep/2.png", "train/round/1.png", "val/round/1.png", "val/red/3.png")
    (tmp_path / "train" / "round" / "deep").mkdir()
    (tmp_path / "train" / "round" / "deep" / "2.png").symlink_to(tmp_path / "train" / "red" / "deep" / "2.png")
    manifest = read_multilabel(tmp_path, 0)
    assert manifest.classes == ("red", "round")
    assert dict(zip(manifest.paths, manifest.labels, strict=True)) == {
        "train/red/1.png": (0, 1),
        "train/red/deep/2.png": (0, 1),
        "val/red/3.png": (0,),
        "val/round/1.png": (1,),
    }
    assert manifest.presence("val").tolist() == [[True, False], [False, True]]


def test_a_test_set_of_other_tags(tmp_path: Path) -> None:
    """A test set none of whose labels is known is left out, and makes no classes."""
    write(tmp_path, "train/red/1.png", "train/round/2.png", "val/red/3.png", "test/unknown/4.png", "test/unknown/5.png")
    manifest = read_multilabel(tmp_path, 0)
    assert (manifest.classes, list(manifest.splits)) == (("red", "round"), ["train", "val"])
    assert "Not used, having no label that train has (unknown): all 2 pictures of test." in manifest.notes


def test_tags_of_different_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    """Folders that count their pictures from 1 each are no folders of tags."""
    write(tmp_path, "red/1.png", content="a")
    write(tmp_path, "round/1.png", content="b")
    with pytest.raises(DataError, match=r"red/1\.png and .*round/1\.png have the same name but are different"):
        read_multilabel(tmp_path, 0)


def test_an_undivided_set_is_divided_label_by_label(tmp_path: Path) -> None:
    """About a fifth of each label validates, the same for the same seed; copies stay together; unlabelled ones too."""
    labels = ["a|b", "a", "b", "c|a", ""] * 20
    manifest = read_multilabel(table(tmp_path, labels, same=10), 3)
    shares = manifest.counts("val") / np.array([60, 40, 20])
    assert (np.abs(shares - 0.2) < 0.1).all()
    first = set(range(10))
    assert first <= set(manifest.splits["train"]) or first <= set(manifest.splits["val"])
    assert read_multilabel(tmp_path, 3) == manifest
    assert read_multilabel(tmp_path, 4).splits != manifest.splits
    assert manifest.notes[0].startswith("Divided at random, class by class:")


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    """Labels without training pictures, without validation pictures, of all pictures, and rare ones get a note."""
    write(tmp_path, *(f"{index}.png" for index in range(24)))
    rows = [f"{index}.png,common|all,train" for index in range(20)]
    rows += ["20.png,rare|all,train", "21.png,rare|all,train", "22.png,common|late,val", "23.png,common,val"]
    (tmp_path / "labels.csv").write_text("file,labels,split\n" + "\n".join(rows))
    assert read_multilabel(tmp_path, 0).notes == (
        "Labels without a training picture, which can't be learned: late.",
        "Labels of every training picture, of which there is nothing to learn: all.",
        "Labels without a picture in val, which are not measured there: all, rare.",
        "Unbalanced: 22 training pictures with 'all', 2 with 'rare'. Consider the parameter `class_weights: balanced`.",
    )


def test_no_labels_at_all(tmp_path: Path) -> None:
    """A table that gives no picture a label is refused."""
    with pytest.raises(DataError, match=r"no picture has a label"):
        read_multilabel(table(tmp_path, ["", "", ""]), 0)


def test_saved_and_loaded(tmp_path: Path) -> None:
    """A manifest comes back as it was, of its own kind, with targets of 0 and 1."""
    manifest = read_multilabel(table(tmp_path, ["a|b", "a", "", "b"] * 5), 0)
    manifest.save(tmp_path / "manifest.json")
    assert load_manifest(tmp_path / "manifest.json") == manifest
    assert isinstance(load_manifest(tmp_path / "manifest.json"), MultilabelManifest)
    assert manifest.targets()[:3].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert manifest.targets().dtype == np.float32


def test_a_stratum_is_the_rarest_label(tmp_path: Path) -> None:
    """A picture stands for its rarest label when a share of the pictures is taken."""
    labels = ["a|b"] * 4 + ["a"] * 12 + [""] * 4
    manifest = read_multilabel(table(tmp_path, labels), 0)
    by_path = dict(zip(manifest.splits["train"], manifest.strata("train"), strict=True))
    assert {stratum for position, stratum in by_path.items() if position < 4} == {1}
    assert {stratum for position, stratum in by_path.items() if position >= 16} == {2}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_picture_is_nobodys_copy(tmp_path: Path) -> None:
    """A file that can't be read holds up no division."""
    table(tmp_path, ["a", "b"] * 10, same=4)
    (tmp_path / "001.png").chmod(0)
    assert read_multilabel(tmp_path, 0).splits["val"]
