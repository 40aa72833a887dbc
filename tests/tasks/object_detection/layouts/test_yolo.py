"""YOLO texts with their settings, lists and lines, as different tools write them."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tasks.object_detection.scenes import CLASSES, draw_scene, make_scenes, write, write_yolo, yolo_line

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.reading import read_annotations

SCENES = make_scenes({"train": 6, "val": 3})


def read(folder: Path, with_masks: bool = False) -> AnnotatedPictures:
    """Return what is in a folder, for seed 0."""
    return read_annotations(folder, 0, with_masks)


def pictures(found: AnnotatedPictures) -> dict[str, int]:
    """Return the number of pictures of each split."""
    return {split: len(positions) for split, positions in found.splits.items()}


@pytest.fixture
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[list[list[float]]]:
    """Return the boxes of each picture as the plain layout has them."""
    return boxes(read(write_yolo(tmp_path_factory.mktemp("plain"), SCENES)))


def boxes(found: AnnotatedPictures) -> list[list[list[float]]]:
    """Return the boxes of each picture."""
    return [objects.boxes.round(3).tolist() for objects in found.objects]


def lengthen(folder: Path, ending: str) -> Path:
    """Append numbers to every line."""
    for path in (folder / "labels").rglob("*.txt"):
        write(path, "".join(f"{line} {ending}\n" for line in path.read_text().splitlines()))
    return folder


def settings(text: str) -> Callable[[Path], Path]:
    """Return a writer of a set with other settings."""

    def writer(folder: Path) -> Path:
        write(write_yolo(folder, SCENES) / "data.yaml", text)
        return folder

    return writer


@pytest.mark.parametrize("names", ["[007, null]", "{0: 007, 1: null}", "{007: 0, null: 1}", "\n- 007\n- null\n"])
def test_names_as_they_are_written(tmp_path: Path, names: str) -> None:
    """Names that YAML would take for numbers or nothing are what is written."""
    assert read(settings(f"train: images/train\nval: images/val\nnames: {names}\n")(tmp_path)).classes == (
        "007",
        "null",
    )


@pytest.mark.parametrize("named", [True, False])
def test_masks_called_as_pictures(tmp_path: Path, named: bool) -> None:
    """Pictures without text that are called as annotated ones, masks for example, are not learned as background."""
    write_yolo(tmp_path, SCENES)
    if named:
        write(tmp_path / "data.yaml", "train: train\nval: val\nnames: [a, b]\n")
        for split in SCENES:
            (tmp_path / split).mkdir()
            for kind in ("images", "labels"):
                (tmp_path / kind / split).rename(tmp_path / split / kind)
    else:
        (tmp_path / "data.yaml").unlink()
    for split, scenes in SCENES.items():
        for name, _ in scenes:
            draw_scene(tmp_path / (f"{split}/masks" if named else f"masks/{split}") / f"{name}.png", [])
    draw_scene(tmp_path / ("train/images" if named else "images/train") / "nothing.png", [])
    found = read(tmp_path)
    assert pictures(found) == {"train": 7, "val": 3}
    assert "Not used, having no annotations or being in no split: 9 pictures." in found.notes
    assert "Learned as background, showing no object: 1 of 10 pictures." in found.notes


@pytest.mark.parametrize(
    ("shape", "ending", "note"),
    [
        ("[4, 3]", "0.5 0.5 2 0.4 0.4 1 0.1 0.1 0 0.2 0.2 2", "the key points of"),
        ("[2, 2]", "0.5 0.5 0 0", "the key points of"),
        ("", "0.5 0.5 2 0.4 0.4 1 0.3 0.3 0", "the key points of"),
        ("", "0.5 0.5 1 0.4 0.4 1", "the key points of"),
        ("", "0.87", "a number (a confidence, as of predictions, or a track) behind the box"),
        ("", "17", "a number (a confidence, as of predictions, or a track) behind the box"),
    ],
)
def test_numbers_behind_a_box(
    shape: str, ending: str, note: str, expected: list[list[list[float]]], tmp_path: Path
) -> None:
    """Key points, and a confidence, are left out with a note; the box is the same as without them."""
    folder = lengthen(write_yolo(tmp_path, SCENES), ending)
    if shape:
        write(folder / "data.yaml", (folder / "data.yaml").read_text() + f"kpt_shape: {shape}\n")
    found = read(folder)
    assert boxes(found) == expected
    assert note in " ".join(found.notes)


def test_key_points_in_some_lines(expected: list[list[list[float]]], tmp_path: Path) -> None:
    """With `kpt_shape`, lines without points are boxes, and those with another number of them can't be read."""
    folder = write_yolo(tmp_path, SCENES)
    write(folder / "data.yaml", (folder / "data.yaml").read_text() + "kpt_shape: [2, 3]\n")
    assert boxes(read(folder)) == expected
    with pytest.raises(DataError, match=r"8 numbers are neither a box \(4\) nor one with its key points \(10\)"):
        read(lengthen(folder, "0.5 0.5 0.5 0.5"))
    write(folder / "data.yaml", "names: [disc, square]\nkpt_shape: 3\n")
    with pytest.raises(DataError, match=r"kpt_shape is not \[number of key points, 2 or 3\]"):
        read(folder)


def test_points_that_can_not_be_told_from_polygons(tmp_path: Path) -> None:
    """Where lines might be boxes with points of two numbers, a note says what to do if they are."""
    folder = write_yolo(tmp_path, SCENES)
    for path in (folder / "labels").rglob("*.txt"):
        lines = [f"{line} {' '.join(line.split()[1:3] * 3)}\n" for line in path.read_text().splitlines()]
        write(path, "".join(lines))
    notes = " ".join(read(folder).notes)
    assert "lines. If they are boxes with key points, add `kpt_shape`" in notes


def test_polygons_and_turned_boxes(tmp_path: Path) -> None:
    """Lines of a class and corners are polygons, and the corners of turned boxes are four of them."""
    found = read(write_yolo(tmp_path, SCENES, masks=True), with_masks=True)
    assert found.has_masks
    assert not any("key points" in note for note in found.notes)


def test_classes_as_fractions(expected: list[list[list[float]]], tmp_path: Path) -> None:
    """`0.0` is class 0, as table programs write it; 0.5 is none."""
    folder = write_yolo(tmp_path, SCENES)
    for path in (folder / "labels").rglob("*.txt"):
        write(path, "".join(line[0] + ".0" + line[1:] + "\n" for line in path.read_text().splitlines()))
    assert boxes(read(folder)) == expected
    for path in (folder / "labels").rglob("*.txt"):
        write(path, path.read_text().replace(".0 ", ".5 ", 1))
    with pytest.raises(DataError, match=r"the class \d\.5 is no whole number"):
        read(folder)


SPLITS = "train: images/train\nval: images/val\n"
NAMES = "names: [disc, square]\n"


@pytest.mark.parametrize(
    "text",
    [
        "{'train': 'images/train', 'val': 'images/val', 'nc': 2, 'names': ['disc', 'square']}\n",
        f'{SPLITS}"names": {{"0": disc, "1": square}}\n',
        f"{SPLITS}names: {{disc: 0, square: 1}}\n",
        f"{SPLITS}names: names.txt\n",
        f"train: ../images/train\nval: ../images/val\n{NAMES}",
        f"path: ../datasets/shapes\n{SPLITS}{NAMES}",
        f"path: /home/somebody/datasets/shapes\n{SPLITS}{NAMES}",
        f"train: C:\\Users\\me\\shapes\\images\\train\nval: C:\\Users\\me\\shapes\\images\\val\n{NAMES}",
        f"train: [images/train/]\nval: [/content/shapes/Images/Val]\n{NAMES}",
        f"train: images/train/*.png\nvalid: images/val\n{NAMES}",
        f"{SPLITS}test: test/images\n{NAMES}",
    ],
)
def test_settings_that_mean_the_same(text: str, expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Quotes, mappings and paths of other machines don't matter; a test folder that is not there is noted."""
    write(tmp_path / "names.txt", "disc\r\nsquare\r\n")
    found = read(settings(text)(tmp_path))
    assert found.classes == CLASSES
    assert pictures(found) == {"train": 6, "val": 3}
    assert boxes(found) == expected
    assert ("test" in text) == any("There are no test pictures: 'test/images' is not there." in n for n in found.notes)


def test_a_number_of_classes_alone(tmp_path: Path) -> None:
    """With `nc` alone the classes are those of a list beside it, or else numbers, with a note."""
    folder = settings(f"{SPLITS}nc: 2\n")(tmp_path)
    found = read(folder)
    assert found.classes == ("0", "1")
    assert "data.yaml names no class: they are called by their numbers, 0 to 1." in found.notes
    write(folder / "classes.txt", "disc\nsquare\n")
    found = read(folder)
    assert found.classes == CLASSES
    assert "data.yaml names no class: the names are those in classes.txt." in found.notes


def test_texts_alone(expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Texts of pictures are enough to know the layout; the classes are numbers, with a note."""
    folder = write_yolo(tmp_path, SCENES)
    (folder / "data.yaml").unlink()
    found = read(folder)
    assert (found.classes, pictures(found)) == (("0", "1"), {"train": 6, "val": 3})
    assert boxes(found) == expected
    assert "Nothing names the classes: they are called by their numbers." in found.notes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hyp.yaml", "lr0: 0.01\nmomentum: 0.9\n"),
        ("mkdocs.yml", "site_name: x\nplugins: !!python/name:material.x\n"),
        ("a-model.yaml", "nc: 80\nbackbone: []\n"),
        ("._data.yaml", "\0\5\26\7"),
        ("broken.yaml", "a: [1"),
        ("labels/train/._train0.txt", "\0\5"),
        ("labels/train/.ipynb_checkpoints/train0-checkpoint.txt", "0 0.5 0.5 0.1 0.1"),
        ("__MACOSX/labels/train/._train0.txt", "\0\5"),
        (".idea/misc.xml", "<project/>"),
        ("labels/train/classes.txt", "disc\nsquare\n"),
        ("readme.txt", "Made by hand."),
        ("notes.json", '{"categories": [{"id": 0, "name": "disc"}], "info": {}}'),
        ("package.json", '{"images": ["a.png"], "annotations": {}, "categories": 3}'),
        ("tsconfig.json", '{"images": 1, // comment\n}'),
    ],
)
def test_foreign_files(name: str, content: str, expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Files of systems, editors and other programs beside a set change nothing."""
    folder = write_yolo(tmp_path, SCENES)
    write(folder / name, content)
    found = read(folder)
    assert boxes(found) == expected
    assert found.notes == ()


def test_names_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Where the file of the class names is missing, the error names it; another list beside it will do."""
    folder = settings(f"{SPLITS}names: data/obj.names\n")(tmp_path)
    with pytest.raises(DataError, match=r"'data/obj\.names', which should list the class names, is not there"):
        read(folder)
    write(folder / "classes.txt", "disc\nsquare\n")
    assert read(folder).classes == CLASSES


@pytest.mark.parametrize("place", ["x" * 5000, "a\\0b", "~/../..", "/", "images/train/train0.png"])
def test_places_that_are_none(place: str, tmp_path: Path) -> None:
    """Whatever stands in place of a folder, the answer is an error that names it, or the whole folder."""
    folder = settings(f'train: "{place}"\n{NAMES}')(tmp_path)
    if place in ("/",):
        assert sum(pictures(read(folder)).values()) == 9
    else:
        with pytest.raises(DataError, match=r"is no folder in"):
            read(folder)


def test_two_settings(tmp_path: Path) -> None:
    """Of two files that could be the settings, the usual name wins, and a note names the other."""
    folder = write_yolo(tmp_path, SCENES)
    write(folder / "a.yaml", "names: [other]\n")
    found = read(folder)
    assert found.classes == CLASSES
    assert "Classes and splits are read from data.yaml, not from a.yaml." in found.notes


def test_two_places_that_are_one(tmp_path: Path) -> None:
    """Two splits whose folders are the same, as far as can be told, are refused."""
    with pytest.raises(DataError, match=r"'\.\./a/images' and '\.\./b/images' are both .*images\. Correct them"):
        read(settings(f"train: ../a/images\nval: ../b/images\n{NAMES}")(tmp_path))


def test_one_place_twice(tmp_path: Path) -> None:
    """Where val names the pictures of train, they are divided, and a note says that they were named twice."""
    found = read(settings(f"train: images/train\nval: images/train\n{NAMES}")(tmp_path))
    assert sum(pictures(found).values()) == 6
    assert "Named for two splits, and used in one of them: 6 pictures." in found.notes


def test_a_place_within_another(tmp_path: Path) -> None:
    """Where the folder of train is around that of val, pictures of val are not learned."""
    found = read(settings(f"train: images\nval: images/val\n{NAMES}")(tmp_path))
    assert pictures(found) == {"train": 6, "val": 3}
    assert "Named for two splits, and used in one of them: 3 pictures." in found.notes


def test_two_texts_for_a_picture(tmp_path: Path) -> None:
    """Texts beside those in the usual place are not used, with a note; two in unusual places are for nobody."""
    folder = write_yolo(tmp_path, SCENES)
    shutil.copytree(folder / "labels", folder / "backup")
    found = read(folder)
    note = "Not used, being for no picture in particular or one with another text: 9 texts, such as backup/train/"
    assert found.notes[0].startswith(note)
    (folder / "labels").rename(folder / "texts")
    with pytest.raises(DataError, match=r"no object is marked in any picture.*: 18 texts, such as backup"):
        read(folder)


@pytest.mark.parametrize("together", [False, True])
def test_names_that_are_there_twice(together: bool, tmp_path: Path) -> None:
    """Texts in unusual places are told apart by their folders, and are for nobody if they can't be."""
    for camera in ("left", "right"):
        for number, (_, things) in enumerate(SCENES["train"]):
            draw_scene(tmp_path / "photos" / camera / f"{number}.png", things)
            text = tmp_path / "marks" / ("" if together else camera) / f"{number}.txt"
            write(text, "".join(map(yolo_line, things)))
    if together:
        with pytest.raises(DataError, match=r"no object is marked in any picture.*: 6 texts, such as marks/0\.txt"):
            read(tmp_path)
    else:
        assert not any("showing no object" in note or "Not used" in note for note in read(tmp_path).notes)


@pytest.mark.parametrize("key", ["names", "train", "kpt_shape", "path"])
def test_endless_settings(key: str, tmp_path: Path) -> None:
    """YAML that repeats itself by references is refused or left alone, and never written out."""
    lines = [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)]
    text = "".join(["a0: &a0 [x]\n", *lines])
    given = {"names": "[disc, square]", "train": "images/train", "val": "images/val", key: "*a39"}
    settings(text + "".join(f"{name}: {value}\n" for name, value in given.items()))(tmp_path)
    if key == "path":
        assert pictures(read(tmp_path)) == {"train": 6, "val": 3}
    else:
        with pytest.raises(DataError, match=rf"data\.yaml: {key} is n"):
            read(tmp_path)


def write_darknet(folder: Path, prefix: str, end: str = "\n") -> Path:
    """Write scenes as Darknet has them: lists of pictures, texts beside them, `obj.data` and `obj.names`."""
    for split, things_of in SCENES.items():
        for name, things in things_of:
            draw_scene(folder / "obj_train_data" / f"{name}.png", things)
            write(folder / "obj_train_data" / f"{name}.txt", "".join(map(yolo_line, things)))
        lines = [f"{prefix}{name}.png" for name, _ in things_of]
        (folder / f"{split}.txt").write_bytes((end.join(lines) + end).encode())
    write(folder / "obj.names", "disc\nsquare\n")
    return folder


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("data/obj_train_data/", "\n"),
        ("./obj_train_data/", "\r\n"),
        ("/home/me/darknet/data/obj_train_data/", "\n"),
        ("C:\\darknet\\data\\obj_train_data\\", "\r\n"),
        ("", "\n"),
    ],
)
@pytest.mark.parametrize("settings_file", ["obj.names", "obj.data", "data.yaml"])
def test_darknet(settings_file: str, prefix: str, end: str, expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Lists of pictures with paths of any machine say the splits, named by `obj.data` or by their own names."""
    folder = write_darknet(tmp_path, prefix, end)
    if settings_file == "obj.data":
        text = "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\nbackup = backup/\n"
        write(folder / "obj.data", text)
    if settings_file == "data.yaml":
        write(folder / "data.yaml", NAMES)
    found = read(folder)
    assert pictures(found) == {"train": 6, "val": 3}
    assert found.classes == CLASSES
    assert boxes(found) == expected


@pytest.mark.parametrize("in_yaml", [False, True])
def test_listed_pictures_that_are_missing(in_yaml: bool, tmp_path: Path) -> None:
    """Few listed pictures that are not there are noted with an example, many are an error."""
    folder = write_darknet(tmp_path, "obj_train_data/")
    if in_yaml:
        write(folder / "data.yaml", f"train: train.txt\nval: val.txt\n{NAMES}")
    listed = (folder / "train.txt").read_text()
    write(folder / "train.txt", f"{listed}obj_train_data/gone.png\n")
    assert "1 picture, obj_train_data/gone.png." in " ".join(read(folder).notes)
    write(folder / "train.txt", listed + "".join(f"obj_train_data/gone{n}.png\n" for n in range(50)))
    with pytest.raises(DataError, match=r"50 of 59 pictures that are annotated or listed are not there, such as obj_t"):
        read(folder)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("Training/images", "Training/labels"),
        ("VALID/images", "VALID/labels"),
        ("images/train2017", "labels/train2017"),
        ("Images/Train", "Labels/Train"),
        ("Images", "Labels"),
        ("train/images", "train/annotations"),
        ("train_images", "train_labels"),
        ("set/images/train", "set/labels/train"),
        ("Train", "Train"),
    ],
)
def test_folders(images: str, labels: str, expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Texts are found in the usual places, whatever the case, and splits by the folders' names."""
    others = {"Training": "Validation", "VALID": "Train", "Train": "Valid", "train": "val", "": ""}
    word = next(word for word in others if word in images)
    for split, things_of in SCENES.items():
        for name, things in things_of:
            change = word, word if (split == "train") == (word != "VALID") else others[word]
            picture, text = images.replace(*change), labels.replace(*change)
            draw_scene(tmp_path / picture / f"{name}.png", things)
            write(tmp_path / text / f"{name}.txt", "".join(map(yolo_line, things)))
    write(tmp_path / "classes.txt", "\n".join(CLASSES))
    found = read(tmp_path)
    assert sorted(boxes(found)) == sorted(expected)
    if word:
        assert pictures(found) == {"train": 6, "val": 3}


def test_names_with_accents(expected: list[list[list[float]]], tmp_path: Path) -> None:
    """Names are the same whether a system writes accents with their letters or apart, in capitals or not."""
    for split, things_of in SCENES.items():
        for name, things in things_of:
            draw_scene(tmp_path / "images" / split / unicodedata.normalize("NFC", f"é{name}.png"), things)
            text = tmp_path / "labels" / split / unicodedata.normalize("NFD", f"É{name}.TXT")
            write(text, "".join(map(yolo_line, things)))
    assert boxes(read(tmp_path)) == expected


def test_names_that_differ_in_capitals(tmp_path: Path) -> None:
    """Where two pictures differ in capitals alone, each has its own text."""
    for name, (_, things) in zip(("a", "A", "b", "B"), SCENES["train"], strict=False):
        draw_scene(tmp_path / "images" / f"{name}.png", things)
        write(tmp_path / "labels" / f"{name}.txt", "".join(map(yolo_line, things)))
    found = read(tmp_path)
    expected = dict(zip(("a", "A", "b", "B"), (len(things) for _, things in SCENES["train"]), strict=False))
    assert {Path(path).stem: len(objects) for path, objects in zip(found.paths, found.objects, strict=True)} == expected


def test_development_and_evaluation(tmp_path: Path) -> None:
    """Beside `dev`, which is validation data, `eval` is the test set."""
    scenes = make_scenes({"train": 6, "dev": 3, "eval": 2})
    folder = write_yolo(tmp_path, scenes)
    write(folder / "data.yaml", NAMES)
    assert pictures(read(folder)) == {"train": 6, "val": 3, "test": 2}


def test_a_test_set_without_texts(tmp_path: Path) -> None:
    """Test pictures without any annotation are not used, and not taken for pictures that show nothing."""
    folder = write_yolo(tmp_path, make_scenes({"train": 6, "val": 3, "test": 2}))
    for path in (folder / "labels" / "test").iterdir():
        path.unlink()
    found = read(folder)
    assert pictures(found) == {"train": 6, "val": 3}
    assert found.notes == ("Not used, having no annotations: all 2 test pictures.",)


def test_a_folder_around_the_set(tmp_path: Path) -> None:
    """A folder that is only wrapped around the data set is stepped into, with a note."""
    write_yolo(tmp_path / "shapes" / "shapes", SCENES)
    found = read(tmp_path)
    assert pictures(found) == {"train": 6, "val": 3}
    assert found.notes == (f"Read from shapes/shapes/, the only folder in {tmp_path}.",)


def test_unread_endings_are_counted(tmp_path: Path) -> None:
    """Files that are neither pictures nor annotations are said."""
    folder = write_yolo(tmp_path, SCENES)
    write(folder / "images" / "train" / "train9.heif2", "x")
    assert read(folder).notes == (
        "Left out, not being pictures by their ending: 1 file (1 .heif2), such as images/train/train9.heif2.",
    )
