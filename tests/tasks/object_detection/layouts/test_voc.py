"""Pascal VOC's files and lists, in the encodings and forms that people have."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tasks.object_detection.scenes import (
    CLASSES,
    coco,
    draw_scene,
    make_scenes,
    voc,
    write,
    write_json,
    write_voc,
)

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.layouts.voc import parse_xml
from tunewell.tasks.object_detection.reading import read_annotations

SCENES = make_scenes({"train": 6, "val": 3})
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))


def read(folder: Path) -> AnnotatedPictures:
    """Return what is in a folder, for seed 0."""
    return read_annotations(folder, 0, with_masks=False)


def pictures(found: AnnotatedPictures) -> dict[str, int]:
    """Return the number of pictures of each split."""
    return {split: len(positions) for split, positions in found.splits.items()}


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "utf-16"),
        ("utf-16", ""),
        ("utf-16-le", "utf-16"),
        ("latin-1", "ISO-8859-1"),
        ("latin-1", "UTF-8"),
        ("latin-1", ""),
        ("cp1252", "windows-1252"),
        ("cp1252", ""),
        ("utf-8", "utf-16"),
        ("utf-8", "no-such-encoding"),
        ("latin-1", "no-such-encoding"),
        ("utf-8", "hex"),
        ("gbk", "gb2312"),
        ("shift_jis", "Shift_JIS"),
        ("koi8-r", "KOI8-R"),
    ],
)
def test_encodings(encoding: str, declared: str, tmp_path: Path) -> None:
    """Class names are read whatever the encoding, declared truly, wrongly, by an unknown name or not at all."""
    name = {"cp1252": "Käfer €", "gbk": "猫", "shift_jis": "ねこ", "koi8-r": "кошка"}.get(encoding, "Käfer")
    head = f'\n<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    for path in (write_voc(tmp_path, SCENES) / "Annotations").iterdir():
        path.write_bytes((head + path.read_text().replace("disc", name)).encode(encoding))
    assert set(read(tmp_path).classes) == {name, "square"}


def test_masks_called_as_pictures(tmp_path: Path) -> None:
    """Masks with the names of pictures, but for the ending, are not taken for these."""
    write_voc(tmp_path, SCENES)
    for path in (tmp_path / "Annotations").iterdir():
        draw_scene(tmp_path / "SegmentationClass" / f"{path.stem}.tif", [])
    found = read(tmp_path)
    assert (pictures(found), {Path(path).suffix for path in found.paths}) == ({"train": 6, "val": 3}, {".png"})


@pytest.mark.parametrize(
    "declaration",
    ['[<!ENTITY l0 "ha">' + LAUGHS + "]", '[<!ENTITY x SYSTEM "file:///etc/passwd">]', "[<!ENTITY % p 'x'> %p;]"],
)
def test_entities_are_refused(declaration: str, tmp_path: Path) -> None:
    """Entities, however small they look, are never expanded: the file can't be read."""
    for path in (write_voc(tmp_path, SCENES) / "Annotations").iterdir():
        write(path, f"<!DOCTYPE annotation {declaration}>{path.read_text().replace('disc', '&l8;')}")
    with pytest.raises(DataError, match="it declares entities, which no annotation needs"):
        read(tmp_path)


def test_a_document_type_alone_does_no_harm() -> None:
    """A document type without entities is read over; its definition is not fetched."""
    text = (
        '<!DOCTYPE annotation SYSTEM "http://example.invalid/voc.dtd"><annotation><filename>a</filename></annotation>'
    )
    assert parse_xml(text.encode()).findtext("filename") == "a"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".idea/misc.xml", "<project/>"),
        ("pom.xml", "<?xml version='1.0'?><!-- <annotation> --><project/>"),
        ("annotations.xml", "<annotations><image/></annotations>"),
        ("JPEGImages/train0.jpg.aux.xml", "<PAMDataset/>"),
        ("Annotations/._train0.xml", "\0\5"),
        ("Annotations/.ipynb_checkpoints/train0-checkpoint.xml", "<annotation/>"),
        ("__MACOSX/Annotations/._train0.xml", "\0\5"),
    ],
)
def test_foreign_files(name: str, content: str, tmp_path: Path) -> None:
    """XML files of other programs, hidden ones among them, are none of the annotations."""
    write_voc(tmp_path, SCENES)
    write(tmp_path / name, content)
    assert read(tmp_path).notes == ()


def test_damaged_files_are_said(tmp_path: Path) -> None:
    """An annotation file that is empty or cut off is counted."""
    write_voc(tmp_path, SCENES)
    write(tmp_path / "Annotations" / "train0.xml", "")
    write(tmp_path / "Annotations" / "train1.xml", "<annotation><object>")
    (note,) = (note for note in read(tmp_path).notes if "can't be read" in note)
    assert "2 annotations, Annotations/train0.xml (no element found" in note


def test_forms_of_numbers(tmp_path: Path) -> None:
    """Fractions in boxes and sizes, sizes that are missing and `difficult` in words are read."""
    write_voc(tmp_path, SCENES)
    expected = [objects.boxes.tolist() for objects in read(tmp_path).objects]
    for number, path in enumerate(sorted((tmp_path / "Annotations").iterdir())):
        text = path.read_text()
        size = text[text.index("<size>") : text.index("</size>") + len("</size>")]
        text = text.replace(size, size.replace("</width>", ".0</width>") if number % 2 else "")
        write(path, text.replace("</xmin>", ".0</xmin>").replace("<object>", "<object><difficult>0</difficult>"))
    found = read(tmp_path)
    assert [objects.boxes.tolist() for objects in found.objects] == expected
    path = tmp_path / "Annotations" / "train0.xml"
    write(path, path.read_text().replace("<difficult>0<", "<difficult>true<", 1))
    assert (
        "Neither learned nor counted as missed, because they are marked `difficult`: 1 object." in read(tmp_path).notes
    )


def lists(folder: Path, **texts: str) -> Path:
    """Replace the lists of splits."""
    for path in (folder / "ImageSets" / "Main").iterdir():
        path.unlink()
    for name, text in texts.items():
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_bytes(text.encode())
    return folder


TRAIN, VAL = (tuple(name for name, _ in SCENES[split]) for split in ("train", "val"))


@pytest.mark.parametrize("pattern", ["{}\n", "{}\r\n", "{} 1\r\n", "{}  -1\n", "{}.png\n", "Annotations/{}.xml\n"])
def test_forms_of_lists(pattern: str, tmp_path: Path) -> None:
    """Lists may have line ends of Windows, a column behind the names, endings and folders."""
    train, val = ("".join(pattern.format(name) for name in names) for names in (TRAIN, VAL))
    found = read(lists(write_voc(tmp_path, SCENES), train=train, val=val, trainval=train + val))
    assert pictures(found) == {"train": 6, "val": 3}
    assert found.notes == ()


def test_lists_with_other_names(tmp_path: Path) -> None:
    """Lists for a class each, and `trainval` without the two, say splits as well."""
    train, val = ("".join(f"{name} -1\n" for name in names) for names in (TRAIN, VAL))
    write_voc(tmp_path, SCENES)
    assert pictures(read(lists(tmp_path, disc_train=train, disc_val=val, square_train=train))) == {"train": 6, "val": 3}
    assert pictures(read(lists(tmp_path, trainval=train, test=val)))["test"] == 3


def test_names_with_spaces_and_dots(tmp_path: Path) -> None:
    """A name in a list is what it is, spaces and dots included."""
    scenes = {"train": [(f"my photo.{name} 1", things) for name, things in SCENES["train"]], "val": SCENES["val"]}
    assert pictures(read(write_voc(tmp_path, scenes))) == {"train": 6, "val": 3}


def test_listed_pictures_that_are_missing(tmp_path: Path) -> None:
    """Listed names without picture and annotations are noted if they are few, and an error if they are many."""
    write_voc(tmp_path, SCENES)
    path = tmp_path / "ImageSets" / "Main" / "train.txt"
    listed = path.read_text()
    write(path, f"{listed}\ngone\n")
    assert "1 picture, gone." in " ".join(read(tmp_path).notes)
    write(path, listed + "".join(f"\ngone{n}" for n in range(50)))
    with pytest.raises(DataError, match="50 of 59 pictures that are annotated or listed are not there, such as gone0"):
        read(tmp_path)


def test_annotations_in_no_list(tmp_path: Path) -> None:
    """Annotations that the lists leave out are neither learned nor tested on, and a note says how many."""
    found = read(lists(write_voc(tmp_path, SCENES), train="\n".join(TRAIN[:4]), val="\n".join(VAL)))
    assert pictures(found) == {"train": 4, "val": 3}
    assert "Left out, being in no list of ImageSets: 2 annotation files." in found.notes


def test_several_years(tmp_path: Path) -> None:
    """Each folder with lists of its own, as VOC's years, divides its own files, though names are there twice."""
    for year in ("VOC2007", "VOC2012"):
        write_voc(tmp_path / year, make_scenes({"train": 6, "val": 3}, seed=int(year[3:])))
    found = read(tmp_path)
    assert pictures(found) == {"train": 12, "val": 6}


@pytest.mark.parametrize("folder", ["Training", "VALID/xml", "Annotations/train", "train2017"])
def test_folders_of_splits(folder: str, tmp_path: Path) -> None:
    """Without lists, the usual names of folders say the splits, of annotations or of pictures."""
    other = {"Training": "Testing", "VALID/xml": "train/xml"}.get(folder, folder.replace("train", "val"))
    for split, place in (("train", folder), ("val", other)):
        for name, things in SCENES[split]:
            draw_scene(tmp_path / place / f"{name}.png", things)
            write(tmp_path / place / f"{name}.xml", voc(name, things))
    assert len(pictures(read(tmp_path))) > 1
    for place in (folder, other):
        for path in (tmp_path / place).glob("*.xml"):
            write(tmp_path / "labels" / path.name, path.read_text())
            path.unlink()
    found = read(tmp_path)
    assert set(found.classes) == set(CLASSES)
    assert not any("Divided" in note for note in found.notes) or folder == "Training"


def test_objects_of_a_picture_in_two_layouts(tmp_path: Path) -> None:
    """Where COCO's files are there too, they are read, and a note says that the others are not."""
    write_voc(tmp_path, SCENES)
    for split, things in SCENES.items():
        write_json(tmp_path / "annotations_coco" / f"instances_{split}.json", coco(things))
    assert read(tmp_path).notes == ("Read as COCO JSON; the annotations in Pascal VOC XML are not used.",)
