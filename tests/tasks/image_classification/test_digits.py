from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification import digits
from tunewell.tasks.image_classification.digits import write_digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits, written once."""
    folder = tmp_path_factory.mktemp("data") / "deep" / "digits"
    write_digits(folder)
    return folder


def _pictures(folder: Path) -> dict[str, str]:
    """File name → split/class, for all pictures."""
    return {path.name: str(path.parent.relative_to(folder)) for path in folder.glob("*/*/*.png")}


def test_every_digit_is_in_exactly_one_split_under_its_class(folder: Path) -> None:
    """All 1,797 scans are there, once, each in the folder of its true class."""
    labels = load_digits().target
    pictures = _pictures(folder)
    assert len(pictures) == len(list(folder.rglob("*.png"))) == 1797
    assert all(place.endswith(f"/{labels[int(Path(name).stem)]}") for name, place in pictures.items())


def test_splits_are_stratified(folder: Path) -> None:
    """Each split holds every digit in the same share."""
    counts = Counter(_pictures(folder).values())
    for digit in range(10):
        total = sum(counts[f"{split}/{digit}"] for split in ("train", "val", "test"))
        assert counts[f"val/{digit}"] == pytest.approx(0.15 * total, abs=1.5)
        assert counts[f"test/{digit}"] == pytest.approx(0.15 * total, abs=1.5)


def test_pictures_show_the_scans(folder: Path) -> None:
    """A picture made small again is the scan that it came from."""
    scans = load_digits().images
    for path in sorted(folder.glob("test/*/*.png"))[::50]:
        with Image.open(path) as picture:
            assert picture.size == (digits.IMAGE_SIZE, digits.IMAGE_SIZE)
            small = np.asarray(picture.resize((8, 8), Image.Resampling.BOX)) * (16 / 255)
        assert np.corrcoef(small.ravel(), scans[int(path.stem)].ravel())[0, 1] > 0.97


def test_a_second_call_changes_nothing(folder: Path) -> None:
    """Writing again leaves every file as it is."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_digits(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_seed_alone_decides_the_split(folder: Path, tmp_path: Path) -> None:
    """Another folder gets the same split, another seed a different one."""
    write_digits(tmp_path / "same")
    write_digits(tmp_path / "other", seed=1)
    assert _pictures(tmp_path / "same") == _pictures(folder)
    for split in ("train", "val", "test"):
        names, others = ({path.name for path in root.glob(f"{split}/*/*")} for root in (folder, tmp_path / "other"))
        assert len(names & others) < 0.8 * len(names)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    """A folder of the user's own is neither overwritten nor taken for the digits."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(DataError, match=r"mine: it exists and holds something else.*another folder"):
        write_digits(tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_an_interrupted_call_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If writing fails half-way there is no folder, whole or hidden."""
    write_picture = digits._write_picture

    def failing(path: Path, pixels: np.ndarray) -> None:
        if len(list(tmp_path.rglob("*.png"))) == 100:
            raise OSError("disk full")
        write_picture(path, pixels)

    monkeypatch.setattr(digits, "_write_picture", failing)
    with pytest.raises(OSError, match="disk full"):
        write_digits(tmp_path / "digits")
    assert not list(tmp_path.iterdir())
