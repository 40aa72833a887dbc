"""Data sets that were read a moment ago are not read again, unless something in them has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.vision import recent
from tunewell.tasks.vision.recent import recently_read

#: Seconds since a data set was left alone.
LONG_AGO = 3600.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set with pictures in folders of two classes, and a table; it was made long ago."""
    for name in ("data/cat/1.png", "data/dog/1.png", "data/labels.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    settle(tmp_path)
    return tmp_path / "data"


def settle(folder: Path) -> None:
    """Have everything in a folder look as if it was left alone for a long time."""
    then = time.time() - LONG_AGO
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then), follow_symlinks=False)


class Reader:
    """Counts how often a data set is read."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, data: Path, seed: int) -> list[str]:
        """Return what lies there."""
        self.times += 1
        return sorted(path.name for path in data.glob("*"))


def add_a_picture(data: Path) -> None:
    """Add one to a class."""
    (data / "cat" / "2.png").write_text("2")


def remove_a_picture(data: Path) -> None:
    """Remove one of a class."""
    (data / "dog" / "1.png").unlink()


def rename_a_class(data: Path) -> None:
    """Call a class another name."""
    (data / "dog").rename(data / "wolf")


def change_a_table(data: Path) -> None:
    """Write another label, which is as long."""
    (data / "labels.csv").write_text("2")


def repair_a_picture(data: Path) -> None:
    """Write another picture in its place, which is as old."""
    place = data / "cat" / "1.png"
    then = place.stat().st_mtime
    place.write_text("a whole picture")
    os.utime(place, (then, then))


def add_a_class(data: Path) -> None:
    """Add a folder with a picture."""
    (data / "bird").mkdir()
    (data / "bird" / "1.png").write_text("1")


CHANGES = (
    add_a_picture,
    remove_a_picture,
    repair_a_picture,
    rename_a_class,
    change_a_table,
    add_a_class,
)


@pytest.mark.parametrize("named", ["", "labels.csv"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_read_again(data: Path, change: Callable[[Path], None], named: str) -> None:
    """Whoever asks twice gets what was read once, until anything changes, also where a table is the data set's name."""
    read = Reader()
    first = recently_read("t", data / named, 0, read)
    assert recently_read("t", data / named, 0, read) is first
    assert read.times == 1
    change(data)
    assert recently_read("t", data / named, 0, read) is not first
    assert read.times == 2


def test_what_changes_just_now_is_not_kept(data: Path) -> None:
    """Two changes at nearly one time may have one time stamp, so what is that new is read again."""
    read = Reader()
    add_a_picture(data)
    recently_read("t", data, 0, read)
    recently_read("t", data, 0, read)
    assert read.times == 2


def test_links_are_not_followed(data: Path) -> None:
    """A folder that is a link may lead anywhere, back to where it lies, too: such a data set is read each time."""
    read = Reader()
    (data / "dog" / "back").symlink_to(data)
    settle(data)
    for _ in range(2):
        recently_read("t", data, 0, read)
    assert read.times == 2


def test_two_who_ask_at_once(data: Path) -> None:
    """While one is found to be as it was, somebody else finds it, too."""
    read = Reader()
    recently_read("t", data, 0, read)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: recently_read("t", data, 0, read), range(40)))
    assert read.times == 1


def test_each_way_to_read_is_one_of_its_own(data: Path) -> None:
    """Another task or seed may read other things from the same folder."""
    read = Reader()
    for task, seed in (("t", 0), ("t", 1), ("u", 0)):
        recently_read(task, data, seed, read)
    assert read.times == 3


def test_nothing_is_kept_for_long(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read a while ago is read again, and of many data sets the latest are kept alone."""
    read = Reader()
    recently_read("t", data, 0, read)
    monkeypatch.setattr(recent, "KEPT_SECONDS", 0.0)
    recently_read("t", data, 0, read)
    assert read.times == 2
    monkeypatch.undo()
    for seed in range(1, recent.MOST + 1):
        recently_read("t", data, seed, read)
    recently_read("t", data, 0, read)
    assert read.times == 3 + recent.MOST


def test_an_error_is_not_kept(tmp_path: Path) -> None:
    """Whoever puts right what was wrong is believed."""

    def refuse(data: Path, seed: int) -> None:
        raise DataError("it does not exist", field=str(data))

    for _ in range(2):
        with pytest.raises(DataError):
            recently_read("t", tmp_path / "nothing", 0, refuse)
    (tmp_path / "nothing").mkdir()
    assert recently_read("t", tmp_path / "nothing", 0, Reader()) == []
