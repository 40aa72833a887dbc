"""Files on their way between the home and a node, and the folder that slots share: no cluster is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.schedulers.bench import IDENTITY
from tests.schedulers.ray_cluster import REPOSITORY
from tunewell.schedulers import records
from tunewell.schedulers.ray import SLOT, node_of, parcels
from tunewell.schedulers.ray.node_folder import NodeFolder, sweep
from tunewell.schedulers.ray.ownership import NOBODY, claim, slot_of
from tunewell.schedulers.ray.parcels import Mark


def send(source: Path, target: Path, names: list[str], marks: dict[str, Mark]) -> None:
    """Bring files from one folder to another."""
    for name in names:
        for offset in range(0, marks[name].size, parcels.PIECE_BYTES):
            parcels.write_piece(target, name, offset, parcels.read_piece(source, name, offset))
        parcels.finish(target, name, marks[name])


def test_there_and_complete(tmp_path: Path) -> None:
    """What was sent is there as it was, is not sent again, and is when it has changed."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_bytes(os.urandom(parcels.PIECE_BYTES + 5))
    (source / "a" / "none").touch()
    (source / "a" / "link").symlink_to("b/file")
    marks = parcels.listing(source, ["a"])
    lacking = parcels.missing(target, marks)
    assert sorted(lacking) == ["a/b/file", "a/none"]
    send(source, target, lacking, marks)
    assert parcels.listing(target, ["a"]) == marks and parcels.missing(target, marks) == []
    assert (target / "a" / "b" / "file").read_bytes() == (source / "a" / "b" / "file").read_bytes()
    (source / "a" / "none").write_text("something")
    assert parcels.missing(target, parcels.listing(source, ["a"])) == ["a/none"]


def test_changed_meanwhile(tmp_path: Path) -> None:
    """A file that is not as large as it should be does not get its place."""
    parcels.write_piece(tmp_path, "file", 0, b"short")
    with pytest.raises(OSError, match="has changed while it was sent"):
        parcels.finish(tmp_path, "file", Mark(9, 0, 0o600))
    assert not list(tmp_path.iterdir())


def test_no_way_out(tmp_path: Path) -> None:
    """Nothing is written outside of the folder, neither by a name nor through a link that was there."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    with pytest.raises(ValueError, match="leads out of"):
        parcels.write_piece(root, "../outside/file", 0, b"no")
    (root / "folder").symlink_to(outside)
    parcels.write_piece(root, "folder/file", 0, b"yes")
    parcels.finish(root, "folder/file", Mark(3, 0, 0o600))
    parcels.missing(root, {"folder/sub": Mark(parcels.FOLDER, 0, 0)})
    assert not list(outside.iterdir()) and (root / "folder" / "file").read_bytes() == b"yes"


def test_first_claim_counts(tmp_path: Path) -> None:
    """Of many who claim an attempt at once, one has it, and everybody sees whole claims alone."""
    won = []
    start = threading.Barrier(8)

    def run(name: str) -> None:
        start.wait()
        if claim(tmp_path, name, "node"):
            won.append(name)
        assert slot_of(tmp_path)

    threads = [threading.Thread(target=run, args=(f"slot-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [slot_of(tmp_path)] and node_of(tmp_path) == "node"
    assert claim(tmp_path, won[0]) and not claim(tmp_path, NOBODY)
    assert [path.name for path in tmp_path.iterdir()] == [SLOT]


def take_all(arguments: list[str]) -> None:
    """Take attempts, and end without a word."""
    for path, place in zip(arguments[::2], arguments[1::2], strict=True):
        NodeFolder(Path(path)).take(place)


def test_sweep(tmp_path: Path) -> None:
    """What dead slots have left is removed, with whole nodes that are gone; what living ones have stays."""
    living, gone = NodeFolder(tmp_path / "living"), NodeFolder(tmp_path / "gone")
    taken = [(living.path, "x/1"), (living.path, "x/2"), (gone.path, "x/3")]
    for path, place in taken:
        records.make_folder(path / place, IDENTITY)
    code = "import sys; from tests.schedulers.test_ray_files import take_all; take_all(sys.argv[1:])"
    arguments = [str(part) for pair in taken for part in pair]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=REPOSITORY)
    kept = NodeFolder(living.path)
    kept.take("x/2")
    other = tmp_path / "other"
    other.mkdir()
    assert sweep(tmp_path, "living", ["living", "other"]) == 0
    assert not (living.path / "x" / "1").exists() and (living.path / "x" / "2").exists()
    assert not gone.path.exists() and other.exists()
    kept.give_up()
    assert not (living.path / "x" / "2").exists() and not list((living.path / ".attempts").iterdir())
