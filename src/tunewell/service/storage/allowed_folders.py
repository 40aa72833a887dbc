"""Folders of this machine that data sets may be made of. Whoever is on it as the owner of the home says which."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tunewell.home.manifest import Content
from tunewell.service.storage.place import Place
from tunewell.spec.errors import ArgumentError, DataError, ForbiddenError, NotFoundError


def allow(place: Place, folder: Path) -> None:
    """Let data sets be made of a folder, and of those in it."""
    _check_commands(place)
    real = _real(folder)
    if real is None or not real.is_dir():
        raise NotFoundError("there is no such folder", field=str(folder), remedy="Name one that exists")
    home = Path(place.home.real_path)
    if home.is_relative_to(real) or real.is_relative_to(home):
        problem = "the home lies in it, or it in the home, with what belongs to others"
        raise ArgumentError("folder", problem, "Allow folders with data alone", str(real))
    with place.store.transaction() as tx:
        tx.allow_folder(str(real))


def withdraw(place: Place, folder: Path) -> None:
    """Let no data sets be made of a folder any more; those that were can't be used."""
    _check_commands(place)
    with place.store.transaction() as tx:
        removed = [tx.withdraw_folder(name) for name in {str(folder.absolute()), str(_real(folder) or folder)}]
    if not any(removed):
        raise NotFoundError("it is no folder that data sets may be made of", field=str(folder))


def _check_commands(place: Place) -> None:
    if not place.caller.local or place.caller.role != "administrator":
        raise ForbiddenError(
            "an administrator says on the machine of the service itself which folders are allowed", field="folder"
        )


def checked(place: Place, folder: str) -> Path:
    """Return where a folder that a data set is made of really lies.

    Raises:
        ForbiddenError: it lies outside all that are allowed, or is not there: who may not know, is told the same.
    """
    real = _real(Path(folder)) if "\0" not in folder and Path(folder).is_absolute() else None
    if real is None or not _is_allowed(place, real) or not real.is_dir():
        raise ForbiddenError(
            "no data set can be made of it",
            field="folder",
            value=folder,
            remedy="Name a folder in one that an administrator allows, by its whole path",
        )
    return real


def content_of_folder(place: Place, folder: Path) -> Content:
    """Return names, sizes and dates of the files in a folder as its content: reading them all would take too long.

    Raises:
        DataError: a link in it leads out of all folders that are allowed, or a folder can't be read.
    """
    whole, total, files = hashlib.sha256(b"tunewell folder 1\n"), 0, 0
    for path in _files(folder):
        if path.is_symlink():
            real = _real(path)
            if real is None or not _is_allowed(place, real):
                raise DataError(
                    "this link leads out of the folders that are allowed", field=str(path), remedy="Remove it"
                )
        known = path.stat()
        total, files = total + known.st_size, files + 1
        name = os.fsencode(path.relative_to(folder))
        whole.update(b"%d %d %s\0" % (known.st_size, known.st_mtime_ns, name))
    return Content(whole.hexdigest(), total, files)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, and links to anything, in the order of their names."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*files, *links]))


def _refuse(error: OSError) -> None:
    raise DataError(f"it can't be read ({error.strerror})", field=str(error.filename)) from None


def _is_allowed(place: Place, real: Path) -> bool:
    return any(real.is_relative_to(folder) for folder in place.store.allowed_folders())


def _real(path: Path) -> Path | None:
    """Return where a path leads, all links followed; None: nowhere."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
