"""Decoded pictures: right, built once, whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import read_manifest
from tunewell.tasks.vision import cache as cache_module
from tunewell.tasks.vision.cache import Decoded, decode, is_intact, load_cached_pixels
from tunewell.tasks.vision.picture_set import fingerprint
from tunewell.tasks.vision.pictures import load_pixels


def decode_folder(folder: Path, cache: Path, size: int = 16) -> tuple[Decoded, list[tuple[str, int, int]]]:
    """Decode a data set; return the result and the progress that was told."""
    manifest = read_manifest(folder, 0)
    told: list[tuple[str, int, int]] = []
    return decode(manifest, fingerprint(manifest), size, cache, lambda *step: told.append(step)), told


def test_pixels_are_those_of_the_files(digits: Path, tmp_path: Path) -> None:
    """Each row of the map is its picture, read-only; progress goes to the end."""
    decoded, told = decode_folder(digits, tmp_path)
    manifest = read_manifest(digits, 0)
    pixels = load_cached_pixels(decoded.folder)
    assert pixels.shape == (140, 16, 16, 3)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    for position in range(0, 140, 7):
        assert (pixels[position] == load_pixels(manifest.path(position), 16)).all()
    assert told == [("decoding pictures at 16 px", done, 140) for done in range(1, 141)]


def test_nothing_is_decoded_twice(digits: Path, tmp_path: Path) -> None:
    """A second call for the same pictures and size finds the first one's result; another size is new."""
    first, _ = decode_folder(digits, tmp_path)
    assert decode_folder(digits, tmp_path) == (first, [])
    other, told = decode_folder(digits, tmp_path, size=24)
    assert other.folder != first.folder
    assert told


def test_a_changed_file_is_decoded_anew(own_digits: Path, tmp_path: Path) -> None:
    """The cache is not used for pictures that changed since."""
    first, _ = decode_folder(own_digits, tmp_path / "cache")
    path = read_manifest(own_digits, 0).path(0)
    path.write_bytes(read_manifest(own_digits, 0).path(5).read_bytes())
    os.utime(path, ns=(1, 1))
    second, told = decode_folder(own_digits, tmp_path / "cache")
    assert told
    pixels = load_cached_pixels(second.folder)
    assert (pixels[0] == pixels[5]).all()
    assert (load_cached_pixels(first.folder)[0] != pixels[0]).any()


def test_broken_pictures_are_recorded(own_digits: Path, tmp_path: Path) -> None:
    """A broken picture is noted with its problem, also by later calls, and the others stay in their places."""
    manifest = read_manifest(own_digits, 0)
    manifest.path(3).write_bytes(b"no picture at all")
    for _ in range(2):
        decoded, _ = decode_folder(own_digits, tmp_path / "cache")
        assert decoded.broken == {3: "it is no picture, or damaged"}
        assert [len(digest) > 0 for digest in decoded.digests] == [position != 3 for position in range(80)]
        assert (load_cached_pixels(decoded.folder)[4] == load_pixels(manifest.path(4), 16)).all()


def test_two_at_once(digits: Path, tmp_path: Path) -> None:
    """Of two that want the same cache one builds it, the other waits and says so; no remains are left."""
    manifest = read_manifest(digits, 0)
    told: list[tuple[str, int, int]] = []
    found: list[Decoded] = []
    second = threading.Thread(target=lambda: found.append(decode(manifest, "f", 16, tmp_path, waiting)))
    waits = threading.Event()

    def waiting(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        waits.set()

    def building(what: str, done: int, total: int) -> None:
        if done == 1:
            second.start()
            assert waits.wait(30)

    first = decode(manifest, "f", 16, tmp_path, building)
    second.join(60)
    assert found == [first]
    assert told == [("waiting for a search that decodes pictures", 0, 140)]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [first.folder.name]


@pytest.mark.parametrize(
    ("name", "kept"), [("pixels.npy", 0), ("pixels.npy", 200), ("pixels.npy", 50_000), ("index.json", 0)]
)
@pytest.mark.parametrize("length", ["short", "filled up with zeros", "missing"])
def test_damage_is_mended(digits: Path, tmp_path: Path, name: str, kept: int, length: str) -> None:
    """A cache with a file that is gone, cut off or full of zeros is found out, and built again."""
    manifest = read_manifest(digits, 0)
    decoded, _ = decode_folder(digits, tmp_path)
    pixels, file = np.array(load_cached_pixels(decoded.folder)), decoded.folder / name
    content = file.read_bytes()
    file.unlink()
    if length != "missing":
        file.write_bytes(content[:kept] + (b"" if length == "short" else bytes(len(content) - kept)))
    assert not is_intact(decoded.folder, manifest, 16)
    again, told = decode_folder(digits, tmp_path)
    assert again == decoded
    assert told
    assert (load_cached_pixels(decoded.folder) == pixels).all()
    assert is_intact(decoded.folder, manifest, 16)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [decoded.folder.name]


def test_what_a_killed_build_left_is_removed(digits: Path, tmp_path: Path) -> None:
    """The half-built cache of a process that was killed takes up room only until the next is built."""
    rest = tmp_path / "pictures" / ".part-abc"
    rest.mkdir(parents=True)
    (rest / "pixels.npy").write_bytes(bytes(100))
    decoded, _ = decode_folder(digits, tmp_path)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [decoded.folder.name]


def test_an_interruption_leaves_nothing(digits: Path, tmp_path: Path) -> None:
    """A build that is interrupted leaves no cache that looks complete, and the next call builds it."""
    manifest = read_manifest(digits, 0)

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode(manifest, fingerprint(manifest), 16, tmp_path, interrupt)
    assert list((tmp_path / "pictures").iterdir()) == []
    assert decode_folder(digits, tmp_path)[1]


def test_a_place_that_cannot_be_written(digits: Path, tmp_path: Path) -> None:
    """A cache folder that can't be made is an error with a remedy."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cache/pictures: the cache can't be written .* another home"):
        decode_folder(digits, tmp_path / "cache")


def test_a_disk_that_is_too_small(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is noticed before decoding, with both sizes."""
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 100})())
    with pytest.raises(DataError, match=r"the decoded pictures need 0\.0 GB, 0\.0 GB are free"):
        decode_folder(digits, tmp_path)
