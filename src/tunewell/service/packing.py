"""Making one file of a folder, to be sent: the same folder gives the same bytes, and the same checksum of its content.

A client asks first whether a service has that content (`find_content`), and sends it only if it has not. Links to files
are followed; the service takes none.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from tunewell.home.manifest import Content, FileEntry, content_of
from tunewell.service.ignoring import IGNORE_FILE, Ignored
from tunewell.service.storage.limits import CODE, DATA, Limits
from tunewell.service.storage.names import Tree
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import DataError
from tunewell.spec.format import size as shown_size
from tunewell.spec.secrets import is_token
from tunewell.tasks import sent_function
from tunewell.tasks.catalogue import name_function
from tunewell.tasks.function import check_function

#: What lies in a home, beside its identity; and bytes of a file that holds a token alone, at most.
_IN_HOMES, _LONGEST_TOKEN = ("tunewell.db", "secret", "experiments"), 200
#: How many of the largest files are named where a folder is too large.
_LARGEST = 5


@dataclass(frozen=True, slots=True)
class Packed:
    """A folder that can be sent."""

    folder: Path
    #: By path.
    entries: tuple[FileEntry, ...]

    @property
    def content(self) -> Content:
        """What the service will call its content."""
        return content_of(self.entries)

    def write(self, file: BinaryIO, compressed: bool) -> None:
        """Write all of it as a tar, or a tar.gz; pictures get no smaller by that.

        Raises:
            DataError: a file is another one than it was, or is gone.
        """
        whole = gzip.GzipFile("", "wb", 6, file, mtime=0) if compressed else nullcontext(file)
        with whole as target, tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for entry in self.entries:
                header = tarfile.TarInfo(entry.path)
                header.size, header.mode = entry.size, 0o755 if entry.executable else 0o644
                with _same(self.folder / entry.path, entry) as content:
                    archive.addfile(header, content)


def pack_code(folder: Path) -> Packed:
    """Return a folder with a program, as `add_code` takes it; raises what `pack` does."""
    return pack(folder, CODE, executable=True)


def pack_data(folder: Path) -> Packed:
    """Return a folder with data, as `add_dataset` takes it; raises what `pack` does."""
    return pack(folder, DATA, executable=False)


def pack_function(
    function: Callable[..., Any], parameters: Mapping[str, Any], folder: Path
) -> tuple[dict[str, str], Packed]:
    """Write a function into an empty folder; return the fields of a spec that name it, and the folder for `add_code`.

    Raises:
        SpecError: it can't be pickled, or not be called with the parameters that are declared.
    """
    name, path = name_function(function)
    if parameters:  # else they are those of another experiment
        check_function(function, parse_space(parameters))
    sent_function.write(function, folder)
    return {"name": name, "function": path}, pack_code(folder)


def pack(folder: Path, limits: Limits, executable: bool) -> Packed:
    """Return a folder without what its `.tunewellignore` leaves out; reads every file once.

    Raises:
        DataError: it holds nothing, what can't be sent, or too much; then the largest files are named.
    """
    try:
        lines = (folder / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it can't be read ({error})", field=str(folder / IGNORE_FILE)) from None
    tree, found = Tree(limits), list(_files(folder, Ignored(lines)))
    for path in found:
        tree.add(path, is_folder=False)
    if not found:
        raise DataError("there is no file in it that could be sent", field=str(folder), remedy="Name another folder")
    sizes = {path: _stat(folder / path).st_size for path in found}
    if sum(sizes.values()) > limits.bytes:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_LARGEST]
        raise DataError(
            f"it holds {shown_size(sum(sizes.values()))}, and {shown_size(limits.bytes)} can be sent; the largest: "
            + ", ".join(f"{path} ({shown_size(sizes[path])})" for path in largest),
            field=str(folder),
            remedy=f"Name in {IGNORE_FILE} what is not needed",
        )
    return Packed(folder, tuple(_entry(folder, path, executable) for path in sorted(found, key=str.encode)))


def _files(folder: Path, ignored: Ignored) -> Iterator[str]:
    """Yield the paths of the files in a folder that are not left out."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        before = Path(parent).relative_to(folder).as_posix()
        prefix = "" if before == "." else f"{before}/"
        folders[:] = [
            name for name in folders if f"{prefix}{name}/" not in ignored and not _is_home(Path(parent, name))
        ]
        for name in folders:
            if Path(parent, name).is_symlink():
                remedy = f"Put the folder itself there, or name the link in {IGNORE_FILE}"
                raise DataError("it is a link to a folder, which can't be sent", field=prefix + name, remedy=remedy)
        for name in files:
            if f"{prefix}{name}" not in ignored:
                if not Path(parent, name).is_file():
                    remedy = f"Remove it, or name it in {IGNORE_FILE}"
                    raise DataError("it is no file, or a link to nowhere", field=prefix + name, remedy=remedy)
                if not _is_token(Path(parent, name)):
                    yield prefix + name


def _is_home(folder: Path) -> bool:
    """Whether a folder is a home of Tunewell, which holds secrets, and the very copies that are sent."""
    return (folder / "identity.json").is_file() and any((folder / name).exists() for name in _IN_HOMES)


def _is_token(path: Path) -> bool:
    """Whether all that a file has is a token, as `serve --token-file` writes it."""
    if path.stat().st_size > _LONGEST_TOKEN:
        return False
    try:
        return is_token(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return False


def _entry(folder: Path, path: str, executable: bool) -> FileEntry:
    known = _stat(folder / path)
    try:
        with (folder / path).open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        _refuse(error)
    return FileEntry(path, known.st_size, checksum, executable and bool(known.st_mode & 0o100))


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _refuse(error)


def _same(path: Path, entry: FileEntry) -> BinaryIO:
    """Return the content of a file, which must be as long as it was."""
    try:
        content = path.open("rb")
    except OSError as error:
        _refuse(error)
    if os.fstat(content.fileno()).st_size != entry.size:
        content.close()
        raise DataError("it has changed while it was sent", field=str(path), remedy="Begin again")
    return content


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"it can't be read ({error.strerror})", field=str(error.filename)) from None
