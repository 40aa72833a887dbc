"""Archives of strangers: what is decent comes out as it went in, of all else nothing is left."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import stat
import string
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.storage.archives import (
    COMPRESSIONS,
    FILES,
    damaged_tar,
    decent,
    encrypted_zip,
    long_header_tar,
    nested_header_tar,
    overlapping_zip,
    quilted_zip,
    renamed_zip,
    sparse_tar,
    tar_entry,
    tar_of,
    unfinished_tar,
    zip_entry,
    zip_of,
)
from tunewell.home.disk import remove
from tunewell.home.manifest import Content, FileEntry, content_of
from tunewell.service.storage import members
from tunewell.service.storage.limits import Limits
from tunewell.service.storage.names import RefusedEntry, checked_parts
from tunewell.service.storage.unpacking import unpack
from tunewell.spec.errors import DataError

SMALL = Limits(bytes=1 << 20, entries=50, ratio=20, harmless_bytes=1 << 16, depth=4)


def unpacked(folder: Path, archive: bytes, limits: Limits = SMALL, executable: bool = False) -> Content:
    """Unpack an archive into `out` in a folder."""
    (folder / "archive").write_bytes(archive)
    return unpack(folder / "archive", "sent.zip", folder / "out", limits, executable)


def everything(folder: Path) -> dict[str, bytes]:
    """Return the files in a folder, links not followed."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format", ["zip", *COMPRESSIONS])
def test_decent_archives_come_out_as_they_went_in(tmp_path: Path, format: str) -> None:
    """All formats give the same files and the same content, which can't be written and is told by its checksum."""
    content = unpacked(tmp_path, decent(format))
    assert everything(tmp_path / "out") == FILES
    expected = [FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()]
    assert content == content_of(expected)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert modes == {0o444}
    assert stat.S_IMODE((tmp_path / "out/train").stat().st_mode) == 0o555
    remove(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nested_archives_and_odd_names_are_just_files(tmp_path: Path) -> None:
    """An archive in an archive stays one, and names that some would decode are taken as they are."""
    names = ("inner.zip", "=2e=2e/x", "%2e%2e%2fy", "%252e%252e/z", "..a/b", "a..", "．．／w", ".hidden")
    found = unpacked(tmp_path, zip_of(*((name, decent("zip")) for name in names)))
    assert found.files == len(names)
    assert set(everything(tmp_path / "out")) == set(names)


@pytest.mark.parametrize(("executable", "mode"), [(True, 0o555), (False, 0o444)])
@pytest.mark.parametrize("format", ["zip", "tar"])
def test_only_code_can_be_run(tmp_path: Path, format: str, executable: bool, mode: int) -> None:
    """Programs stay programs where that is wanted; nothing ever runs as another user."""
    archive = (
        zip_of((zip_entry("run", stat.S_IFREG | 0o6755), b"#!"), ("other", b""))
        if format == "zip"
        else tar_of((tar_entry("run", mode=0o6755), b"#!"), ("other", b""))
    )
    content = unpacked(tmp_path, archive, executable=executable)
    assert stat.S_IMODE((tmp_path / "out/run").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "out/other").stat().st_mode) == 0o444
    plain = [FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in (("run", b"#!"),)]
    empty = FileEntry("other", 0, hashlib.sha256(b"").hexdigest())
    assert content == content_of([*(replace(one, executable=executable) for one in plain), empty])


def test_leading_dots_and_folders_by_themselves(tmp_path: Path) -> None:
    """What `tar -C FOLDER .` writes is taken."""
    folder = tar_entry("./", tarfile.DIRTYPE, mode=0o755)
    inner = tar_entry("./a/", tarfile.DIRTYPE, mode=0o755)
    unpacked(tmp_path, tar_of((folder, b""), (inner, b""), ("./a/b", b"content")))
    assert everything(tmp_path / "out") == {"a/b": b"content"}


#: Names that no archive may hold.
BAD_NAMES = (
    *("../up", "a/../../up", "a/..", "..", "/etc/passwd", "//a", "a//b", "a/./b", "C:/windows", "c:x", "..\\up"),
    *("a\\b", "\\\\server\\share", "a\nb", "a\x1b[31m", "a/\x7f", "a\u2028b", "x" * 256, "é" * 128),
    *("/".join(["d" * 200] * 6), "a/b/c/d/e"),
)


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
@pytest.mark.parametrize("format", ["zip", "tar", "pax"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, format: str) -> None:
    """A bad name ends everything, wherever it stands."""
    entries = (("good", b"content"), (name, b"evil"), ("good/too", b""))
    pax = tarfile.PAX_FORMAT if format == "pax" else tarfile.GNU_FORMAT
    with pytest.raises(RefusedEntry, match=r"^sent.zip: the entry .* (has|lies in) "):
        unpacked(tmp_path, zip_of(*entries) if format == "zip" else tar_of(*entries, format=pax))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def same(*names: str) -> tuple[tuple[str, bytes], ...]:
    """Return entries that differ in their names alone."""
    return tuple((name, b"content") for name in names)


def link(kind: bytes, target: str) -> bytes:
    """Return a tar with a link, and a file behind it."""
    return tar_of(("good", b""), (tar_entry("link", kind, target), b""), ("link/inside", b"evil"))


SYMLINK = stat.S_IFLNK | 0o777
#: What it is → the archive, and what is said of it.
EVIL: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "symbolic link in a zip": (lambda: zip_of((zip_entry("l", SYMLINK), b"/etc")), "is a link or a device"),
    "device in a zip": (lambda: zip_of((zip_entry("l", stat.S_IFCHR), b"")), "is a link or a device"),
    "symbolic link": (lambda: link(tarfile.SYMTYPE, "/etc"), "is a link or a device"),
    "symbolic link inside": (lambda: link(tarfile.SYMTYPE, "good"), "is a link or a device"),
    "hard link": (lambda: link(tarfile.LNKTYPE, "/etc/passwd"), "is a link or a device"),
    "hard link inside": (lambda: link(tarfile.LNKTYPE, "good"), "is a link or a device"),
    "pipe": (lambda: link(tarfile.FIFOTYPE, ""), "is a link or a device"),
    "character device": (lambda: link(tarfile.CHRTYPE, ""), "is a link or a device"),
    "block device": (lambda: link(tarfile.BLKTYPE, ""), "is a link or a device"),
    "unknown kind": (lambda: link(b"Z", ""), "damaged|is a link or a device|can't be told"),
    "sparse file": (sparse_tar, "has holes"),
    "file with the name of a folder": (lambda: zip_of((zip_entry("a/"), b"")), "folder by its kind|by its name"),
    "folder with the name of a file": (lambda: zip_of((zip_entry("a", stat.S_IFDIR), b"")), "by its kind"),
    "folder with a content": (lambda: zip_of((zip_entry("a/", 0), b"content")), "folder that has a content"),
    "NUL in a zip": (lambda: renamed_zip(b"good\0../evil"), "in two ways"),
    "twice": (lambda: tar_of(*same("a", "a")), "is there twice"),
    "twice in a zip": (lambda: renamed_twice(), "is there twice"),
    "twice by case": (lambda: tar_of(*same("a/B", "a/b")), "can't be told from"),
    "twice by spelling": (lambda: tar_of(*same("\u00e9", "e\u0301")), "can't be told from"),
    "folders that differ by case": (lambda: tar_of(*same("A/x", "a/y")), "can't be told from"),
    "file, then folder": (lambda: tar_of(*same("a", "a/b")), "can't be told from"),
    "folder, then file": (lambda: tar_of(*same("a/b", "a")), "can't be told from"),
    "file, then folder by case": (lambda: tar_of(*same("a", "A/b")), "can't be told from"),
    "overlapping entries": (overlapping_zip, "overlap"),
    "entry within an entry": (quilted_zip, "overlap"),
    "encrypted": (encrypted_zip, "is encrypted"),
    "rare compression": (
        lambda: zip_of((zip_entry("a", compress_type=zipfile.ZIP_LZMA), b"content")),
        "few programs know",
    ),
    "too many files": (lambda: zip_of(*same(*(f"{n}" for n in range(60)))), "more than 50 files"),
    "too many folders": (lambda: tar_of(*same(*(f"{n}/a/b" for n in range(20)))), "more than 50 files"),
    "zip bomb": (lambda: zip_of(("zeros", bytes(1 << 19))), "unpacks to more"),
    "many small bombs": (lambda: zip_of(*((f"{n}", bytes(1 << 14)) for n in range(40))), "unpacks to more"),
    "gzip bomb": (lambda: gzip.compress(tar_of(("zeros", bytes(1 << 19)))), "unpacks to more"),
    "xz bomb": (lambda: lzma.compress(tar_of(("zeros", bytes(1 << 19)))), "unpacks to more"),
    "more than is allowed": (lambda: tar_of(("zeros", bytes((1 << 20) + 1))), "unpacks to more"),
    "zeros behind the end": (lambda: gzip.compress(tar_of(("a", b"")) + bytes(1 << 21)), "unpacks to more"),
    "long header": (lambda: gzip.compress(long_header_tar(2 << 20)), "unpacks to more"),
    "headers without end": (lambda: nested_header_tar(900), "damaged"),
    "damaged header": (damaged_tar, "damaged"),
    "cut off": (unfinished_tar, "damaged"),
    "cut off in a file": (lambda: tar_of(("a", bytes(5000)))[:2048], "damaged"),
    "cut off zip": (lambda: decent("zip")[:-30], "damaged"),
    "cut off gzip": (lambda: decent("tar.gz")[:-8], "damaged"),
    "cut off bzip2": (lambda: decent("tar.bz2")[:-8], "damaged"),
    "cut off xz": (lambda: decent("tar.xz")[:-8], "damaged"),
    "wrong checksum": (lambda: wrong_checksum(), "damaged"),
    "gzip of something else": (lambda: gzip.compress(b"no tar at all" * 100), "damaged"),
    "no archive": (lambda: b"\x89PNG and so on", "it is no archive"),
    "nothing": (lambda: b"", "it is no archive"),
    "no file": (lambda: tar_of((tar_entry("a", tarfile.DIRTYPE), b"")), "it is empty: there is no file in it"),
    "zip without files": (lambda: zip_of(), "it is empty"),
    "tar without files": (lambda: tar_of(), "it is empty"),
    "memory": (lambda: lzma.compress(b"a", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]), "damaged"),
}


def renamed_twice() -> bytes:
    """Return a zip with one name twice."""
    return zip_of(("a1", b"one"), ("a2", b"two")).replace(b"a2", b"a1")


def wrong_checksum() -> bytes:
    """Return a zip whose content is not what its checksum says."""
    stored = zip_of((zip_entry("a", compress_type=zipfile.ZIP_STORED), b"content"))
    return stored.replace(b"content", b"CONTENT")


@pytest.mark.parametrize("kind", EVIL)
def test_evil_archives_leave_nothing(tmp_path: Path, kind: str) -> None:
    """Each is refused with a sentence that says why, and nothing is left of it, or came to lie elsewhere."""
    make, told = EVIL[kind]
    with pytest.raises(DataError, match=rf"^sent.zip: .*({told})"):
        unpacked(tmp_path, make())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def test_a_decent_ratio_is_no_bomb(tmp_path: Path) -> None:
    """Small archives may be as good as empty, large ones may shrink as real data do."""
    assert unpacked(tmp_path, zip_of(("zeros", bytes(SMALL.harmless_bytes)))).size == SMALL.harmless_bytes


def test_nothing_is_removed_that_was_there(tmp_path: Path) -> None:
    """A folder that is there already is neither filled nor removed."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(FileExistsError):
        unpacked(tmp_path, decent("zip"))
    assert (tmp_path / "out/mine").exists()


def test_removing_follows_no_links(tmp_path: Path) -> None:
    """What a link leads to stays, and keeps its mode."""
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "kept/file").touch()
    (tmp_path / "goes").mkdir()
    (tmp_path / "goes/link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "goes")
    assert (tmp_path / "kept/file").exists() and stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o755
    assert not (tmp_path / "goes").exists()


PARTS = st.text(st.sampled_from([*"aB./\\:~%=\0\u00e9\u0301\uff0e", *string.whitespace]), max_size=12)


@given(name=st.one_of(PARTS, st.text(max_size=20), st.lists(PARTS, max_size=4).map("/".join)))
def test_every_name_stays_inside(name: str) -> None:
    """Whatever a name is, it is refused or leads to a place within the folder, by the same parts."""
    try:
        parts = checked_parts(name, depth=8)
    except RefusedEntry:
        return
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part or "\0" in part or "\\" in part for part in parts)
    root = Path("/root/folder")
    path = root.joinpath(*parts)
    assert path == root or root in path.parents


@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=5), cut=st.integers(0, 3000))
@pytest.mark.parametrize("format", ["zip", *COMPRESSIONS])
def test_damage_is_told_or_does_none(
    tmp_path_factory: pytest.TempPathFactory, format: str, changes: list[tuple[int, int]], cut: int
) -> None:
    """Whatever bytes are changed or missing: an archive is refused in one sentence, or unpacked within its limits."""
    data = bytearray(decent(format))
    for place, value in changes:
        data[place % len(data)] = value
    folder = tmp_path_factory.mktemp("damaged")
    try:
        content = unpacked(folder, bytes(data[: max(1, len(data) - cut % 40)]))
    except DataError:
        assert [path.name for path in folder.iterdir()] == ["archive"]
        return
    assert content.size <= SMALL.bytes and content.files <= SMALL.entries
    remove(folder / "out")


def test_memory_stays_small(tmp_path: Path) -> None:
    """No file is held as a whole, whatever it is compressed with."""
    large = Limits(bytes=64 << 20, entries=10, ratio=10_000)
    for format in COMPRESSIONS:
        (tmp_path / "archive").write_bytes(COMPRESSIONS[format](tar_of(("a", bytes(8 << 20)))))
        found = members.members(tmp_path / "archive", members.format_of(tmp_path / "archive") or "zip", large)
        sizes = [len(part) for one in found for part in one.content]
        assert sum(sizes) == 8 << 20 and max(sizes) <= members.CHUNK
