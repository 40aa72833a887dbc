"""Labels in CSV files: which column means what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import read_manifest
from tunewell.tasks.image_classification.multilabel_data import read_multilabel
from tunewell.tasks.image_classification.tables import read_tables, tables_in


def make(folder: Path, table: str, *pictures: str, name: str = "labels.csv") -> Path:
    """Write a table and pictures, each with its own name as content."""
    for picture in pictures:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_text(picture)
    (folder / name).write_text(table)
    return folder


def labels_in(folder: Path, single: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the labels of each picture by its name."""
    return {row.path.name: row.labels for row in read_tables(folder, tables_in(folder), single).rows}


@pytest.mark.parametrize(
    "table",
    [
        "image,labels\n1.jpg,cat|dog\n2.jpg,\n",
        "file;tags\n1.jpg;cat,dog\n2.jpg;\n",
        'filename,label\n1.jpg,"cat,dog"\n2.jpg,\n',
        "image_id,tags\n1,cat dog\n2,\n",
        "\ufeffpath\tclasses\r\nimages/1.jpg\tcat;dog\r\nimages/2.jpg\t\r\n",
        "image,cat,dog,owl\n1.jpg,1,1,0\n2.jpg,0,0,0\n",
        "image,labels,cat,dog\n1.jpg,cat|dog,1,1\n2.jpg,,0,0\n",
        "image,label\n1.jpg,cat\n1.jpg,dog\n2.jpg,\n",
    ],
)
def test_ways_to_write_the_same(tmp_path: Path, table: str) -> None:
    """Separators, columns of 0 and 1, a row a label, names with and without folder and ending mean the same."""
    make(tmp_path, table, "images/1.jpg", "images/2.jpg")
    assert labels_in(tmp_path) == {"1.jpg": ("cat", "dog"), "2.jpg": ()}


def test_one_label_a_picture(tmp_path: Path) -> None:
    """For single labels a cell is a label, spaces, commas and numbers included."""
    table = 'file,label\n1.jpg,polar bear\n2.jpg,"sea, deep"\n3.jpg,polar bear\n4.jpg,"sea, deep"\n'
    make(tmp_path, table, *(f"{number}.jpg" for number in range(1, 5)))
    assert read_manifest(tmp_path, 0).classes == ("polar bear", "sea, deep")
    make(tmp_path, "file,ill\n1.jpg,0\n2.jpg,1\n3.jpg,0\n4.jpg,1\n")
    manifest = read_manifest(tmp_path / "labels.csv", 0)
    assert (manifest.classes, manifest.labels) == (("0", "1"), (0, 1, 0, 1))


def test_splits_of_a_column_and_of_tables(tmp_path: Path) -> None:
    """A column `split`, tables named after splits, and folders named after splits all divide."""
    rows = "1.jpg,a,train\n2.jpg,b,Training\n3.jpg,a,valid\n4.jpg,b,test\n".replace("Training", "train")
    column = make(tmp_path / "column", "file,label,split\n" + rows, *(f"{n}.jpg" for n in range(1, 5)))
    tables = make(
        tmp_path / "tables", "file,label\n1.jpg,a\n2.jpg,b\n", *(f"{n}.jpg" for n in range(1, 5)), name="train.csv"
    )
    make(tables, "file,label\n3.jpg,a\n", name="val.csv")
    make(tables, "file,label\n4.jpg,b\n", name="test.csv")
    folders = make(
        tmp_path / "folders",
        "file,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n4.jpg,b\n",
        "train/1.jpg", "train/2.jpg", "val/3.jpg", "test/4.jpg",
    )  # fmt: skip
    for folder in (column, tables, folders):
        manifest = read_manifest(folder, 0)
        named = {split: [Path(manifest.paths[p]).name for p in places] for split, places in manifest.splits.items()}
        assert named == {"train": ["1.jpg", "2.jpg"], "val": ["3.jpg"], "test": ["4.jpg"]}
        assert any(note.startswith("Classes without a picture in val: b.") for note in manifest.notes)


def test_class_folders_come_before_a_table(tmp_path: Path) -> None:
    """Where folders are classes, a table beside them is not read, and a note says so."""
    make(tmp_path, "no table", *(f"{name}/{number}.jpg" for name in "ab" for number in range(5)))
    manifest = read_manifest(tmp_path, 0)
    assert manifest.classes == ("a", "b")
    assert any(note.startswith("Not read: labels.csv;") for note in manifest.notes)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,label\n", r"labels\.csv: there are no rows"),
        ("file\n1.jpg\n", r"names a single column"),
        ("file,x,y\n1.jpg,a,b\n2.jpg,c,d\n", r"no column holds the labels \(there are file, x, y\)"),
        ("file,label\n1.jpg,a,b\n", r"row 2: it has another number of columns"),
        ("file,label\n1.jpg,a\n2.jpg\n", r"row 3: it has another number of columns"),
        ("file,file,label\n1.jpg,1,a\n", r"two columns have the same name"),
        ("file,label,split\n1.jpg,a,tomorrow\n", r"row 2: 'tomorrow' is no split\. Write train, val or test"),
        ("file,label,split\n1.jpg,a,val\n", r"no picture to train on"),
        ("file,label\n7.jpg,a\n8.jpg,b\n", r"2 of 2 rows name a picture that is not there, such as '7\.jpg'"),
        ("file,label\n1.jpg,a|b\n2.jpg,a\n", r"row 2: this picture has 2 labels.*multilabel-classification"),
        ("file,label\n1.jpg,a\n1.jpg,b\n2.jpg,a\n", r"1\.jpg: its rows have 2 labels.*multilabel-classification"),
        ("file,label\n1.jpg,a\n2.jpg,a\n", r"there is a single class, 'a'"),
        ("file,label,split\n1.jpg,a,train\n2.jpg,b,train\n1.jpg,a,val\n", r"1\.jpg is in train and in val"),
        ("file,label\n3,a\n2.jpg,b\n", r"row 2: '3' may be any of deep/3\.jpg, deep/3\.png"),
    ],
)
def test_what_is_refused(tmp_path: Path, table: str, message: str) -> None:
    """A malformed table is one clear sentence that names it and the row."""
    make(tmp_path, table, "1.jpg", "2.jpg", "deep/3.jpg", "deep/3.png")
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path, 0)


def test_other_encodings_and_several_tables_are_refused(tmp_path: Path) -> None:
    """A table that is not UTF-8, and tables of which none stands out, are named."""
    make(tmp_path, "", "1.jpg")
    (tmp_path / "labels.csv").write_bytes("file,label\n1.jpg,é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.csv: it is not UTF-8"):
        read_manifest(tmp_path, 0)
    (tmp_path / "labels.csv").rename(tmp_path / "one.csv")
    (tmp_path / "two.csv").touch()
    with pytest.raises(DataError, match=r"it holds 2 tables: one\.csv, two\.csv\. Point `data` at one"):
        read_manifest(tmp_path, 0)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """A few rows without picture, pictures without row, and columns of no use are left out with a note each."""
    rows = "".join(f"{number}.jpg,a b,{number}00\n" for number in range(1, 6))
    make(tmp_path, "file,label,width\n" + rows, *(f"{number}.jpg" for number in (1, 2, 3, 4, 9)))
    assert read_multilabel(tmp_path, 0).notes[:4] == (
        "Labels in the column 'label' of labels.csv are taken apart at spaces.",
        "Columns of labels.csv that are not used: width.",
        "Left out, because there is no such picture: 1 rows, such as 5.jpg.",
        "Left out, because no table names them: 1 pictures.",
    )
