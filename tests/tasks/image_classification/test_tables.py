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
        "image,cat,dog,owl\n1.jpg,1,1,-1\n2.jpg,-1,-1,-1\n",
        "image,labels\n1.jpg,\"['cat', 'dog']\"\n2.jpg,[]\n",
        "image,labels\n1.jpg,['cat' 'dog']\n2.jpg,\n",
        'image,labels\n1.jpg,"[""cat"", ""dog""]"\n2.jpg,[]\n',
        "image,labels\n1.jpg,[cat dog]\n2.jpg,nan\n",
        'image,labels\n1.jpg,"{cat,dog}"\n2.jpg,{}\n',
    ],
)
def test_ways_to_write_the_same(tmp_path: Path, table: str) -> None:
    """Separators, columns of 0 and 1, a row a label, names with and without folder and ending mean the same."""
    make(tmp_path, table, "images/1.jpg", "images/2.jpg")
    assert labels_in(tmp_path) == {"1.jpg": ("cat", "dog"), "2.jpg": ()}


def test_lists_of_longer_names(tmp_path: Path) -> None:
    """Spaces, commas and quotes within the names of a list are theirs; a list of one is one label."""
    make(tmp_path, 'file,label\n1.jpg,"[\'sea, deep\', ""cat\'s eye""]"\n2.jpg,"[sea, polar bear]"\n', "1.jpg", "2.jpg")
    assert labels_in(tmp_path) == {"1.jpg": ("sea, deep", "cat's eye"), "2.jpg": ("sea", "polar bear")}
    make(tmp_path, "file,label\n1.jpg,['polar bear']\n2.jpg,['sea']\n")
    assert labels_in(tmp_path, single=True) == {"1.jpg": ("polar bear",), "2.jpg": ("sea",)}


@pytest.mark.parametrize("cells", [("[1, 0, 0]", "[0, 1, 0]"), ("0 1 0", "1 1 0"), ("0|1|0", "")])
def test_numbers_for_labels_without_names(tmp_path: Path, cells: tuple[str, str]) -> None:
    """A 0 or 1 for each label in a single cell doesn't say which labels are meant."""
    make(tmp_path, 'file,labels\n1.jpg,"{}"\n2.jpg,"{}"\n'.format(*cells), "1.jpg", "2.jpg")
    with pytest.raises(DataError, match="the column 'labels' has 0 and 1 for labels without names"):
        read_tables(tmp_path, tables_in(tmp_path), single=False)


@pytest.mark.parametrize("name", ["ClassId", "class id", "CLASS_ID", "Class-ID"])
def test_names_of_columns(tmp_path: Path, name: str) -> None:
    """Capitals and what stands between the words of a column's name don't matter."""
    make(tmp_path, f"Width,{name},Path,Height\n5,cat,1.jpg,6\n5,dog,2.jpg,6\n", "1.jpg", "2.jpg")
    assert labels_in(tmp_path, single=True) == {"1.jpg": ("cat",), "2.jpg": ("dog",)}


def test_table_of_other_facts(tmp_path: Path) -> None:
    """Of two tables for training, one without labels is not read, which a note says."""
    pictures = [f"{number}.jpg" for number in range(4)]
    make(tmp_path, "image,age,sex\n" + "".join(f"{name},5{name[0]},m\n" for name in pictures), name="Train_Facts.csv")
    truth = "image,cat,dog\n" + "".join(f"{name},{i % 2},{1 - i % 2}\n" for i, name in enumerate(pictures))
    make(tmp_path, truth, *pictures, name="Train_Truth.csv")
    manifest = read_manifest(tmp_path, 0)
    assert (manifest.labels, "Not read: Train_Facts.csv." in manifest.notes) == ((1, 0, 1, 0), True)


def test_missing_picture_in_the_first_line(tmp_path: Path) -> None:
    """A first line that names a picture is a row, though the picture is missing."""
    make(tmp_path, "0.jpg,cat\n1.jpg,cat\n2.jpg,dog\n", "1.jpg", "2.jpg")
    notes = read_tables(tmp_path, tables_in(tmp_path), single=True).notes
    assert "Left out, because there is no such picture: 1 row, such as 0.jpg." in notes


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
        ("file,y1,y2\n1.jpg,a,b\n2.jpg,c,d\n", r"no column holds the labels \(there are file, y1, y2\)"),
        ("file,label\n1.jpg,a,b\n", r"row 2: it has another number of columns"),
        ("file,label\n1.jpg,a\n2.jpg\n", r"row 3: it has another number of columns"),
        ("file,file,label\n1.jpg,1,a\n", r"two columns have the same name"),
        ("file,bird,male,female\n1.jpg,a,1,0\n2.jpg,a,0,1\n", r"no column holds the labels"),
        ("file,ill,age\n1.jpg,1,30\n2.jpg,0,40\n", r"no column holds the labels"),
        (
            "file,label,split\n1.jpg,a,tomorrow\n",
            r"row 2: 'tomorrow' in the column 'split' is no split\. Write train, val or test",
        ),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\x00\x01\x00\x02", "it is no text"),
        (b"\xff\xfef\x00i\x00l", "it is damaged, or not UTF-16"),
        (b'file,label\n"1.jpg,a\n2.jpg,b\n', "it is no table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is no text, or no table, is one clear sentence."""
    make(tmp_path, "", "1.jpg", "2.jpg")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"labels\.csv: {message}.*Save it as CSV"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """Tables are read in the encodings that programs write; a guess is noted."""
    make(tmp_path, "", "1.jpg", "2.jpg")
    text = 'file;Klasse\r\n1.jpg;Käfer\r\n2.jpg; "Marienkäfer " \r\n'.replace(" \r", "\r")
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    assert labels_in(tmp_path, single=True) == {"1.jpg": ("Käfer",), "2.jpg": ("Marienkäfer",)}
    notes = read_tables(tmp_path, tables_in(tmp_path), single=True).notes
    assert any(note.startswith("Read as Windows-1252") for note in notes) == (encoding in ("latin-1", "cp1252"))


def test_several_tables(tmp_path: Path) -> None:
    """Of several tables the one with pictures and labels counts; where none stands out, they are named."""
    rows = "".join(f"{number}.jpg,{'ab'[number % 2]}\n" for number in range(8))
    make(tmp_path, "file,label\n" + rows, *(f"{number}.jpg" for number in range(8)), name="one.csv")
    make(tmp_path, "station,rain\nBonn,33\nUlm,44\n", name="weather.csv")
    manifest = read_manifest(tmp_path, 0)
    assert manifest.classes == ("a", "b")
    assert "Not read: weather.csv." in manifest.notes
    make(tmp_path, "file,label\n" + rows, name="two.csv")
    with pytest.raises(DataError, match=r"it holds 3 tables: one\.csv, two\.csv, weather\.csv\. Point `data` at one"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize(
    ("single", "header", "rows", "unused"),
    [
        (True, "label,is_train,is_valid", ["a,1,0", "b,1,0", "a,0,1", "b,0,1"], "is_train, is_valid"),
        (True, "male,female,class", ["1,0,a", "0,1,b", "0,1,a", "1,0,b"], "female, male"),
        (False, "labels,checked,good", ["a,1,0", "b,1,1", "a,0,1", "b,0,1"], "checked, good"),
        (False, "tag,fold", ["a,0", "b,1", "a,0", "b,1"], "fold"),
        (True, "a,b", ["1,0", "0,1", "1,0", "0,1"], ""),
        (False, "a,b,is_test,fold", ["1,0,0,1", "0,1,1,0", "1,0,1,0", "0,1,0,0"], "fold, is_test"),
        (True, "bird,checked,good", ["a,1,1", "b,1,0", "a,1,1", "b,0,1"], "checked, good"),
        (True, "place,a,b", ["x,1,0", "y,0,1", "z,1,0", "v,0,1"], "place"),
        (True, "bird", ["a", "b", "a", "b"], ""),
        (True, "label,phase", ["a,train", "b,train", "a,valid", "b,valid"], ""),
    ],
)
def test_columns_of_labels(tmp_path: Path, single: bool, header: str, rows: list[str], unused: str) -> None:
    """The column `label` holds the labels whatever columns of 0 and 1 stand beside it; without it these are labels."""
    table = f"image,{header}\n" + "".join(f"{number}.jpg,{row}\n" for number, row in enumerate(rows))
    make(tmp_path, table, *(f"{number}.jpg" for number in range(4)))
    labels = [("a",), ("b",)] * 2
    assert labels_in(tmp_path, single) == {f"{number}.jpg": label for number, label in enumerate(labels)}
    notes = read_tables(tmp_path, tables_in(tmp_path), single).notes
    assert [note for note in notes if "not used" in note] == (
        [f"Columns of labels.csv that are not used: {unused}."] if unused else []
    )


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ("images/1.jpg images/2.jpg", ""),
        ("1 2", ""),
        (r"images\1.jpg images\2.jpg", ""),
        (r"C:\data\images\1.jpg C:\data\images\2.jpg", r"Found by the end of their paths: 2 of 2 pictures, such as C:"),
        (
            "/home/me/1.jpg /home/me/2.jpg",
            "Found by the end of their paths: 2 of 2 pictures, such as /home/",
        ),
        ("../images/1.jpg ./images/2.jpg", ""),
        ("1.JPG 2.jpg", "Found in another case: 1 of 2 pictures, such as 1.JPG = images/1.jpg."),
        ("1.png 2.png", "Found with another ending: 2 of 2 pictures, such as 1.png = images/1.jpg."),
        ("0001 0002", "Found by their numbers, without zeros in front: 2 of 2 pictures, such as 0001 = images/1.jpg."),
    ],
)
@pytest.mark.parametrize("header", ["image,label", "anything,label", ",label"])
def test_names_of_pictures(tmp_path: Path, cells: str, note: str, header: str) -> None:
    """Pictures are found under the names that other machines and programs give them, and a note says how."""
    first, second = cells.split()
    make(tmp_path, f"{header}\n{first},a\n{second},b\n", "images/1.jpg", "images/2.jpg")
    assert labels_in(tmp_path, single=True) == {"1.jpg": ("a",), "2.jpg": ("b",)}
    notes = read_tables(tmp_path, tables_in(tmp_path), single=True).notes
    assert [found for found in notes if found.startswith("Found")] == [
        found for found in notes if note and found.startswith(note)
    ]
    assert any(found.startswith(note) for found in notes) or not note
    assert any(found.startswith("Pictures are named by the column") for found in notes) == ("image" not in header)


@pytest.mark.parametrize(
    "table",
    [
        ",image_path,label\n0,0.jpg,a\n1,1.jpg,b\n2,2.jpg,a\n",
        "id,label,photo\n1,a,0\n2,b,1\n0,a,2\n",
        "id,class,file_name\n0,a,0.jpg\n0,b,1.jpg\n0,a,2.jpg\n",
        "label,x\na,0.jpg\nb,1.jpg\na,2.jpg\n",
        "0.jpg,a\n1.jpg,b\n2.jpg,a\n",
        "sep=;\nfile;label\n0.jpg;a\n1.jpg;b\n;\n2.jpg;a;;\n",
    ],
)
def test_the_column_that_names_pictures(tmp_path: Path, table: str) -> None:
    """The column whose cells name the most pictures is that of the pictures; names with endings come first."""
    if table.startswith("id,label,photo"):
        table = table.replace(",0\n", ",0.jpg\n").replace(",1\n", ",1.jpg\n").replace(",2\n", ",2.jpg\n")
    make(tmp_path, table, "0.jpg", "1.jpg", "2.jpg")
    assert labels_in(tmp_path, single=True) == {"0.jpg": ("a",), "1.jpg": ("b",), "2.jpg": ("a",)}


def test_paths_with_the_same_end(tmp_path: Path) -> None:
    """Of two paths that end alike the more alike one counts; where both are, the two are named."""
    rows = "x/a/1.jpg,a\nx/b/1.jpg,b\n" + "".join(f"{number}.jpg,a\n" for number in range(2, 9))
    make(tmp_path, "file,label\n" + rows, "a/1.jpg", *(f"{number}.jpg" for number in range(2, 9)))
    labelling = read_tables(tmp_path, tables_in(tmp_path), single=True)
    assert [row.labels for row in labelling.rows if row.path.parent.name == "a"] == [("a",)]
    assert "Left out, because there is no such picture: 1 row, such as x/b/1.jpg." in labelling.notes
    (tmp_path / "a" / "1.jpg").rename(tmp_path / "1.jpg")
    with pytest.raises(DataError, match=r"1\.jpg: the table may mean it by 'x/a/1\.jpg' and by 'x/b/1\.jpg'"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ("1.0 2.0 1.0", ["1", "2", "1"]),
        ("1 2.0 1.", ["1", "2", "1"]),
        ("01 2 1", ["01", "2", "1"]),
        ("1.5 2.0 1.5", ["1.5", "2.0", "1.5"]),
        ("1.0 x nan", ["1.0", "x", ""]),
    ],
)
def test_class_numbers(tmp_path: Path, cells: str, labels: list[str]) -> None:
    """Class numbers that a program has written as fractions are whole again, if all are; `nan` is an empty cell."""
    rows = "".join(f"{number}.jpg,{cell}\n" for number, cell in enumerate(cells.split()))
    make(tmp_path, "file,label\n" + rows, "0.jpg", "1.jpg", "2.jpg")
    found = labels_in(tmp_path, single=True)
    assert ["".join(found[f"{number}.jpg"]) for number in range(3)] == labels


@pytest.mark.parametrize("test", ["image\n6.jpg\n7.jpg\n", "image,label\n6.jpg,\n7.jpg,\n", "id,label\n8,\n9,\n"])
@pytest.mark.parametrize("single", [True, False])
def test_a_test_table_without_labels(tmp_path: Path, test: str, single: bool) -> None:
    """A test table without labels, or without pictures, is left out with a note; other tables are named as not read."""
    rows = "".join(f"{number}.jpg,{'ab'[number % 2]}\n" for number in range(6))
    make(tmp_path, "image,label\n" + rows, *(f"{number}.jpg" for number in range(8)), name="train.csv")
    make(tmp_path, test, name="test.csv")
    make(tmp_path, "image,label\n6.jpg,a\n7.jpg,a\n", name="sample_submission.csv")
    manifest = read_manifest(tmp_path, 0) if single else read_multilabel(tmp_path, 0)
    assert (manifest.classes, list(manifest.splits)) == (("a", "b"), ["train", "val"])
    expected = "2 rows, such as 8" if test.startswith("id") else "having no label: all 2 pictures of test, such as 6"
    assert any(expected in note for note in manifest.notes)
    assert "Not read: sample_submission.csv." in manifest.notes


def test_a_table_in_the_folder_of_each_split(tmp_path: Path) -> None:
    """Each split may have a table of its own beside its pictures; names need be unique in a split only."""
    for split in ("train", "valid", "test"):
        table = "filename, cat, dog\n1.jpg, 1, 0\n2.jpg, 0, 1\n"
        make(tmp_path / split, table, "1.jpg", "2.jpg", name="_classes.csv")
    for manifest in (read_manifest(tmp_path, 0), read_multilabel(tmp_path, 0)):
        assert manifest.classes == ("cat", "dog")
        assert {split: len(places) for split, places in manifest.splits.items()} == {"train": 2, "val": 2, "test": 2}


def test_pictures_in_folders_that_are_no_classes(tmp_path: Path) -> None:
    """Folders that only share pictures out, and a folder of pictures in each split, leave the labels to the table."""
    table = "image_id,diagnosis,age\n1,a,3\n2,b,4\n3,a,5\n4,b,6\n5,a,7\n"
    make(
        tmp_path / "parts",
        table,
        "pics_part_1/1.jpg",
        "pics_part_1/2.jpg",
        "pics_part_2/3.jpg",
        "pics_part_2/4.jpg",
        "pics_part_2/5.jpg",
    )
    assert read_manifest(tmp_path / "parts", 0).classes == ("a", "b")
    pictures = [f"train/images/{number}.jpg" for number in range(1, 5)]
    make(tmp_path / "splits", table, *pictures, "test/images/5.jpg")
    assert read_manifest(tmp_path / "splits", 0).classes == ("a", "b")


def test_foreign_files_beside_a_table(tmp_path: Path) -> None:
    """What systems leave beside a table is not read, and other files are counted."""
    rows = "".join(f"{number}.jpg,{'ab'[number % 2]}\n" for number in range(6))
    make(tmp_path / "data", "file,label\n" + rows, *(f"{number}.jpg" for number in range(6)), name="data.csv")
    for name in ("._data.csv", ".DS_Store", "~$data.csv"):
        (tmp_path / "data" / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "data" / "6.heic").touch()
    manifest = read_manifest(tmp_path, 0)
    assert manifest.folder == tmp_path / "data"
    assert manifest.notes[:2] == (
        f"Read from data/, the only folder in {tmp_path}.",
        "Left out, not being pictures by their ending: 1 file (1 .heic), such as 6.heic.",
    )


def test_pictures_in_no_split(tmp_path: Path) -> None:
    """Rows that name no split are left out and counted where others do."""
    make(tmp_path, "file,label,split\n1.jpg,a,train\n2.jpg,b,Training\n3.jpg,a,\n", "1.jpg", "2.jpg", "3.jpg")
    labelling = read_tables(tmp_path, tables_in(tmp_path), single=True)
    assert {row.path.name: row.split for row in labelling.rows} == {"1.jpg": "train", "2.jpg": "train"}
    assert "Left out, being in no split: 1 picture, such as 3.jpg." in labelling.notes


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """A few rows without picture, pictures without row, and columns of no use are left out with a note each."""
    rows = "".join(f"{number}.jpg,a b,{number}00\n" for number in range(1, 6))
    make(tmp_path, "file,label,width\n" + rows, *(f"{number}.jpg" for number in (1, 2, 3, 4, 9)))
    assert read_multilabel(tmp_path, 0).notes[:4] == (
        "Labels in the column 'label' of labels.csv are taken apart at spaces.",
        "Columns of labels.csv that are not used: width.",
        "Left out, because there is no such picture: 1 row, such as 5.jpg.",
        "Left out, because no table names them: 1 picture, such as 9.jpg.",
    )
