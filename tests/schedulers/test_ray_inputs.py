"""What trials on a node read: brought once, shared, kept as long as it is read, and never in part."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tunewell.schedulers.ray import parcels
from tunewell.schedulers.ray.inputs import Inputs
from tunewell.schedulers.ray.sending import Batch, _batches

pytestmark = pytest.mark.filterwarnings("error")

#: Brings the input `pictures` of the home in the first argument to the node in the second; is killed in its midst.
_KILLED_IN_ITS_MIDST = """
import os, signal, sys
from pathlib import Path
from tunewell.schedulers.ray import parcels
from tunewell.schedulers.ray.inputs import Inputs
home, node = map(Path, sys.argv[1:])
wanted = parcels.listing(home, ["pictures"])
assert Inputs(node).missing(wanted, ["pictures"]) is not None
parcels.write_piece(node, "pictures/pixels", 0, b"only the beg")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with some things that trials read."""
    for name, size in {"pictures/pixels": 300, "pictures/index": 20, "weights": 100, "code/a/main.py": 10}.items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    (tmp_path / "home" / "code" / "empty").mkdir()
    return tmp_path / "home"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder of a node."""
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


@pytest.fixture
def slot(node: Path) -> Callable[..., Inputs]:
    """What makes a slot's view of the node; each has locks of its own, as processes have."""
    return lambda most_bytes=None: Inputs(node, most_bytes)


def bring(inputs: Inputs, home: Path, node: Path, *places: str) -> list[str]:
    """Bring what is missing; return what that was."""
    wanted = parcels.listing(home, places)
    lacking = inputs.missing(wanted, places)
    assert lacking is not None
    if lacking:
        for batch in _batches(home, {name: wanted[name] for name in lacking}):
            batch.unpack(node)
        inputs.brought()
    return lacking


def same(home: Path, node: Path, place: str) -> bool:
    """Whether an input is on the node as it is in the home."""
    (names,) = {tuple(sorted(parcels.listing(root, [place]))) for root in (home, node)}
    files = [name for name in names if (home / name).is_file()]
    return all((home / name).read_bytes() == (node / name).read_bytes() for name in files)


def test_brought_once(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """What one slot has brought is there for all; a changed file alone is brought again."""
    assert sorted(bring(slot(), home, node, "pictures", "code")) == [
        "code/a/main.py",
        "pictures/index",
        "pictures/pixels",
    ]
    assert same(home, node, "pictures") and same(home, node, "code")
    assert bring(slot(), home, node, "pictures", "code") == []
    (home / "pictures" / "index").write_bytes(b"another index")
    assert bring(slot(), home, node, "pictures") == ["pictures/index"]
    assert same(home, node, "pictures")


def test_one_brings_at_a_time(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """Who needs what another slot brings waits for it; other inputs are brought meanwhile."""
    wanted, first, second = parcels.listing(home, ["pictures"]), slot(), slot()
    assert first.missing(wanted, ["pictures"])
    assert second.missing(wanted, ["pictures"]) is None
    assert bring(slot(), home, node, "weights") == ["weights"]
    both = parcels.listing(home, ["pictures", "code"])
    assert second.missing(both, ["pictures", "code"]) is None
    assert bring(slot(), home, node, "code") == ["code/a/main.py"]  # nobody holds it who waits for something else
    for batch in _batches(home, {name: wanted[name] for name in ("pictures/pixels", "pictures/index")}):
        batch.unpack(node)
    first.brought()
    assert second.missing(both, ["pictures", "code"]) == []


def test_killed_while_bringing(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """A slot that is killed in the midst of it leaves nothing that is taken for whole, and keeps nobody waiting."""
    killed = subprocess.run([sys.executable, "-c", _KILLED_IN_ITS_MIDST, home, node], check=False)
    assert killed.returncode == -9
    assert not (node / "pictures" / "pixels").exists()
    assert "pictures/pixels" in bring(slot(), home, node, "pictures")
    assert same(home, node, "pictures")
    assert not list(node.rglob("*.part"))


def test_evicted_by_last_use(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """Where there is no room, that goes which was used longest ago, however long it has been there."""
    for place in ("weights", "pictures"):
        user = slot(500)
        bring(user, home, node, place)
        user.let_go()
    _used_before(node, {"weights": 20, "pictures": 10})
    (home / "more").write_bytes(os.urandom(150))
    bring(slot(500), home, node, "more")
    assert (node / "weights").exists() and not (node / "pictures").exists()


def test_what_is_read_stays(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """Nothing goes that an attempt reads; without room, the error says what there is, and nothing is half there."""
    reader = slot(500)
    bring(reader, home, node, "pictures")
    (home / "more").write_bytes(os.urandom(400))
    wanted, other = parcels.listing(home, ["more"]), slot(500)
    with pytest.raises(OSError, match=r"no room on .*: 0\.00 GB more make .* free") as caught:
        other.missing(wanted, ["more"])
    assert caught.value.errno == 28
    assert same(home, node, "pictures") and not (node / "more").exists()
    other.let_go()
    reader.let_go()
    assert bring(slot(500), home, node, "more") == ["more"]
    assert not (node / "pictures").exists()


def test_read_from_the_first_question_on(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """What was found to be there stays there until the attempt begins, although it has not begun to read."""
    bring(slot(), home, node, "pictures")
    asked = slot()
    assert asked.missing(parcels.listing(home, ["pictures"]), ["pictures"]) == []
    (home / "more").write_bytes(os.urandom(400))
    with pytest.raises(OSError, match="no room"):
        slot(500).missing(parcels.listing(home, ["more"]), ["more"])
    assert same(home, node, "pictures")


def test_full_disk(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """A disk that is full in the midst of it leaves no part of a file; what is whole need not be brought again."""
    wanted, failing = parcels.listing(home, ["pictures"]), slot()
    lacking = failing.missing(wanted, ["pictures"])
    assert lacking is not None and len(lacking) == 2
    Batch([("pictures/index", 0, (home / "pictures/index").read_bytes())], {"pictures/index": wanted["pictures/index"]}
    ).unpack(node)  # fmt: skip
    Batch([("pictures/pixels", 0, b"begin")]).unpack(node)
    failing.let_go()
    assert [path.name for path in (node / "pictures").iterdir()] == ["index"]
    assert bring(slot(), home, node, "pictures") == ["pictures/pixels"]


def test_closed_to_writing(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """Folders that were brought can't be written: what a program left there would be lost without a word."""
    bring(slot(), home, node, "code")
    folders = [node / "code", node / "code" / "a", node / "code" / "empty"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o500] * 3
    (home / "code" / "new").mkdir()
    (home / "code" / "new" / "one.py").write_bytes(b"1")
    assert bring(slot(), home, node, "code") == ["code/new/one.py"]
    assert same(home, node, "code")


def test_folders_alone(home: Path, node: Path, slot: Callable[..., Inputs]) -> None:
    """A folder without files is an input as well."""
    bring(slot(), home, node, "code/empty")
    assert (node / "code" / "empty").is_dir()


def test_batches(tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files go together, and large ones in pieces; all arrive as they were."""
    monkeypatch.setattr("tunewell.schedulers.ray.sending.PIECE_BYTES", 100)
    monkeypatch.setattr("tunewell.schedulers.ray.parcels.PIECE_BYTES", 100)
    sizes = {"large": 250, "none": 0, **{f"small{number}": 30 for number in range(7)}}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(os.urandom(size))
    (tmp_path / "large").chmod(0o755)
    marks = parcels.listing(tmp_path, sizes)
    batches = list(_batches(tmp_path, marks))
    assert all(batch.size <= 200 for batch in batches) and len(batches) < len(sizes)
    for batch in batches:
        batch.unpack(node)
    for name in sizes:
        assert (node / name).read_bytes() == (tmp_path / name).read_bytes()
    assert parcels.listing(node, sizes) == marks


def test_piece_without_its_beginning(node: Path) -> None:
    """A piece that is not the first is taken behind the one before it alone: no file has a hole."""
    with pytest.raises(OSError, match="its beginning"):
        Batch([("file", 100, b"end")]).unpack(node)
    assert not list(node.iterdir())


def test_file_that_shrinks(tmp_path: Path) -> None:
    """A file that has changed since it was listed is not sent."""
    (tmp_path / "log").write_bytes(b"long enough")
    marks = parcels.listing(tmp_path, ["log"])
    (tmp_path / "log").write_bytes(b"short")
    with pytest.raises(OSError, match="changed"):
        list(_batches(tmp_path, marks))


def _used_before(node: Path, seconds: dict[str, int]) -> None:
    """Have inputs be used last so many seconds after the epoch."""
    locks: Sequence[Path] = list((node / ".inputs" / "read").iterdir())
    for lock in locks:
        for place, when in seconds.items():
            if f'"{place}"' in lock.read_text():
                os.utime(lock, (when, when))
