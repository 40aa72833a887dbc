"""Folders that are sent: always the same bytes, without what is left out, and known by their content."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import pytest

from tests.service.storage.conftest import sent
from tunewell.service.ignoring import IGNORE_FILE, Ignored
from tunewell.service.packing import Packed, pack, pack_code, pack_data
from tunewell.service.proofs import new_secret
from tunewell.service.service import Service
from tunewell.service.storage.limits import CODE, Limits
from tunewell.service.storage.names import RefusedEntry
from tunewell.spec.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program, and what nobody wants to send."""
    root = tmp_path / "program"
    for path in ("train.py", "lib/net.py", ".git/HEAD", "lib/__pycache__/net.pyc", ".venv/bin/python", "runs/1/log"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "train.py").chmod(0o755)
    (root / IGNORE_FILE).write_text("# results\n/runs/\n")
    return root


def archive_of(packed: Packed, compressed: bool = True) -> bytes:
    """Return what is sent."""
    file = io.BytesIO()
    packed.write(file, compressed)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
def test_the_service_has_the_content_that_was_told_before(tmp_path: Path, folder: Path, compressed: bool) -> None:
    """What a client works out for a folder is what the service calls it, as code and as data."""
    code, data = pack_code(folder), pack_data(folder)
    assert [entry.path for entry in code.entries] == [IGNORE_FILE, "lib/net.py", "train.py"]
    assert code.content.sha256 != data.content.sha256, "one has a program that runs"
    with Service(tmp_path / "home") as service:
        assert service.add_code(sent(service, archive_of(code, compressed)).id).id == code.content.sha256
        made = service.add_dataset("d", upload=sent(service, archive_of(data, compressed)).id)
        assert (made.sha256, made.files, made.size_bytes) == (
            data.content.sha256,
            data.content.files,
            data.content.size,
        )
        assert service.find_content(data.content.sha256).kind == "dataset"


def test_the_same_folder_gives_the_same_bytes(folder: Path) -> None:
    """Neither dates nor the order on disk make a difference; a changed file does."""
    first = archive_of(pack_code(folder))
    os.utime(folder / "train.py", (1, 1))
    (folder / "lib/net.py").rename(folder / "lib/net")
    (folder / "lib/net").rename(folder / "lib/net.py")
    assert archive_of(pack_code(folder)) == first
    (folder / "train.py").write_text("other")
    assert archive_of(pack_code(folder)) != first


def test_homes_and_tokens_are_not_sent(tmp_path: Path, folder: Path) -> None:
    """They hold secrets: whoever starts a service in the folder of a program sends neither with it."""
    before = pack_code(folder).content
    with Service(folder / "home") as service:
        service.add_user("ada")
    shutil.copytree(folder / "home", folder / "lib" / "old")
    (folder / "token").write_text(f"{new_secret('token')}\n")
    assert pack_code(folder).content == before
    (folder / "token").write_text("no token\n")
    assert pack_code(folder).content != before


def test_links_to_files_are_followed(folder: Path, tmp_path: Path) -> None:
    """The file itself is sent; links to folders and to nowhere are told, unless they are left out."""
    (tmp_path / "weights").write_text("w")
    (folder / "weights").symlink_to(tmp_path / "weights")
    assert "weights" in [entry.path for entry in pack_code(folder).entries]
    (folder / "all").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"^all: it is a link to a folder"):
        pack_code(folder)
    (folder / "all").unlink()
    (folder / "gone").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"^gone: it is no file"):
        pack_code(folder)
    (folder / IGNORE_FILE).write_text("gone\n")
    pack_code(folder)


def test_too_large_a_folder_names_the_largest_files(folder: Path) -> None:
    """Whoever forgot to leave something out sees at once what it is."""
    (folder / "model.pt").write_bytes(bytes(3000))
    with pytest.raises(DataError, match=r"it holds .* KiB, and 2 KiB can be sent; the largest: model.pt \(2.93 KiB\)"):
        pack(folder, Limits(bytes=2048, entries=10), executable=False)


def test_what_no_service_takes_is_told_before_it_is_sent(folder: Path, tmp_path: Path) -> None:
    """Names that differ in case alone, odd ones, too many files, and an empty folder."""
    (folder / "Train.py").write_text("")
    with pytest.raises(RefusedEntry, match="can't be told from"):
        pack_code(folder)
    (folder / "Train.py").rename(folder / "a\\b")
    with pytest.raises(RefusedEntry, match="backslash"):
        pack_code(folder)
    (folder / "a\\b").unlink()
    with pytest.raises(RefusedEntry, match="more than 2 files"):
        pack(folder, Limits(bytes=CODE.bytes, entries=2), executable=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file in it that could be sent"):
        pack_data(tmp_path / "empty")


def test_a_file_that_grows_meanwhile_is_told(folder: Path) -> None:
    """Nothing is sent that was not looked at."""
    packed = pack_code(folder)
    (folder / "train.py").write_text("something longer than it was")
    with pytest.raises(DataError, match="it has changed while it was sent"):
        archive_of(packed)


@pytest.mark.parametrize(
    ("line", "left_out", "taken"),
    [
        ("*.log", ("a.log", "x/a.log"), ("a.logs", "log")),
        ("runs/", ("runs/", "x/runs/"), ("runs",)),
        ("/runs", ("runs", "runs/"), ("x/runs",)),
        ("x/*.pt", ("x/a.pt",), ("a.pt", "x/y/a.pt", "y/x/a.pt")),
        ("x/**/a", ("x/a", "x/y/a", "x/y/z/a"), ("a", "y/x/a")),
        ("**/a/b", ("a/b", "x/a/b"), ("b", "a/x/b")),
        ("x/**", ("x/a", "x/y/a"), ("x", "a")),
        ("a?c", ("abc",), ("ac", "a/c", "abbc")),
        ("[ab]", ("[ab]",), ("a",)),
        ("!*.pyc", (".git/",), ("a.pyc",)),
        ("# a", (), ("# a",)),
        ("\\#a", ("#a",), ()),
        ("", ("__pycache__/", "x/__pycache__/", "a.pyc", ".git/", ".git"), ("__pycache__",)),
    ],
)
def test_what_a_line_leaves_out(line: str, left_out: tuple[str, ...], taken: tuple[str, ...]) -> None:
    """Lines mean what they mean in a `.gitignore`."""
    ignored = Ignored([line])
    assert [path for path in left_out if path not in ignored] == []
    assert [path for path in taken if path in ignored] == []
